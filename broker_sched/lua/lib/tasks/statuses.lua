-- Changes of a task's status, and what follows from them for resources, running tasks, failures and due times.
-- Source of the rules: luigi.scheduler.SimpleTaskState.set_status, 3.8.1; contract/states.py lists them.
--
--   running                              sorted set of the RUNNING ones: score −priority, member rank
--   running:<worker_id>                  numbers of the tasks RUNNING on a worker
--   batch:<batch_id>, batch_running      numbers of the BATCH_RUNNING members, and of those of all batches
--   worker_batches:<worker_id>           hash, batch id → how many of them run on this worker
--   due:retry, due:enable, due:remove    sorted sets of numbers by time
--   without_stakeholders, orphaned_runs  numbers of tasks that the next prune must look at

-- @include lib/core/header.lua
-- @include lib/core/events.lua
-- @include lib/core/ids.lua
-- @include lib/workers/workers.lua
-- @include lib/tasks/resources.lua
-- @include lib/tasks/tasks.lua
-- @include lib/tasks/run_counts.lua
-- @include lib/tasks/metric_notes.lua
-- @include lib/tasks/links.lua
-- @rarely lib/tasks/ended_runs.lua
-- @rarely lib/tasks/mail_notes.lua

-- Runner that is neither stakeholder nor assistant: the next prune fails what it runs.
local function is_orphaned_run(task)
  if not task.worker_running or (task.status ~= 'RUNNING' and task.status ~= 'BATCH_RUNNING') then return false end
  local runner = find_worker(task.worker_running)
  return not runner or not (runner.assistant or is_stakeholder(task, runner))
end

local function leave_status(task)
  if task.status == 'RUNNING' then
    call('SREM', key('running:', task.worker_running or ''), task.n)
    call('ZREM', key('running', ''), task.rank)
    use_all(held_amounts(task), -1)
    if task.stakeholder_set == '0' then call('SADD', key('without_stakeholders', ''), task.n) end
  elseif task.status == 'BATCH_RUNNING' then
    local batches = key('worker_batches:', task.worker_running or '')
    call('SREM', key('batch:', task.batch_id), task.n)
    call('SREM', key('batch_running', ''), task.n)
    if call('HINCRBY', batches, task.batch_id, -1) <= 0 then call('HDEL', batches, task.batch_id) end
  elseif task.status == 'FAILED' then
    call('ZREM', key('due:retry', ''), task.n)
  end
end

local function enter_status(task)
  if task.status == 'RUNNING' then
    call('SADD', key('running:', task.worker_running), task.n)
    call('ZADD', key('running', ''), number_text(-tonumber(task.priority)), task.rank)
    use_all(held_amounts(task), 1)
  elseif task.status == 'BATCH_RUNNING' then
    call('SADD', key('batch:', task.batch_id), task.n)
    call('SADD', key('batch_running', ''), task.n)
    call('HINCRBY', key('worker_batches:', task.worker_running), task.batch_id, 1)
  end
  if is_orphaned_run(task) then call('SADD', key('orphaned_runs', ''), task.n) end
end

local function is_run(status)
  return status == 'RUNNING' or status == 'BATCH_RUNNING'
end

local function move_status(task, new)
  local old = task.status
  local ends_run = is_run(old) and not is_run(new)
  leave_status(task)
  -- Its batch's no more, unless the batch is run as this member, which has the parameters of the combined task.
  if old == 'BATCH_RUNNING' and new ~= 'RUNNING' then set(task, 'batch_id', nil) end
  set(task, 'status', new)
  set(task, 'updated', NOW_TEXT)
  if new ~= 'PENDING' and new ~= 'RUNNING' then set(task, 'waits_since', nil) end
  enter_status(task)
  record_event(task.id, task.family or '', old, new, task.worker_running or '', task.by,
    ends_run and task.time_running)
end

-- A disable by people (field `disabled_by`) is never due, and keeps the task though nobody has a stake in it.
local function clear_disable(task)
  if task.disabled_at then call('ZREM', key('due:enable', ''), task.n) end
  if task.disabled_by and task.stakeholder_set == '0' then call('SADD', key('without_stakeholders', ''), task.n) end
  set(task, 'disabled_at', nil)
  set(task, 'disabled_by', nil)
end

local function clear_failures(task)
  if task.first_failure then call('DEL', key('failures:', task.n)) end
  set(task, 'first_failure', nil)
end

-- retry_count, disable_hard_timeout, disable_window: the task's own where it has one ('3||60'), else the scheduler's.
local function retry_policy(task)
  local count, hard, window = string.match(task.policy or '||', '^([^|]*)|([^|]*)|([^|]*)$')
  return tonumber(count) or OPTIONS.retry_count, tonumber(hard) or OPTIONS.disable_hard_timeout,
    tonumber(window) or OPTIONS.disable_window
end

-- Record a failure now. Returns whether there have been too many. O(failures that left the window).
local function fails_too_often(task)
  local count, hard_timeout, window = retry_policy(task)
  local failures = key('failures:', task.n)
  -- Luigi: a first failure at time 0 counts as none.
  if not task.first_failure or tonumber(task.first_failure) == 0 then set(task, 'first_failure', NOW_TEXT) end
  call('RPUSH', failures, NOW_TEXT)
  if NOW >= tonumber(task.first_failure) + hard_timeout then return true end
  local oldest = call('LINDEX', failures, 0)
  while oldest and tonumber(oldest) < NOW - window do
    call('LPOP', failures)
    oldest = call('LINDEX', failures, 0)
  end
  return call('LLEN', failures) >= count
end

local set_status

-- The members of a batch take the status of the combined task.
local function pass_on_to_batch(task, new)
  local members = call('SMEMBERS', key('batch:', task.batch_id))
  table.sort(members) -- each kind of Redis has an order of its own, and whoever looks sees which failed last
  for _, n in ipairs(members) do
    local member = load_task(id_of(n))
    member.wants_deps, member.lost_host = task.wants_deps, task.lost_host
    set_status(member, new)
    finish_task(member)
  end
  set(task, 'batch_id', nil)
end

-- Give the task a status, as far as the rules let it. The caller ends with finish_task.
function set_status(task, new)
  if new == 'DISABLED' and (task.status == 'RUNNING' or task.status == 'BATCH_RUNNING') then return end
  local removed_on_failure = task.batch_id and task.batchable ~= '1' and task.status ~= 'BATCH_RUNNING'
  local old = task.status
  if task.status == 'DISABLED' then
    if new == 'DONE' then
      clear_disable(task)
      clear_failures(task)
    elseif task.disabled_at and new ~= 'DISABLED' then
      return
    end
  end
  if task.status == 'RUNNING' and task.batch_id and new ~= 'RUNNING' then pass_on_to_batch(task, new) end
  if new == 'FAILED' and task.status ~= 'DISABLED' then
    local is_disabled = fails_too_often(task)
    -- Of a batch its members have failed, not what was made of them.
    if not removed_on_failure and not task.is_given_back then
      note_failure(task, is_disabled)
      note_failed_run(task, is_disabled)
    end
    if is_disabled then
      set(task, 'disabled_at', NOW_TEXT)
      call('ZADD', key('due:enable', ''), NOW_TEXT, task.n)
      new = 'DISABLED'
    end
  elseif new == 'DISABLED' and not task.disabled_by then
    clear_disable(task)
  end
  if new ~= old then
    if old == 'DONE' and task.attempt then keep_done_run(task) end
    move_status(task, new)
    local kind = kind_of_end(new)
    if kind then
      -- Luigi: how long it ran is told of one that was ever handed out, whatever has ended now.
      local has_run = new == 'DONE' and old == 'RUNNING' and task.time_running and not task.is_marked
      note_metric(has_run and 'D' or kind, task.family or '', task.time_running)
    end
    if is_run(old) and new == 'DONE' then
      run_counts.add_done(task, old, removed_on_failure)
    elseif is_run(old) and not is_run(new) then
      note_end_of_run(task)
    end
  end
  if new == 'FAILED' then
    call('ZADD', key('due:retry', ''), string.format('%.6f', NOW + OPTIONS.retry_delay), task.n)
    if removed_on_failure then call('ZADD', key('due:remove', ''), NOW_TEXT, task.n) end
  end
end

-- Lift a disable: FAILED, failures forgotten.
local function re_enable(task)
  clear_disable(task)
  clear_failures(task)
  set_status(task, 'FAILED')
end

-- The task holds its needs: what it was handed out with, whatever its needs become.
local function hold_needs(task)
  set(task, 'held', task.resources ~= '' and task.resources or NOTHING)
end

-- Luigi: the removal is due remove_delay after the prune that notices; a RUNNING task is not marked.
local function mark_for_removal(task, since)
  if task.status ~= 'RUNNING' and not task.disabled_by and not call('ZSCORE', key('due:remove', ''), task.n) then
    call('ZADD', key('due:remove', ''), string.format('%.6f', since + OPTIONS.remove_delay), task.n)
  end
end
