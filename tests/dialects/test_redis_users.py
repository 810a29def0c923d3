"""Users of Redis as `bsched redis acl` makes them may do what they are for, and nothing else.

By night the tests of the scheduler and of the server run as these users, too: see tests/redis_users.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import redis

from broker_sched import BrokerSchedError, RedisUnavailable, Scheduler
from broker_sched.contract.scheduler_api import METHODS
from broker_sched.lua.loader import load, names
from broker_sched.redis_backend.namespace import Namespace
from broker_sched.scheduler.execution import READING
from broker_sched.scheduler.keys import KEYS
from broker_sched.scheduler.redis_users import USES, Use, commands_of, patterns_of, user_name
from tests.cli.commands import Bsched
from tests.conftest import FakeClock
from tests.dialects.test_every_method import OPTIONS, Recorder, call_every_method, look
from tests.harness import ServerProcess
from tests.redis_users import make_user, refused
from tests.servers import RunningRedis, embedded_servers, free_port, until

# What is sent outside scripts, by whom, and what for.
PLAIN: dict[str, tuple[str, str]] = {
    "blpop": ("server worker admin", "a worker waits for work"),
    "client|setinfo": ("server worker read-only admin", "redis-py names itself; not needed"),
    "client|setname": ("server", "it names its connections; not needed"),
    "evalsha": ("server worker read-only admin", "every call"),
    "exists": ("read-only", "bsched redis keys"),
    "get": ("read-only", "looking"),
    "hexists": ("read-only admin", "whether a namespace is there"),
    "hkeys": ("read-only admin", "the months of a family, and which tokens there are"),
    "hvals": ("admin", "which servers are alive: bsched namespace delete"),
    "info": ("server worker read-only admin", "bsched status shows Redis's memory and persistence; not needed"),
    "role": ("server worker read-only admin", "whether this is the primary"),
    "scan": ("admin", "verify, and which namespaces there are"),
    "script|load": ("server worker read-only admin", "a script that Redis does not have yet"),
    "select": ("server worker read-only admin", "a URL with a database number"),
    "sismember": ("read-only", "looking"),
    "type": ("read-only admin", "bsched redis keys; verify"),
    "unlink": ("admin", "bsched namespace delete"),
    "wait": ("server worker admin", "replicas are to confirm a change: replicas_ack of the URL; not needed else"),
    "xlen": ("server worker read-only admin", "events; verify"),
    "xrange": ("server worker read-only admin", "events"),
    "xread": ("server", "pages listen to what changes"),
    "xrevrange": ("server worker read-only admin", "events and failures"),
    "zcount": ("server worker read-only admin", "how many tasks a listing has to look at"),
    "zmscore": ("server worker read-only admin", "the tasks of a day, in their order"),
    "zrank": ("read-only", "why: how many go before a task"),
    "zscan": ("read-only", "looking through workers"),
}
ADMINS = set("begin_import end_import export_tasks import_records migrate_3 migrate_4 repair".split())
SERVERS = set("announce_server post_mails settle_mail take_mails".split())
# Redis lets everybody send these: with them a connection begins and ends.
FOR_ALL = {"auth", "hello", "quit", "reset"}
MINE, OTHER = "mine", "other"


def scripts_of(use: Use) -> set[str]:
    everybody = set(names()) - ADMINS - SERVERS
    return {
        "server": everybody | SERVERS,
        "worker": everybody,
        "read-only": set(READING),
        "admin": everybody | ADMINS,
    }[use]


def called_by(script: str) -> set[str]:
    return {name.lower() for name in re.findall(r"\bcall\(\s*'([A-Z]+)'", load(script).source)}


class Users(NamedTuple):
    """A Redis of the test's own with a namespace full of things, and URLs that log in as each user."""

    server: RunningRedis
    urls: dict[Use, str]

    def scheduler(self, use: Use, **options: Any) -> Scheduler:
        return Scheduler(self.urls[use], MINE, prune_interval_seconds=None, **options)

    def bsched(self, use: Use) -> Bsched:
        return Bsched("--redis", self.urls[use], "--namespace", MINE)

    def content(self) -> dict[str, Any]:
        with redis.Redis.from_url(self.server.url) as client:
            lock = Namespace.named(MINE).key("prune_lock").encode()  # which is gone after a second
            return {name: client.dump(name) for name in client.scan_iter() if name != lock}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Users]]:
    yield (found := {})
    for each in found.values():
        each.server.kill()


@pytest.fixture
def users(made: dict[str, Users], real_redis_kind: str, tmp_path: Path) -> Users:
    if real_redis_kind not in made:
        server = RunningRedis(embedded_servers()[real_redis_kind], tmp_path / "redis", free_port())
        urls = {use: make_user(server.url, use, MINE) for use in USES}
        with closing(Scheduler(server.url, OTHER)) as other:
            other.add_task(worker="w", task_id="theirs")
        made[real_redis_kind] = Users(server, urls)
        clock = FakeClock()
        with closing(made[real_redis_kind].scheduler("worker", clock=clock, **OPTIONS)) as scheduler:
            call_every_method(Recorder(scheduler), clock)
    return made[real_redis_kind]


@pytest.fixture(autouse=True)
def nothing_refused(users: Users, request: pytest.FixtureRequest) -> Iterator[None]:
    """What a user is for is not refused, unless that is what the test is about."""
    with users.server.client() as client:
        client.acl_log_reset()
    yield
    if "refused" not in request.node.name and "else" not in request.node.name:
        changing = {f"{user_name('read-only', MINE)}: {name}" for name in commands_of("worker")}
        assert set(refused(users.server.url)) - changing == set()  # that it may not change anything was found out


@pytest.mark.parametrize("use", USES)
def test_the_commands_are_those_that_scripts_call_and_those_that_are_sent_besides(use: Use) -> None:
    called = set().union(*(called_by(script) for script in scripts_of(use)))
    if use == "read-only":  # of what its scripts share with others, it comes only to what reads
        called &= set(commands_of("read-only"))
    plain = {command for command, (who, _) in PLAIN.items() if use in who.split()}
    assert set(commands_of(use)) == called | plain


def test_every_command_of_a_script_is_tried_before_the_first_call() -> None:
    tried = set(re.findall(r"^  \{ '([A-Z]+)'", load("check_permissions").source, re.M)) | {"DEL"}
    outside = {name for name in PLAIN if "|" in name} | {"evalsha", "info", "role", "select", "unlink", "wait"}
    granted = {command for use in USES for command in commands_of(use)} - outside
    assert tried == {name.upper() for name in granted}


def test_a_server_works(users: Users) -> None:
    server = ServerProcess("--redis", users.urls["server"], "--namespace", MINE).await_ready()
    try:
        assert server.request("GET", "/readyz").status == 200
        server.call("add_task", worker="v", task_id="served")
        server.call("await_work", worker="v", seconds=0.1)
        for method in ("task_list", "worker_list", "overview", "events", "tasks"):
            server.call(method)
        assert server.request("GET", "/metrics").status == 200
    finally:
        server.stop()


def test_a_worker_that_waits_is_woken(users: Users) -> None:
    with closing(users.scheduler("worker")) as scheduler:
        assert scheduler.await_work(worker="idle", seconds=0.05) == {"ready": False}


def test_who_may_only_read_looks_at_everything(users: Users) -> None:
    before = users.content()
    with closing(users.scheduler("read-only")) as scheduler:
        with users.server.client() as client:
            client.config_resetstat()
        seen = Recorder(scheduler)
        look(seen)
        for name, method in METHODS.items():
            if method.reads_only or method.is_view:
                needed = {each.name for each in method.parameters if each.default is each.empty}
                needed |= {"task_id"} if name == "critical_path" else set()  # which wants one or the other of two
                known = {"worker": "a", "submission": "later", "task_ids": ["T_0"], "deps": ["T_0"]}
                getattr(seen, name)(**{each: known.get(each, "T_0") for each in needed})
    assert [answer for answer in seen.answers if isinstance(answer[1], tuple)] == []
    on = users.bsched("read-only")
    for words in (["status"], ["task", "list"], ["task", "why", "B_2"], ["events"], ["worker", "list"], ["failures"]):
        on(*words)
    on("redis", "keys", "T_0")
    assert users.content() == before


def test_who_may_only_read_is_refused_every_change_and_told_so(users: Users) -> None:
    before = users.content()
    with closing(users.scheduler("read-only")) as scheduler:
        for call in (
            lambda: scheduler.add_task(worker="w", task_id="new"),
            lambda: scheduler.get_work(worker="a"),
            lambda: scheduler.change_tasks(task_ids=["T_0"], action="remove"),
            lambda: scheduler.update_options(options={"retry_delay": 1}),
        ):
            with pytest.raises(RedisUnavailable, match=f"{user_name('read-only', MINE)} may (only look|not run)"):
                call()
    said = users.bsched("read-only").error("pause", code=3)
    assert "may only look" in said and "bsched redis acl" in said
    assert users.content() == before


def test_an_admin_verifies_repairs_exports_and_deletes(users: Users, tmp_path: Path) -> None:
    on = users.bsched("admin")
    file = str(tmp_path / "all.jsonl")
    on("verify", "--repair")
    on("export", file)
    on("migrate")
    gone = make_user(users.server.url, "admin", "gone")
    there = Bsched("--redis", gone, "--namespace", "gone")
    there("import", file)
    Bsched("--redis", gone)("namespace", "delete", "gone", "--yes", "--force")


def test_what_an_admin_does_is_refused_to_a_worker_before_it_begins(users: Users) -> None:
    before = users.content()
    assert "may not run" in users.bsched("worker").error("migrate", code=3)
    assert users.content() == before


def with_arguments(found: dict[str, Any]) -> Iterator[list[str]]:
    """Every command of this server that there is, with as many arguments as it wants; those of a container too."""
    for name, about in found.items():
        words = name.split("|")
        arity = abs(int(about["arity"]))
        yield [*words, *["1"] * max(arity - len(words), 0)]


@pytest.mark.parametrize("use", USES)
def test_a_user_may_do_nothing_else(users: Users, use: Use) -> None:
    with users.server.client() as client:
        found: dict[str, Any] = {}
        for name, about in client.command().items():
            inner = about.get("subcommands") or []
            found.update({str(each[0]): {"arity": each[1]} for each in inner} if inner else {name: about})
    granted = set(commands_of(use))
    allowed = []
    for words in with_arguments(found):
        name = "|".join(words) if found.get("|".join(words)) else words[0]
        whole = "|".join(words[:2])
        if {words[0], whole, name} & (granted | FOR_ALL):
            continue
        with redis.Redis.from_url(users.urls[use], decode_responses=True) as client:
            try:
                client.execute_command(" ".join(words[:1]), *words[1:])
            except redis.exceptions.NoPermissionError:
                continue
            except redis.exceptions.RedisError as error:
                # EXEC has it in the midst of its message; MODULE and DEBUG nobody may run before that is asked.
                if "NOPERM" not in str(error) and "command not allowed" not in str(error):
                    allowed.append((words, str(error)))
            else:
                allowed.append((words, "done"))
    assert allowed == []


@pytest.mark.parametrize("use", USES)
def test_a_user_reaches_no_other_namespace_whatever_else_it_may(users: Users, use: Use) -> None:
    with redis.Redis.from_url(users.urls[use], decode_responses=True) as client:
        with pytest.raises(redis.exceptions.NoPermissionError):
            client.hgetall(Namespace.named(OTHER).key("config"))
        read = client.script_load("return redis.call('HGETALL', ARGV[1])")
        with pytest.raises(redis.exceptions.RedisError, match=r"(?i)permission|NOPERM|ACL|can't access"):
            client.evalsha(read, 0, Namespace.named(OTHER).key("config"))
    with pytest.raises(RedisUnavailable, match="NOPERM"):
        Scheduler(users.urls[use], OTHER)


@pytest.mark.parametrize("use", USES)
def test_a_user_reaches_all_keys_of_its_namespace_else_only_a_server_who_may_log_in(users: Users, use: Use) -> None:
    with redis.Redis.from_url(users.urls[use], decode_responses=True) as client:
        for key in KEYS:
            name = Namespace.named(MINE).key(key.pattern)
            if key.is_for_servers and use in ("worker", "read-only"):
                with pytest.raises(redis.exceptions.NoPermissionError):
                    client.exists(name)
            else:
                client.exists(name)


def test_a_guarded_key_is_the_only_one_that_others_do_not_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    guarded = [
        key._replace(is_for_servers=key.pattern.startswith(("messages:", "ids", "batch_names:"))) for key in KEYS
    ]
    monkeypatch.setattr("broker_sched.scheduler.redis_users.KEYS", guarded)
    globs = [re.compile(pattern[len("bsched:{n}:") :].replace("*", ".*")) for pattern in patterns_of("worker", "n")]
    for key in guarded:
        reached = any(glob.fullmatch(key.pattern) for glob in globs)
        same_word = {each.pattern.partition(":")[0] for each in guarded if each.is_for_servers}
        assert reached is (key.pattern.partition(":")[0] not in same_word), key.pattern


def test_where_a_namespace_is_not_there_else_than_by_its_name_nothing_is_told(users: Users) -> None:
    url = make_user(users.server.url, "read-only", "absent")
    said = Bsched("--redis", url, "--namespace", "absent").error("status")
    assert "There is no namespace absent" in said and OTHER not in said
    with pytest.raises(BrokerSchedError, match="may only look"):
        Scheduler(url, "absent")
    until(lambda: refused(users.server.url), "the listing was refused")
