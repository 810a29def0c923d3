"""What a luigi task finds in its parameters on a fleet is what it would find in `bsched run`."""

from __future__ import annotations

import datetime

import pytest

from tests.e2e.test_fleet import Fleet, finish, fleet

__all__ = ["fleet"]  # a fixture
pytestmark = pytest.mark.timeout(180)
MODULE = """
import datetime
import enum
import os
import luigi

OUT = os.path.dirname(os.path.abspath(__file__))

class Colour(enum.Enum):
    RED = 1

class Base(luigi.Task):
    def output(self):
        return luigi.LocalTarget(os.path.join(OUT, "seen-" + self.task_family))

    def seen(self):
        return repr([getattr(self, name) for name, _ in self.get_params()])

    def run(self):
        with self.output().open("w") as file:
            file.write(self.seen())

class Nones(Base):
    text = luigi.Parameter(default=None)
    number = luigi.IntParameter(default=None)
    share = luigi.FloatParameter(default=None)
    flag = luigi.BoolParameter(default=None)
    day = luigi.DateParameter(default=None)
    month = luigi.MonthParameter(default=None)
    hour = luigi.DateHourParameter(default=None)
    interval = luigi.DateIntervalParameter(default=None)
    mapping = luigi.DictParameter(default=None)
    many = luigi.ListParameter(default=None)
    pair = luigi.TupleParameter(default=None)

class Others(Base):
    number = luigi.Parameter(default=7)
    days = luigi.Parameter(default=[datetime.date(2024, 1, 1)])
    colour = luigi.Parameter(default=Colour.RED, significant=False)
    whole = luigi.FloatParameter(default=1)
    pair = luigi.TupleParameter(default=(None, 1, {"a": [True]}))
    back = luigi.TimeDeltaParameter(default=datetime.timedelta(days=-1))
    first = luigi.DateParameter(default=datetime.date.min)

class Wanted(Others):
    given = luigi.IntParameter()

class Wanting(Base):
    def run(self):
        yield Wanted(given=None, back=datetime.timedelta(days=-3))
        yield Wanted(given=None, back=datetime.timedelta(days=-3), pair=(None, 2))
        super().run()

class Day(Base):
    day = luigi.DateParameter()
    def output(self): return luigi.LocalTarget(os.path.join(OUT, f"day-{self.day}"))

class Hour(Base):
    hour = luigi.DateHourParameter()
    def output(self): return luigi.LocalTarget(os.path.join(OUT, f"hour-{self.hour:%Y-%m-%dT%H}"))

if __name__ == "__main__":
    for task in (Nones(), Others(), Wanted(given=None, back=datetime.timedelta(days=-3))):
        print(task.seen())
"""


def submit(fleet: Fleet, *words: str) -> str:
    submitter = fleet.start("submit", "etl", *words, "--log-level", "error")
    said, _ = submitter.communicate(timeout=60)
    assert submitter.returncode == 0, said
    return said.split()[-1]


def test_defaults_of_every_kind_are_the_same_on_a_fleet_and_in_one_process(fleet: Fleet) -> None:
    (fleet.directory / "etl.py").write_text(MODULE)
    own, _ = fleet.run("etl").communicate(timeout=60)
    expected = [line for line in own.splitlines() if line.startswith("[")]
    fleet.worker()
    finish(fleet, *(submit(fleet, family) for family in ("Nones", "Others", "Wanting")))
    seen = [(fleet.directory / f"seen-{family}").read_text() for family in ("Nones", "Others", "Wanted")]
    assert seen == expected


def test_luigis_ranges_are_done_when_their_days_and_hours_are(fleet: Fleet) -> None:
    (fleet.directory / "etl.py").write_text(MODULE)
    fleet.worker()
    day = datetime.date.today() - datetime.timedelta(days=3)  # a range looks back only so far
    after, next_day = day + datetime.timedelta(days=2), day + datetime.timedelta(days=1)
    days = submit(fleet, "RangeDaily", "--of", "Day", "--start", str(day), "--stop", str(after))
    hours = submit(fleet, "RangeHourly", "--of", "Hour", "--start", f"{day}T22", "--stop", f"{next_day}T00")
    finish(fleet, days, hours)
    made = {path.name for path in fleet.directory.iterdir()}
    assert {f"day-{day}", f"day-{next_day}", f"hour-{day}T22", f"hour-{day}T23"} <= made
