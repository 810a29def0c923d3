"""Sentences that say to a stranger why a task does not run, and what would end that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timezone

from broker_sched.contract.why_replies import Candidate, Cause, Why, WhyCode

MOST_NAMED = 3  # workers, holders, causes in one sentence
MOST_RING = 10  # tasks of a ring


def tell(why: Why, now: float) -> None:
    """Write the sentences of a reply of why(): those of its causes, and from them the one about the task itself.

    now: s since the epoch.
    """
    causes = why["causes"]
    for cause in causes:
        cause["sentence"] = sentence_of(cause, now)
    sentence = causes[0]["sentence"]
    if why["code"] == "deps":
        sentence = sentence_of_deps(why["task_id"], why["unmet"], causes, why["other_causes"], why["complete"])
    if not why["complete"]:
        sentence += f" Only {why['looked_at']:,} tasks were looked at; there is more above."
    why["sentence"] = sentence


def sentence_of(cause: Cause, now: float) -> str:
    """Return the sentence about one cause; now: s since the epoch."""
    return _SENTENCES[cause["code"]](cause, now)


def sentence_of_deps(task_id: str, unmet: int, causes: Sequence[Cause], other_causes: int, complete: bool) -> str:
    """Return the sentence about a task that waits for others, and why those do not run."""
    parts = [f"{task_id} waits for {_count(unmet, 'dep')}."]
    for cause in causes[:MOST_NAMED]:
        parts.append(cause["sentence"])
        if cause["others"]:
            at_least = "" if complete else "at least "
            parts.append(f"And {at_least}{_count(cause['others'], 'other')} for the same reason.")
    more = sum(cause["others"] + 1 for cause in causes[MOST_NAMED:]) + other_causes
    if more:
        parts.append(f"{_count(more, 'more task')} at the root for other reasons.")
    return " ".join(parts)


def utc(seconds: float | None) -> str:
    """Return a time as 2026-11-28 06:05:23 UTC."""
    if seconds is None:
        return "an unknown time"
    try:
        moment = datetime.fromtimestamp(seconds, timezone.utc)
    except (ValueError, OverflowError, OSError):  # behind the year 9999, as after a retry_delay of 1e12
        return f"{seconds:.6g} s after 1970"
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def duration(seconds: float) -> str:
    """Return how long that is, in its two largest units."""
    if seconds < 9.95:
        return f"{max(0.0, seconds):.1f} s"
    left = round(seconds)
    parts: list[str] = []
    for name, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        if left >= size and len(parts) < 2:
            parts.append(f"{left // size} {name}")
        left %= size
    return " ".join(parts)


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


def _amount(number: float) -> str:
    return f"{number:,.15g}"


def _listed(parts: Sequence[str], others: int = 0) -> str:
    hidden = len(parts) - MOST_NAMED + others if len(parts) > MOST_NAMED else others
    return "; ".join(parts[:MOST_NAMED]) + (f"; and {_count(hidden, 'other')}" if hidden > 0 else "")


def _done(cause: Cause, now: float) -> str:
    by = f", after a run on {cause['worker']}" if cause.get("worker") else ""
    return f"{cause['task_id']} is DONE since {utc(cause['since'])}{by}."


def _running(cause: Cause, now: float) -> str:
    since = cause["since"]
    lasts = "" if since is None else f", for {duration(now - since)}"
    return (
        f"{cause['task_id']} runs on {cause['worker']} since {utc(since)}{lasts}.{_usual(cause)}{_silence(cause, now)}"
    )


def _usual(cause: Cause) -> str:
    mean, p95 = cause["mean_seconds"], cause["p95_seconds"]
    if mean is None or p95 is None:
        return f" No run of {cause['family']} has ended yet, to compare." if cause["family"] else ""
    return f" Runs of {cause['family']} take {duration(mean)} on average, 95 % of them at most {duration(p95)}."


def _silence(cause: Cause, now: float) -> str:
    contact = cause["last_contact"]
    if contact is None:
        return f" {cause['worker']} is unknown by now: the next prune fails this run."
    return f" {cause['worker']} was heard of last {duration(now - contact)} ago." if now - contact > 10 else ""


def _in_batch(cause: Cause, now: float) -> str:
    batch = f"a batch of {_count(cause['batch_size'], 'task')}"
    if cause["combined"] is None:
        given = f"{cause['task_id']} was given to {cause['worker']} at {utc(cause['since'])} in {batch}"
        return f"{given}, which it has not begun yet.{_silence(cause, now)}"
    runs = f"{cause['task_id']} runs on {cause['worker']} since {utc(cause['since'])} in {batch}"
    return f"{runs}, as {cause['combined']}.{_silence(cause, now)}"


def _unknown(cause: Cause, now: float) -> str:
    if cause["removed"] is not None:
        what = f"There is no task {cause['task_id']} any more: it was removed at {utc(cause['removed'])}."
    else:
        what = f"There is no task {cause['task_id']}, and none of the latest events tells of its removal."
    needed = cause["dependents"]
    return f"{what} {_needing(needed)} until somebody schedules it." if needed else what


def _needing(count: int) -> str:
    return "A task that needs it waits" if count == 1 else f"{count:,} tasks that need it wait"


def _deps(cause: Cause, now: float) -> str:
    return f"{cause['task_id']} waits for deps further up, which were not looked at: ask why of it."


def _disabled(cause: Cause, now: float) -> str:
    error = f" Its last error: {cause['error']}." if cause["error"] else ""
    if cause["by"] == "operator":
        end = "It stays so until somebody retries, enables or forgives it, or marks it as done"
        return f"{cause['task_id']} was disabled by {cause['author']} at {utc(cause['since'])}.{error} {end}."
    if cause["by"] == "worker":
        end = "It stays so until somebody adds it again or marks it as done"
        return f"{cause['task_id']} was disabled by a worker at {utc(cause['since'])}.{error} {end}."
    many = f" after {_count(cause['failures'], 'failure')}" if cause["failures"] else ""
    what = f"{cause['task_id']} was disabled by the scheduler at {utc(cause['since'])}{many}.{error}"
    until = cause["until"]
    is_due = until is not None and until < now
    end = "The next prune enables it again" if is_due else f"It is enabled again at {utc(until)}"
    return f"{what} {end}, or when somebody does so or marks it as done."


def _cycle(cause: Cause, now: float) -> str:
    ring = cause["cycle"]
    shown = ring[:MOST_RING] + ([f"({len(ring) - MOST_RING:,} more)"] if len(ring) > MOST_RING else [])
    named = " → ".join([*shown, ring[0]])
    return f"{named}: each needs the next, so none of them can begin. Add one of them again without that dep."


def _missing(cause: Cause, now: float) -> str:
    removed = cause["removed"]
    what = "was removed, or never added" if removed is None else f"was removed at {utc(removed)}"
    needed = _needing(cause["dependents"])
    return f"{cause['task_id']} is not there: it {what}. {needed} until somebody schedules it."


def _placeholder(cause: Cause, now: float) -> str:
    known = f"{cause['task_id']} is known only as a dep, since {utc(cause['since'])}: nobody has scheduled it."
    return f"{known} {_needing(cause['dependents'])} until somebody does."


def _external(cause: Cause, now: float) -> str:
    return (
        f"No worker has ever signed up for {cause['task_id']}: who scheduled it told that it can't be run, as it is "
        "with an external task. It has to be made elsewhere, and reported as DONE."
    )


def _over_limit(cause: Cause, now: float) -> str:
    return (
        f"{cause['task_id']} wants {_amount(cause['wanted'])} of {cause['resource']}, of which there is only "
        f"{_amount(cause['limit'])}: it can never run until the limit is raised, or it wants less."
    )


def _failed(cause: Cause, now: float) -> str:
    on = f" on {cause['worker']}" if cause.get("worker") else ""
    error = f": {cause['error']}" if cause["error"] else ""
    allowed = cause["failures_allowed"]
    many = f" That was failure {cause['failures']:,} of {allowed:,}, which disable it." if allowed is not None else ""
    until = cause["until"]
    if until is None:
        again = "It is not retried by itself (retry_delay)"
    else:
        again = "The next prune retries it" if until < now else f"It is retried at {utc(until)}"
    what = f"{cause['task_id']} failed at {utc(cause['since'])}{on}{error}"
    return f"{what}{'' if what.endswith('.') else '.'}{many} {again}, or when somebody forgives its failures."


def _refused(cause: Cause, now: float) -> str:
    told = _listed([_named(each, now) for each in cause["workers"]], cause["other_workers"])
    is_told = any(each.get("reason") for each in cause["workers"][:MOST_NAMED])
    said = f" {cause['refusal']}" if cause["refusal"] and not is_told else ""
    return f"No worker that is alive and might run {cause['task_id']} can load it: {told}.{said}"


def _no_worker(cause: Cause, now: float) -> str:
    told = _listed([_named(each, now) for each in cause["workers"]], cause["other_workers"])
    if not told:
        return f"No worker that may run {cause['task_id']} is alive: who signed up for it is gone."
    return f"No worker that may run {cause['task_id']} is alive and enabled: {told}."


def _named(worker: Candidate, now: float) -> str:
    name = worker["worker"] or "one whose name is not kept"
    where = f" on {worker['host']}" if worker.get("host") else ""
    state, contact = worker["state"], worker["last_contact"]
    heard = f"was heard of last at {utc(contact)}"
    if state == "gone":
        return f"{name} is gone, {heard}" if contact is not None else f"{name} is gone"
    if state == "silent":
        return f"{name}{where} is silent, {heard}"
    if state == "refuses":
        reason = f" ({worker['reason']})" if worker["reason"] else ""
        return f"{name}{where} refuses {worker['refuses']} until {utc(worker['until'])}{reason}"
    if state == "filtered":
        return f"{name}{where} takes no tasks of module {worker['refuses']}"
    if state == "busy":
        return f"{name}{where} runs {worker['running']:,} on {_amount(worker['slots'])}"
    return f"{name}{where} is {'a submission, which runs nothing' if state == 'submission' else state}"


def _paused(cause: Cause, now: float) -> str:
    return "The scheduler is paused: nothing is handed out until somebody unpauses it."


def _family_paused(cause: Cause, now: float) -> str:
    return f"The family {cause['family']} is paused since {utc(cause['since'])}, until somebody unpauses it."


def _starvation_guard(cause: Cause, now: float) -> str:
    return (
        f"{cause['task_id']} would fit beside what runs, but what it wants is kept for {cause['first']}, which ranks "
        "before it, waits for more of that, and would wait for ever if the like of it went first."
    )


def _resource(cause: Cause, now: float) -> str:
    holders = [
        f"{each['task_id']} holds {_amount(each['amount'])} on {each['worker']} since {utc(each['since'])}"
        for each in cause["holders"]
    ]
    told = _listed(holders, cause["other_holders"])
    in_use = f"{_amount(cause['used'])} of {_amount(cause['limit'])} is in use"
    wants = f"{cause['task_id']} wants {_amount(cause['wanted'])} of {cause['resource']}"
    return f"{wants}, of which {in_use}: {told or 'by whom is unknown'}."


def _busy(cause: Cause, now: float) -> str:
    told = _listed([_named(each, now) for each in cause["workers"]], cause["other_workers"])
    verb = "ranks" if cause["ahead"] == 1 else "rank"
    ahead = f" {_count(cause['ahead'], 'task')} of its kind {verb} before it." if cause["ahead"] else ""
    return f"All slots of the workers that may run {cause['task_id']} are in use: {told}.{ahead}"


def _postponed(cause: Cause, now: float) -> str:
    return (
        f"{cause['task_id']} could not be loaded by a worker a moment ago, so all others go first until "
        f"{utc(cause['until'])}; the next one is {cause['first']}."
    )


def _priority(cause: Cause, now: float) -> str:
    ahead = f" {cause['ahead']:,} of its kind rank before it." if cause["ahead"] > 1 else ""
    together = ", unless both go in one batch" if cause["may_be_batched"] else ""
    return f"{cause['task_id']} is ready, but {cause['first']} goes first on {cause['worker']}{together}.{ahead}"


def _deferred(cause: Cause, now: float) -> str:
    what = f"{cause['dep']} is DONE" if cause["dep"] else "Its deps have changed"
    steps = f"which has not reached {cause['task_id']} yet: {_count(cause['steps'], 'deferred step')} to be done"
    mend = " Some have failed: bsched verify --repair mends that." if cause["failed_steps"] else ""
    return f"{what}, {steps}. Every call to the scheduler goes on with them.{mend}"


def _linking(cause: Cause, now: float) -> str:
    steps = f"{_count(cause['steps'], 'deferred step')} to be done, with which every call to the scheduler goes on"
    return f"The deps of {cause['task_id']} are still being read in: {steps}."


def _ready(cause: Cause, now: float) -> str:
    if not cause.get("worker"):
        return f"Nothing keeps {cause['task_id']} back any more: it is handed out when a worker asks for work."
    asked = cause["last_asked"]
    ago = "it has never asked so far" if asked is None else f"it asked last {duration(now - asked)} ago"
    return f"Nothing keeps {cause['task_id']} back: {cause['worker']} gets it when it asks for work; {ago}."


_SENTENCES: dict[WhyCode, Callable[[Cause, float], str]] = {
    "done": _done,
    "running": _running,
    "in_batch": _in_batch,
    "unknown": _unknown,
    "deps": _deps,
    "disabled": _disabled,
    "cycle": _cycle,
    "missing": _missing,
    "placeholder": _placeholder,
    "external": _external,
    "over_limit": _over_limit,
    "failed": _failed,
    "refused": _refused,
    "no_worker": _no_worker,
    "paused": _paused,
    "family_paused": _family_paused,
    "starvation_guard": _starvation_guard,
    "resource": _resource,
    "busy": _busy,
    "postponed": _postponed,
    "priority": _priority,
    "deferred": _deferred,
    "linking": _linking,
    "ready": _ready,
}
