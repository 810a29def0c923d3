"""The API, declared once: methods, types, checks, replies and states."""
