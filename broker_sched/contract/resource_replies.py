"""The shape of what `resource_details` replies. Times are float seconds since the epoch."""

from __future__ import annotations

from typing import TypedDict

from broker_sched.contract.view_replies import ResourceUse


class ResourceHolder(TypedDict):
    """A running task that holds so much of a resource, and since when it runs."""

    task_id: str
    family: str
    worker: str | None
    since: float | None
    amount: float


class ResourceWaiter(TypedDict):
    """A ready task that wants so much of a resource, and since when it is ready."""

    task_id: str
    family: str
    priority: float
    since: float
    amount: float


class ResourceDetails(ResourceUse):
    """A resource, who holds it, and who wants it.

    has_limit: whether it has a limit of its own; without one it is 1. holders: those with most of it first. waiters: in
    the order in which they have their turn. complete: false where more than 1,000 tasks run, so that there may be more
    holders.
    """

    has_limit: bool
    holders: list[ResourceHolder]
    n_holders: int
    waiters: list[ResourceWaiter]
    n_waiters: int
    complete: bool
