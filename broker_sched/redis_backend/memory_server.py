"""`memory:` and `memory:NAME`: a Redis inside this process (fakeredis), shared by all that name it, gone at its end.

Like that of Redis the JSON of its scripts shall carry lone surrogates, which fakeredis's own stumbles over.
"""

from __future__ import annotations

import threading
from typing import Any

import fakeredis
from fakeredis.commands_mixins import scripting_mixin as scripting

from broker_sched import interrupts
from broker_sched.redis_backend.encoding import ERRORS, to_bytes

_servers: dict[str, fakeredis.FakeServer] = {}
_lock = threading.Lock()
_TO_LUA, _TO_PYTHON = "_cjson_python_to_lua", "_cjson_lua_to_python"


def client_of(url: str) -> Any:
    """A redis-py client of the server that this URL names, made when it is first named."""
    carry_surrogates()
    keep_scripts_whole()
    with _lock:
        server = _servers.setdefault(url.partition(":")[2], fakeredis.FakeServer())
    # Any other protocol is asked for with a number, see Argument in lua/arguments.py.
    return fakeredis.FakeRedis(server=server, decode_responses=True, encoding_errors=ERRORS, protocol=2)


def keep_scripts_whole() -> None:
    """Have no interruption end a script half-way, which would leave what no Redis ever does. Twice does no harm."""
    scripts: Any = scripting.ScriptingCommandsMixin
    if not hasattr(scripts.eval, "__wrapped__"):
        scripts.eval = interrupts.whole(scripts.eval)


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
