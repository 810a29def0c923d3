"""What supervisors and jobs leave for each other in RQ's Redis. Each method is one script: all of it, or nothing.

Every key starts `bsched-rq:<namespace>:`.

| key | type | content |
| --- | --- | --- |
| task:<task_id> | string | the id of the job that is this task's run now; without it no job of the task may begin |
| job:<job_id> | hash | supervisor, beat, stop, tail (until taken); is_doubtful (1: the task may be done); |
|  | | once begun: begun_at (server time, s), host, pid, rq_worker; |
|  | | once it has ended: result (JSON), status, is_timed_out (0 or 1), |
|  | | is_taken (1 when a supervisor has read the result, and may have reported it) |
| calls:<job_id> | list | calls of the scheduler that the task asks for, as JSON, the latest MOST_CALLS of them |
| wake:<supervisor> | list | ids of jobs that have something for this supervisor |
| stop:<job_id> | list | one word while the job is to stop, and has not heard it |

All of them expire KEEP_SECONDS after they were last touched; a job that lives touches its own. A result that nobody
takes is kept for KEEP_RESULT_SECONDS.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any, NamedTuple

import redis

KEEP_SECONDS = 6 * 3600
KEEP_RESULT_SECONDS = 3600  # an older one that nobody took is stale: who wants the task then wants it run
MOST_CALLS = 1000
LIVES, GONE = "lives", "gone"

# ARGV 1 prefix, 2 job id, 3 task id; what follows is each script's own.
_HEAD = f"""
local task, job = ARGV[1] .. 'task:' .. ARGV[3], ARGV[1] .. 'job:' .. ARGV[2]
local calls_key, stop_key = ARGV[1] .. 'calls:' .. ARGV[2], ARGV[1] .. 'stop:' .. ARGV[2]
local KEEP, KEEP_RESULT = {KEEP_SECONDS}, {KEEP_RESULT_SECONDS}
local is_current = redis.call('GET', task) == ARGV[2]
local function wake()
  local supervisor = redis.call('HGET', job, 'supervisor')
  if not supervisor then return end
  local key = ARGV[1] .. 'wake:' .. supervisor
  redis.call('RPUSH', key, ARGV[2])
  redis.call('LTRIM', key, -10000, -1)
  redis.call('EXPIRE', key, KEEP)
end
"""

# 4 supervisor. A failure that was not reported is no reason not to run again; nor is what may have been reported.
_REGISTER = """
local current, doubt = redis.call('GET', task), '0'
if current then
  local found = redis.call('HMGET', ARGV[1] .. 'job:' .. current, 'status', 'is_taken')
  if found[1] == 'DONE' and found[2] then doubt = '1' end
  if found[1] == 'FAILED' or found[2] then current = false end
end
if not current then redis.call('HSET', job, 'is_doubtful', doubt) end
current = current or ARGV[2]
redis.call('SET', task, current, 'EX', KEEP)
job = ARGV[1] .. 'job:' .. current
redis.call('HSET', job, 'supervisor', ARGV[4])
redis.call('EXPIRE', job, KEEP)
return { current, redis.call('HEXISTS', job, 'begun_at') }
"""
# 4 host, 5 pid, 6 name of the rq worker
_BEGIN = """
if not is_current or redis.call('HEXISTS', job, 'begun_at') == 1 then return 0 end
redis.call('HSET', job, 'begun_at', redis.call('TIME')[1], 'host', ARGV[4], 'pid', ARGV[5], 'rq_worker', ARGV[6])
redis.call('EXPIRE', job, KEEP)
return 1 + (redis.call('HGET', job, 'is_doubtful') or 0)
"""
# 4 tail
_HEARTBEAT = """
if not is_current then return 'gone' end
redis.call('HINCRBY', job, 'beat', 1)
if ARGV[4] ~= '' then redis.call('HSET', job, 'tail', ARGV[4]) end
for _, key in ipairs({ task, job, calls_key }) do redis.call('EXPIRE', key, KEEP) end
return redis.call('HGET', job, 'stop') or 'lives'
"""
# 4 the call, as JSON, 5 how many to keep
_LEAVE_CALL = """
if not is_current then return end
redis.call('RPUSH', calls_key, ARGV[4])
redis.call('LTRIM', calls_key, -ARGV[5], -1)
redis.call('EXPIRE', calls_key, KEEP)
wake()
"""
# 4 result, 5 its status, 6 is_timed_out, 7 tail
_LEAVE_RESULT = """
if not is_current then return end
redis.call('HSET', job, 'result', ARGV[4], 'status', ARGV[5], 'is_timed_out', ARGV[6], 'tail', ARGV[7])
redis.call('EXPIRE', job, KEEP_RESULT)
redis.call('EXPIRE', task, KEEP_RESULT)
redis.call('DEL', stop_key)
wake()
"""
# 4 supervisor
_TAKE = """
local found = redis.call('HGETALL', job)
if redis.call('HGET', job, 'supervisor') ~= ARGV[4] then return { found, {}, 0 } end
local calls = redis.call('LRANGE', calls_key, 0, -1)
redis.call('DEL', calls_key)
redis.call('HDEL', job, 'tail')
if redis.call('HEXISTS', job, 'result') == 1 then
  redis.call('HSET', job, 'is_taken', '1')
else
  if is_current then redis.call('EXPIRE', task, KEEP) end
  redis.call('EXPIRE', job, KEEP)
end
return { found, calls, redis.call('TIME')[1] - (redis.call('HGET', job, 'begun_at') or redis.call('TIME')[1]) }
"""
# 4 supervisor. What is through is not stopped any more. Asked for again, it is pushed again when it was popped.
_STOP = """
if redis.call('HGET', job, 'supervisor') ~= ARGV[4] then return 0 end
if redis.call('HEXISTS', job, 'result') == 1 then return 1 end
redis.call('HSET', job, 'stop', 'stop')
if redis.call('EXISTS', stop_key) == 0 then redis.call('RPUSH', stop_key, 'stop') end
redis.call('EXPIRE', stop_key, KEEP)
return 1
"""
# 4 supervisor, 5 "1": only when it has not begun
_REVOKE = """
if redis.call('HGET', job, 'supervisor') ~= ARGV[4] then return 0 end
if ARGV[5] == '1' and redis.call('HEXISTS', job, 'begun_at') == 1 then return 0 end
if is_current then redis.call('DEL', task) end
redis.call('DEL', job, calls_key, stop_key)
return 1
"""


class Begin(IntEnum):
    """What the job that asks may do with its task."""

    NOTHING = 0
    RUN = 1
    RUN_UNLESS_COMPLETE = 2  # a run before it was done, and nobody knows whether that was reported


class Taken(NamedTuple):
    """What a job has left: fields of its hash, calls it asks for, seconds since it began (0 before)."""

    fields: dict[str, str]
    calls: list[bytes]
    age_seconds: float


class RunRecords:
    """Reads and writes the keys of one namespace in RQ's Redis.

    client: one whose replies are bytes, as those of RQ's clients are. Each method raises RedisError when Redis can't be
    reached.
    """

    def __init__(self, client: redis.Redis, namespace: str) -> None:
        self.client = client
        self._prefix = f"bsched-rq:{namespace}:"
        scripts = {
            "register": _REGISTER,
            "begin": _BEGIN,
            "heartbeat": _HEARTBEAT,
            "leave_call": _LEAVE_CALL,
            "leave_result": _LEAVE_RESULT,
            "take": _TAKE,
            "stop": _STOP,
            "revoke": _REVOKE,
        }
        self._scripts: Mapping[str, Any] = {
            name: client.register_script(_HEAD + text) for name, text in scripts.items()
        }

    def wake_key(self, supervisor: str) -> str:
        """Return the key of the list at which a supervisor waits for news of its jobs."""
        return f"{self._prefix}wake:{supervisor}"

    def register_run(self, task_id: str, job_id: str, supervisor: str) -> tuple[str, bool]:
        """Make this job the task's run, or become the supervisor of the one there is.

        Returns the id of the job that is the run now, and whether that has begun.
        """
        current, has_begun = self._run("register", job_id, task_id, supervisor)
        return _text(current), bool(has_begun)

    def begin_run(self, task_id: str, job_id: str, host: str, pid: int, rq_worker: str) -> Begin:
        """Let a job begin the task, and note where. Only the job that is the task's run may, and only once.

        Returns whether it may run the task.
        """
        return Begin(self._run("begin", job_id, task_id, host, pid, rq_worker))

    def note_heartbeat(self, task_id: str, job_id: str, tail: str) -> str:
        """Note that the job lives. tail: the tail of its output, "" for no news.

        Returns "lives"; "stop" when it is to stop; "gone" when it is not the task's run any more and must not go on.
        """
        return _text(self._run("heartbeat", job_id, task_id, tail))

    def leave_call(self, task_id: str, job_id: str, call: str) -> None:
        """Leave a call of the scheduler, as call_to_text() writes it, for the supervisor."""
        self._run("leave_call", job_id, task_id, call, MOST_CALLS)

    def leave_result(self, task_id: str, job_id: str, result: str, status: str, is_timed_out: bool, tail: str) -> None:
        """Leave the result of the run for the supervisor.

        result: as result_to_text() writes it. status: the task's, DONE, FAILED or PENDING. tail: the tail of the
        output, "" for no news.
        """
        self._run("leave_result", job_id, task_id, result, status, int(is_timed_out), tail)

    def queue_take(self, task_id: str, job_id: str, supervisor: str, pipeline: Any) -> None:
        """Put into a pipeline the request for what the job has left; taken_from_reply() reads the reply.

        What is taken is removed, the result aside. Of another supervisor's job only the fields are read.
        """
        self._run("take", job_id, task_id, supervisor, client=pipeline)

    @staticmethod
    def taken_from_reply(reply: Any) -> Taken:
        """Make a Taken of the reply to what queue_take() asked."""
        flat, calls, age = reply
        return Taken({_text(name): _text(value) for name, value in zip(flat[::2], flat[1::2])}, calls, float(age))

    def request_stop(self, task_id: str, job_id: str, supervisor: str) -> bool:
        """Ask the job to end itself, which it does at once; nothing happens when it has a result.

        Returns False when another supervisor has it, and it goes on.
        """
        return bool(self._run("stop", job_id, task_id, supervisor))

    def await_stop(self, job_id: str, seconds: float) -> bool:
        """Wait at most so long, in whole seconds, until the job is asked to stop.

        Returns whether it was, and has no result.

        Raises RedisError also when Redis is silent for longer.
        """
        heard = self.client.blpop([f"{self._prefix}stop:{job_id}"], seconds)
        return heard is not None and not self.client.hexists(f"{self._prefix}job:{job_id}", "result")

    def reconnect(self, silent_seconds: float) -> None:
        """Make the client connect anew after a fork.

        silent_seconds: a connection that is silent for so long is given up.
        """
        pool: Any = self.client.connection_pool  # Any: its kinds differ in what redis-py leaves untyped
        pool.connection_kwargs["socket_timeout"] = silent_seconds
        pool.reset()

    def revoke_run(self, task_id: str, job_id: str, supervisor: str, only_unbegun: bool = False) -> bool:
        """Make the job the task's run no longer: it may not begin, and ends itself when it has; its result is gone.

        Returns False when another supervisor has it, or, with only_unbegun, when it has begun: then nothing is changed.
        """
        return bool(self._run("revoke", job_id, task_id, supervisor, int(only_unbegun)))

    def _run(self, script: str, job_id: str, task_id: str, *more: Any, client: Any = None) -> Any:
        return self._scripts[script](args=[self._prefix, job_id, task_id, *more], client=client)


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
