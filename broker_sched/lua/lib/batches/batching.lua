-- Making a batch: ready tasks that rank behind the best one and have its signature are handed out together with it, up
-- to the maximum that the worker has registered (add_task_batcher).
--
--   batchers:<worker_id>    hash, family → '<maximum> <JSON list of the batched parameters, sorted>'
--   batch_names:<family>    all such lists that were ever registered

-- @include lib/core/header.lua
-- @include lib/core/events.lua
-- @include lib/core/ids.lua
-- @include lib/workers/runner_sets.lua
-- @include lib/workers/counts.lua
-- @include lib/wakeups/wakeups.lua
-- @include lib/tasks/metric_notes.lua
-- @include lib/tasks/placing.lua
-- @include lib/tasks/resources.lua
-- @include lib/tasks/tasks.lua
-- @include lib/batches/batch_index.lua
-- @include lib/hand_out/one_task.lua
-- @include lib/hand_out/ready_queues.lua
-- @include lib/hand_out/stale_heads.lua
-- @rarely lib/hand_out/restrictions.lua

local MAX_BATCH = 150 -- members handed out at once; a larger batch comes in several

local function batcher_of(worker, family)
  local registered = call('HGET', key('batchers:', worker.id), family)
  if not registered then return nil, 1 end
  local maximum, names_text = string.match(registered, '^(%S+) (.*)$')
  return names_text ~= '[]' and names_text or nil, math.ceil(math.min(tonumber(maximum), MAX_BATCH))
end

-- Up to `count` entries of a sorted set that rank behind this one.
local function entries_behind(entry_key, entry, count)
  local is_member = call('ZSCORE', entry_key, entry.rank)
  if not is_member then call('ZADD', entry_key, number_text(entry.score), entry.rank) end
  local start = call('ZRANK', entry_key, entry.rank) + 1
  local flat = call('ZRANGE', entry_key, start, start + count - 1, 'WITHSCORES')
  if not is_member then call('ZREM', entry_key, entry.rank) end
  local entries = {}
  for index = 1, #flat, 2 do entries[#entries + 1] = { rank = flat[index], score = tonumber(flat[index + 1]) } end
  return entries
end

-- The best entries behind this one of tasks with this signature. Who is no assistant takes only its own: of others it
-- would be taken for an orphan.
local function entries_to_join(entry, signature, count, worker, as_assistant)
  local entries, only_own = {}, not as_assistant or is_trivial(worker)
  for _, runner_set in ipairs(call('SMEMBERS', key('batch_runner_sets:', signature))) do
    if not only_own or is_in_worker_set('runner_set', runner_set, worker.w) then
      for _, each in ipairs(entries_behind(key('batch_ready:', runner_set .. '|' .. signature), entry, count)) do
        entries[#entries + 1] = each
      end
    end
  end
  table.sort(entries, before)
  for index = count + 1, #entries do entries[index] = nil end
  return entries
end

-- The tasks to hand out together, as read_ready_task gives them: the best one, which is at this entry of a ready queue,
-- and those that join it.
local function batch_of(best, entry, worker, as_assistant)
  local names_text, maximum = batcher_of(worker, best.family)
  local signature = names_text and maximum > 1 and batch_signature(best, names_text)
  local batch = { best }
  if not signature then return batch, names_text end
  local entries = entries_to_join(entry, signature, maximum - 1, worker, as_assistant)
  local numbers = {}
  for index, each in ipairs(entries) do numbers[index] = number_in_rank(each.rank) end
  look_up_ids(numbers)
  local is_restricted = worker.refuses or worker.modules
  for _, each in ipairs(entries) do
    local task = read_ready_task(each)
    local is_refused = is_restricted and refuses(worker, task)
    if not is_refused and not is_stale(each) then batch[#batch + 1] = task end
  end
  return batch, names_text
end

-- Move them from where ready tasks stand to where members of a batch do.
local function move_to_batch(batch, batch_id, worker)
  local numbers, listed, ranks, counted = {}, {}, {}, {} -- ranks: by ready queue; counted: numbers, see placing.lua
  for index, task in ipairs(batch) do
    numbers[index], listed[2 * index - 1], listed[2 * index] = task.n, NOW_TEXT, task.n
    append_to(ranks, task.ready, task.rank)
    if task.runner_set ~= '0' then
      count_in(task.runner_set, 'pending', -1)
      if task.resources ~= '' then count_in(task.runner_set, 'with_resources', -1) end
    end
    if (task.counted or '') ~= '' then append_to(counted, task.counted, task.n) end
    if task.date then -- see lib/tasks/dated.lua
      local day = task.date .. ':' .. task.family
      call('SMOVE', key('dated:', 'READY:' .. day), key('dated:', 'BATCH_RUNNING:' .. day), task.n)
    end
  end
  call('ZREM', key('tasks:', 'READY:' .. batch[1].family), unpack(numbers))
  call('ZADD', key('tasks:', 'BATCH_RUNNING:' .. batch[1].family), unpack(listed))
  for place, leaving in pairs(counted) do
    count_in(string.match(place, '^%d+'), 'counted', -call('SREM', key('counted:', place), unpack(leaving)))
  end
  for queue, leaving in pairs(ranks) do leave_queue(queue, nil, unpack(leaving)) end
  leave_batches(batch)
  call('SADD', key('batch:', batch_id), unpack(numbers))
  call('SADD', key('batch_running', ''), unpack(numbers))
  call('HINCRBY', key('worker_batches:', worker.id), batch_id, #numbers)
end

local function write_member(task, batch_id, worker)
  local task_key, is_counted = key('task:', task.id), task.runner_set ~= '0'
  record_event(task.id, task.family, 'PENDING', 'BATCH_RUNNING', worker.id)
  call('HSET', task_key, 'status', 'BATCH_RUNNING', 'updated', NOW_TEXT, 'time_running', NOW_TEXT,
    'worker_running', worker.id, 'batch_id', batch_id, 'attempt', task.attempt,
    'held', task.resources ~= '' and task.resources or NOTHING, 'ready', '', 'batched', '',
    is_counted and 'tally' or 'ready', '', is_counted and 'counted' or 'ready', '',
    task.ready_since and 'ready_since' or 'ready', '')
  if task.has_run then call('HDEL', task_key, 'waits_since') end -- of a run that wanted more deps
end

-- Make the tasks BATCH_RUNNING, all in the same attempt, under a provisional batch id, which the caller replaces (see
-- name_batch.lua). As for one task (one_task.lua), what follows from it is known, and written for all at once.
local function hand_out_batch(batch, worker)
  local batch_id = '~' .. call('HINCRBY', key('counters', ''), 'batch', 1)
  local attempt, notes, by_stakeholder_set = batch[1].attempt, {}, {}
  for index, task in ipairs(batch) do
    if loaded_tasks[task.id] then settle(task) end
    if tonumber(task.attempt) > tonumber(attempt) then attempt = task.attempt end
    notes[index] = note_of('W', task.family, task.since)
    append_to(by_stakeholder_set, task.stakeholder_set, task.n)
  end
  move_to_batch(batch, batch_id, worker)
  for stakeholder_set, numbers in pairs(by_stakeholder_set) do
    note_orphaned_runs(worker, stakeholder_set, unpack(numbers))
  end
  for _, task in ipairs(batch) do
    task.attempt = attempt
    write_member(task, batch_id, worker)
  end
  keep_notes(unpack(notes))
  -- What they would have taken, others may take now: members of a batch hold nothing.
  for name in pairs(amounts(batch[1].resources)) do wakeups.freed[name] = true end
  return batch_id
end
