"""The table of roles is whole, and says what docs/security.md promises."""

from __future__ import annotations

from broker_sched.contract.roles import METHOD_RIGHTS, Role
from broker_sched.contract.scheduler_api import METHODS


def allowed(role: Role) -> set[str]:
    return {name for name, right in METHOD_RIGHTS.items() if role in right.roles}


def test_every_method_says_who_may_call_it() -> None:
    assert METHOD_RIGHTS.keys() == METHODS.keys()


def test_an_operator_may_do_all_that_a_viewer_may_and_an_admin_everything() -> None:
    assert allowed(Role.VIEWER) < allowed(Role.OPERATOR) < allowed(Role.ADMIN) == METHODS.keys()


def test_of_what_others_run_a_worker_may_end_a_run_or_a_submission_and_no_more() -> None:
    assert allowed(Role.VIEWER) < allowed(Role.WORKER)
    assert allowed(Role.WORKER) & allowed(Role.OPERATOR) - allowed(Role.VIEWER) == {"cancel_submission", "stop_task"}


def test_a_viewer_may_call_just_what_changes_nothing() -> None:
    looking = {name for name, method in METHODS.items() if method.reads_only or method.is_view}
    assert allowed(Role.VIEWER) == looking - {"audit"}  # who did what is for those who answer for it


def test_no_call_of_a_viewer_is_audited_and_no_report_of_a_worker() -> None:
    audited = {name for name, right in METHOD_RIGHTS.items() if right.is_audited}
    assert not audited & allowed(Role.VIEWER)
    assert audited & allowed(Role.WORKER) == {"add_submission", "cancel_submission", "stop_task"}
