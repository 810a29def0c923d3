"""Counts what a run exercised, so that "no differences" can be judged."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.parity.pair import ADVANCE, Step
from tests.parity.reference import Reference


class Coverage:
    """Calls by method, replies by kind, and changes of state, over many sequences."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.replies: Counter[str] = Counter()
        self.events: Counter[str] = Counter()
        self.sequences = 0
        self.ended_early = 0  # the reference itself raised

    def note(self, step: Step, reply: Any, reference: Reference) -> None:
        """Count one answered step."""
        name, arguments = step
        if name == ADVANCE:
            return
        self.calls[name] += 1
        if name == "get_work":
            self.replies[self._kind_of_work(arguments, reply, reference)] += 1
        elif name == "task_list":
            kind = "only a number" if set(reply) == {"num_tasks"} else "tasks" if reply else "no tasks"
            self.replies[f"task_list: {kind}"] += 1
        elif name == "ping":
            self.replies[f"ping: {'messages' if reply['rpc_messages'] else 'nothing'}"] += 1
        elif name == "count_pending":
            self.replies[f"count_pending: {'some' if reply['n_pending_tasks'] else 'none'}"] += 1
        elif name == "re_enable_task":
            self.replies[f"re_enable_task: {'done' if reply else 'refused'}"] += 1
        elif name == "get_scheduler_message_response":
            self.replies[f"message response: {'nothing' if reply['response'] is None else 'something'}"] += 1

    def _kind_of_work(self, arguments: dict[str, Any], reply: dict[str, Any], reference: Reference) -> str:
        if reply["worker_state"] == "disabled":
            return "get_work: worker is disabled"
        if reply.get("batch_id"):
            return f"get_work: batch of {min(len(reply['batch_task_ids']), 5)}"
        task_id = reply["task_id"]
        if task_id is None:
            guarded = reference.guarded(arguments["worker"], arguments.get("assistant", False))
            return f"get_work: nothing{', only for the starvation guard' if guarded else ''}"
        if reference.handed_out_again:
            return "get_work: lost task again"
        kind = "as an assistant" if arguments.get("assistant") else "a task"
        needs = reference.needs(task_id)
        return f"get_work: {kind}{' with resources' if needs else ''}"

    def add(self, other: Coverage) -> None:
        """Take in what another run counted."""
        self.calls += other.calls
        self.replies += other.replies
        self.events += other.events
        self.sequences += other.sequences
        self.ended_early += other.ended_early

    def report(self) -> str:
        """All counts as text."""
        lines = [f"{self.sequences} sequences, {sum(self.calls.values())} calls, {self.ended_early} ended early"]
        for title, counts in (("calls", self.calls), ("replies", self.replies), ("events", self.events)):
            lines.append(f"{title}:")
            lines += [f"  {count:8d} {name}" for name, count in sorted(counts.items(), key=lambda item: -item[1])]
        return "\n".join(lines)
