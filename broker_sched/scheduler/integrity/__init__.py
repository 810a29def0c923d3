"""The self-check: every index compared with the tasks it comes from, and repaired."""
