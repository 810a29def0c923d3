-- Making a batch: ready tasks that rank behind the best one and have its signature are handed out together with it, up
-- to the maximum that the worker has registered (add_task_batcher).
--
--   batchers:<worker_id>    hash, family → '<maximum> <JSON list of the batched parameters, sorted>'
--   batch_names:<family>    all such lists that were ever registered

-- @include lib/core/header.lua
-- @include lib/core/ids.lua
-- @include lib/workers/runner_sets.lua
-- @include lib/workers/counts.lua
-- @include lib/tasks/tasks.lua
-- @include lib/tasks/attempts.lua
-- @include lib/tasks/links.lua
-- @include lib/tasks/metric_notes.lua
-- @include lib/tasks/statuses.lua
-- @include lib/batches/batch_index.lua
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

-- Up to `count` entries of a sorted set that rank behind the task.
local function entries_behind(entry_key, task, count)
  local is_member = call('ZSCORE', entry_key, task.rank)
  if not is_member then call('ZADD', entry_key, number_text(-tonumber(task.priority)), task.rank) end
  local start = call('ZRANK', entry_key, task.rank) + 1
  local flat = call('ZRANGE', entry_key, start, start + count - 1, 'WITHSCORES')
  if not is_member then call('ZREM', entry_key, task.rank) end
  local entries = {}
  for index = 1, #flat, 2 do entries[#entries + 1] = { rank = flat[index], score = tonumber(flat[index + 1]) } end
  return entries
end

-- The tasks to hand out together, the best one first; at least that one. Who is no assistant takes only its own: of
-- others it would be taken for an orphan.
local function batch_of(best, worker, as_assistant)
  local names_text, maximum = batcher_of(worker, best.family or '')
  local batch = { best }
  if not names_text or best.batchable ~= '1' or best.refusals or maximum < 2 then return batch, names_text end
  local signature = batch_signature(best, names_text)
  if not signature then return batch, names_text end
  local only_own = not as_assistant or is_trivial(worker)
  local entries, is_restricted = {}, worker.refuses or worker.modules
  for _, runner_set in ipairs(call('SMEMBERS', key('batch_runner_sets:', signature))) do
    if not only_own or is_in_worker_set('runner_set', runner_set, worker.w) then
      for _, entry in ipairs(entries_behind(key('batch_ready:', runner_set .. '|' .. signature), best, maximum - 1)) do
        entries[#entries + 1] = entry
      end
    end
  end
  table.sort(entries, before)
  for index = 1, math.min(#entries, maximum - 1) do
    local task = load_task(id_of(number_in_rank(entries[index].rank)))
    local is_refused = is_restricted and refuses(worker, task)
    if not is_refused and not is_stale({ rank = task.rank }) then batch[#batch + 1] = task end
  end
  return batch, names_text
end

-- Make the tasks BATCH_RUNNING, all in the same attempt, under a provisional batch id, which the caller replaces (see
-- name_batch.lua).
local function hand_out_batch(batch, worker)
  local batch_id = '~' .. call('HINCRBY', key('counters', ''), 'batch', 1)
  local latest = 0
  for _, task in ipairs(batch) do latest = math.max(latest, tonumber(task.attempt or 0)) end
  local attempt = attempt_after(latest)
  for _, task in ipairs(batch) do
    note_metric('W', task.family or '', task.ready_since or task.updated)
    set(task, 'batch_id', batch_id)
    set(task, 'worker_running', worker.id)
    set(task, 'attempt', attempt)
    hold_needs(task)
    set_status(task, 'BATCH_RUNNING')
    set(task, 'time_running', NOW_TEXT)
    finish_task(task)
  end
  return batch_id
end
