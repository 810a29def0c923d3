"""Parity: the same calls, sent to Luigi's running scheduler and to ours, must get the same answers."""
