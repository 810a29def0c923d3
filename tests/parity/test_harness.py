"""The harness itself: it sees no difference where there is none, and every planted mistake."""

from __future__ import annotations

import pytest

from tests.nightly import by_night
from tests.parity.compare import describe, differences, normalise
from tests.parity.coverage import Coverage
from tests.parity.mutants import MUTANTS
from tests.parity.pair import Step, replay
from tests.parity.reference import Reference, ReferenceFactory
from tests.parity.runner import run_sequence
from tests.parity.shrink import Shrinker, as_python

LENGTH = 60
ENOUGH = 600  # sequences in which every mutant must have shown itself


def test_the_reference_agrees_with_itself(reference: ReferenceFactory) -> None:
    again = ReferenceFactory()
    for number in range(by_night(60, 8)):
        recorded = run_sequence(f"self:{number}", LENGTH, reference, again)
        assert recorded.difference is None, recorded.difference


@pytest.mark.parametrize("name", by_night(list(MUTANTS), list(MUTANTS)[::6]))
def test_mutant_is_noticed(reference: ReferenceFactory, name: str) -> None:
    mutant = ReferenceFactory([MUTANTS[name]])
    seeds = (f"mutants:{number}" for number in range(ENOUGH))
    assert any(run_sequence(seed, LENGTH, reference, mutant).difference for seed in seeds)


def test_sequences_reach_every_interesting_reply(reference: ReferenceFactory) -> None:
    coverage = Coverage()
    for number in range(by_night(250, 60)):
        run_sequence(f"coverage:{number}", LENGTH, reference, reference, coverage)
    wanted = (
        "get_work: a task", "get_work: a task with resources", "get_work: as an assistant", "get_work: batch of 2",
        "get_work: batch of 3", "get_work: lost task again", "get_work: nothing, only for the starvation guard",
        "get_work: worker is disabled", "task_list: only a number", "re_enable_task: done", "ping: messages",
        "message response: something",
    )  # fmt: skip
    assert [kind for kind in wanted if not coverage.replies[kind]] == []
    events = ("disabled by the scheduler", "failed for its dead runner", "removed worker", "BATCH_RUNNING → DONE")
    assert [event for event in events if not coverage.events[event]] == []
    assert coverage.ended_early <= coverage.sequences // 100


def test_shrinking_leaves_only_the_steps_that_matter(reference: ReferenceFactory) -> None:
    mutant = ReferenceFactory([MUTANTS["retry_edge"]])
    seeds = (f"shrink:{number}" for number in range(ENOUGH))
    recorded = next(r for r in (run_sequence(seed, LENGTH, reference, mutant) for seed in seeds) if r.difference)
    shrinker = Shrinker(lambda options, steps: replay(reference, mutant, options, steps))
    options, steps, difference = shrinker.shrink(recorded.options, recorded.steps)
    assert len(steps) <= 5
    assert list(options) in ([], ["retry_delay"])
    assert "FAILED" in as_python(options, steps, difference)


def test_neutral_upstream_status_is_luigis_own_unless_unknown_tasks_have_deps(reference: ReferenceFactory) -> None:
    literal = ReferenceFactory()
    own = literal._module.__dict__["Scheduler"]._upstream_status
    literal._class = type("Literal", (literal._class,), {"_upstream_status": own})
    for number in range(by_night(60, 8)):
        recorded = run_sequence(f"upstream:{number}", LENGTH, reference, reference)
        steps = [step for step in recorded.steps if not _reports_unknown(step)]
        assert replay(reference, literal, recorded.options, steps) is None


def _reports_unknown(step: Step) -> bool:
    return step[0] == "add_task" and step[1].get("status") == "UNKNOWN"


def test_messages_are_compared_by_name_not_by_their_random_id(reference: ReferenceFactory) -> None:
    steps: list[Step] = [
        ("add_task", {"worker": "w", "task_id": "a"}),
        ("send_scheduler_message", {"worker": "w", "task": "a", "content": 1, "$label": "first"}),
        ("ping", {"worker": "w"}),
        ("add_scheduler_message_response", {"task_id": "a", "message_id": "first", "response": 2}),
        ("get_scheduler_message_response", {"task_id": "a", "message_id": "first"}),
    ]
    assert replay(reference, reference, {}, steps) is None
    assert replay(reference, ReferenceFactory([MUTANTS["messages_come_twice"]]), {}, [*steps, steps[2]])


def test_a_difference_names_its_place() -> None:
    text = describe({"a": [{"b": 1}]}, {"a": [{"b": True}]})
    assert "['a'][0]['b']" in text and "True" in text
    assert differences(1, 1.0) == []


def test_order_of_workers_started_at_one_moment_does_not_count_but_newest_first_does() -> None:
    old, tied, new = ({"name": n, "started": s} for n, s in (("a", 1.0), ("b", 1.0), ("c", 2.0)))
    assert normalise("worker_list", [new, tied, old], {}) == normalise("worker_list", [new, old, tied], {})
    assert normalise("worker_list", [old, new], {}) != normalise("worker_list", [new, old], {})


def test_a_call_the_reference_refuses_must_be_refused(reference: ReferenceFactory) -> None:
    class Tolerant(Reference):
        def call(self, method: str, arguments: dict) -> object:
            return None

    def tolerant(clock, options):  # type: ignore[no-untyped-def]
        return Tolerant(reference._module, reference._class, clock, options)

    steps: list[Step] = [("add_task", {"task_id": "a"})]
    assert replay(reference, tolerant, {}, steps) is not None
    assert replay(reference, reference, {}, steps) is None
