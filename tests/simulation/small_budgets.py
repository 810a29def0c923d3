"""Scripts whose budgets are a step or two, so that nearly everything is still to be done when the next call comes."""

import re
from functools import cache

from broker_sched.lua.loader import join, text_of
from broker_sched.redis_backend import script_call
from broker_sched.scheduler.operations import operators
from broker_sched.scheduler.operations import tasks as task_operations

# Constants of the .lua files: name, value, value here.
SMALL = (
    ("BUDGET", 105, 2),
    ("BUDGET", 60, 0),
    ("FIRST_STEPS", 56, 2),
    ("MAX_SORTED", 512, 6),
    ("MAX_DEPS_AT_ONCE", 100, 2),
    ("MAX_CHECKED_DEPS", 200, 3),
    ("MAX_STALE_HEADS", 20, 2),
    ("PAGE", 16, 2),
)


@cache
def text_with_small_budgets(file_name):
    """The text of a .lua file with small budgets and pages."""
    text = text_of(file_name)
    for constant, old, new in SMALL:
        text = re.sub(rf"^local {constant} = {old}\b", f"local {constant} = {new}", text, flags=re.MULTILINE)
    return text


@cache
def script_with_small_budgets(name):
    """The script of this name with small budgets and pages."""
    return join(name, text_with_small_budgets)


def use_small_budgets(monkeypatch):
    """Give every caller such scripts, and short lists of deps to name at once."""
    monkeypatch.setattr(script_call, "load", script_with_small_budgets)
    monkeypatch.setattr(task_operations, "MAX_DEPS_AT_ONCE", 3)
    monkeypatch.setattr(task_operations, "DEFERRED_BUDGET", 3)
    monkeypatch.setattr(operators, "PRUNE_BUDGET", 8)


def unmet_deps(scheduler, task_id):
    """The deps of the task that are not DONE, id → status, None when missing; `read in` while a list is staged."""
    client, namespace = scheduler._client, scheduler.namespace
    n, linking = client.hmget(namespace.key("task", task_id), "n", "linking")
    ids = [client.hget(namespace.key("ids"), dep) for dep in client.smembers(namespace.key("deps", n))]
    statuses = {dep: client.hget(namespace.key("task", dep), "status") for dep in ids}
    return {dep: status for dep, status in statuses.items() if status != "DONE"} | (
        {"read in": linking} if linking else {}
    )
