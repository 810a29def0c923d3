"""Calls the scheduler, and does not give up at once when it can't be reached; when it says no, it does."""

from __future__ import annotations

import functools
import importlib
import logging
import time
from collections.abc import Callable
from typing import Any, cast

from broker_sched.contract.scheduler_api import SchedulerAPI
from broker_sched.errors import (
    BrokerSchedError,
    ConfigurationError,
    LoginRefused,
    Refused,
    Superseded,
    UnknownMethod,
    Unreachable,
)
from broker_sched.worker.default_scheduler import default_scheduler
from broker_sched.worker.text_limits import shortened_explanation

log = logging.getLogger("bsched.worker")

FIRST_WAIT_SECONDS = 1.0  # before an unreachable scheduler is asked again; doubled each time
SERVERS = ("http://", "https://", "http+unix://")
LONGEST_WAIT_SECONDS = 15.0
ALONE_TIMES = 3  # in a row: then 401 or 403 is about one call alone, as of a firewall that does not like its text
# A login that was good before is tried again for so long: a list of users may be read anew, a token be replaced. After
# that, by default, a scheduler takes what a silent worker runs for failed (worker_disconnect_delay).
LOGIN_SECONDS = 60.0


class RetryingScheduler:
    """Calls a scheduler, and while `is_retrying` asks one that can't be reached again, for patience_seconds.

    wait: passes that many seconds usefully; called between two attempts of a method. is_pointless: whether a call of
    this method is not worth waiting for any more. on_superseded: called with the task's id and the attempt when what
    its run reports is refused, as it does not count. begin: begins a call of a method, which a function makes, and
    returns what waits for its reply.
    """

    def __init__(
        self,
        scheduler: SchedulerAPI,
        patience_seconds: float,
        wait: Callable[[float, str], None],
        is_pointless: Callable[[str], bool],
        on_superseded: Callable[[str, int | None], None],
        begin: Callable[[str, Callable[[], Any]], Callable[[], Any]] = lambda method, call: call,
    ) -> None:
        self.scheduler = scheduler
        self.is_retrying = False
        self._was_answered = False
        self._patience_seconds = patience_seconds
        self._wait = wait
        self._is_pointless = is_pointless
        self._on_superseded = on_superseded
        self._begin = begin
        self._told: set[str] = set()  # what was said of this outage: each thing once
        self._unknown: set[str] = set()  # methods that the scheduler does not have

    def call(self, method: str, **arguments: Any) -> Any:
        """Call a method of the contract, and return its reply. An explanation that is too long is shortened.

        Raises what the method raises; Unreachable when nobody has answered for patience_seconds.
        """
        return self.begin(method, **arguments)()

    def begin(self, method: str, **arguments: Any) -> Callable[[], Any]:
        """Begin what call() does, and return a function that waits for it, and returns and raises what call() would."""
        if arguments.get("expl"):
            arguments["expl"] = shortened_explanation(arguments["expl"])
        make = functools.partial(getattr(self.scheduler, method), **arguments)
        return functools.partial(self._reply_to, method, make, self._begin(method, make))

    def _reply_to(self, method: str, make: Callable[[], Any], reply: Callable[[], Any]) -> Any:
        """Return the reply to a call that was begun, or to the same one made again."""
        wait, began, refused_alone = FIRST_WAIT_SECONDS, time.monotonic(), 0
        while True:
            try:
                answer = reply()
                self._was_answered = True
                self._note_answer()
                return answer
            except (Unreachable, LoginRefused) as error:
                longest, why = self._patience_seconds, "can't be reached"
                if isinstance(error, LoginRefused):
                    longest, why = min(longest, LOGIN_SECONDS) if self._was_answered else 0.0, "refuses the login"
                if not self.is_retrying or time.monotonic() >= began + longest or self._is_pointless(method):
                    raise
                if isinstance(error, LoginRefused):
                    refused_alone = refused_alone + 1 if self.answers() else 0
                    if refused_alone >= ALONE_TIMES:
                        raise Refused(f"Other calls are answered, but this one is refused: {error}") from error
                level = logging.DEBUG if str(error) in self._told else logging.WARNING
                self._told.add(str(error))
                log.log(
                    level,
                    "The scheduler %s for %s: %s What runs goes on; it is asked again, at least every %.0f s.",
                    *(why, method, error, LONGEST_WAIT_SECONDS),
                )
            self._wait(wait, method)
            wait = min(2 * wait, LONGEST_WAIT_SECONDS)
            reply = self._begin(method, make)

    def answers(self) -> bool:
        """Return whether another call is answered: then saying no is no matter of login or URL, but of what the call
        says."""
        try:
            self.scheduler.is_paused()
        except BrokerSchedError:
            return False
        return True

    def _note_answer(self) -> None:
        if self._told:
            self._told.clear()
            log.info("The scheduler answers again.")

    def pass_on(self, method: str, arguments: dict[str, Any]) -> None:
        """Call a method for a task that asked for it. What the scheduler refuses is the task's mistake, and is logged.

        What luigid has no method for is dropped. Raises Unreachable and LoginRefused.
        """
        if not hasattr(self.scheduler, method) or method in self._unknown:
            return
        try:
            self.call(method, **arguments)
        except UnknownMethod:
            self._unknown.add(method)
        except (Unreachable, LoginRefused):
            raise
        except Superseded as error:
            log.warning("%s", error)
            self._on_superseded(arguments["task_id"], arguments.get("attempt"))
        except BrokerSchedError as error:
            log.error("A task's %s was refused: %s", method, error)


def scheduler_of(given: Any) -> SchedulerAPI:
    """What a worker was given as its scheduler: a URL of a server or of Redis, None for the default one, or one itself.

    Raises ConfigurationError for anything else. The classes are found by name: the worker knows of no transport.
    """
    package = importlib.import_module("broker_sched")
    if given is None:
        return default_scheduler()
    if isinstance(given, str):
        url = given.strip()
        if url.startswith(SERVERS):  # the worker waits out an outage itself
            return cast(SchedulerAPI, package.RemoteScheduler(url, wait_seconds=FIRST_WAIT_SECONDS))
        if url.partition(":")[0] not in ("local", "memory") and "://" not in url:
            raise ConfigurationError(
                "The worker's scheduler is a text, and no URL: it has no http:// or redis:// at its beginning. Write "
                "http://host:8082 for a server, redis://host:6379/0 for Redis."
            )
        return cast(SchedulerAPI, package.Scheduler(url))
    if isinstance(given, type) or not callable(getattr(given, "get_work", None)):
        what = f"the class {given.__name__}" if isinstance(given, type) else f"a {type(given).__name__}"
        raise ConfigurationError(
            f"A worker's scheduler can't be {what}. Give a URL, such as http://host:8082 or redis://host:6379/0, "
            "or Scheduler(...) or RemoteScheduler(...)."
        )
    return cast(SchedulerAPI, given)
