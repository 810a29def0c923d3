"""HTTP: the server in front of the scheduler. From the process to the answer:

| module | what it knows |
| --- | --- |
| serve | how uvicorn runs the application: its signals, and how it ends |
| heap | what is left out of garbage collections, and how often there are any |
| processes | how several processes share one socket, and are replaced when they die |
| listening | the TCP port or unix socket that is served |
| tls | the certificate and key of a server that speaks TLS, and how they change |
| peer_certificate | what the application hears of a client's certificate |
| protocol | limits of HTTP/1.1 in bytes and seconds, and how a client is refused that keeps none |
| joined_writes | how the bytes of an answer leave |
| limits | how many connections and requests there may be, in all and of one address |
| proxies | which proxies are believed what they say about their clients |
| app | the ASGI application: what it starts and stops, and which requests are calls |
| hosts | under which names a server may be asked |
| api | `/api/<method>`, from a request to its answer |
| cross_site | which calls a foreign web page makes through a browser |
| cors | what pages of other sites may read, as luigi.cfg says |
| bodies | how a request's body is taken in, and how long it may be |
| budget | the memory that large bodies and long answers share |
| requests | how bytes become a call's arguments |
| traced | spans for requests, where OpenTelemetry is set up |
| request_naming | the id under which logs, answers and Redis tell of a request |
| responses | how a result or an error becomes status, headers and JSON |
| refusals | what is told to the audit of what was refused |
| frequent_looks | when calls that only look are passed on to a process of their own |
| shared_looks | which calls of pages that only look are answered together |
| large_calls | how a large call is passed on to a process of its own |
| large_call_process | what that process does |
| routes | everything but `/api`: the page, metrics, and whether the server is alive and ready |
| openapi | `/openapi.json`: what the methods take and reply, for programs |
| page_routes | `/`, the files of the web page, and the addresses of Luigi's own page |
| page_files | the files of the web page in memory, and the HTML that begins it |
| front_page | the HTML at `/` where the web page is not built |
| events/ | `/events`: what changes, as server-sent events |
| metrics/ | `/metrics` for Prometheus, and `/scale` for autoscalers |
| prune_timer | when the namespace is pruned |
| announcements | how a process makes itself known to the namespace |

`access/` knows who asks. `create_app` makes the ASGI application, for `bsched server` and for any other ASGI server.
"""

from broker_sched.server.app import AppConfig, create_app

__all__ = ["AppConfig", "create_app"]
