"""`GET /events`: what changes in the namespace, as server-sent events, for pages and other programs. See docs/page.md.

| module | what it knows |
| --- | --- |
| endpoint | which requests become streams, how many there may be, and when it is looked again who may listen |
| stream | one listener: from where on it is told, and when its stream ends |
| frames | what is told, and how it is written |

What changes is read by `scheduler/event_feed.py`, once for all streams of a process.
"""
