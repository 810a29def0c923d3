"""What handlers can listen to, and who calls them. Source: luigi.event.Event and luigi.task.Task, 3.8.1."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, ClassVar, Final, TypeVar

log = logging.getLogger("bsched.task")

Handler = TypeVar("Handler", bound=Callable[..., Any])


class Event:
    """The names of events; the texts are Luigi's, so that handlers of either kind hear the same."""

    DEPENDENCY_DISCOVERED: Final = "event.core.dependency.discovered"  # (task, dep)
    DEPENDENCY_MISSING: Final = "event.core.dependency.missing"  # (task): external, or not yet scheduled
    DEPENDENCY_PRESENT: Final = "event.core.dependency.present"  # (task): complete when it was scheduled
    BROKEN_TASK: Final = "event.core.task.broken"  # (task, exception): complete(), requires() … failed
    START: Final = "event.core.start"  # (task)
    PROGRESS: Final = "event.core.progress"  # (task, anything): for the task itself to fire while it runs
    FAILURE: Final = "event.core.failure"  # (task, exception)
    SUCCESS: Final = "event.core.success"  # (task)
    PROCESSING_TIME: Final = "event.core.processing_time"  # (task, seconds)
    TIMEOUT: Final = "event.core.timeout"  # (task, explanation)
    PROCESS_FAILURE: Final = "event.core.process_failure"  # (task, explanation)


class EventSource:
    """A class whose instances fire events. A handler hears the class that it was given for, and its subclasses."""

    _handlers: ClassVar[dict[type, dict[str, list[Callable[..., Any]]]]] = {}

    @classmethod
    def event_handler(cls, event: str) -> Callable[[Handler], Handler]:
        """Decorate a function: it is called with an event's arguments when an instance of this class fires it."""

        def remember(handler: Handler) -> Handler:
            handlers = EventSource._handlers.setdefault(cls, {}).setdefault(event, [])
            if handler not in handlers:
                handlers.append(handler)
            return handler

        return remember

    @classmethod
    def remove_event_handler(cls, event: str, callback: Callable[..., Any]) -> None:
        """Undo event_handler on the same class. Raises KeyError when there is no such handler."""
        handlers = EventSource._handlers.get(cls, {}).get(event, [])
        if callback not in handlers:
            raise KeyError(f"{cls.__name__} has no such handler for {event}; it is removed where it was added.")
        handlers.remove(callback)

    def trigger_event(self, event: str, *args: Any, **kwargs: Any) -> None:
        """Call the handlers of an event. What one of them raises is logged, and the others are called.

        KeyboardInterrupt goes on: it is meant for the program. (Luigi: it ends the round of handlers, unseen.)
        """
        for source, handlers in list(EventSource._handlers.items()):
            if isinstance(self, source):
                for handler in list(handlers.get(event, ())):
                    self._call(handler, event, args, kwargs)

    @staticmethod
    def _call(handler: Callable[..., Any], event: str, args: Any, kwargs: Any) -> None:
        try:
            handler(*args, **kwargs)
        except KeyboardInterrupt:
            raise
        except BaseException:  # SystemExit, too: a handler may not end the worker
            log.exception("A handler of %s failed.", event)
