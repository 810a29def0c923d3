"""One history that calls every method: each kind gives the same answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from broker_sched import BrokerSchedError, Scheduler
from broker_sched.contract.scheduler_api import METHODS
from broker_sched.this_user import user_at_host
from tests.conftest import DEFAULT_KIND, FakeClock, SchedulerFactory, running, schedulers

OPTIONS = {"retry_delay": 5, "retry_count": 3, "send_messages": True, "batch_emails": False}
Answers = list[tuple[str, Any]]


class Recorder:
    """Calls methods of a scheduler by name, and keeps what they answer."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self.answers: Answers = []

    def __getattr__(self, method: str) -> Callable[..., Any]:
        def call(**arguments: Any) -> Any:
            try:
                answer = getattr(self._scheduler, method)(**arguments)
            except BrokerSchedError as error:
                answer = (type(error).__name__, str(error))
            self.answers.append((method, answer))
            return answer

        return call


def call_every_method(on: Any, clock: FakeClock) -> None:
    """Two workers, a batch, a graph, failures, messages, a submission, and what operators do."""
    on.update_resources(db=2.5, gpu=1)
    on.update_resource(resource="gpu", amount=2)
    on.add_worker(worker="a", info={"workers": 2, "host": "h"}, start_id="s1")
    on.add_worker(worker="b", info={"workers": 1}, start_id="s2")
    on.add_task_batcher(worker="a", task_family="B", batched_args=["day"], max_batch_size=2)
    for day in range(3):
        batched = {"params": {"day": str(day), "x": "ü"}, "batchable": True, "module": "m"}
        on.add_task(worker="a", task_id=f"B_{day}", family="B", priority=day + 0.5, **batched)
    tasks = [{"task_id": f"T_{n}", "deps": [f"T_{dep}" for dep in range(n)], "family": "T"} for n in range(5)]
    on.add_tasks(worker="a", tasks=tasks)
    on.add_task(worker="b", task_id="Load", family="L", resources={"db": 0.3}, priority=-1.25, owners=["o@x.test"])
    on.count_pending(worker="a")
    batch = on.get_work(worker="a", host="h")
    combined = {"task_id": "B_all", "family": "B", "batch_id": batch["batch_id"], "status": "RUNNING"}
    on.add_task(worker="a", attempt=batch["attempt"], **combined)
    on.set_task_status_message(task_id="B_all", status_message="half\nway")
    on.get_task_status_message(task_id="B_all")
    on.set_task_progress_percentage(task_id="B_all", progress_percentage=33)
    on.get_task_progress_percentage(task_id="B_all")
    on.report_task_statistics(task_id="B_all", statistics={"rows": 10**12, "share": 0.1})
    on.update_metrics_task_started(task={})
    on.set_task_log(task_id="B_all", log="so far", size=6)
    on.task_log(task_id="B_all")
    loaded = on.get_work(worker="b")
    on.add_worker(worker="job", info={"assistant": True})
    on.transfer_task(task_id="Load", worker="b", to="job", attempt=loaded["attempt"], host="far")
    on.transfer_task(task_id="Load", worker="job", to="b", attempt=loaded["attempt"])
    on.transfer_task(task_id="B_all", worker="a", to="job", attempt=batch["attempt"])
    on.transfer_task(task_id="B_all", worker="job", to="a", attempt=batch["attempt"])
    on.get_running_task_resources(task_id="Load")
    on.decrease_running_task_resources(task_id="Load", decrease_resources={"db": 0.1})
    on.resource_list()
    on.done_since_awaited(task_id="T_1", deps=["T_0"])
    message = on.send_scheduler_message(worker="a", task="B_all", content={"n": [1, 2.5, None]})
    on.ping(worker="a", start_id="s1")
    on.add_scheduler_message_response(task_id="B_all", message_id=message["message_id"], response="yes")
    on.get_scheduler_message_response(task_id="B_all", message_id=message["message_id"])
    on.add_task(worker="a", task_id="B_all", status="FAILED", expl='"why"')
    on.add_task(worker="b", task_id="Load", status="DONE", attempt=loaded["attempt"])
    on.add_task(worker="b", task_id="Load", status="FAILED", attempt=loaded["attempt"])
    on.superseded_reports()
    on.fetch_error(task_id="B_1")
    clock.advance(6.125)
    on.prune()
    first = on.get_work(worker="a")
    on.refuse_tasks(worker="a", task_ids=first["batch_task_ids"], reason="no module", scope="module", seconds=30)
    on.await_work(worker="a", seconds=0)
    second = on.get_work(worker="b", assistant=True)
    on.release_task(task_id=second["task_id"], worker="b")
    again = on.exchange(worker="b", reports=[{"task_id": "L_2", "status": "PENDING"}], wanted=2, current_tasks=[])
    for each in again["work"]:
        for task_id in each.get("batch_task_ids") or [each["task_id"]] if each["task_id"] else ():
            on.release_task(task_id=task_id, worker="b")
    on.stop_task(task_id="T_0", disable=True)
    on.re_enable_task(task_id="T_0")
    on.mark_as_done(task_id="T_0")
    on.forgive_failures(task_id="B_1")
    on.task_statuses(task_ids=["T_0", "T_1", "nobody's"])
    for task_id in ("T_0", "T_4", "B_1", "B_all", "Load", "nobody's"):
        on.why(task_id=task_id)
    on.add_task(worker="later", task_id="T_4", family="T")
    on.add_submission(submission="later", tasks=["T_4"])
    on.submission(submission="later")
    on.submission_list()
    on.cancel_submission(submission="later")
    for number, task_id in enumerate(("T_0", "T_1", "T_4"), start=1):
        span = f"00-{number:032x}-{number:016x}-01"
        on.note_submission_trace(task_ids=[task_id, "none"], traceparent=span)
        on.begin_trace(task_ids=[task_id, "none"], traceparent=span)
    on.announce_scheduling_failure(task_name="X", family="X", params={}, expl="why", owners=[], worker="a")
    on.set_worker_processes(worker="a", n=3)
    for action in ("retry", "forgive", "enable", "disable", "done", "stop", "remove"):
        for dry_run in (True, False):
            on.change_tasks(task_ids=["T_0", "T_2", "T_4", "B_1", "none"], action=action, dry_run=dry_run, by="é@h")
    on.add_task(worker="b", task_id="L_2", family='L: "ü|!"')
    on.pause_family(family='L: "ü|!"')
    on.get_work(worker="b")
    on.unpause_family(family='L: "ü|!"')
    on.update_options(options={"retry_delay": 7.5, "batch_emails": None}, by="é@h")
    on.option_list()
    on.remove_resource(resource="gpu")
    on.drain_worker(worker="b", seconds=2.5)
    on.pause()
    on.is_paused()
    on.get_work(worker="a")
    on.unpause()
    on.is_pause_enabled()
    on.has_task_history()
    on.graph()
    on.dep_graph(task_id="T_4")
    on.inverse_dep_graph(task_id="T_1")
    on.task_list(status="PENDING", upstream_status="")
    on.task_search(task_str="T_")
    on.worker_list()
    on.disable_worker(worker="b")
    on.worker_list()
    look(on)
    on.forget_worker(worker="b", by="é@h")
    on.forget_worker(worker="b", force=True, by="é@h")
    on.task_list(status="FAILED", upstream_status="")


def look(on: Any) -> None:
    """All that operators see of it."""
    on.audit(limit=1000, who=user_at_host())
    on.overview()
    on.families()
    on.family_dates()
    page = on.tasks(limit=3)
    on.tasks(limit=3, cursor=page["cursor"])
    on.tasks(family="T", status="PENDING", params={}, worker="a", text="t(", error="", order="oldest")
    on.tasks(failed_since=0, updated_since=0)
    on.tasks(date="2024-03-01")
    for task_id in ("T_0", "B_1", "nobody's"):
        on.task_details(task_id=task_id)
        on.task_deps(task_id=task_id)
    on.task_deps(task_id="T_1", direction="dependents", status="PENDING", limit=1)
    on.failures()
    on.workers()
    on.worker_details(worker="a")
    on.condensed_graph(task_id="T_1", direction="dependents")
    on.resource_details(resource="db")
    on.submission_details(submission="later")
    on.condensed_graph(task_id="T_4", include_done=False)
    on.critical_path(task_id="T_4")
    on.critical_path(submission="later", by="expected")
    on.timeline()
    on.timeline(until=1_000_000.0, family="T", worker="a", limit=1)
    seen = on.events(limit=5)
    on.events(after=seen["events"][0]["id"], status="DONE")
    on.events(before=seen["last"], task_id="T_1")


WITHOUT_CHANCE: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "timeline": lambda answer: {**answer, "cursor": None},  # it has the id of an event
    "overview": lambda answer: {**answer, "redis": None, "namespace": None},
    # Records have the time as their id, and in the same moment an event has the same one, or has not.
    "audit": lambda answer: {**answer, "last": None, "records": [{**each, "id": None} for each in answer["records"]]},
}


def as_text(answers: Answers) -> str:
    """All answers; ids of batches, messages and events are new each time, and written as numbers here.

    What Redis tells of itself differs, and so does the namespace's name.
    """
    answers = [
        (method, WITHOUT_CHANCE.get(method, dict)(answer) if isinstance(answer, dict) else answer)
        for method, answer in answers
    ]
    ids = [
        answer[name]
        for _, answer in answers
        if isinstance(answer, dict)
        for name in ("batch_id", "message_id")
        if answer.get(name)
    ]
    ids += [event["id"] for method, answer in answers if method == "events" for event in answer["events"]]
    text = "\n".join(f"{method}: {answer!r}" for method, answer in answers)
    for number, drawn in enumerate(dict.fromkeys(ids)):
        text = text.replace(str(drawn), f"<{number}>")
    return text


@pytest.fixture
def reference() -> Iterator[Answers]:
    """What the real server answers that all other tests run on."""
    clock = FakeClock()
    factory = schedulers(running(DEFAULT_KIND).url, clock)
    recorder = Recorder(next(factory)(**OPTIONS))
    call_every_method(recorder, clock)
    yield recorder.answers
    next(factory, None)


def test_every_method_answers_as_on_every_other_kind(
    reference: Answers, scheduler_factory: SchedulerFactory, clock: FakeClock
) -> None:
    recorder = Recorder(scheduler_factory(**OPTIONS))
    call_every_method(recorder, clock)
    assert {method for method, _ in recorder.answers} == METHODS.keys()
    assert as_text(recorder.answers) == as_text(reference)


def test_the_history_is_refused_nothing_but_what_a_superseded_run_reports(reference: Answers) -> None:
    refused = [(method, answer[0]) for method, answer in reference if isinstance(answer, tuple)]
    assert refused == [("add_task", "Superseded")]
