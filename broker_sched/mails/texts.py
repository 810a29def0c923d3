"""The words of a mail, as plain text and as HTML. What comes from tasks is shown, never taken for markup."""

from __future__ import annotations

import html
import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from broker_sched.mails.message import cut
from broker_sched.tasks.protocol import TaskLike

MAX_NAME = 500  # characters of a task's name, and of a parameter


@dataclass(frozen=True)
class Section:
    """A part of a mail: a heading, rows of a table, a text that keeps its line ends; what is empty is left out."""

    heading: str = ""
    rows: tuple[tuple[str, str], ...] = ()
    text: str = ""


def rendered(sections: Iterable[Section], as_html: bool) -> str:
    """Make the body of a mail of its sections, as HTML or as plain text."""
    if as_html:
        return "<html>\n<body>\n" + "\n".join(_html(section) for section in sections) + "\n</body>\n</html>\n"
    return "\n".join(_plain(section) for section in sections)


def public_name(task: TaskLike) -> str:
    """Return a task's name as mails have it, without hidden parameters, which luigi's own text of a task shows."""
    params = task.to_str_params(only_significant=True, only_public=True)
    name = f"{task.task_family}({', '.join(f'{name}={value}' for name, value in params.items())})"
    return cut(name, MAX_NAME)


def how_to_see_more(task_id: str, url: str | None) -> str:
    """Return the command that shows what the scheduler keeps of a failure.

    url: of the server, None for Redis itself.
    """
    where = ["--url", url] if url else []
    # Not `bsched task show`: the server may be a luigid, which has no method for it.
    return shlex.join(["bsched", "call", *where, "fetch_error", f"task_id={task_id}"])


def count(number: int, what: str) -> str:
    """Return '1 failure' or '2 failures'; '' for none."""
    return f"{number} {what}{'' if number == 1 else 's'}" if number else ""


def _plain(section: Section) -> str:
    lines = []
    if section.heading:
        lines += [section.heading, ""]
    width = max((len(name) for name, _ in section.rows), default=0)
    for name, value in section.rows:
        first, *others = value.split("\n")
        lines.append(f"  {name:{width}}  {first}".rstrip())
        lines += [f"  {'':{width}}  {line}".rstrip() for line in others]
    if section.rows:
        lines.append("")
    if section.text:
        lines += [section.text.rstrip("\n"), ""]
    return "\n".join(lines)


def _html(section: Section) -> str:
    parts = []
    if section.heading:
        parts.append(f"<h3>{html.escape(section.heading)}</h3>")
    if section.rows:
        rows = "\n".join(
            f'<tr><th align="left">{html.escape(name)}</th><td>{html.escape(value)}</td></tr>'
            for name, value in section.rows
        )
        parts.append(f"<table>\n{rows}\n</table>")
    if section.text:
        parts.append(f"<pre>{html.escape(section.text)}</pre>")
    return "\n".join(parts)
