"""Who may do what: the one table of roles, methods and paths. The server enforces it; docs and tests come from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import NamedTuple


class Role(str, Enum):
    """What somebody is to a namespace. An operator may do all that a viewer may, an admin all that there is."""

    VIEWER = "viewer"  # looks
    WORKER = "worker"  # runs tasks and submits them, and looks
    OPERATOR = "operator"  # looks, and changes what others run
    ADMIN = "admin"  # everything, the scheduler's options included


class Right(NamedTuple):
    """Says of a method or a path who may use it, and whether that leaves a record in the audit."""

    roles: frozenset[Role]
    is_audited: bool = False  # it changes state, and people or their programs ask for it: no worker's report


_ALL = frozenset(Role)
_WORKERS = frozenset({Role.WORKER, Role.ADMIN})
_OPERATORS = frozenset({Role.OPERATOR, Role.ADMIN})
_ADMINS = frozenset({Role.ADMIN})

_LOOKING = """
    get_task_status_message get_task_progress_percentage get_running_task_resources worker_list is_paused
    is_pause_enabled has_task_history resource_list graph dep_graph inverse_dep_graph task_list task_search fetch_error
    superseded_reports done_since_awaited task_statuses task_log submission submission_list why overview families tasks
    task_details task_deps failures workers worker_details resource_details submission_details events condensed_graph
    critical_path timeline option_list family_dates
"""
_WORKING = """
    add_task add_task_batcher announce_scheduling_failure set_task_status_message set_task_progress_percentage
    decrease_running_task_resources report_task_statistics update_metrics_task_started get_work count_pending ping
    add_worker add_scheduler_message_response add_tasks await_work release_task refuse_tasks set_task_log
    note_submission_trace begin_trace exchange transfer_task
"""
_OPERATING = """
    disable_worker set_worker_processes send_scheduler_message prune pause unpause forgive_failures mark_as_done
    re_enable_task update_resources update_resource change_tasks pause_family unpause_family drain_worker
    forget_worker remove_resource
"""


def _rights(names: str, right: Right) -> Iterable[tuple[str, Right]]:
    return ((name, right) for name in names.split())


# Method → who may call it. One that is not here may be called by nobody: tests/contract/test_roles.py names it.
METHOD_RIGHTS: Mapping[str, Right] = dict(
    [
        *_rights(_LOOKING, Right(_ALL)),
        *_rights(_WORKING, Right(_WORKERS)),
        ("add_submission", Right(_WORKERS, is_audited=True)),
        ("cancel_submission", Right(_WORKERS | _OPERATORS, is_audited=True)),
        # A worker has its jobs ended by it. It may report any run as failed, or give it back, so that it gains nothing.
        ("stop_task", Right(_WORKERS | _OPERATORS, is_audited=True)),
        *_rights(_OPERATING, Right(_OPERATORS, is_audited=True)),
        ("get_scheduler_message_response", Right(_OPERATORS)),  # a page asks for it again and again
        ("audit", Right(_OPERATORS)),
        ("update_options", Right(_ADMINS, is_audited=True)),
    ]
)

# Paths that need no login. Every other path that is not a method's may be asked for by any role.
PUBLIC_PATHS = frozenset({"/healthz", "/readyz", "/login", "/logout", "/login/oidc", "/login/callback"})
LUIGIS_PAGE = "/static/visualiser/index.html"  # of a stock luigid
OTHER_PATHS: Mapping[str, Right] = {
    path: Right(_ALL) for path in ("/", LUIGIS_PAGE, "/metrics", "/scale", "/openapi.json", "/events")
}
PAGE_FILES = "/page/"  # below it are the files of the web page, for whoever may have the page at `/`
