-- What people may do with a task (change_tasks). Each action has a function that says why it can't be done with a task,
-- as a sentence, nil when it can; and one that does it. A dry run calls only the first.

-- @include lib/core/header.lua
-- @include lib/core/events.lua
-- @include lib/wakeups/wakeups.lua
-- @include lib/workers/workers.lua
-- @include lib/tasks/tasks.lua
-- @include lib/tasks/statuses.lua
-- @include lib/tasks/remove_task.lua

local SOMEBODY = 'an operator' -- who does not tell a name
local MAX_DEPENDENTS = 1000 -- looked at before a task is removed

local reason_against, carry_out = {}, {} -- by action

local function is_running(task)
  return task.status == 'RUNNING' or task.status == 'BATCH_RUNNING'
end

local function standing(task)
  return 'It is ' .. task.status .. (is_running(task) and ' on ' .. (task.worker_running or '?') or '')
end

-- That something was asked for that changes no status, for whoever follows the events.
local function note_asked(task, what)
  note_event(task.id, task.family or '', task.status, task.status, task.worker_running or '', 'asked', what, 'by',
    task.by)
end

function reason_against.retry(task)
  if task.status == 'FAILED' or task.status == 'DISABLED' then return nil end
  return standing(task) .. '; only what is FAILED or DISABLED is retried.'
end

function carry_out.retry(task)
  if task.disabled_at then clear_failures(task) end -- with them it would soon be disabled again
  clear_disable(task)
  set_status(task, 'PENDING')
end

function reason_against.forgive(task)
  if task.status == 'FAILED' or task.status == 'DISABLED' or task.first_failure then return nil end
  return standing(task) .. ', and has no failures that could be forgiven.'
end

function carry_out.forgive(task)
  clear_failures(task)
  if task.status ~= 'FAILED' and task.status ~= 'DISABLED' then return note_asked(task, 'forgive') end
  clear_disable(task)
  set_status(task, 'PENDING')
end

function reason_against.enable(task)
  if task.status == 'DISABLED' then return nil end
  return standing(task) .. '; only what is DISABLED can be enabled.'
end

function carry_out.enable(task)
  re_enable(task)
end

function reason_against.disable(task)
  if is_running(task) then return standing(task) .. '; stop it first, and disable it when it has ended.' end
  if task.disabled_by then return 'It is DISABLED already, by ' .. task.disabled_by .. '.' end
  return nil
end

-- One that the scheduler or a worker has disabled is so by people from now on: that stays.
function carry_out.disable(task)
  local is_disabled = task.status == 'DISABLED'
  set_status(task, 'DISABLED')
  set(task, 'disabled_at', NOW_TEXT)
  set(task, 'disabled_by', ARGS.by ~= '' and ARGS.by or SOMEBODY)
  call('ZREM', key('due:remove', ''), task.n)
  if is_disabled then note_asked(task, 'disable') end
end

function reason_against.done(task)
  if task.status == 'DONE' then return 'It is DONE already.' end
  if task.status ~= 'BATCH_RUNNING' then return nil end
  return standing(task) .. ', as a member of a batch: the task that runs the batch can be made DONE.'
end

function carry_out.done(task)
  set_status(task, 'DONE')
end

function reason_against.stop(task)
  if task.status == 'BATCH_RUNNING' then
    return standing(task) .. ', as a member of a batch: the task that runs the batch can be stopped.'
  end
  if task.status ~= 'RUNNING' then return standing(task) .. ', so there is nothing to stop.' end
  local worker = task.worker_running and find_worker(task.worker_running)
  if not worker then return standing(task) .. ', which is not there any more: it fails at the next prune.' end
  if not worker.start_id then
    return standing(task) .. ', a worker of Luigi\'s own, which can\'t stop a task: end that process.'
  end
  return nil
end

function carry_out.stop(task)
  local message = { name = 'stop_task', kwargs = { task_id = task.id, disable = false } }
  local worker = find_worker(task.worker_running)
  call('RPUSH', key('messages:', worker.id), cjson.encode(message))
  wakeups.wake(worker.w)
  note_asked(task, 'stop')
end

-- A task that needs this one and is not DONE, as its id; nil when there is none. Second, how many were looked at.
-- gone  { id = true } of those that are taken for removed
local function who_needs(task, gone)
  local dependents = key('dependents:', task.n)
  local numbers = call('SRANDMEMBER', dependents, MAX_DEPENDENTS)
  if #numbers == 0 then return nil, 0 end
  table.sort(numbers)
  for index, id in ipairs(call('HMGET', key('ids', ''), unpack(numbers))) do
    local status = id and not gone[id] and call('HGET', key('task:', id), 'status')
    if status and status ~= 'DONE' and id ~= task.id then return id .. ', which is ' .. status, index end
  end
  return nil, #numbers
end

-- Second, whether it may be done when others are removed; third, how many tasks were looked at.
function reason_against.remove(task, gone)
  if is_running(task) then return standing(task) .. '; stop it first.', false, 0 end
  local needed_by, looked_at = who_needs(task, gone)
  if needed_by then return 'It is needed by ' .. needed_by .. '.', true, looked_at end
  if looked_at == MAX_DEPENDENTS and call('SCARD', key('dependents:', task.n)) > MAX_DEPENDENTS then
    local many = 'More than ' .. MAX_DEPENDENTS .. ' tasks depend on it'
    return many .. ', too many to see whether each is DONE.', true, looked_at
  end
  return nil, false, looked_at
end

function carry_out.remove(task)
  remove_task(task)
end

-- Why the action can't be carried out, nil when it can; whether that may be different when other tasks are removed; how
-- many edges were looked at.
local function reason_not_to(action, task, gone)
  return reason_against[action](task, gone)
end

local function act_on(action, task)
  carry_out[action](task)
end
