"""Opens the server's two lanes to the Redis a URL names."""

from __future__ import annotations

from broker_sched.http.pipeline import Address, InProcess, Lane, Pipeline
from broker_sched.scheduler.connection import connect, resolve


def open_lanes(url: str | None, prefix: str) -> tuple[Lane, Lane]:
    """A lane for calls and one for views. Blocks where a `local:` Redis is started or Sentinel asked.

    Raises ConfigurationError when the URL can't be used; an unreachable Redis is found out at the first send.
    """
    if is_in_process(url):
        lane = InProcess(connect(url))
        return lane, lane

    def find() -> Address:
        found = resolve(url, prefix)
        return Address(
            host=found.host,
            port=found.port,
            unix_path=found.unix_path,
            username=found.username,
            password=found.password,
            db=found.db,
            tls=found.tls,
        )

    return Pipeline(find, "bsched-calls"), Pipeline(find, "bsched-views")


def is_in_process(url: str | None) -> bool:
    """Whether this is `memory:`."""
    return url == "memory:"
