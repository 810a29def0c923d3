"""Secrets are planted wherever there are some, a whole run goes wrong in many ways, and no output has one of them."""

from __future__ import annotations

import base64
import json
import signal
import ssl
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import psutil
import pytest
from cryptography.hazmat.primitives import serialization

from tests.certificates import Authority
from tests.harness import RedisProcess, Reply, ServerProcess
from tests.mails.mailbox import MailServer
from tests.programs import Ended, Program, environment_with
from tests.server.access.provider import Provider
from tests.server.access.test_oidc import BROWSER, CONFIG, at_provider
from tests.servers import until

NAMESPACE = "planted"
TASKS = "tests.secrets.tasks_with_secrets"
KINDS = "redis wrong_redis basic wrong_basic wrong_bearer cookie passphrase smtp oidc private hidden".split()
COMMANDS = (
    *(
        "audit",
        "audit --json",
        "config",
        "config from-luigi luigi.cfg",
        "events",
        "events --json",
        "failures",
        "status",
        "task list",
        "task list --json",
    ),
    *("worker list", "worker list --json", "namespace list", "redis keys plain", "verify", "token list --json"),
    *("session list", "export exported", "user list --users-file users"),
)
# Workers need hidden parameters, to make tasks of them.
IN_PLACE = {("hidden", "Redis"), ("hidden", "an export")}


class Planted:
    """The secrets by their kinds, and all that was said where they were."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.secrets = {kind: f"plant-{kind.replace('_', '-')}-{uuid.uuid4().hex}" for kind in KINDS}
        self.said: list[tuple[str, str]] = []  # where, and what

    def __getitem__(self, kind: str) -> str:
        return self.secrets[kind]

    def keep(self, where: str, *texts: str | bytes) -> None:
        """Have this searched at the end."""
        for text in texts:
            self.said.append((where, text.decode("latin-1") if isinstance(text, bytes) else text))

    def run(self, where: str, *words: str, env: Mapping[str, str], keeps_stdout: bool = True) -> Ended:
        """A command to its end."""
        ended = Ended(Program(*words, env=env, cwd=self.directory))
        self.keep(where, ended.stderr, *([ended.stdout] if keeps_stdout else []))
        return ended

    def forms(self, kind: str) -> set[str]:
        """How a secret may be written."""
        secret = self.secrets[kind]
        users = [f"{user}:{secret}".encode() for user in ("ann", "", "token", "smtp-user")]
        login = [f"\0smtp-user\0{secret}".encode(), secret.encode()]
        encoded = {base64.b64encode(each).decode().rstrip("=") for each in (*users, *login)}
        return {secret, quote(secret, safe=""), *encoded}

    def found(self) -> list[tuple[str, str, str]]:
        """Secret, where, and what stands around it."""
        hits = []
        for kind in self.secrets:
            for form in self.forms(kind):
                for where, text in self.said:
                    at = text.find(form)
                    if at >= 0 and (kind, where) not in IN_PLACE:
                        hits.append((kind, where, text[max(0, at - 200) : at + 60]))
        return hits


@pytest.fixture
def planted(tmp_path: Path) -> Iterator[Planted]:
    kept = Planted(tmp_path)
    yield kept
    (tmp_path / "said.txt").write_text("\n".join(f"--- {where}\n{text}" for where, text in kept.said))


@pytest.fixture
def locked_redis(planted: Planted, tmp_path: Path) -> Iterator[RedisProcess]:
    (tmp_path / "redis").mkdir()
    process = RedisProcess(tmp_path / "redis", password=planted["redis"])
    yield process
    process.kill()


def certificate(planted: Planted, authority: Authority) -> dict[str, str]:
    """Files of a server's certificate, with an encrypted key whose lines are secrets, too."""
    files = authority.issue("127.0.0.1", "localhost")
    key = serialization.load_pem_private_key(Path(files.key).read_bytes(), None)
    kinds = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    encrypted = serialization.BestAvailableEncryption(planted["passphrase"].encode())
    for name, data in (("clear", Path(files.key).read_bytes()), ("encrypted", key.private_bytes(*kinds, encrypted))):
        lines = data.decode().splitlines()[1:-1]
        planted.secrets |= {f"{name} key, line {number}": line for number, line in enumerate(lines) if len(line) > 20}
    Path(files.key).write_bytes(key.private_bytes(*kinds, encrypted))
    word = planted.directory / "passphrase"
    word.touch(mode=0o600)
    word.write_text(planted["passphrase"])
    return {
        "BSCHED_TLS_CERT": files.certificate,
        "BSCHED_TLS_KEY": files.key,
        "BSCHED_TLS_KEY_PASSWORD_FILE": str(word),
    }


def at_a_provider(planted: Planted, provider: Provider) -> str:
    """Return the file that sends people to this provider, which then takes the client's secret for a wrong one."""
    (planted.directory / "oidc-secret").write_text(planted["oidc"])
    path = planted.directory / "oidc.toml"
    path.write_text(CONFIG.format(issuer=provider.issuer, secret=planted.directory / "oidc-secret"))
    return str(path)


def logins_of_browsers(planted: Planted, server: ServerProcess) -> None:
    """A session that holds, whose cookie is a secret from now on, and a login at the provider that fails."""
    sent = {"Content-Type": "application/json"}
    for word, status in (("wrong_basic", 401), ("basic", 200)):
        login = json.dumps({"user": "ann", "password": planted[word]}).encode()
        reply = server.request("POST", "/login", login, sent)
        assert reply.status == status, reply
        planted.keep("an answer", reply.body)
    cookie = reply.headers["set-cookie"].partition(";")[0]
    planted.secrets["session"] = cookie.partition("=")[2]
    for path in ("/", "/login", "/api/task_list", "/nowhere"):
        reply = server.request("GET", path, headers={"Cookie": cookie, **BROWSER})
        planted.keep("an answer", json.dumps(dict(reply.headers)), reply.body)
    begun = server.request("GET", "/login/oidc", headers=BROWSER)
    assert begun.status == 303, begun
    back = at_provider(begun.headers["location"])
    planted.secrets["code"] = parse_qs(urlsplit(back).query)["code"][0]
    came = {"Cookie": begun.headers["set-cookie"].partition(";")[0], **BROWSER}
    refused = server.request("GET", back, headers=came)
    assert refused.status >= 400, refused
    planted.keep("an answer", json.dumps(dict(refused.headers)), refused.body)


def look_at_processes(planted: Planted, root: int) -> None:
    """Titles of a process and of all that it has started; and the environment of what is a program of its own."""
    everyone = [psutil.Process(root), *psutil.Process(root).children(recursive=True)]
    for process in everyone:
        planted.keep("the title of a process", " ".join(process.cmdline()), process.name(), *_thread_names(process.pid))
    programs = [each for each in everyone if any("large_call_process" in word for word in each.cmdline())]
    assert programs, "the one for large calls runs"
    for each in programs:
        found = {name: text for name, text in each.environ().items() if not name.startswith("PLANTED_")}
        planted.keep("the environment of a program", str(found))


def look_into_redis(planted: Planted, redis: RedisProcess) -> None:
    """Hidden parameters are there, since workers need them; nothing else is."""
    reads = {"string": "GET {}", "hash": "HGETALL {}", "list": "LRANGE {} 0 -1", "set": "SMEMBERS {}"}
    reads |= {"zset": "ZRANGE {} 0 -1", "stream": "XRANGE {} - +"}
    for key in redis.client.scan_iter(count=1000):
        command = reads[redis.client.type(key)].split()
        planted.keep("Redis", str(redis.client.execute_command(*(word.format(key) for word in command))))


def _thread_names(pid: int) -> list[str]:
    return [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/comm")]


def requests(planted: Planted, server: ServerProcess, token: str) -> list[Reply]:
    """What goes wrong and what goes well over HTTP, with each kind of login."""

    def basic(name: str, word: str) -> str:
        return "Basic " + base64.b64encode(f"{name}:{word}".encode()).decode()

    session = f"__Host-bsched_session-{NAMESPACE}-{urlsplit(server.url).port}"
    logins = {
        "right": {"Authorization": basic("ann", planted["basic"])},
        "wrong": {"Authorization": basic("ann", planted["wrong_basic"])},
        "no user": {"Authorization": basic("nobody", planted["wrong_basic"])},
        "garbage": {"Authorization": f"Basic {planted['wrong_basic']}"},
        "bearer": {"Authorization": f"Bearer {planted['wrong_bearer']}"},
        "token": {"Authorization": f"Bearer {token}"},
        "token as password": {"Authorization": basic("token", token)},
        "cookie": {"Cookie": f"{session}={planted['cookie']}; other={planted['cookie']}"},
        "strange": {"Authorization": planted["wrong_bearer"], "X-Request-Id": "planted"},
    }
    paths = ("/", "/metrics", "/nowhere", "/api/task_list", "/api/no_such_method")
    replies = []
    for headers in logins.values():
        for path in paths:
            replies.append(server.request("GET", path, headers=headers))
        for body in (b"{", b'{"worker": "w", "task_id": "plain"}'):
            sent = {**headers, "Content-Type": "application/json"}
            replies.append(server.request("POST", "/api/add_task", body, sent))
    large = json.dumps({"worker": "w", "task_id": "large", "params": {"p": "x" * 600_000}}).encode()
    sent = {**logins["right"], "Content-Type": "application/json"}
    replies.append(server.request("POST", "/api/add_task", large, sent))
    for reply in replies:
        planted.keep("an answer", json.dumps(dict(reply.headers)), reply.body)
    assert {200, 400, 401, 404} <= {reply.status for reply in replies}
    return replies


@pytest.mark.timeout(150)
def test_no_planted_secret_is_in_any_output(planted: Planted, locked_redis: RedisProcess, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "tls")
    (tmp_path / "word").write_text(planted["basic"])
    (tmp_path / "luigi.cfg").write_text(f"[smtp]\npassword = {planted['smtp']}\n[worker]\nkeep_alive = false\n")
    mails = MailServer(tmp_path / "mails", "--mode", "echo", "--login", "smtp-user:another")
    plain = environment_with(
        PLANTED_PRIVATE=planted["private"],
        PLANTED_HIDDEN=planted["hidden"],
        BSCHED_REDIS=locked_redis.url,
        BSCHED_NAMESPACE=NAMESPACE,
        LUIGI_CONFIG_PATH=str(tmp_path / "luigi.cfg"),
        PYTHONFAULTHANDLER="1",
        REQUESTS_CA_BUNDLE=authority.path,
        **mails.environment(username="smtp-user", password=planted["smtp"]),
    )
    added = planted.run(
        *("user add", "user", "add", "ann", "--role", "admin@*", "--password-file", str(tmp_path / "word")),
        *("--users-file", str(tmp_path / "users")),
        env=plain,
    )
    assert added.returncode == 0, added
    provider = Provider()
    secure = {**certificate(planted, authority), "BSCHED_USERS_FILE": str(tmp_path / "users")}
    secure["BSCHED_OIDC_CONFIG"] = at_a_provider(planted, provider)
    server = ServerProcess(
        *("--log-level", "debug", "--processes", "2"), environment={**plain, **secure, "BSCHED_LOG_FORMAT": "json"}
    ).await_ready()
    created = planted.run("token create", "token", "create", "--role", "admin", env=plain, keeps_stdout=False)
    assert created.returncode == 0, created
    token = created.stdout.strip()
    planted.secrets["bearer"] = token
    (tmp_path / "token").write_text(token)
    planted.run("token list", "token", "list", env=plain)
    server.trusting = ssl.create_default_context(cafile=authority.path)
    over_http = {**plain, "BSCHED_PASSWORD": planted["basic"], "BSCHED_LOG_FORMAT": "json"}
    remote = ("--scheduler-url", server.url.replace("https://", "https://ann@"))

    # A run that fails in each way: over HTTP, as JSON; then straight to Redis, as text
    tasks = (TASKS, "All", "--log-level", "debug")
    quick = ("--set", "retry_external_tasks=true", "--burst", "--module", TASKS, "--log-level", "debug")
    assert planted.run("submit", "submit", *tasks, *remote, env=over_http).returncode in (0, 35)
    assert planted.run("worker", "worker", *quick, "--max-tasks", "4", *remote, env=over_http).returncode == 0
    planted.run("run", "run", *tasks, "--local-scheduler", "--workers", "2", env=plain)
    planted.run("direct worker", "worker", *quick, "--max-tasks", "4", env=plain)

    # Wrong logins
    logins_of_browsers(planted, server)
    provider.close()
    requests(planted, server, token)
    for where, address, login in (
        ("wrong password", remote[1], {"BSCHED_PASSWORD": planted["wrong_basic"]}),
        ("wrong token", server.url, {"BSCHED_TOKEN": planted["wrong_bearer"]}),
        ("token file", server.url, {"BSCHED_TOKEN_FILE": str(tmp_path / "token")}),
    ):
        planted.run(where, "status", "--url", address, env={**plain, **login})
    wrong_redis = locked_redis.url.replace(planted["redis"], planted["wrong_redis"])
    sentinel, nowhere = wrong_redis.replace("redis://", "redis+sentinel://"), f"{wrong_redis[:-5]}1"
    at_a_wrong_redis = (("status",), ("worker", "--burst", "--set", "patience=0"), ("server", "--host", "256.0.0.1"))
    with ThreadPoolExecutor(4) as several:  # which mostly wait
        failing = [
            several.submit(planted.run, f"{words[0]} at a wrong Redis", *words, env={**plain, "BSCHED_REDIS": url})
            for url in (wrong_redis, sentinel, f"{wrong_redis}x/y?z", nowhere)
            for words in at_a_wrong_redis
        ]
        telling = [
            several.submit(planted.run, f"bsched {command}", *command.split(), env=plain) for command in COMMANDS
        ]
    assert all(each.result().returncode in (1, 2, 3) for each in failing)
    assert not [each.result() for each in telling if each.result().returncode]

    # Redis away, and a server that dies with a dump
    planted.keep("an export", (tmp_path / "exported").read_bytes())
    look_into_redis(planted, locked_redis)
    look_at_processes(planted, server.process.pid)
    locked_redis.kill()
    planted.run("status without Redis", "status", env=plain)
    planted.keep("an answer without Redis", server.request("GET", "/readyz").body)
    refused = server.request("POST", "/api/task_list", b"{}", {"Content-Type": "application/json"})
    planted.keep("an answer without Redis", refused.body)
    for process in psutil.Process(server.process.pid).children():
        process.send_signal(signal.SIGABRT)
        break
    until(lambda: any("takes its place" in line for line in server.said), "a server process died and was replaced")
    server.stop()
    mails.stop()
    planted.keep("the log of the server", server.ready_line, *server.said)
    assert sum(map(len, (text for _, text in planted.said))) > 50_000, "there is something to be found"
    hits = planted.found()
    assert not hits, sorted({(kind, where) for kind, where, _ in hits})
