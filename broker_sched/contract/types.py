"""The types of arguments: what msgspec checks of a call, and docs/api.md shows.

A range, a length or a list of allowed values stands in the type and nowhere else. Where it has a title, the
documentation calls it so. A description completes "it must be …", there and in what a refused caller is told. NaN is
refused by whatever bound a number has: it is on neither side of it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeAlias, get_args

from msgspec import Meta

MAX_SAFE_INTEGER = 2**53  # beyond it a double, and so a sorted set's score, loses digits
MAX_ID = 8192  # characters of a task's or a worker's id
MAX_TASKS = 1000  # in one add_tasks, task_statuses or change_tasks
MAX_LOG = 16_384  # characters kept of what a task writes
MAX_REASON = 4096  # characters of why a task can't be loaded
MAX_REFUSED = 200  # tasks in one refuse_tasks: more than a batch has
MAX_BATCHED_ARGS = 100
MAX_LISTED = 1000  # tasks, families, workers or events in one reply
MAX_AUTHOR = 200  # characters of who does something

JSON: TypeAlias = Any  # any JSON value: the contract leaves it to the clients

# Names

TaskId: TypeAlias = Annotated[str, Meta(title="task id", min_length=1, max_length=MAX_ID)]
WorkerId: TypeAlias = Annotated[str, Meta(title="worker id", min_length=1, max_length=MAX_ID)]
StartId: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64)]  # made anew at each start of a worker
Attempt: TypeAlias = Annotated[int, Meta(ge=1, le=MAX_SAFE_INTEGER)]  # number of a hand-out; see replies.Work
Cursor: TypeAlias = Annotated[str, Meta(max_length=4 * MAX_ID)]  # opaque; of the reply before
Family: TypeAlias = Annotated[str, Meta(title="family", min_length=1, max_length=MAX_ID)]
ResourceName: TypeAlias = Annotated[str, Meta(title="resource", min_length=1, max_length=MAX_ID)]
BatchedArgs: TypeAlias = Annotated[Sequence[str], Meta(max_length=MAX_BATCHED_ARGS)]
RefusedIds: TypeAlias = Annotated[Sequence[TaskId], Meta(min_length=1, max_length=MAX_REFUSED)]
TaskIds: TypeAlias = Annotated[Sequence[TaskId], Meta(max_length=MAX_TASKS)]
ExpandedNodes: TypeAlias = Annotated[Sequence[str], Meta(max_length=150)]
AddTaskArguments: TypeAlias = Annotated[Sequence[Mapping[str, JSON]], Meta(max_length=MAX_TASKS)]
WorkerInfo: TypeAlias = Mapping[str, JSON] | Sequence[tuple[str, JSON]]

# Numbers

Number: TypeAlias = Annotated[
    Annotated[int, Meta(ge=-MAX_SAFE_INTEGER, le=MAX_SAFE_INTEGER)]
    | Annotated[float, Meta(ge=-MAX_SAFE_INTEGER, le=MAX_SAFE_INTEGER)],
    Meta(title="number", description="a finite number within ±2^53"),
]
Amount: TypeAlias = Annotated[
    Annotated[int, Meta(ge=0, le=MAX_SAFE_INTEGER)] | Annotated[float, Meta(ge=0, le=MAX_SAFE_INTEGER)],
    Meta(title="amount", description="a number from 0 to 2^53"),
]
BatchSize: TypeAlias = Annotated[
    int | Annotated[float, Meta(ge=-sys.float_info.max)],  # any, infinity too, but NaN
    Meta(description="a number of tasks, or infinity"),
]
Size: TypeAlias = Annotated[int, Meta(ge=0)]
GraphNodes: TypeAlias = Annotated[int, Meta(ge=20, le=150)]  # fewer could not tell the states apart
Wanted: TypeAlias = Annotated[int, Meta(ge=0, le=100, description="a whole number from 0 to 100")]
AwaitSeconds: TypeAlias = Annotated[float, Meta(ge=0, le=30, description="a number of seconds from 0 to 30")]
RefusalSeconds: TypeAlias = Annotated[float, Meta(ge=0, le=3600, description="a number of seconds from 0 to 3600")]
DrainSeconds: TypeAlias = Annotated[
    float, Meta(ge=0, le=MAX_SAFE_INTEGER, description="a number of seconds, 0 or more")
]
Resources: TypeAlias = Mapping[str, Amount]
ListLimit: TypeAlias = Annotated[int, Meta(ge=1, le=MAX_LISTED, description="a whole number from 1 to 1,000")]
SinceSeconds: TypeAlias = Annotated[
    float, Meta(ge=0, le=MAX_SAFE_INTEGER, description="a number of seconds, 0 or more")
]
Moment: TypeAlias = Annotated[
    float, Meta(ge=-MAX_SAFE_INTEGER, le=MAX_SAFE_INTEGER, description="a time in seconds since the epoch")
]
_DAY = "(0[1-9]|[12][0-9]|3[01])"
_MONTH = "[0-9]{4}-(0[1-9]|1[0-2])"
Month: TypeAlias = Annotated[str, Meta(pattern=rf"^{_MONTH}\Z", title="month", description="a month, as in 2024-03")]
Date: TypeAlias = Annotated[
    str,
    Meta(pattern=rf"^{_MONTH}(-{_DAY})?\Z", title="date", description="a day or month, as in 2024-03-01 or 2024-03"),
]

TraceParent: TypeAlias = Annotated[
    str,
    Meta(
        pattern="^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$",
        title="traceparent",
        description="the context of a span, as W3C's traceparent writes it",
    ),
]

# Choices

# What a client may report. SUSPENDED, of old clients, is stored as PENDING.
ReportableStatus: TypeAlias = Literal["PENDING", "RUNNING", "DONE", "FAILED", "DISABLED", "UNKNOWN", "SUSPENDED"]
REPORTABLE: tuple[str, ...] = get_args(ReportableStatus)
StatusFilter: TypeAlias = Annotated[str, Meta(title="status filter", description="a status, or '' for all")]
UpstreamFilter: TypeAlias = Annotated[
    str,
    Meta(
        title="upstream filter",
        description="UPSTREAM_RUNNING, UPSTREAM_MISSING_INPUT, UPSTREAM_FAILED or UPSTREAM_DISABLED, or '' for all",
    ),
]
StateFilter: TypeAlias = Literal[
    "PENDING", "READY", "WAITING", "BLOCKED", "RUNNING", "BATCH_RUNNING", "DONE", "FAILED", "DISABLED", "UNKNOWN"
]
LinkedStateFilter: TypeAlias = StateFilter | Literal["MISSING"]
ListOrder: TypeAlias = Literal["newest", "oldest"]
Visibility: TypeAlias = Annotated[
    Literal[0, 1, 2], Meta(title="visibility", description="0 (public), 1 (hidden) or 2 (private)")
]
GraphDirection: TypeAlias = Literal["deps", "dependents"]
PathMeasure: TypeAlias = Literal["total", "spent", "expected"]
RefusalScope: TypeAlias = Literal["module", "family"]
AuditResult: TypeAlias = Literal["done", "refused", "unknown"]
TaskAction: TypeAlias = Literal["retry", "forgive", "enable", "disable", "done", "stop", "remove"]
RetryOption: TypeAlias = Literal["retry_count", "disable_hard_timeout", "disable_window"]
RetryPolicy: TypeAlias = Mapping[RetryOption, Number | None]

# Texts

Author: TypeAlias = Annotated[str, Meta(max_length=MAX_AUTHOR)]
LogText: TypeAlias = Annotated[str, Meta(max_length=MAX_LOG)]
RefusalReason: TypeAlias = Annotated[str, Meta(max_length=MAX_REASON)]
