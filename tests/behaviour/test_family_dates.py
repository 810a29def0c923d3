"""`family_dates` counts the tasks of each family by the day that they are for, and `tasks` lists those of a day.

The day is that of the public parameter `date`, or else of the first other one that begins with a date, by name.
"""

import random
from collections import defaultdict

import pytest

from broker_sched import InvalidArgument
from broker_sched.contract.states import STATES
from broker_sched.scheduler.date_counts import LIKELY_FIRST
from broker_sched.scheduler.dates import date_of
from tests.behaviour.test_tasks_listing import add_random_tasks, all_pages, plain_look
from tests.nightly import by_night


@pytest.mark.parametrize(
    ("params", "visibilities", "date"),
    [
        ({"date": "2024-03-01"}, None, "2024-03-01"),
        ({"date": "2024-03-01T05"}, None, "2024-03-01"),
        ({"date": "2024-03-01 05:00:00"}, None, "2024-03-01"),
        ({"month": "2024-03"}, None, "2024-03"),
        ({"a": "2024-01-01", "date": "2024-03-01", "z": "2024-02-01"}, None, "2024-03-01"),
        ({"to": "2024-03-02", "from": "2024-03-01"}, None, "2024-03-01"),
        ({"é": "2024-03-02", "z": "2024-03-01"}, None, "2024-03-01"),
        ({"a": "2024-03-02", "date": "none"}, None, "2024-03-02"),
        ({"date": "2024-03-01", "x": "2024-04-01"}, {"date": 1, "x": 0}, "2024-04-01"),
        ({"date": "2024-03-01"}, {"date": 2}, ""),
        *[({"date": each}, None, "") for each in ("2024", "2024-13-01", "2024-02-32", "2024-03-01-2024-03-08", "", 7)],
        *[({"date": each}, None, "") for each in ("2024-W07", "2024-3-1", "x2024-03-01", ["2024-03-01"], None)],
        (None, None, ""),
    ],
)
def test_a_task_is_for_the_date_that_its_public_parameters_name(scheduler, params, visibilities, date):
    """And verify, which every test of a scheduler ends with, finds that the scripts have it likewise."""
    assert date_of(params, visibilities) == date
    scheduler.add_task(worker="w", task_id="a", family="F", params=params, param_visibilities=visibilities)
    days = {date: {"READY": 1}} if date else {}
    assert [each["dates"] for each in scheduler.family_dates()["families"]] == ([days] if days else [])


def counted(scheduler):
    """Family → month → date → state → how many, as a plain look at every task finds."""
    found = defaultdict(lambda: defaultdict(lambda: defaultdict(lambda: defaultdict(int))))
    for task in plain_look(scheduler):
        date = date_of(task["params"], None)
        if date:
            found[task["family"]][date[:7]][date][task["state"]] += 1
    return found


@pytest.mark.parametrize("seed", range(by_night(12, 3)))
def test_each_day_of_a_family_has_the_tasks_that_a_plain_look_finds(scheduler, clock, seed):
    draw = random.Random(seed)
    for _ in range(3):
        add_random_tasks(scheduler, clock, draw, by_night(80, 40))
        ids = [f"t{draw.randrange(40)}" for _ in range(12)]
        scheduler.change_tasks(task_ids=ids, action=draw.choice(["retry", "disable", "done", "remove", "forgive"]))
        expected = counted(scheduler)
        months = sorted({month for by_month in expected.values() for month in by_month})
        for month in months:
            with_tasks = [family for family in sorted(expected) if month in expected[family]]
            found = all_dates(scheduler, month=month)
            assert [each["family"] for each in found] == with_tasks
            assert all(each["dates"] == expected[each["family"]][month] for each in found)
        told = scheduler.family_dates()
        assert (told["months"], told["month"]) == (months, months[-1])


def all_dates(scheduler, **arguments):
    found, cursor = [], None
    while True:
        reply = scheduler.family_dates(**arguments, limit=2, cursor=cursor)
        found += reply["families"]
        cursor = reply["cursor"]
        if cursor is None:
            return found


def test_one_family_is_asked_for_and_the_last_month_that_it_has(scheduler):
    for number, date in enumerate(["2024-01-31", "2024-01", "2024-04-01", "2024-02-01"]):
        family = "Daily" if number < 2 else "Other"
        scheduler.add_task(worker="w", task_id=f"t{number}", family=family, params={"date": date})
    found = scheduler.family_dates(family="Daily")
    assert found == {
        "month": "2024-01",
        "months": ["2024-01"],
        "families": [{"family": "Daily", "dates": {"2024-01": {"READY": 1}, "2024-01-31": {"READY": 1}}}],
        "cursor": None,
    }
    assert scheduler.family_dates(month="2023-01")["families"] == []
    assert scheduler.family_dates(family="nobody's")["month"] is None


def test_a_month_or_date_that_can_not_be_is_refused(scheduler):
    for month in ("2024-13", "2024", "2024-03-01", "2024-03\n"):
        with pytest.raises(InvalidArgument, match="month"):
            scheduler.family_dates(month=month)
    for date in ("2024-03-32", "today", "2024-03-01T05"):
        with pytest.raises(InvalidArgument, match="date"):
            scheduler.tasks(date=date)


def test_tasks_of_a_date_are_listed_however_many_others_there_are(scheduler):
    tasks = [
        {"task_id": f"t{n}", "family": "F", "params": {"date": f"2024-03-{1 + n % 25:02}", "n": str(n)}}
        for n in range(1300)
    ]
    for start in (0, 650):
        scheduler.add_tasks(worker="w", tasks=tasks[start : start + 650])
    reply = scheduler.tasks(family="F", date="2024-03-07")
    assert (len(reply["tasks"]), reply["looked_at"], reply["of"]) == (50, 50, 52)
    listed, calls, last = all_pages(scheduler, date="2024-03-07", limit=20)
    assert (len(listed), calls, last["looked_at"], last["of"]) == (52, 3, 52, 52)
    assert {task["params"]["date"] for task in listed} == {"2024-03-07"}


def test_every_state_is_counted():
    assert sorted(LIKELY_FIRST) == sorted(STATES)
