"""Wrong references: each is one small mistake that the harness must notice.

A mutant replaces a fragment of luigi.scheduler's text. The name says the mistake.
"""

from __future__ import annotations

# name → (fragment, what stands there instead)
MUTANTS: dict[str, tuple[str, str]] = {
    # get_work
    "no_starvation_guard": ("self._has_resources(task.resources, greedy_resources)", "True"),
    "no_resource_check": ("self._has_resources(task.resources, used_resources)", "True"),
    "running_tasks_use_no_slots": ("greedy_workers[task.worker_running] -= 1", "pass"),
    "greedy_tasks_use_no_slots": ("greedy_workers[task_worker] -= 1", "pass"),
    "greedy_slots_of_silent_workers_count": ("last_get_work_gt=activity_limit", "last_get_work_gt=-1"),
    "greedy_silence_edge": ("last_get_work <= last_get_work_gt", "last_get_work < last_get_work_gt"),
    "one_slot_whatever_the_info": ('worker.info.get("workers", 1)', "1"),
    "every_worker_is_guarded": ("worker.is_trivial_worker(self._state)", "False"),
    "no_worker_is_guarded": ("worker.is_trivial_worker(self._state)", "True"),
    "default_limit_is_two": ("available_resources.get(resource, 1)", "available_resources.get(resource, 2)"),
    "limit_is_exclusive": ("> available_resources.get", ">= available_resources.get"),
    "newest_first": ("task.priority, -task.time", "task.priority, task.time"),
    "priority_ignored": ("task.priority, -task.time", "0, -task.time"),
    "assistant_ignored": ("(assistant and task.runnable)", "False"),
    "assistant_runs_anything": ("(assistant and task.runnable)", "assistant"),
    "assistant_is_not_remembered": ('self.add_worker(worker_id, [("assistant", assistant)])', "pass"),
    "lost_task_stays_lost": ("task.id not in ct_set", "False"),
    "lost_worst_task_first": (
        "get_active_tasks_by_status(RUNNING), key=self._rank)",
        "get_active_tasks_by_status(RUNNING), key=self._rank)[::-1]",
    ),
    "orphaned_members_stay": ("self._reset_orphaned_batch_running_tasks(worker_id)", "pass"),
    "pause_has_no_effect": ("if self._paused:", "if False:"),
    "missing_dep_does_not_block": ("dep_task is None or dep_task.status", "dep_task is not None and dep_task.status"),
    # batches
    "batch_without_limit": ("len(batched_tasks) < max_batch_size", "True"),
    "batch_mixes_resources": ("task.resources == best_task.resources", "True"),
    "batch_mixes_parameters": ("task.params.get(name) == value", "True"),
    "batch_takes_unbatchable": ("and task.is_batchable()\n", "\n"),
    "batch_takes_blocked": ("best_task.resources\n                and self._schedulable(task)", "best_task.resources"),
    "members_do_not_follow": ("self.set_status(batch_task, new_status, config)", "pass"),
    "members_get_no_expl": ("batch_task.expl = expl", "pass"),
    "members_get_no_tracking_url": ("batch_task.tracking_url = tracking_url", "pass"),
    "members_get_no_progress": ("batch_task.progress_percentage = progress_percentage", "pass"),
    "failed_combined_task_stays": ("if remove_on_failure:", "if False:"),
    "combined_task_holds_nothing": ("batch_tasks[0].resources_running.copy()", "{}"),
    # add_task and statuses
    "cooldown_edge": ("< self._config.stable_done_cooldown_secs", "<= self._config.stable_done_cooldown_secs"),
    "no_cooldown": ("< self._config.stable_done_cooldown_secs", "< 0"),
    "no_priority_propagation": ("prio > t.priority", "False"),
    "placeholder_without_priority": ("deps=None, priority=priority", "deps=None"),
    "anyone_may_report": ("(task_started_a_run and running_on_this_worker)", "task_started_a_run"),
    "new_deps_do_not_reschedule": ("running_on_this_worker) or new_deps", "running_on_this_worker)"),
    "new_deps_replace": ("task.deps.update(new_deps)", "task.deps = set(new_deps)"),
    "failed_worker_joins": ("if runnable and status != FAILED", "if runnable"),
    "not_runnable_joins": ("if runnable and status != FAILED", "if status != FAILED"),
    "readding_moves_to_the_end": (
        "task.workers.add(worker_id)",
        "task.workers.discard(worker_id); task.workers.add(worker_id)",
    ),
    "readding_leaves_removal": ("if task.remove is not None:", "if False:"),
    "new_policy_for_this_failure": (
        "if accepts_messages is not None:",
        "task.retry_policy = retry_policy\n        if accepts_messages is not None:",
    ),
    "retry_count_of_zero_is_unset": ("if v is not None})", "if v})"),
    "disabled_worker_creates": (
        "        if worker.enabled:\n            _default_task",
        "        if True:\n            _default_task",
    ),
    "running_can_be_disabled": ("if new_status == DISABLED and task.status in (RUNNING, BATCH_RUNNING):", "if False:"),
    "disable_can_be_overridden": (
        "elif task.scheduler_disable_time is not None and new_status",
        "elif False and new_status",
    ),
    "suspended_is_failed": ("PENDING if status == SUSPENDED", "FAILED if status == SUSPENDED"),
    "assistants_are_stakeholders": ("worker.enabled and not assistant", "worker.enabled"),
    # failures and prune
    "retry_edge": ("task.retry < time.time()", "task.retry <= time.time()"),
    "negative_delay_retries": ("config.retry_delay >= 0", "True"),
    "retry_count_edge": (">= self.retry_policy.retry_count", "> self.retry_policy.retry_count"),
    "failure_window_edge": ("self.failures[0] < min_time", "self.failures[0] <= min_time"),
    "hard_timeout_edge": (">= self.first_failure_time", "> self.first_failure_time"),
    "failures_are_remembered": ("self.failures.clear()", "pass"),
    "persist_edge": ("> config.disable_persist", ">= config.disable_persist"),
    "worker_death_edge": ("worker_disconnect_delay < time.time()", "worker_disconnect_delay <= time.time()"),
    "removal_edge": ("time.time() >= task.remove", "time.time() > task.remove"),
    "running_task_is_removed": ("(task.remove is None) and (task.status != RUNNING)", "(task.remove is None)"),
    "assistants_protect_nothing": ("task.stakeholders | assistants", "task.stakeholders"),
    "dead_worker_stays_in_tasks": ("task.workers -= workers", "pass"),
    # views and the rest
    "disabled_upstream_is_counted": ("== UPSTREAM_DISABLED", "== None"),
    "last_scheduled_is_first": ("peek(last=True) == worker_id", "peek(last=False) == worker_id"),
    "hidden_parameters_are_shown": (
        "ParameterVisibility.PUBLIC) == ParameterVisibility.PUBLIC",
        "ParameterVisibility.PUBLIC) != ParameterVisibility.PRIVATE",
    ),
    "messages_come_twice": ("del self.rpc_messages[:]", "pass"),
    "responses_are_kept": (
        "scheduler_message_responses.pop(message_id, None)",
        "scheduler_message_responses.get(message_id)",
    ),
    "done_can_not_be_forced": ("in {RUNNING, FAILED, DISABLED}", "in {RUNNING, FAILED}"),
    "decrease_below_zero": ("max(0, resources[resource] - decrease_amount)", "resources[resource] - decrease_amount"),
    "search_is_case_sensitive": ("term.casefold() in t.pretty_id.casefold()", "term in t.pretty_id"),
    "early_limit_also_with_search": ("        if not search:\n", "        if True:\n"),
    "inverse_graph_with_done": (
        "dep_func=lambda t: inverse_graph[t.id], include_done=include_done",
        "dep_func=lambda t: inverse_graph[t.id]",
    ),
    "graph_limit_off_by_one": ("len(serialized) >= self._config", "len(serialized) > self._config"),
    "uniques_of_all_tasks": ("if len(task.workers) == 1:", "if task.workers:"),
}
