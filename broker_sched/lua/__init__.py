"""The Lua scripts: one file per effect, what they share in lib/."""
