"""A luigi pipeline of 309 tasks that counts the words of a real text, day by day.

Plain luigi: nothing in here knows of broker_sched. The text is cut into 91 days,
counted, added up by week and month, and reported. On the way it uses what real
pipelines use: an external task, batches, a shared resource, priorities, a dynamic
requirement, and tasks that fail at their first attempt.

    luigi --module wordcount WordCount --scheduler-url http://127.0.0.1:8082 --workers 2

Its directory, with `text.txt` in it, is set in luigi.cfg: section [wordcount], option `directory`.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import luigi

FIRST_DAY = date(2024, 1, 1)  # a Monday; with 91 days the weeks and the months are whole
DAYS = [FIRST_DAY + timedelta(days=number) for number in range(91)]
WEEKS = sorted({day.isocalendar()[1] for day in DAYS})
MONTHS = sorted({day.month for day in DAYS})
WORD = re.compile(r"[a-z]+")


class wordcount(luigi.Config):  # the class's name is the section's
    """The section [wordcount] of luigi.cfg: where the pipeline reads and writes."""

    directory = luigi.Parameter()


def path(*names: str) -> str:
    """Return a path below the pipeline's directory."""
    return os.path.join(wordcount().directory, *names)


def read_json(target: luigi.LocalTarget) -> Any:
    """Return what a task wrote with write_json."""
    with target.open() as file:
        return json.load(file)


def write_json(target: luigi.LocalTarget, value: Any) -> None:
    """Write the value whole or not at all: luigi moves the file into place."""
    with target.open("w") as file:
        json.dump(value, file, sort_keys=True)


class SourceText(luigi.ExternalTask):
    """Stands for the text, which somebody else provides."""

    def output(self) -> luigi.LocalTarget:
        return luigi.LocalTarget(path("text.txt"))


class DailyText(luigi.Task):
    """Writes the lines of one day: the text is cut into equal parts."""

    day = luigi.DateParameter()

    @property
    def priority(self) -> int:
        """Return a higher number for a newer day, so that it goes first."""
        return (self.day - FIRST_DAY).days

    def requires(self) -> SourceText:
        return SourceText()

    def output(self) -> luigi.LocalTarget:
        return luigi.LocalTarget(path("days", f"{self.day}.txt"))

    def run(self) -> None:
        with self.input().open() as file:
            lines = file.readlines()
        number = DAYS.index(self.day)
        with self.output().open("w") as file:
            file.writelines(lines[number * len(lines) // len(DAYS) : (number + 1) * len(lines) // len(DAYS)])


class CountWords(luigi.Task):
    """Counts the words of one day, or of up to seven: the scheduler hands out several as one batch."""

    days = luigi.Parameter(batch_method=",".join)
    max_batch_size = 7

    def requires(self) -> list[DailyText]:
        return [DailyText(day) for day in self.each_day()]

    def output(self) -> list[luigi.LocalTarget]:
        return [luigi.LocalTarget(path("words", f"{day}.json")) for day in self.each_day()]

    def run(self) -> None:
        for text, counts in zip(self.input(), self.output()):
            with text.open() as file:
                write_json(counts, Counter(WORD.findall(file.read().lower())))

    def each_day(self) -> list[date]:
        """Return the days that this task, or the batch, counts."""
        return [date.fromisoformat(day) for day in self.days.split(",")]


class CountLetters(luigi.Task):
    """Counts the letters of one day. Every seventh day it fails at the first attempt."""

    day = luigi.DateParameter()

    def requires(self) -> DailyText:
        return DailyText(self.day)

    def output(self) -> luigi.LocalTarget:
        return luigi.LocalTarget(path("letters", f"{self.day}.json"))

    def run(self) -> None:
        if fails_once(self.day):
            self.fail_at_first_attempt()
        with self.input().open() as file:
            write_json(self.output(), sum(map(len, WORD.findall(file.read().lower()))))

    def fail_at_first_attempt(self) -> None:
        """Leave a marker file; the second attempt finds it."""
        marker = Path(path("attempted", str(self.day)))
        marker.parent.mkdir(exist_ok=True)
        try:
            marker.touch(exist_ok=False)
        except FileExistsError:
            return
        raise RuntimeError(f"The first attempt at {self.day} fails, as the demo wants it.")


def fails_once(day: date) -> bool:
    """Whether CountLetters fails at the first attempt for this day."""
    return day.weekday() == 2


class Total(luigi.Task):
    """Adds up the words of some days."""

    def days(self) -> list[date]:
        raise NotImplementedError

    def requires(self) -> list[CountWords]:
        return [CountWords(str(day)) for day in self.days()]

    def run(self) -> None:
        total: Counter[str] = Counter()
        for [counts] in self.input():
            total.update(read_json(counts))
        write_json(self.output(), total)


class WeekTotal(Total):
    """Adds up the words of one week."""

    week = luigi.IntParameter()

    def days(self) -> list[date]:
        return [day for day in DAYS if day.isocalendar()[1] == self.week]

    def output(self) -> luigi.LocalTarget:
        return luigi.LocalTarget(path("weeks", f"{self.week}.json"))


class MonthTotal(Total):
    """Adds up the words of one month."""

    month = luigi.IntParameter()

    def days(self) -> list[date]:
        return [day for day in DAYS if day.month == self.month]

    def output(self) -> luigi.LocalTarget:
        return luigi.LocalTarget(path("months", f"{self.month}.json"))


class WeekPage(luigi.Task):
    """Adds a page to a book that all weeks share.

    It reads the book and writes it back longer: two at a time would lose a page.
    The resource, of which there is one, keeps them apart.
    """

    week = luigi.IntParameter()
    resources = {"report_writer": 1}  # noqa: RUF012  # luigi's way to say it

    def requires(self) -> WeekTotal:
        return WeekTotal(self.week)

    def output(self) -> luigi.LocalTarget:
        return luigi.LocalTarget(path("pages", str(self.week)))

    def run(self) -> None:
        book = Path(path("book.txt"))
        pages = book.read_text() if book.exists() else ""
        words = Counter(read_json(self.input())).most_common(5)
        page = f"week {self.week}: " + ", ".join(f"{word} {count}" for word, count in words) + "\n"
        book.write_text(pages + page)
        with self.output().open("w") as file:
            file.write(page)


class DayProfile(luigi.Task):
    """Finds the longest words of a day. No task requires it; BusiestDays asks for it while it runs."""

    day = luigi.DateParameter()

    def requires(self) -> CountWords:
        return CountWords(str(self.day))

    def output(self) -> luigi.LocalTarget:
        return luigi.LocalTarget(path("profiles", f"{self.day}.json"))

    def run(self) -> None:
        [counts] = self.input()
        write_json(self.output(), sorted(read_json(counts), key=lambda word: (-len(word), word))[:3])


class BusiestDays(luigi.Task):
    """Finds the three days with the most letters and a profile of each: which, it knows only while it runs."""

    def requires(self) -> list[CountLetters]:
        return [CountLetters(day) for day in DAYS]

    def output(self) -> luigi.LocalTarget:
        return luigi.LocalTarget(path("busiest.json"))

    def run(self) -> Iterator[Any]:
        letters = {day: read_json(target) for day, target in zip(DAYS, self.input())}
        busiest = sorted(DAYS, key=lambda day: (-letters[day], day))[:3]
        profiles = yield [DayProfile(day) for day in busiest]
        write_json(
            self.output(),
            [
                {"day": str(day), "letters": letters[day], "longest": read_json(target)}
                for day, target in zip(busiest, profiles)
            ],
        )


class Report(luigi.Task):
    """Puts everything into one file."""

    def requires(self) -> dict[str, Any]:
        return {"months": [MonthTotal(month) for month in MONTHS], "busiest": BusiestDays()}

    def output(self) -> luigi.LocalTarget:
        return luigi.LocalTarget(path("report.json"))

    def run(self) -> None:
        months = [Counter(read_json(target)) for target in self.input()["months"]]
        total = sum(months, Counter())
        write_json(
            self.output(),
            {
                "words": sum(total.values()),
                "different_words": len(total),
                "words_by_month": [sum(month.values()) for month in months],
                "most_frequent": sorted(total.items(), key=lambda item: (-item[1], item[0]))[:10],
                "busiest_days": read_json(self.input()["busiest"]),
            },
        )


class WordCount(luigi.WrapperTask):
    """Requires all parts of the pipeline."""

    def requires(self) -> Iterator[luigi.Task]:
        yield Report()
        for week in WEEKS:
            yield WeekPage(week)


@luigi.Task.event_handler(luigi.Event.SUCCESS)
def note_success(task: luigi.Task) -> None:
    """Write one line into runs.log for each run that succeeds."""
    note(task, "done")


@luigi.Task.event_handler(luigi.Event.FAILURE)
def note_failure(task: luigi.Task, error: Exception) -> None:
    """Write one line into runs.log for each run that fails."""
    note(task, "failed")


def note(task: luigi.Task, outcome: str) -> None:
    """Append a line, whole, whatever other processes write: family, parameters, outcome, process."""
    line = " ".join([task.task_family, *task.to_str_params().values(), outcome, str(os.getpid())])
    descriptor = os.open(path("runs.log"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, line.encode() + b"\n")
    finally:
        os.close(descriptor)
