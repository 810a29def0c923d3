"""`python -m benchmarks`: measure everything, or `--only` some rows; `--quick` to see whether it works.

A full run writes docs/benchmarks.md. Exits with 1 when a target is not reached.
"""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from benchmarks import report
from benchmarks.bench import FULL, QUICK, Bench, Result
from benchmarks.processes import processors_kept_awake
from benchmarks.rows import ROWS

GIVEN = ("huge", "large", "soak", "hub", "repeats")  # options that take the place of what Scale has
# Rows that are measured without what keeps processors awake. That adds 1 to 3 ms to a script, here and there. And where
# Linux shares the processor among sessions (autogroup), it takes as much as the server's process for looks, which is a
# session of its own.
AS_IT_IS = ("longest-script", "looking", "pages", "browser", "soak")


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Side by side with a stock luigid.")
    parser.add_argument("--only", action="append", choices=ROWS, metavar="ROW", help=f"one of {', '.join(ROWS)}")
    parser.add_argument("--quick", action="store_true", help="small sizes, no verdict worth the name")
    parser.add_argument(
        "--huge", type=int, metavar="TASKS", help="how many tasks the rows `looking`, `pages` and `browser` have"
    )
    parser.add_argument("--large", type=int, metavar="TASKS", help="how many are pending in most other rows")
    parser.add_argument(
        "--hub", type=int, metavar="TASKS", help="how many deps one task has in the row `longest-script`"
    )
    parser.add_argument(
        "--repeats", type=int, metavar="RUNS", help="of the row `longest-script`, which tells the least"
    )
    parser.add_argument("--output", type=Path, help="write there; a full run writes docs/benchmarks.md")
    parser.add_argument("--soak", type=int, metavar="TASKS", help="how many tasks the row `soak` runs")
    arguments = parser.parse_args()
    started = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - started:6.1f} s  {text}", file=sys.stderr, flush=True)

    results: list[Result] = []
    scale = QUICK if arguments.quick else FULL
    given = {name: getattr(arguments, name) for name in GIVEN if getattr(arguments, name)}
    bench = Bench(replace(scale, **given), say)
    try:
        for name in arguments.only or ROWS:
            with nullcontext() if name in AS_IT_IS else processors_kept_awake():
                results += ROWS[name](bench)
                bench.stop()
    finally:
        bench.close()
        report.show(results, bench.events)  # also what there is before an error
    output = arguments.output or (None if arguments.only or arguments.quick else report.DOCUMENT)
    if output:
        report.write(results, bench, output)
        say(f"written to {output}")
    return 0 if arguments.quick or all(result.reached for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
