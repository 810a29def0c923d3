"""No option of luigi's is passed over: each is taken, or named with what to do; code and documentation agree."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import luigi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker_sched import luigi_config
from broker_sched.config import SchedulerConfig
from broker_sched.errors import ConfigurationError
from broker_sched.luigi_config import LuigiConfig
from broker_sched.worker.config import WorkerConfig
from broker_sched.worker.default_scheduler import luigis_address, remote_options, scheduler_settings
from bsched.options.luigi import elsewhere, fate_of, unhonoured
from bsched.options.scheduler import mail_settings, worker_settings
from tests.luigi_sections import documented, luigis_options, row_of

Read = Callable[[str], LuigiConfig]


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Read:
    """Read a luigi.cfg, without luigi."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(luigi_config, "sys", type("NoLuigi", (), {"modules": {}}))

    def reading(text: str) -> LuigiConfig:
        (tmp_path / "luigi.cfg").write_text(text)
        return luigi_config.read({})

    return reading


def test_every_option_that_luigi_has_is_known_here() -> None:
    options = luigis_options()
    assert len(options) > 80 and ("core", "rpc_retry_wait") in options and ("task_history", "db_connection") in options
    assert [option for option in options if fate_of(*option) is None] == []


@pytest.mark.parametrize("section, option", sorted(luigis_options()))
def test_the_page_says_of_every_option_what_the_commands_do(section: str, option: str) -> None:
    row, fate = row_of(section, option), fate_of(section, option)
    assert fate is not None
    told = {name for name in ("run", "submit", "worker", "server") if name in row.takers}
    is_local = "--local-scheduler" in row.takers
    assert told - ({"run"} if is_local else set()) == set(fate.commands) - {"local"}
    assert is_local == ("local" in fate.commands)
    assert bool(fate.instead) <= bool(row.otherwise)


def test_the_page_names_no_option_that_luigi_does_not_have() -> None:
    contrib = ("tmp_dir", "hdfs_tmp_dir", "history_filename")
    known = luigis_options()
    for section, option in documented():
        if option != "all" and option not in contrib and option not in ("patience", "kill_after"):
            section = "batch_email" if section == "batch_notifier" else section  # luigi's documentation and its code
            assert (section, option) in known, (section, option)


def test_defaults_are_luigis() -> None:
    own = {"scheduler": SchedulerConfig(), "worker": WorkerConfig()}
    for (section, name), parameter in luigis_options().items():
        if section in own and hasattr(own[section], name):
            default = parameter._default
            expected = default.total_seconds() if hasattr(default, "total_seconds") else default
            assert getattr(own[section], name) == expected, (section, name)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "[worker]\nkeep_alife = 1\n",
            "luigi.cfg, [worker] keep_alife is no option of luigi's. Did you mean keep_alive?",
        ),
        (
            "[core]\nworker-timout = 1\n",
            "luigi.cfg, [core] worker-timout is no option of luigi's. Did you mean worker_timeout?",
        ),
        ("[retcode]\nfail = 1\n", "luigi.cfg, [retcode] fail is no option of luigi's. [retcode] has already_running"),
        ("[worke]\nkeep_alive = 1\n", "luigi.cfg: there is no task or class [worke] here. Did you mean [worker]?"),
        ("[task_history]\ndb_connection = x\n", ""),
        ("[cors]\nenabled = true\n", ""),
        ("[settings]\nbucket = x\n[MyTask]\nday = 1\n", ""),
        ("[logging]\nversion = 1\n", "luigi reads it in luigi.toml only"),
        ("[core]\nno_lock = true\n", ""),
        ("[core]\nno_lock = false\n", "luigi.cfg, [core] no_lock: without effect here; `bsched run` takes no lock"),
        ("[core]\nlock_size = 2\ntake-lock = true\n", "luigi.cfg, [core] lock_size, take-lock: without effect here"),
    ],
)
def test_what_has_no_effect_on_a_run_is_named_once(read: Read, text: str, told: str) -> None:
    found = unhonoured(read(text), "run")
    assert (len(found) == 1 and told in found[0]) if told else found == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[scheduler]\nstate_path = x\nretry-delay = 1\n", "[scheduler] state_path: without effect here; Redis keeps"),
        ("[scheduler]\nrecord_task_history = true\n", "no task history is kept"),
        ("[scheduler]\nrecord_task_history = false\n", ""),
        ("[task_history]\ndb_connection = geheim\n", "luigi.cfg, [task_history] db_connection: without effect here"),
        ("[cors]\nenabled = true\nmax-age = 1\n", ""),
        ("[cors]\nallow_any = true\n", "[cors] allow_any is no option of luigi's. Did you mean allow_any_origin?"),
        ("[core]\nlock_size = 2\n[worker]\nid = x\n", ""),
        ("[scheduler]\nmetrics_collector = prometheus\n[prometheus]\nuse_task_family_in_labels = true\n", ""),
        ("[scheduler]\nmetrics_collector = datadog\n", "has no other collector: take metrics from there"),
        ("[scheduler]\nmetrics_collector = custom\n", "has no other collector: take metrics from there"),
        ("[prometheus]\nuse_task_family_in_labels = false\n", "the family always is a label of /metrics"),
        ('[prometheus]\ntask_parameters_to_use_in_labels = ["day"]\n', "no parameter is a label of /metrics"),
    ],
)
def test_what_has_no_effect_on_a_server_is_named_once(read: Read, text: str, told: str) -> None:
    found = unhonoured(read(text), "server")
    assert (len(found) == 1 and told in found[0] and "geheim" not in found[0]) if told else found == []


def test_what_the_other_side_reads_is_told(read: Read) -> None:
    config = read("[scheduler]\nretry_delay = 1\n[worker]\nid = x\n")
    assert elsewhere(config, "run") == "luigi.cfg: `bsched server` reads [scheduler]."
    assert elsewhere(config, "run", has_local_scheduler=True) is None
    assert elsewhere(config, "server") == "luigi.cfg: `bsched run`, `submit` and `worker` read [worker]."


# Values


@pytest.mark.parametrize(
    "text",
    ["3", "1.5", "1 week 2 days", "3h", "2 h 5 m", "1 minute 30 seconds", "P1DT2H", "PT5M3S", "P2W", "1 w 0 d 2 s"],
)
def test_a_duration_is_read_as_luigi_reads_it(text: str) -> None:
    expected = luigi.TimeDeltaParameter().parse(text).total_seconds()
    assert WorkerConfig.parse({"max_keep_alive_idle_duration": text}).max_keep_alive_idle_duration == expected


@given(st.timedeltas(min_value=datetime.timedelta(0)))
def test_a_duration_that_luigi_writes_is_read(value: datetime.timedelta) -> None:
    text = luigi.TimeDeltaParameter().serialize(value)
    found = WorkerConfig.parse({"max_keep_alive_idle_duration": text}).max_keep_alive_idle_duration
    assert found == value.days * 86400 + value.seconds


def test_the_worker_section_is_read_with_its_types(read: Read) -> None:
    text = "[worker]\nkeep_alive = True\ntask-limit = 5\ntask_process_context =\ncheck_unfulfilled_deps = false\n"
    text += "max_keep_alive_idle_duration = 1 h\n[core]\nworker-timeout = 7\n"
    config = WorkerConfig.parse(WorkerConfig.from_luigi(read(text)))
    expected = WorkerConfig(
        keep_alive=True, task_limit=5, check_unfulfilled_deps=False, max_keep_alive_idle_duration=3600.0, timeout=7.0
    )
    assert dataclasses.asdict(config) == dataclasses.asdict(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[core]\nlocal_scheduler = true\nscheduler_url = http://a\n", (None, "luigi.cfg, [core] local_scheduler")),
        ("[core]\ndefault-scheduler-url = http://a\n", ("http://a", "luigi.cfg, [core] default-scheduler-url")),
        (
            "[core]\nscheduler_url = http://b\ndefault_scheduler_url = http://a\n",
            ("http://b", "luigi.cfg, [core] scheduler_url"),
        ),
        ("[core]\nscheduler_url =\nscheduler_port = 1\n", ("http://localhost:1/", "luigi.cfg, [core] scheduler_port")),
        ("[core]\ndefault_scheduler_host = h\n", ("http://h:8082/", "luigi.cfg, [core] default_scheduler_host")),
        ("[core]\nworkers = 1\n", None),
        ("", None),
    ],
)
def test_the_address_is_the_one_that_luigi_would_take(read: Read, text: str, expected: Any) -> None:
    assert luigis_address(read(text)) == expected


def test_calls_over_http_are_made_as_core_says(read: Read) -> None:
    text = "[core]\nrpc-connect-timeout = 2.5\nrpc-retry-attempts = 4\nrpc_retry_wait = 0\nrpc_log_retries = false\n"
    expected = {"connect_timeout": 2.5, "attempts": 4, "wait_seconds": 0.0, "log_retries": False}
    assert remote_options(read(text)) == expected and remote_options(read("")) == {}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "[core]\nrpc-retry-attempts = few\n",
            "luigi.cfg, [core] rpc-retry-attempts is 'few'; it must be a whole number",
        ),
        ("[core]\nrpc-retry-attempts = 0\n", "at least one attempt"),
        (
            "[core]\nlocal_scheduler = perhaps\n",
            "luigi.cfg, [core] local_scheduler is 'perhaps'; it must be true or false",
        ),
        (
            "[scheduler]\nretry-delay = soon\n",
            "luigi.cfg, [scheduler] retry-delay: Option retry_delay is a number of seconds",
        ),
        ("[resources]\ndb = many\n", "luigi.cfg, [resources] db is 'many'; a limit is a number from 0 up"),
        ("[worker]\ntimeout = soon\n", "luigi.cfg, [worker] timeout: The worker's option timeout is 'soon'"),
    ],
)
def test_a_value_that_can_not_be_used_is_told_with_its_place(read: Read, text: str, told: str) -> None:
    config = read(text)
    with pytest.raises(ConfigurationError) as caught:
        luigis_address(config)
        remote_options(config)
        scheduler_settings(config)
        WorkerConfig.from_luigi(config)
    assert told in str(caught.value)


def test_scheduler_and_resources_are_read_with_their_types_and_without_what_has_no_effect(read: Read) -> None:
    text = "[DEFAULT]\nroot = /x\n[scheduler]\nretry-delay = 5\npause_enabled = false\nrecord_task_history = true\n"
    found = scheduler_settings(read(text + "[resources]\ndb = 2\nio-ops = 0.5\n"))
    assert found.options == {"retry_delay": 5.0, "pause_enabled": False}
    assert found.resources == {"db": 2, "io-ops": 0.5}
    assert found.places["resources.db"] == "luigi.cfg, [resources] db"


def test_mails_go_where_the_command_line_says_else_the_environment_else_luigi_cfg(
    read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = read("[core]\nerror-email = cfg@a\n[email]\nprefix = cfg\nsender = cfg@a\n")
    monkeypatch.setenv("BSCHED_EMAIL_RECEIVER", "environment@a")
    monkeypatch.setenv("BSCHED_EMAIL_SENDER", "environment@a")
    found = mail_settings(config.with_given({"email": {"receiver": "given@a"}})).email
    assert (found.receiver, found.sender, found.prefix) == ("given@a", "environment@a", "cfg")


def test_a_fleets_worker_stays_whatever_luigi_cfg_says_of_runs(read: Read) -> None:
    config = read("[worker]\nkeep_alive = false\ntimeout = 3\n")
    assert worker_settings([], {}, config, stays=True) == {"timeout": "3"}
    assert worker_settings(["keep_alive=false"], {}, config, stays=True)["keep_alive"] == "false"
    assert worker_settings([], {}, config)["keep_alive"] == "false"
