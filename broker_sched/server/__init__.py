"""HTTP: the server in front of the scheduler.

`create_app` makes the ASGI application, for `bsched server` and for any other ASGI server.
"""

from broker_sched.server.app import AppConfig, create_app

__all__ = ["AppConfig", "create_app"]
