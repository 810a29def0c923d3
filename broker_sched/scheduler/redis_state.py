"""What Redis tells of itself (INFO), as an overview shows it."""

from __future__ import annotations

from broker_sched.contract import view_replies


def redis_state(*sections: str) -> view_replies.RedisState:
    """Return version, memory and persistence from sections of INFO; null what they don't have."""
    told = dict(line.split(":", 1) for section in sections for line in section.splitlines() if ":" in line)
    saves = [told[name] == "ok" for name in ("rdb_last_bgsave_status", "aof_last_write_status") if name in told]
    aof = told.get("aof_enabled")
    return {
        "version": told.get("valkey_version") or told.get("redis_version"),
        "used_memory": _whole(told.get("used_memory")),
        "max_memory": _whole(told.get("maxmemory")),
        "persistence": None if aof is None else "aof" if aof == "1" else "no aof",
        "last_save_ok": all(saves) if saves else None,
        "last_save": _whole(told.get("rdb_last_save_time")),
        "unsaved_changes": _whole(told.get("rdb_changes_since_last_save")),
    }


def _whole(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None
