"""Executors: where a worker's tasks run, in processes of its own or on rq workers.

protocol.py says what each must do.
"""
