"""What stands in a file that `bsched export` writes: a header, a line of JSON for each task, worker and submission, and
a last line with counts and a checksum.

A field that is absent has its default here. Times are seconds since the epoch. Whoever adds a field gives it a default;
whoever changes what one means raises FORMAT.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Annotated, Any, Literal, NamedTuple, TypeAlias

import msgspec
from msgspec import Meta, Struct

from broker_sched.contract.types import JSON, Number, Resources, TaskId, Visibility, WorkerId
from broker_sched.errors import ImportRefused

FORMAT = 1
MAX_LINE = 256 * 2**20  # bytes: a task with a million deps has less
FIRST_NUMBER, LAST_NUMBER = 1_000_000_000, 9_999_999_999  # ten digits: as text they sort like numbers

Time: TypeAlias = Annotated[float, Meta(ge=0, le=1e12)]
TaskNumber: TypeAlias = Annotated[int, Meta(ge=FIRST_NUMBER, le=LAST_NUMBER)]
KeptStatus: TypeAlias = Literal["PENDING", "RUNNING", "BATCH_RUNNING", "DONE", "FAILED", "DISABLED", "UNKNOWN"]


class HeaderLine(Struct, tag="header", tag_field="line", kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The first line: what wrote the file, when, of which namespace, and that namespace's options and limits."""

    format: int
    schema: str
    version: str  # of broker_sched, or whatever made the file
    namespace: str
    time: Time  # when it was written: how long a worker had been silent is counted from here
    options: dict[str, JSON] = {}
    set_by: dict[str, JSON] = {}  # of options: when and by whom they were set
    resources: Resources = {}
    paused: bool = False
    paused_families: dict[str, Time] = {}  # family → since when


class TaskLine(Struct, tag="task", tag_field="line", kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A task, with all that the scheduler keeps of it."""

    id: TaskId
    status: KeptStatus
    number: TaskNumber  # its place in the order of creation
    created: Time
    updated: Time  # when its status changed last
    priority: Number = 0
    family: str = ""
    module: str = ""
    params: dict[str, JSON] = {}
    param_visibilities: dict[str, Visibility] = {}
    deps: list[TaskId] = []
    workers: list[WorkerId] | None = None  # those that can run it, first to join first; None: it is not to be run
    stakeholders: list[WorkerId] = []
    resources: Resources = {}
    held: Resources | None = None  # what it was handed out with, less what it gave back; None: never handed out
    retry_policy: tuple[float | None, float | None, float | None] | None = None  # count, hard timeout, window
    failures: list[Time] = []
    first_failure: Time | None = None
    disabled_at: Time | None = None  # by the scheduler, or by people
    disabled_by: str | None = None  # who of the people it was
    retry_at: Time | None = None
    remove_at: Time | None = None
    ready_since: Time | None = None
    worker_running: WorkerId | None = None
    time_running: Time | None = None
    attempt: int | None = None
    waits_since: Time | None = None
    postponed: Time | None = None  # refused: until then it goes behind others
    refusals: int = 0  # by workers that could not load it
    batchable: bool = False
    batch_id: str | None = None
    accepts_messages: bool = False
    expl: str | None = None
    tracking_url: str | None = None
    status_message: str | None = None
    progress_percentage: JSON = None
    owners: list[str] = []
    responses: dict[str, JSON] = {}  # to messages that nobody has fetched yet, by message id
    attempts: list[JSON] = []  # what became of its last runs, oldest first


class WorkerLine(Struct, tag="worker", tag_field="line", kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A worker, also one that is a submission. None of its connections: it calls again, or is pruned."""

    id: WorkerId
    started: Time
    last_contact: Time | None = None
    last_get_work: Time | None = None
    start_id: str | None = None
    host: str | None = None
    slots: float | None = None
    disabled: bool = False
    assistant: bool = False
    modules: list[JSON] = []  # those that it takes others' tasks from, see lua/lib/hand_out/restrictions.lua
    info: dict[str, JSON] = {}
    messages: list[JSON] = []  # which it has not fetched yet


class BatchersLine(
    Struct, tag="batchers", tag_field="line", kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """The parameters by which a worker takes tasks in batches. The worker may have left: they wait for it."""

    worker: WorkerId
    families: dict[str, tuple[float, list[str]]]  # family → most tasks in a batch, batched parameters


class FamilyLine(Struct, tag="family", tag_field="line", kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What is known of a family's runs so far."""

    family: str
    fields: dict[str, str]  # as the hash family:<family> has them
    run_times: list[float] = []  # seconds of its last runs that ended DONE, newest first


class SubmissionLine(
    Struct, tag="submission", tag_field="line", kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """A submission, active or ended within a week."""

    id: WorkerId
    state: str
    submitted: Time
    tasks: list[TaskId] = []
    ended: Time | None = None
    counts: JSON = None


class EndLine(Struct, tag="end", tag_field="line", kw_only=True, forbid_unknown_fields=True):
    """The last line: how many lines stand before it, and the checksum of their bytes."""

    lines: int
    tasks: int
    workers: int
    sha256: str


Line: TypeAlias = HeaderLine | TaskLine | WorkerLine | BatchersLine | FamilyLine | SubmissionLine | EndLine
OtherLine: TypeAlias = BatchersLine | FamilyLine | SubmissionLine
_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)


class LineWriter:
    """Writes a file's lines one after another, and the last one with the checksum at close()."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._sum = hashlib.sha256()
        self._lines = self.tasks = self.workers = 0

    def write(self, line: Line) -> None:
        """Write a line of any kind but the last one."""
        data = encode(line)
        self._sum.update(data)
        self._file.write(data)
        self._lines += 1
        self.tasks += isinstance(line, TaskLine)
        self.workers += isinstance(line, WorkerLine)

    def close(self) -> EndLine:
        """Write the last line, and return it. The file stays open."""
        end = EndLine(lines=self._lines, tasks=self.tasks, workers=self.workers, sha256=self._sum.hexdigest())
        self._file.write(encode(end))
        self._file.flush()
        return end


def encode(line: Line) -> bytes:
    """Return the line as it stands in the file, with its line feed."""
    try:
        return _encoder.encode(line) + b"\n"
    except UnicodeEncodeError:  # lone surrogates, which only an escape can stand for
        return json.dumps(msgspec.to_builtins(line), separators=(",", ":")).encode() + b"\n"


def decode(data: bytes, number: int) -> Line:
    """Return the line that these bytes are. number: its place in the file, for messages.

    Raises ImportRefused that says what is wrong with it.
    """
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):  # also where it holds lone surrogates
        pass
    try:
        found: Line = msgspec.convert(json.loads(data), Line)
    except (ValueError, RecursionError) as error:  # msgspec's are ValueErrors, too
        raise ImportRefused(f"Line {number} can't be used: {error}.") from None
    return found


class CheckedFile(NamedTuple):
    """What the first reading of a file has found: all but its tasks."""

    header: HeaderLine
    workers: Sequence[WorkerLine]
    others: Sequence[OtherLine]
    last_number: int  # the highest of a task
    tasks: int


def check_file(file: IO[bytes], schema: str) -> CheckedFile:
    """Read the whole file, and return all but its tasks. schema: the version that this program writes.

    Raises ImportRefused for a file that is truncated or altered, that a newer program wrote, or that is no such
    file at all.
    """
    checksum, number, tasks, last_number = hashlib.sha256(), 0, 0, FIRST_NUMBER
    header: HeaderLine | None = None
    workers: list[WorkerLine] = []
    others: list[OtherLine] = []
    for number, data in enumerate(_lines_in(file), start=1):
        line = decode(data, number) if header is not None else _header_in(data, schema)
        if isinstance(line, EndLine):
            _check_end(line, EndLine(lines=number - 1, tasks=tasks, workers=len(workers), sha256=checksum.hexdigest()))
            if header is None or file.read(1):
                raise ImportRefused("Something follows the last line: two files in one?")
            return CheckedFile(header, workers, others, last_number, tasks)
        checksum.update(data)
        if isinstance(line, HeaderLine):
            if header is not None:
                raise ImportRefused(f"Line {number} is a second header: two files in one?")
            header = line
        elif isinstance(line, TaskLine):
            check_task(line, number)
            tasks, last_number = tasks + 1, max(last_number, line.number)
        elif isinstance(line, WorkerLine):
            workers.append(line)
        else:
            others.append(line)
    if not number:
        raise ImportRefused("The file is empty.")
    raise ImportRefused(f"The file is truncated: it ends after line {number}, without the last line.")


def check_task(line: TaskLine, number: int) -> None:
    """Raise ImportRefused where the line's fields contradict each other. number: its place in the file."""
    told = None
    if line.status in ("RUNNING", "BATCH_RUNNING") and line.worker_running is None:
        told = f"it is {line.status}, and has no worker_running"
    elif line.status == "BATCH_RUNNING" and line.batch_id is None:
        told = "it is BATCH_RUNNING, and has no batch_id"
    elif line.disabled_at is not None and line.status != "DISABLED":
        told = f"it has disabled_at, and is {line.status}"
    elif line.disabled_by is not None and line.disabled_at is None:
        told = "it has disabled_by, and no disabled_at"
    if told:
        raise ImportRefused(f"Line {number} can't be used: task {line.id}: {told}.")


def tasks_in(file: IO[bytes]) -> Iterator[TaskLine]:
    """The tasks of a file that check_file has found right, from its first line on."""
    file.seek(0)
    for number, data in enumerate(_lines_in(file), start=1):
        line = decode(data, number)
        if isinstance(line, TaskLine):
            yield line


def _lines_in(file: IO[bytes]) -> Iterator[bytes]:
    while data := file.readline(MAX_LINE):
        if not data.endswith(b"\n"):
            raise ImportRefused("The file is truncated: its last line has no end.")
        yield data


def _header_in(data: bytes, schema: str) -> HeaderLine:
    """The header, if this program can read what follows it."""
    try:
        found: Any = json.loads(data)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, Mapping) or found.get("line") != "header":
        raise ImportRefused("This is no file that `bsched export` wrote: its first line is no header.")
    if found.get("format") != FORMAT or _is_newer(found.get("schema"), schema):
        raise ImportRefused(
            f"The file was written by broker_sched {found.get('version')} with format {found.get('format')} and schema "
            f"{found.get('schema')}; this one reads format {FORMAT} and schemas up to {schema}. Use that release, or a "
            "later one."
        )
    line = decode(data, 1)
    assert isinstance(line, HeaderLine)
    return line


def _is_newer(found: Any, schema: str) -> bool:
    return not (isinstance(found, str) and found.isdecimal() and int(found) <= int(schema))


def _check_end(said: EndLine, found: EndLine) -> None:
    for name in ("lines", "tasks", "workers", "sha256"):
        if getattr(said, name) != getattr(found, name):
            what = "its checksum does not fit" if name == "sha256" else f"it has {getattr(found, name)} {name}"
            but = "" if name == "sha256" else f", and should have {getattr(said, name)}"
            raise ImportRefused(f"The file was altered or damaged on its way: {what}{but}.")
