"""What differs between the kinds of Redis that broker_sched runs on, and must not be noticed.

All other tests run on one real server. These run on each kind: fakeredis, which is behind `memory:`, Redis 6.2 and 8,
and Valkey 9. `make nightly` runs every test on every kind.

A kind has its own way to tell of a script's error (test_script_errors), to write numbers (test_numbers), to read and
write JSON in scripts (test_json), to keep text that is no UTF-8 (test_text), to go through a set (test_scans), and to
say what a user may do (test_permissions; by day Redis 6.2 and 8 only). test_every_method goes through the whole API
once.
"""
