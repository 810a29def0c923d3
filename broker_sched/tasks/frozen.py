"""Parameter values that can't change: lists become tuples, dicts FrozenDicts. Equal values have equal hashes."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any, NoReturn


class FrozenDict(dict[Any, Any]):
    """A dict that can't change and has a hash. It stays a dict: isinstance, json.dumps and == work as ever."""

    def __hash__(self) -> int:  # type: ignore[override]  # a dict has none, since it can change
        return hash(frozenset(self.items()))

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("A task's parameters can't change. Copy with dict(value), or make another task with clone().")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[type[FrozenDict], tuple[dict[Any, Any]]]:
        return FrozenDict, (dict(self),)

    def __copy__(self) -> FrozenDict:
        return self

    def __repr__(self) -> str:
        return dict.__repr__(self)


def freeze_json(value: Any) -> Any:
    """A JSON value, frozen through and through. Raises ValueError for what JSON can't say (it would not come back)."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, Mapping):
        if wrong := [key for key in value if type(key) is not str]:
            raise ValueError(
                f"the keys must be text, not {type(wrong[0]).__name__}, where the annotation leaves them open"
            )
        return FrozenDict({key: freeze_json(inner) for key, inner in value.items()})
    if isinstance(value, (list, tuple)):
        return tuple(freeze_json(inner) for inner in value)
    if isinstance(value, Set):
        raise ValueError("a set needs an annotation such as set[str]; where Any is said, only JSON values will do")
    raise ValueError(
        f"{type(value).__name__} needs an annotation of its own; where Any is said, only JSON values will do"
    )
