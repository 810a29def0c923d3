"""Every key in Redis: its pattern, type, content and lifetime. docs/keys.md is made from this table.

All keys of a namespace start `bsched:{<namespace>}:`; the braces put them into one
Redis Cluster slot. <n> is a task's number (see `ids`), <runner_set> and <stakeholder_set>
are numbers of interned sets of workers, <w> is a worker's number.
"""

from __future__ import annotations

from typing import NamedTuple

# What the self-check (integrity/) does about a key.
RECOMPUTED = "recomputed"  # its whole content follows from the tasks: expected_indexes.py says what it must be
KEPT = "kept"  # a fact of its own
REPORTED = "reported"  # there is none while all is well


class Key(NamedTuple):
    """A pattern of keys, with what such a key holds, for how long, and what the self-check does about it.

    Keys whose names are equal up to the first colon are of one kind, and checked alike.
    """

    pattern: str
    type: str
    content: str
    lifetime: str
    check: str = KEPT
    is_for_servers: bool = False  # it says who may log in, so users of Redis who work for no server can't reach it


SERVER_SECONDS = 60.0  # a server process that was not seen for so long has ended; announce_server.lua drops it then

FOREVER = "permanent"
TASK = "while the task is there"
USED = "while it has members"

KEYS = (
    Key(
        "config",
        "hash",
        "schema, version, paused, paused_families (JSON, family → since when (s)), lowest_priority, every option, "
        "set:<option> (JSON, when (s) and by whom it was set); who repairs indexes (repairing) or imports "
        "tasks (import) at the moment; since when it is migrated (migrating_since, s)",
        FOREVER,
    ),
    Key(
        "nothing",
        "none",
        "never there: scripts declare it, so that a Cluster moves the slot between two of them; its name may end "
        "with the id of a request, for SLOWLOG and MONITOR",
        "never",
        REPORTED,
    ),
    Key(
        "counters",
        "hash",
        "last number given to a task, worker, runner set, stakeholder set, batch; superseded: how many reports were "
        "refused",
        FOREVER,
    ),
    Key("resources", "hash", "resource → limit; 1 where absent", FOREVER),
    Key(
        "events",
        "stream",
        "every change of status: task_id, family, from, to, worker, time (s); of one that ends a run: started (s), "
        "too; of a refused report: refused, attempt; of what people did: by, and asked where no status changed",
        "the last 10,000 or so",
    ),
    Key(
        "servers",
        "hash",
        "server process → JSON: host, pid, version, address, started, seen (s)",
        "a minute after it was seen last",
    ),
    Key(
        "failed_runs",
        "stream",
        "each failure: task_id, family, worker, host, attempt, status (FAILED or DISABLED), error (the last line of "
        "why, at most 200 characters), time (s)",
        "the last 10,000 or so",
    ),
    Key(
        "ended:<n>",
        "hash",
        "how many runs ended in the 20 s from 20 n on: DONE, FAILED (disabled by it, too), failed:<family>, "
        "done_on:<worker_id>, failed_on:<worker_id>",
        "about an hour",
    ),
    Key("prune_lock", "string", "who prunes at the moment", "a second"),
    Key(
        "reply:<caller>",
        "string",
        "a caller's last request and its answer; of one call's further scripts in reply:<caller>/<k>",
        "15 minutes",
    ),
    Key(
        "failed_logins:address:<address>",
        "hash",
        "how many logins failed from an address (count), and when the last one did (s)",
        "15 minutes after the last",
    ),
    Key(
        "failed_logins:account:<digest>",
        "hash",
        "the same for an account, whose name is hashed",
        "15 minutes after the last",
    ),
    Key(
        "failed_logins:right:<digest>",
        "string",
        "that an account has logged in from an address; both are hashed",
        "90 days after the last time that its password was tried",
    ),
    Key(
        "failed_logins:pair:<digest>",
        "hash",
        "how many logins of such an account failed from there since (count), and when the last one did (s)",
        "15 minutes after the last",
    ),
    Key("wake:<mailbox>", "list", "ids of woken workers, for whoever waits for them", "a minute"),
    # tasks
    Key(
        "task:<task_id>",
        "hash",
        "status, priority, times (s), family, module, params, workers, runner_set, stakeholder_set, attempt (number of "
        "its latest hand-out), what it holds, since when it waits for deps that its run() wanted (waits_since), where "
        "it is indexed; ready_since (s) while it is READY, and became so later than PENDING, else '' or absent; "
        "blocked, '1' while it is BLOCKED, else '' or absent; date: the day or month that it is for; disabled_by: who "
        "of the people has disabled it",
        TASK,
    ),
    Key(
        "detail:<task_id>",
        "hash",
        "what is long or rare: tracking_url, messages, progress, owners, long params, long expl",
        TASK,
    ),
    Key("log:<task_id>", "string", "when it was told (s), how much its latest run wrote, the end of it", "a day"),
    Key(
        "trace:<task_id>",
        "hash",
        "where traces are made: the span in which it was scheduled (submission), and that of its latest attempt",
        "a week",
    ),
    Key("ids", "hash", "task number → task_id, of tasks and missing deps", TASK, RECOMPUTED),
    Key(
        "missing_deps", "hash", "task_id → number of what is depended on and not there", "while depended on", RECOMPUTED
    ),
    Key(
        "tasks:<state>:<family>",
        "zset",
        "numbers of the tasks of a state and family ('' is none so far), by since when (s): ready_since, else updated. "
        "A state is a status, and PENDING split in three: READY (no unmet dep), BLOCKED (UPSTREAM_DISABLED), WAITING",
        USED,
        RECOMPUTED,
    ),
    Key(
        "dated:<state>:<date>:<family>",
        "set",
        "numbers of the tasks of a state and family that are for this day (2024-03-01) or month (2024-03): field date",
        USED,
        RECOMPUTED,
    ),
    Key("months:<family>", "hash", "month → how many of the family's tasks have a date in it", USED, RECOMPUTED),
    Key("families", "set", "the families that have tasks", USED, RECOMPUTED),
    Key(
        "family:<family>",
        "hash",
        "runs (that ended DONE, of all time), last_error (a line), last_failed (s), last_failed_task",
        "30 days after its last task",
    ),
    Key(
        "run_times:<family>",
        "list",
        "how long its last runs took that ended DONE (s), newest first, 100 or some more; of a batch, the whole",
        "like family:<family>",
    ),
    Key(
        "metrics:<family>",
        "hash",
        "what /metrics counts: started, done, failed, disabled; last (s); wait:<i>, wait_sum (s), run:<i>, run_sum "
        "(s): the i-th bucket of a histogram, counted from 1, and its sum",
        FOREVER,
    ),
    Key(
        "metric_notes",
        "list",
        "what was not yet added up for /metrics, oldest first: <kind><seconds> <family>; at most 500, and none once "
        "somebody has asked for the metrics",
        FOREVER,
    ),
    Key("metric_families", "set", "the families that have metrics:<family>: the first 200", FOREVER),
    Key("other_metrics", "hash", "metrics of all other families", FOREVER),
    Key("wakeup_metrics", "hash", "woken:<i>, woken_sum (s): from a worker's wakeup to its asking for work", FOREVER),
    Key(
        "server_metrics",
        "hash",
        "what all servers counted: rpc:<method>:<i>, rpc_sum:<method> (s), redis_errors",
        FOREVER,
    ),
    Key("deps:<n>", "set", "numbers of its deps", TASK),
    Key("dependents:<n>", "set", "numbers of the tasks that depend on it", USED, RECOMPUTED),
    Key("unmet:<n>", "set", "its deps that are not DONE; '!' while deps are being read in", USED, RECOMPUTED),
    Key("blockers:<n>", "set", "its deps that make it UPSTREAM_DISABLED", USED, RECOMPUTED),
    Key("failures:<n>", "list", "times (s) of its failures within the window", TASK),
    Key(
        "attempts:<n>",
        "list",
        "its last 20 runs that ended, oldest first, JSON each: [attempt, started (s), ended (s), how, worker, host, "
        "error line or '']. How: DONE, FAILED, DISABLED; PENDING when it was given back, WAITING when its run() wanted "
        "more deps. The run that made it DONE stands in the task's fields, and here once it is DONE no more",
        TASK,
    ),
    Key("staged:<token>", "list", "ids of a long list of deps, on their way in", "15 minutes, or until read in"),
    Key("unlink:<n>", "set", "numbers of deps it no longer has, on their way out", "until done"),
    # ready to run
    Key("ready:<runner_set>|<needs>", "zset", "ready tasks: member rank, score -priority", USED, RECOMPUTED),
    Key(
        "ready:<runner_set>@<label>|<needs>",
        "zset",
        "those of a module or family that some worker must not have, and those of paused families",
        USED,
        RECOMPUTED,
    ),
    Key("ready_queues", "set", "`<runner_set>|<needs>` of all ready:… that have members", USED, RECOMPUTED),
    Key("ready_queues:<runner_set>", "set", "the same of one runner set", USED, RECOMPUTED),
    Key(
        "batch_ready:<runner_set>|<signature>",
        "zset",
        "ready batchable tasks of one kind, like ready:…",
        USED,
        RECOMPUTED,
    ),
    Key("batch_runner_sets:<signature>", "set", "runner sets with such tasks", USED, RECOMPUTED),
    Key("batch_keys:<n>", "set", "the batch_ready:… a task stands in", USED, RECOMPUTED),
    Key("batchable:<family>", "set", "numbers of the family's ready batchable tasks", USED, RECOMPUTED),
    # running
    Key("running", "zset", "RUNNING tasks: member rank, score -priority", USED, RECOMPUTED),
    Key("running:<worker_id>", "set", "numbers of the tasks RUNNING on a worker", USED, RECOMPUTED),
    Key(
        "used",
        "hash",
        "resource → amount held by RUNNING tasks: an exact sum, as several numbers where one can't hold it",
        USED,
        RECOMPUTED,
    ),
    Key("batch:<batch_id>", "set", "numbers of the BATCH_RUNNING members", USED, RECOMPUTED),
    Key("batch_running", "set", "numbers of the BATCH_RUNNING members of all batches", USED, RECOMPUTED),
    Key("worker_batches:<worker_id>", "hash", "batch id → how many of its members run on a worker", USED, RECOMPUTED),
    # workers
    Key("workers", "zset", "worker ids by last contact (s)", USED),
    Key(
        "worker:<worker_id>",
        "hash",
        "w (its number), weight, started, start_id, last_get_work, host, disabled, assistant, slots, modules, refuses, "
        "woken (since when (s) it is woken and has not asked for work)",
        "until pruned",
    ),
    Key("refusals:<worker_id>", "zset", "modules and families that it can't load, by until when (s)", "until pruned"),
    Key("refusal_reasons:<worker_id>", "hash", "module, or module:family → why it could not load it", "an hour"),
    Key("memory:<worker_id>", "string", "task_id → bytes of the process that runs it, JSON", "a minute"),
    Key(
        "missed:<worker_id>",
        "string",
        "why what it ran has failed, mostly that it was silent for too long; and its host; a JSON list",
        "an hour",
    ),
    Key("worker_info:<worker_id>", "hash", "what the worker told of itself, JSON", "until pruned"),
    Key("idle", "zset", "numbers of workers that wait for work, by until when (s)", USED),
    Key("idle_assistants", "zset", "the same for assistants", USED),
    Key("submissions", "set", "numbers of workers that are submissions", USED, RECOMPUTED),
    Key(
        "submission:<worker_id>",
        "hash",
        "state, submitted, ended (s); tasks, counts (JSON)",
        "a week after its end",
    ),
    Key("ended_submissions", "zset", "submissions by when they ended (s)", "a week each"),
    Key("worker_ids", "hash", "worker number → worker id", "until pruned", RECOMPUTED),
    Key(
        "gone_workers",
        "zset",
        "of workers that are gone: when it was heard of last (s), a space, its id; by number",
        "the last 10,000 numbers",
    ),
    Key("messages:<worker_id>", "list", "messages for its next ping, JSON", "until read"),
    Key("batchers:<worker_id>", "hash", "family → maximum and batched parameters", "a week after the worker"),
    Key("batch_names:<family>", "set", "lists of batched parameters ever registered", FOREVER),
    # worker sets: interned sets of workers
    Key(
        "runner_set:<runner_set>",
        "hash",
        "key, size; numbers of tasks: tasks, pending, with_resources, counted",
        "while a task refers to it",
        RECOMPUTED,
    ),
    Key(
        "runner_set:<runner_set>:workers",
        "set",
        "numbers of the workers that can run its tasks",
        "like runner_set:<runner_set>",
        RECOMPUTED,
    ),
    Key("runner_set:<runner_set>:running", "hash", "task_id → worker_id of its RUNNING tasks", USED, RECOMPUTED),
    Key("counted:<runner_set>:<w>", "set", "tasks that count as pending, by who signed up last", USED, RECOMPUTED),
    Key("runner_sets", "hash", "a runner set's key → its number and size", "like runner_set:<runner_set>"),
    Key("worker_runner_sets:<w>", "set", "the runner sets of a worker", USED, RECOMPUTED),
    Key("stakeholder_set:<stakeholder_set>", "hash", "key, size", "while a task refers to it", RECOMPUTED),
    Key(
        "stakeholder_set:<stakeholder_set>:workers",
        "set",
        "numbers of the workers with a stake in its tasks",
        "like stakeholder_set:<stakeholder_set>",
        RECOMPUTED,
    ),
    Key("stakeholder_set:<stakeholder_set>:tasks", "set", "numbers of its tasks", USED, RECOMPUTED),
    Key(
        "stakeholder_sets",
        "hash",
        "a stakeholder set's key → its number and size",
        "like stakeholder_set:<stakeholder_set>",
    ),
    Key("worker_stakeholder_sets:<w>", "set", "the stakeholder sets of a worker", USED, RECOMPUTED),
    # to be done
    Key("due:retry", "zset", "FAILED tasks by when they go back to PENDING (s)", USED),
    Key("due:enable", "zset", "tasks disabled by the scheduler, by when that was (s)", USED),
    Key("due:postponed", "zset", "tasks that were refused, by until when they go behind others (s)", USED),
    Key("due:remove", "zset", "tasks without stakeholders, by when they go (s)", USED),
    Key("without_stakeholders", "set", "numbers of tasks that may lack stakeholders: the next prune looks", USED),
    Key("orphaned_runs", "set", "numbers of running tasks whose runner may be dead: the next prune looks", USED),
    Key(
        "deferred_steps",
        "list",
        "work left to later calls, see lua/lib/deferred/deferred_steps.lua",
        "until done",
    ),
    Key(
        "failed_deferred_steps",
        "list",
        "deferred steps that failed, each with its error; `bsched verify` reports them",
        "until a repair",
        REPORTED,
    ),
    # mails about failures
    Key("mail:server", "string", "there while a server that sends mails was seen", "a week after it was"),
    Key("mail:notes", "list", "what mails are to tell of, JSON; at most 10,000", "until it is in a mail"),
    Key("mail:unlisted", "string", "how many there were beyond that", "until it is in a mail"),
    Key("mail:outbox", "hash", "mail id → a mail that is to be sent, JSON", "until it is sent, at most a day"),
    Key("mail:lock", "string", "the server that makes and sends mails at the moment", "some minutes"),
    # who may log in at a server
    Key(
        "audit",
        "stream",
        "who asked for which change: time (s), who, kind, address, method, arguments (JSON, cut, without secrets), "
        "tasks (how many were changed), result, why, times",
        "the last 20,000, for 90 days: options audit_max_records, audit_max_age",
    ),
    Key(
        "audit_open",
        "hash",
        "such calls under way: the beginning of the record, JSON, by an id of the call",
        "until it has ended, or 15 minutes",
    ),
    Key("audit_refused", "list", "ids of those records that tell of refusals", "like the records"),
    Key(
        "tokens",
        "hash",
        "SHA-256 of a token → JSON: id, name, role, by, created, expires, used (s, to the minute)",
        "until revoked, or 30 days after it expired",
        is_for_servers=True,
    ),
    Key(
        "sessions",
        "zset",
        "SHA-256 of a session's cookie, by when it ends at the latest (s)",
        USED,
        is_for_servers=True,
    ),
    Key(
        "session:<digest>",
        "string",
        "JSON: kind, name, stamp and role of who has logged in, address, browser; started, seen, ends (s), idle (s)",
        "until it ends",
        is_for_servers=True,
    ),
    Key(
        "ended_logins",
        "stream",
        "that sessions or tokens were revoked: time (s). Servers then look who of those that listen may stay",
        "the last 100 or so",
        is_for_servers=True,
    ),
    Key(
        "logins",
        "zset",
        "SHA-256 of the state of a login under way elsewhere, by when it ends (s)",
        USED,
        is_for_servers=True,
    ),
    Key(
        "login:<digest>",
        "string",
        "what that login began with, JSON",
        "5 minutes, or until it comes back",
        is_for_servers=True,
    ),
    Key(
        "logins_begun:<address>",
        "string",
        "how many such logins were begun from an address",
        "5 minutes after the first",
        is_for_servers=True,
    ),
)
