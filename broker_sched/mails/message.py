"""One mail: plain values that can be kept in Redis."""

from __future__ import annotations

import dataclasses
import json
import time
import uuid
from dataclasses import dataclass, field

from broker_sched.mails.addresses import one_line

MAX_SUBJECT = 200  # characters


@dataclass(frozen=True)
class Mail:
    """A mail that is to be sent, and to whom.

    `id` makes its Message-ID, by which a copy that is sent again can be known.
    """

    recipients: tuple[str, ...]
    subject: str
    body: str
    is_html: bool = False
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    made: float = field(default_factory=time.time)  # s

    def as_json(self) -> str:
        """Return the mail as JSON, which mail_from() reads."""
        return json.dumps(dataclasses.asdict(self))


def mail_from(text: str) -> Mail:
    """Read a mail that Mail.as_json() wrote; fields of another version are left out."""
    found = json.loads(text)
    known = {each.name: found[each.name] for each in dataclasses.fields(Mail) if each.name in found}
    return Mail(**{**known, "recipients": tuple(known["recipients"])})


def subject_of(text: str, prefix: str = "") -> str:
    """Make a subject of a text: one line of at most MAX_SUBJECT characters, after the prefix."""
    line = " ".join(one_line(f"{prefix} {text}").split())
    return line if len(line) <= MAX_SUBJECT else f"{line[: MAX_SUBJECT - 1]}…"


def cut(text: str, length: int) -> str:
    """Return the text in at most `length` characters: its beginning and, more of that, its end; not its middle."""
    if len(text) <= length:
        return text
    note = f"\n… {len(text) - length:,} or more characters are left out here …\n"
    room = length - len(note)
    if room < 20:  # no room for a note, either
        return text[len(text) - length :]
    end = room - room // 4
    return f"{text[: room - end]}{note}{text[len(text) - end :]}"


def without_surrogates(text: str) -> str:
    """Return the text with a `?` for each character that UTF-8 can't carry."""
    return text.encode("utf-8", "replace").decode("utf-8")
