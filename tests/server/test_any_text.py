"""Any text that Python and JSON can hold comes back as it was sent, over HTTP and straight to Redis; or it is refused.

Lone surrogates are what Python makes of file names that are not UTF-8.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator
from typing import Any

import luigi.rpc
import pytest
import redis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from broker_sched import InvalidArgument, RemoteScheduler, Scheduler
from broker_sched.contract.registry import Method
from broker_sched.contract.scheduler_api import METHODS
from tests.harness import RedisProcess, ServerProcess
from tests.nightly import by_night

untyped: Any = luigi  # it has no types
LONGEST_ID = 8192
TEXTS = (
    "caf\udce9.csv",
    "\ud83d",
    "\udc00\ud800",
    "nul\x00nul",
    "line\u2028paragraph\u2029next\x85end\r\n\t\x7f\ufeff\ufffd\U0010ffff",
    "emoji \U0001f600 \u2708\ufe0f",
    "'\"|,:%{}[]\\/ #?&=+~!",
    "long " * 2000,
)
ANY_TEXT = st.text(st.characters(exclude_categories=()), min_size=1, max_size=30)
_numbers = itertools.count()


@pytest.fixture(scope="module")
def direct(own_redis: RedisProcess, server: ServerProcess) -> Iterator[Scheduler]:
    """On the server's namespace. At the end every index is right."""
    scheduler = Scheduler(own_redis.url, namespace="shared", prune_interval_seconds=None, send_messages=True)
    yield scheduler
    assert scheduler.verify() == []
    scheduler.close()


@pytest.fixture(scope="module", params=["direct", "http", "memory"])
def client(request: pytest.FixtureRequest) -> Iterator[Any]:
    """At the end all that has become a task or a worker can be listed."""
    if request.param == "memory":
        made: Any = Scheduler(f"memory:{uuid.uuid4().hex}", prune_interval_seconds=None, send_messages=True)
    else:
        direct = request.getfixturevalue("direct")
        is_direct = request.param == "direct"
        made = direct if is_direct else RemoteScheduler(request.getfixturevalue("server").url, attempts=1)
    yield made
    made.task_list(limit=False)
    made.worker_list()
    if request.param == "memory":
        assert made.verify() == []


def converse(client: Any, text: str) -> None:
    """A text in every place that keeps one, and read back from where it is shown."""
    mine = f"{next(_numbers)} {text}"
    worker, task, dep, family = f"w{mine}", f"t{mine}", f"d{mine}", f"F{mine}"
    client.update_resources(**{f"r{mine}": 2})
    client.add_task(
        worker=worker,
        task_id=task,
        family=family,
        module=f"m{mine}",
        params={mine: text},
        deps=[dep],
        resources={f"r{mine}": 1},
        priority=next(_numbers),
    )
    client.add_task(worker=worker, task_id=dep, status="DONE", runnable=False)
    work = client.get_work(worker=worker, host=text, current_tasks=[])
    assert (work["task_id"], work["task_family"], work["task_module"]) == (task, family, f"m{mine}")
    assert work["task_params"] == {mine: text}
    client.set_task_status_message(task_id=task, status_message=text)
    assert client.get_task_status_message(task_id=task)["statusMessage"] == text
    client.decrease_running_task_resources(task_id=task, decrease_resources={f"r{mine}": 0.5})
    assert client.get_running_task_resources(task_id=task)["resources"] == {f"r{mine}": 0.5}
    client.send_scheduler_message(worker=worker, task=task, content={text: text})
    (message,) = client.ping(worker=worker)["rpc_messages"]
    assert (message["kwargs"]["task_id"], message["kwargs"]["content"]) == (task, {text: text})
    client.add_scheduler_message_response(task_id=task, message_id=text, response=text)
    assert client.get_scheduler_message_response(task_id=task, message_id=text) == {"response": text}
    client.set_task_log(task_id=task, log=text, size=len(text))
    assert client.task_log(task_id=task)["log"] == text
    client.add_worker(worker=worker, info={f"about {text}": text})
    assert {text} == {each[f"about {text}"] for each in client.worker_list() if each["name"] == worker}
    assert client.task_list(search=mine.split()[0], limit=False)[task]["params"] == {mine: text}
    assert client.task_search(task_str=task)["RUNNING"][task]["worker_running"] == worker
    assert client.dep_graph(task_id=task)[task]["deps"] == [dep]
    client.add_task(worker=worker, task_id=task, status="FAILED", expl=text, tracking_url=text)
    found = client.fetch_error(task_id=task)
    assert (found["error"], found["taskParams"], found["taskFamily"]) == (text, {mine: text}, family)


def converse_in_a_batch(client: Any, text: str) -> None:
    mine = f"{next(_numbers)} {text}"
    worker, family, ids = f"w{mine}", f"F{mine}", [f"a{mine}", f"b{mine}"]
    client.add_task_batcher(worker=worker, task_family=family, batched_args=[mine], max_batch_size=3)
    for task_id in ids:
        client.add_task(
            worker=worker, task_id=task_id, family=family, params={mine: task_id, "other": text}, batchable=True
        )
    work = client.get_work(worker=worker, current_tasks=[])
    assert work["batch_task_ids"] == ids
    assert work["task_params"] == {mine: ids, "other": text}
    client.add_task(worker=worker, task_id=f"both{mine}", status="RUNNING", batch_id=work["batch_id"])
    client.add_task(worker=worker, task_id=f"both{mine}", status="FAILED", expl=text)
    assert client.fetch_error(task_id=ids[1])["error"] == text


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_a_text_comes_back_as_it_was_sent(client: Any, text: str) -> None:
    if len(text) < LONGEST_ID:
        converse(client, text)
        converse_in_a_batch(client, text)
    else:
        with pytest.raises(InvalidArgument, match=r"task_id.*8192"):
            client.add_task(worker="w", task_id=text)


# No shrinking: with a server that was killed each call takes seconds, so that it would end by the time limit.
@given(text=ANY_TEXT)
@settings(max_examples=by_night(30, 6), phases=[Phase.generate], suppress_health_check=list(HealthCheck))
def test_whatever_text_there_is_comes_back_as_it_was_sent(client: Any, text: str) -> None:
    converse(client, text)
    converse_in_a_batch(client, text)


SAMPLES: dict[str, Any] = {
    "worker": "w", "submission": "w", "task_id": "T", "task": "T", "task_name": "T", "task_str": "T", "tasks": [],
    "deps": ["D"], "new_deps": ["D"], "current_tasks": ["T"], "batched_args": ["p"], "task_family": "F", "family": "F",
    "resource": "r", "amount": 1, "decrease_resources": {"r": 1}, "info": {}, "n": 2, "message_id": "m", "seconds": 0,
    "status_message": "s", "progress_percentage": 1, "log": "l", "size": 1, "expl": "e", "owners": ["o"], "params": {},
    "content": "c", "response": "r", "statistics": {}, "max_shown_tasks": 9, "search": "s",
}  # fmt: skip


def calls_with(method: Method, texts: Iterator[str]) -> Iterator[dict[str, Any]]:
    """Texts in one argument after the other: as they are, in a list, as a name and a value of an object."""
    if method.collects:
        yield {next(texts): 1}
    required = {p.name: SAMPLES.get(p.name, "x") for p in method.parameters if p.default is p.empty}
    for parameter in method.parameters:
        for shape in (
            lambda text: text,
            lambda text: [text],
            lambda text: {text: 1},
            lambda text: {"p": text},
            lambda text: [[text, text]],
            lambda text: [{"task_id": text}],
        ):
            if parameter.name == "start_id":  # a name that has a start is taken for all others
                required["worker"] = f"started {next(_numbers)}"
            yield {**required, parameter.name: shape(next(texts))}


@pytest.mark.parametrize("name", METHODS)
def test_no_text_in_any_argument_is_more_than_refused_by_name(client: Any, name: str) -> None:
    """By night each text in each place, by day they take turns."""
    texts = TEXTS[:7]
    for each in by_night([itertools.repeat(text) for text in texts], [itertools.cycle(texts)]):
        for arguments in calls_with(METHODS[name], each):
            try:
                getattr(client, name)(**arguments)
            except InvalidArgument as error:
                assert error.field


@pytest.mark.parametrize("decodes", [True, False])
def test_a_client_of_the_callers_carries_any_text(own_redis: RedisProcess, decodes: bool) -> None:
    given = redis.Redis.from_url(own_redis.url, decode_responses=decodes)
    scheduler = Scheduler(given, namespace="given", prune_interval_seconds=None, send_messages=True)
    converse(scheduler, TEXTS[0])
    assert scheduler.verify() == []
    scheduler.close()


def test_a_stock_client_carries_file_names_that_are_not_utf_8(server: ServerProcess, direct: Scheduler) -> None:
    stock = untyped.rpc.RemoteScheduler(server.url)
    name = b"caf\xe9.csv".decode("utf-8", "surrogateescape")
    stock.add_task(worker="stock", task_id=f"Load_{name}", family="Load", params={"path": name}, priority=99999)
    work = stock.get_work(worker="stock", host="here", current_tasks=[])
    assert (work["task_id"], work["task_params"]) == (f"Load_{name}", {"path": name})
    stock.set_task_status_message(f"Load_{name}", name)
    stock.add_task(worker="stock", task_id=f"Load_{name}", status="FAILED", expl=f"no {name}")
    assert stock.fetch_error(f"Load_{name}")["error"] == f"no {name}"
    assert stock.task_list("FAILED", "", search=name)[f"Load_{name}"]["display_name"] == f"Load(path={name})"
    assert direct.fetch_error(task_id=f"Load_{name}")["taskParams"] == {"path": name}
