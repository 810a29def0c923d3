"""The JSON of scripts in fakeredis: like that of Redis it shall carry lone surrogates, which its own stumbles over."""

from __future__ import annotations

from typing import Any

from fakeredis.commands_mixins import scripting_mixin as scripting

from broker_sched.redis_backend.encoding import to_bytes

_TO_LUA, _TO_PYTHON = "_cjson_python_to_lua", "_cjson_lua_to_python"


def carry_surrogates() -> None:
    """Have both ways keep them. Twice does no harm; of a fakeredis that does it otherwise nothing is changed."""
    to_lua, to_python = getattr(scripting, _TO_LUA, None), getattr(scripting, _TO_PYTHON, None)
    if to_lua is None or to_python is None or hasattr(to_lua, "keeps_surrogates"):
        return

    def texts_to_lua(value: Any) -> Any:
        return to_bytes(value) if isinstance(value, str) else to_lua(value)

    def texts_to_python(value: Any) -> Any:
        return value.decode("utf-8", "surrogatepass") if isinstance(value, bytes) else to_python(value)

    texts_to_lua.keeps_surrogates = True  # type: ignore[attr-defined]  # a mark of ours
    setattr(scripting, _TO_LUA, texts_to_lua)
    setattr(scripting, _TO_PYTHON, texts_to_python)
