"""A command that handles SIGTERM and SIGHUP forks processes that don't, from their first moment on."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from broker_sched import interrupts
from bsched import signals
from bsched.signals import Interruption


@pytest.fixture(autouse=True)
def handlers_as_before() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in signals.ENDING}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def fork_and_send(number: int) -> int:
    """The exit code of a process that is sent a signal as soon as there is one."""
    pid = os.fork()
    if not pid:
        time.sleep(5)
        os._exit(3)
    os.kill(pid, number)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_comes_as_soon_as_a_process_is_forked_ends_it(number: signal.Signals) -> None:
    Interruption().take()
    Interruption().take([signal.SIGTERM], lambda number, frame: None)  # as `bsched worker` does
    assert {fork_and_send(number) for _ in range(20)} == {-number}


@pytest.mark.parametrize("how", [signal.SIG_BLOCK, signal.SIG_SETMASK])
def test_a_signal_that_comes_while_a_process_is_forked_ends_the_command(
    monkeypatch: pytest.MonkeyPatch, how: signal.Sigmasks
) -> None:
    Interruption().take()
    interrupts.expect_another()  # that of the test before is not this one
    parent, set_mask, sent = os.getpid(), signal.pthread_sigmask, list[int]()

    def set_mask_late(how_now: int, numbers: Any) -> Any:
        if how_now == how and os.getpid() == parent and not sent:
            sent.append(signal.SIGTERM)
            signal.pthread_kill(threading.get_ident(), signal.SIGTERM)  # another thread would take it at once
        return set_mask(how_now, numbers)

    monkeypatch.setattr(signal, "pthread_sigmask", set_mask_late)
    with pytest.raises(KeyboardInterrupt) as caught:
        if not os.fork():
            os._exit(0)
        time.sleep(60)
    names = {entry.name for entry in caught.traceback}
    assert sent and not names & {"_hold_back", "_let_through"}, "what a hook of a fork raises is printed and forgotten"
    os.wait()


def test_a_fork_leaves_the_mask_of_signals_as_it_was() -> None:
    Interruption().take()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    assert fork_and_send(signal.SIGTERM) == -signal.SIGTERM
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before
