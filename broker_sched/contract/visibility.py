"""What a viewer may be kept from: the one table of methods and fields. Only the role viewer is; see `--viewer-sees`.

all: nothing is kept back. names: neither parameters nor logs nor error texts, nor what tasks say of themselves. counts:
no names or ids, either. A field that is not in the table is kept back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

Sees: TypeAlias = Literal["counts", "names", "all"]
LEVELS: tuple[Sees, ...] = ("counts", "names", "all")

# The methods that serve a viewer who sees only counts, and those that are about nothing but what is kept back.
WITH_COUNTS = frozenset("overview superseded_reports is_paused is_pause_enabled has_task_history".split())
WITH_ALL = frozenset("task_log fetch_error get_task_status_message family_dates".split())
PATHS_WITH_NAMES = frozenset({"/metrics", "/scale"})  # which name families and resources

# Filters by what is kept back would tell it, one guess at a time.
TELLING_ARGUMENTS: Mapping[str, frozenset[str]] = {
    "tasks": frozenset({"params", "text", "error", "date"}),
    "task_list": frozenset({"search"}),  # in names with all parameters
}

_COUNTS = """
    time namespace schema tasks ready oldest_ready upstream UPSTREAM_DISABLED UPSTREAM_FAILED count exact workers active
    disabled silent submissions slots slots_in_use paused throughput minute ten_minutes hour done_per_second
    failed_per_second estimated_end at redis version used_memory max_memory persistence last_save_ok last_save
    unsaved_changes enabled
"""
_NAMES = """
    accepts_messages address ahead amount asked assistant attempt attempts author batch_id batch_size by causes code
    combined complete counts created cursor cycle default dep dependent dependents deps direction disabled_by
    disabled_until distance done_last_hour edges ended estimated_end.reason events example expand failed
    failed_last_hour failed_steps failures failures_allowed families family first first_task from further groups
    has_limit holders host id label last last_active last_asked last_contact last_failed last_failed_task
    last_updated limit log_size looked_at may_be_batched mean_seconds meaning memory module modules more
    n_dependents n_deps n_holders n_pending n_ready n_running n_unmet n_waiters n_workers name node nodes
    num_consumer num_pending num_running num_total num_uniques num_used of other_causes other_holders other_workers
    others outcome p95_seconds paused_families pid priority progress progress_percentage progressPercentage
    re_enable_able refusals refused refuses removed resource resources resources_held resources_running retry_at run
    running running_tasks runs seen sentence server servers set_at set_by since size start_time started state status
    steps submission submitted takes task task_id taskFamily taskId taskModule time_running to total unmet until
    updated used value versions waiters wanted worker worker_running
    all_running expected_seconds missing n_missing n_unknown_families now spent_seconds unknown_families whole_since
"""
_ALL = """
    dates displayName display_name error info last_error log message month months params reason refusal statusMessage
    status_message taskParams tracking_url
"""
# Fields of replies by who sees them. `a.b` is the field b of what is in a field a, where b alone is something else.
SHOWN_WITH: Mapping[Sees, frozenset[str]] = {
    "counts": frozenset(_COUNTS.split()),
    "names": frozenset(f"{_COUNTS} {_NAMES}".split()),
}
KNOWN_FIELDS = frozenset(f"{_COUNTS} {_NAMES} {_ALL}".split())

# Replies and fields that are objects with ids or names for keys, and how deep: {status: {task_id: task}} is 2.
KEYED_REPLIES: Mapping[str, int] = {
    **dict.fromkeys(("graph", "dep_graph", "inverse_dep_graph", "task_list", "task_statuses"), 1),
    "task_search": 2,
}
KEYED_FIELDS = frozenset({"running"})
NUMBERS_BY_NAME = frozenset("tasks workers counts resources resources_held resources_running".split())


def least_of(method: str) -> Sees:
    """Return how much a viewer must be shown at least, that this method serves one."""
    return "counts" if method in WITH_COUNTS else "all" if method in WITH_ALL else "names"
