"""Runs random sequences against the reference and a subject, and shrinks what differs.

    python -m tests.parity.runner --sequences 1000 --length 60 --seed 1 --redis unix:///run/redis.sock --jobs 2

`--only 17` runs the 17th sequence alone. `--subject reference` or `--subject
mutant:<name>` checks the harness itself.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections.abc import Iterable
from typing import Any, NamedTuple

from tests.parity.coverage import Coverage
from tests.parity.mutants import MUTANTS
from tests.parity.pair import ADVANCE, Difference, Pair, SideFactory, Step, closing_steps, replay
from tests.parity.reference import ReferenceFactory
from tests.parity.sequences import Policy
from tests.parity.shrink import Shrinker, as_python


class Recorded(NamedTuple):
    """One random sequence, as it was run."""

    seed: str
    options: dict[str, Any]
    steps: list[Step]
    difference: Difference | None


def run_sequence(
    seed: str, length: int, reference: ReferenceFactory, subject: SideFactory, coverage: Coverage | None = None
) -> Recorded:
    """Run the sequence of this seed on a fresh pair, until its end or the first difference."""
    policy = Policy(seed)
    pair = Pair(reference, subject, policy.world.options)
    steps: list[Step] = []
    closing = closing_steps(policy.world.workers, policy.world.task_ids)
    try:
        for number in range(length + len(closing)):
            step = policy.next() if number < length else closing[number - length]
            steps.append(step)
            reply, difference = pair.run(step)
            if difference:
                return Recorded(seed, policy.world.options, steps, difference)
            if pair.ended:
                break
            if number < length:
                policy.learn(step, reply)
            if coverage:
                coverage.note(step, reply, pair.reference)
        return Recorded(seed, policy.world.options, steps, pair.check_subject())
    finally:
        if coverage:
            coverage.sequences += 1
            coverage.ended_early += pair.ended
            coverage.events += pair.reference.events
        pair.close()


def subject_factory(subject: str, redis_url: str | None) -> SideFactory:
    """What to compare with: `ours` on a Redis, `reference`, or `mutant:<name>`."""
    if subject == "ours":
        from tests.parity.ours import OursFactory  # imported here: the harness's own checks work without it

        if redis_url is None:
            raise SystemExit("--redis URL is needed to compare with ours")
        return OursFactory(redis_url)
    if subject == "reference":
        return ReferenceFactory()
    name = subject.removeprefix("mutant:")
    if name not in MUTANTS:
        raise SystemExit(f"There is no mutant {name!r}; known: {', '.join(sorted(MUTANTS))}")
    return ReferenceFactory([MUTANTS[name]])


def explain(recorded: Recorded, reference: ReferenceFactory, subject: SideFactory) -> str:
    """Shrink a failing sequence and print it as Python."""
    shrinker = Shrinker(lambda options, steps: replay(reference, subject, options, steps))
    options, steps, difference = shrinker.shrink(recorded.options, recorded.steps)
    return as_python(options, steps, difference)


def _job(arguments: argparse.Namespace, numbers: Iterable[int], share: int, output: Any) -> None:
    """Run some of the sequences; put (number, text) for each difference, and the coverage at the end."""
    reference, subject = ReferenceFactory(), subject_factory(arguments.subject, arguments.redis)
    coverage, found = Coverage(), 0
    for number in numbers:
        seed = f"{arguments.seed}:{number}"
        recorded = run_sequence(seed, arguments.length, reference, subject, coverage)
        if recorded.difference:
            found += 1
            output.put(("difference", number, explain(recorded, reference, subject)))
        output.put(("progress", number, sum(1 for name, _ in recorded.steps if name != ADVANCE)))
        if found >= share:
            break
    output.put(("coverage", -1, coverage))


def _gather(output: Any, jobs: int, arguments: argparse.Namespace) -> tuple[Coverage, int]:
    coverage, found, done, calls, started = Coverage(), 0, 0, 0, time.monotonic()
    shown = started
    while jobs:
        kind, number, value = output.get()
        if kind == "coverage":
            jobs -= 1
            coverage.add(value)
        elif kind == "difference":
            found += 1
            again = f"--seed {arguments.seed} --length {arguments.length} --only {number}"
            print(f"\n=== difference {found}: sequence {number} (replay: … {again})\n{value}\n", flush=True)
        else:
            done, calls = done + 1, calls + value
            if time.monotonic() - shown > 5:
                shown = time.monotonic()
                print(f"{done} sequences, {calls} calls, {calls / (shown - started):.0f} calls/s", flush=True)
    print(f"{done} sequences, {calls} calls in {time.monotonic() - started:.1f} s, {found} differences", flush=True)
    return coverage, found


def main(argv: list[str] | None = None) -> int:
    """Exit status 1 when there are differences."""
    parser = argparse.ArgumentParser(prog="python -m tests.parity.runner", description=__doc__.split("\n")[0])
    parser.add_argument("--sequences", type=int, default=200)
    parser.add_argument("--length", type=int, default=60, help="random steps a sequence; closing steps come on top")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--only", type=int, help="run only the sequence of this number")
    parser.add_argument("--redis", help="URL, for --subject ours")
    parser.add_argument("--subject", default="ours", help="ours, reference, or mutant:<name>")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--differences", type=int, default=3, help="stop after so many")
    arguments = parser.parse_args(argv)
    numbers = range(arguments.sequences) if arguments.only is None else [arguments.only]
    share = max(1, -(-arguments.differences // arguments.jobs))
    context = multiprocessing.get_context("spawn")
    output = context.Queue()
    jobs = [
        context.Process(target=_job, args=(arguments, numbers[first :: arguments.jobs], share, output))
        for first in range(arguments.jobs)
    ]
    for job in jobs:
        job.start()
    coverage, found = _gather(output, len(jobs), arguments)
    for job in jobs:
        job.join()
    print(coverage.report())
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
