-- The indexes in which a task stands follow from its fields. Some fields say where it stands; place_task compares them
-- with where it should stand, and moves it. Doing that twice changes nothing.
--
--   tally    <runner_set>p or <runner_set>r: PENDING, without or with resources; it is in the sums `pending`, and
--            `with_resources`, of the hash runner_set:<runner_set>.
--            <runner_set>R: RUNNING; it is in the hash runner_set:<runner_set>:running, task_id → worker_id
--   counted  <runner_set>:<w>: count_pending counts it (PENDING and not blocked, or FAILED); it is in the set
--            counted:<runner_set>:<w>, where w is the worker that signed up last, and in the sum `counted`
--   ready    <runner_set>|<needs>: it is in the ready queue of this name, the sorted set ready:<runner_set>|<needs>,
--            with score −priority and its rank as member. While that has members, `ready_queues` and
--            ready_queues:<runner_set> list it.
--            <runner_set>@<label>|<needs>: the same for a task that some worker must not have, see labels.lua
--   batched  1: it is in the index of batch_index.lua
--   blocked  1: it is listed as BLOCKED, see listing.lua; `ready_since` is there only while it is listed as READY
--   date     it is listed under this date, see dated.lua

-- @include lib/core/header.lua
-- @include lib/wakeups/wakeups.lua
-- @include lib/workers/runner_sets.lua
-- @include lib/tasks/resources.lua
-- @include lib/tasks/listing.lua
-- @include lib/tasks/tasks.lua
-- @include lib/wakeups/wake_up.lua
-- @include lib/tasks/dated.lua
-- @rarely lib/batches/batch_index.lua
-- @rarely lib/hand_out/labels.lua

local function change_tally(task, tally, amount)
  if not tally then return end
  local runner_set, kind = string.match(tally, '^(%d+)(%a)$')
  if kind == 'R' then
    local running = key('runner_set:', runner_set .. ':running')
    if amount > 0 then
      call('HSET', running, task.id, task.worker_running)
    else
      call('HDEL', running, task.id)
    end
    return
  end
  count_in(runner_set, 'pending', amount)
  if kind == 'r' then count_in(runner_set, 'with_resources', amount) end
end

local function wanted_tally(task)
  if task.runner_set == '0' then return nil end
  if task.status == 'RUNNING' then return task.runner_set .. 'R' end
  if task.status == 'PENDING' then return task.runner_set .. (task.resources == '' and 'p' or 'r') end
  return nil
end

local function wanted_counted(task)
  if task.runner_set == '0' then return nil end
  local counts = task.status == 'FAILED'
    or (task.status == 'PENDING' and not is_blocked(task.n))
  if not counts then return nil end
  if not task.last_is_live and not is_in_worker_set('runner_set', task.runner_set, task.last) then
    local workers = workers_of(task)
    if #workers == 0 then return nil end
    set(task, 'last', workers[#workers])
  end
  return task.runner_set .. ':' .. task.last
end

local function change_counted(task, wanted)
  if task.counted and call('SREM', key('counted:', task.counted), task.n) == 1 then
    count_in(string.match(task.counted, '^%d+'), 'counted', -1)
  end
  if wanted and call('SADD', key('counted:', wanted), task.n) == 1 then
    count_in(string.match(wanted, '^%d+'), 'counted', 1)
  end
  set(task, 'counted', wanted)
end

-- is_alone  whether nothing else is in the ready queue; nil where that is not known
-- …         the ranks of the tasks that leave it
local function leave_queue(queue, is_alone, ...)
  local ready_key = key('ready:', queue)
  local was_there = call('ZREM', ready_key, ...) > 0
  if is_alone == nil then is_alone = was_there and call('EXISTS', ready_key) == 0 end
  if is_alone then
    call('SREM', key('ready_queues', ''), queue)
    call('SREM', key('ready_queues:', string.match(queue, '^%d+')), queue)
  end
end

local function enter_queue(queue, task)
  local ready_key = key('ready:', queue)
  if call('ZADD', ready_key, number_text(-tonumber(task.priority)), task.rank) == 1
    and call('ZCARD', ready_key) == 1 then
    call('SADD', key('ready_queues', ''), queue)
    call('SADD', key('ready_queues:', task.runner_set), queue)
  end
  wakeups.note(queue)
end

local function wanted_state(task)
  if task.status == 'REMOVED' then return nil end
  if task.status ~= 'PENDING' then return task.status end
  return task.ready and 'READY' or is_blocked(task.n) and 'BLOCKED' or 'WAITING'
end

local MAX_RELISTED = 500 -- tasks written at once

-- Listings are written when the script ends: a step that changes many tasks mostly moves them from one to another.
local function no_relisted()
  return { count = 0, tasks = {}, left = {}, entered = {}, families = {} }
end

local relisted = no_relisted()

local function write_listings()
  local left, entered, families = relisted.left, relisted.entered, relisted.families
  for listing, numbers in pairs(left) do call('ZREM', key('tasks:', listing), unpack(numbers)) end
  for listing, entries in pairs(entered) do call('ZADD', key('tasks:', listing), unpack(entries)) end
  for family, state in pairs(families) do leave_family(state, family) end
end
-- @at_end relisted write_listings

-- Write them now: a task moves on, or they are many.
local function settle_listings()
  write_listings()
  relisted = no_relisted()
end

local function enter_listing(n, listing, since)
  local entries = relisted.entered[listing] or {}
  relisted.entered[listing] = entries
  entries[#entries + 1], entries[#entries + 2] = since, n
end

-- List it under its state and family, and its date. The caller has seen to its ready queue.
local function list_task(task)
  local state, family = wanted_state(task), task.family or ''
  set(task, 'blocked', state == 'BLOCKED' and '1')
  if state ~= 'READY' or task.updated == NOW_TEXT then
    set(task, 'ready_since', nil)
  elseif task.state ~= 'READY' then
    set(task, 'ready_since', NOW_TEXT)
  end
  local since = task.ready_since or task.updated
  if state == task.state and family == task.listed_family and since == task.since and task.date == task.listed_date then
    return
  end
  local old_state, old_family = task.state, task.listed_family
  if task.date then list_date(task, old_state, old_family, state, family) end
  task.state, task.listed_family, task.since = state, family, since
  local is_other_family = not state or not old_state or family ~= old_family
  if relisted.tasks[task.n] or relisted.count >= MAX_RELISTED then settle_listings() end
  relisted.tasks[task.n], relisted.count = true, relisted.count + 1
  if old_state and (state ~= old_state or is_other_family) then
    append_to(relisted.left, old_state .. ':' .. old_family, task.n)
  end
  if state then enter_listing(task.n, state .. ':' .. family, since) end
  if state and is_other_family then enter_family(family) end
  if old_state and is_other_family then relisted.families[old_family] = old_state end
end

-- Move the task to where it belongs. O(1), O(log n) for the sorted sets.
local function place_task(task)
  local tally = wanted_tally(task)
  if tally ~= task.tally then
    change_tally(task, task.tally, -1)
    change_tally(task, tally, 1)
    set(task, 'tally', tally)
  end
  local counted = wanted_counted(task)
  if counted ~= task.counted then change_counted(task, counted) end
  local ready = nil
  if task.status == 'PENDING' and not has_unmet(task.n) then
    local may_stand_apart = task.apart or task.postponed or OPTIONS.paused_families ~= ''
      or (task.ready and string.find(task.ready, '^%d+@'))
    ready = task.runner_set .. (may_stand_apart and mark_of(task) or '') .. '|' .. task.resources
  end
  local moves = ready ~= task.ready or task.reranked
  if moves then
    if task.ready then
      leave_queue(task.ready, nil, task.rank)
      -- What it would have taken, others may take now (see starvation_guard.lua); when it runs, it has taken it.
      if ready ~= task.ready and task.status ~= 'RUNNING' then
        for name in pairs(amounts(string.match(task.ready, '|(.*)$'))) do wakeups.freed[name] = true end
      end
    end
    if ready then enter_queue(ready, task) end
    set(task, 'ready', ready)
    task.reranked = nil
  end
  local batched = ready and task.batchable == '1' and not task.refusals -- in a batch it would spoil the others
  if task.batched and (moves or not batched) then leave_batches({ task }) end
  if batched and (moves or not task.batched) then enter_batches(task) end
  set(task, 'batched', batched and '1')
  list_task(task)
end
