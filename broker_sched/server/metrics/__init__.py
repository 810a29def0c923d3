"""`/metrics` for Prometheus, and `/scale` for autoscalers.

| module | what it knows |
| --- | --- |
| table | every metric: its name, labels and meaning |
| exposition | how what was read becomes the text that Prometheus reads |
| counters | what this process counts itself, until it is told to Redis |
| scraping | when it is read: once for all who ask at the same time |
"""
