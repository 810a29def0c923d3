"""Values that are one text each: how they are read and written. The texts are Luigi's, so that task ids agree.

Source: luigi.parameter (DateParameter, DateSecondParameter, TimeDeltaParameter, EnumParameter, PathParameter), 3.8.1.
"""

from __future__ import annotations

import datetime
import decimal
import os
import re
import typing
from collections.abc import Callable
from enum import Enum
from pathlib import Path, PurePath
from typing import Any

DATE = re.compile(r"(\d{1,4})-(\d{1,2})-(\d{1,2})")
DATE_SECOND = re.compile(r"(\d{1,4})-(\d{1,2})-(\d{1,2})T(\d{2})(\d{2})(\d{2})")
DURATION = re.compile(
    r"(?:(?P<weeks>-?\d+) ?w(?:eeks?)? ?)?(?:(?P<days>\d+) ?d(?:ays?)? ?)?(?:(?P<hours>\d+) ?h(?:ours?)? ?)?"
    r"(?:(?P<minutes>\d+) ?m(?:inutes?)? ?)?(?:(?P<seconds>\d+) ?s(?:econds?)?)?"
)
ISO_DURATION = re.compile(
    r"P(?:(?P<weeks>\d+)W|(?:(?P<days>\d+)D)?(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)S)?)?)"
)

# Each reader takes a value of the type, or a text, and gives a value of the type or raises ValueError saying what is
# right. The message leaves the value out: it may be a secret.


def read_date(value: Any) -> datetime.date:
    """Make a date of a date or its text. A datetime loses its time of day, as in Luigi. Raises ValueError."""
    if isinstance(value, datetime.datetime):
        return value.date()
    if isinstance(value, datetime.date):
        return value
    found = DATE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("a date is needed, as text YYYY-MM-DD")
    return datetime.date(*map(int, found.groups()))


def read_datetime(value: Any) -> datetime.datetime:
    """A time of day without a time zone, to the second. A date stands for its midnight, as in Luigi."""
    if isinstance(value, str):
        value = _parse_datetime(value)
    if isinstance(value, datetime.datetime):
        if value.tzinfo is not None:
            raise ValueError("a datetime without a time zone is needed: say which by .replace(tzinfo=None)")
        return value.replace(microsecond=0)
    if isinstance(value, datetime.date):
        return datetime.datetime.combine(value, datetime.time.min)
    raise ValueError("a datetime is needed, as text YYYY-MM-DDTHHMMSS")


def _parse_datetime(text: str) -> datetime.datetime:
    try:
        if found := DATE_SECOND.fullmatch(text):
            year, month, day, hour, minute, second = map(int, found.groups())
            return datetime.datetime(year, month, day, hour, minute, second)
        return datetime.datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("a datetime is needed, as text YYYY-MM-DDTHHMMSS") from None


def read_timedelta(value: Any) -> datetime.timedelta:
    """A whole number of seconds; as text also '1 w 2 d 3 h 4 m 5 s', 'P1DT2H', or seconds."""
    if isinstance(value, str):
        value = _parse_timedelta(value)
    if not isinstance(value, datetime.timedelta):
        raise ValueError("a timedelta is needed, as text '1 w 2 d 3 h 4 m 5 s', 'P1DT2H' or a number of seconds")
    if value.microseconds:
        raise ValueError("a timedelta of whole seconds is needed: its text has no fractions")
    return value


def _parse_timedelta(text: str) -> datetime.timedelta | None:
    try:
        return datetime.timedelta(seconds=float(text))
    except (ValueError, OverflowError):
        pass
    found = DURATION.fullmatch(text) or ISO_DURATION.fullmatch(text)
    given = {unit: int(amount) for unit, amount in found.groupdict().items() if amount} if found else {}
    try:
        return datetime.timedelta(**given) if given else None
    except OverflowError:
        return None


def write_timedelta(value: datetime.timedelta) -> str:
    """Luigi's text: '1 w 2 d 3 h 4 m 5 s'; only the weeks can be negative."""
    weeks, days = divmod(value.days, 7)
    minutes, seconds = divmod(value.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{weeks} w {days} d {hours} h {minutes} m {seconds} s"


def read_decimal(value: Any) -> decimal.Decimal:
    """A finite decimal number; a float is refused, since its digits are not what was written."""
    if isinstance(value, (decimal.Decimal, str)) or type(value) is int:
        try:
            number = decimal.Decimal(value)
        except decimal.InvalidOperation:
            raise ValueError("a decimal number is needed, such as 1.50") from None
        if number.is_finite():
            return number
    raise ValueError("a finite decimal number is needed: Decimal('1.50'), an int or a text")


def read_enum(kind: type[Enum]) -> Callable[[Any], Enum]:
    """Make a member of an enum class of a member or its name. Raises ValueError."""

    def read(value: Any) -> Enum:
        if isinstance(value, kind) and value.name in kind.__members__:
            return value
        if isinstance(value, str) and value in kind.__members__:
            return kind[value]
        raise ValueError(f"one of {', '.join(kind.__members__)} is needed")

    return read


def read_path(kind: type[PurePath]) -> Callable[[Any], PurePath]:
    """Make a path of a path or its text. Raises ValueError."""

    def read(value: Any) -> PurePath:
        if isinstance(value, (str, os.PathLike)):
            return kind(value)
        raise ValueError("a path is needed")

    return read


def reader_of(kind: Any) -> Callable[[Any], Any] | None:
    """What reads values of this type, or None when it is none of ours."""
    if not isinstance(kind, type) or typing.get_origin(kind) is not None:  # 3.10: list[int] is an instance of type
        return None
    if issubclass(kind, Enum):
        return read_enum(kind)
    if issubclass(kind, PurePath):
        return read_path(kind)
    return READERS.get(kind)


READERS: dict[Any, Callable[[Any], Any]] = {
    datetime.date: read_date,
    datetime.datetime: read_datetime,
    datetime.timedelta: read_timedelta,
    decimal.Decimal: read_decimal,
    os.PathLike: read_path(Path),
}


def write_scalar(value: Any) -> str:
    """The text of a value that one of the readers gave."""
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, datetime.datetime):
        return value.strftime("%Y-%m-%dT%H%M%S")
    if isinstance(value, datetime.date):
        return value.strftime("%Y-%m-%d")
    if isinstance(value, datetime.timedelta):
        return write_timedelta(value)
    return str(value)
