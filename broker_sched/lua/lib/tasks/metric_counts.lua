-- Adds up what was noted for /metrics, by family. No count ever goes back, whatever becomes of tasks and servers.
--
--   metrics:<family>   hash. `started`, `done`, `failed`, `disabled`: as luigi's collector counts them, which counts
--                      each change to such a status, and each hand-out that is no batch. `last`: how long the last
--                      run took (s). wait:<i>, run:<i>: how many tasks waited from READY to their hand-out, and how
--                      many runs took until DONE, as long as bucket i says, see ENDS; wait_sum, run_sum (s)
--   metric_families    set, the families that have such a hash: the first 200. One that has it keeps it
--   other_metrics      hash like metrics:<family>, of all other families
--   wakeup_metrics     hash, woken:<i>, woken_sum: from when a waiting worker was woken until it asked for work

-- @include lib/core/header.lua

local MAX_METRIC_FAMILIES, OTHER = 200, 'other'
-- The upper ends of the buckets (s), as in scheduler/metric_counts.py; the last bucket has none.
local TASK_ENDS = { 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 14400, 86400 }
local WAKEUP_ENDS = { 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5 }

-- What each kind of note counts: which field, in which histogram, and whether it is how long the last run took.
local KINDS = {
  S = { field = 'started', timed = 'wait', ends = TASK_ENDS },
  s = { field = 'started' },
  W = { timed = 'wait', ends = TASK_ENDS },
  D = { field = 'done', timed = 'run', ends = TASK_ENDS, is_last = true },
  d = { field = 'done', is_last = true },
  f = { field = 'failed', is_last = true },
  x = { field = 'disabled', is_last = true },
  k = { timed = 'woken', ends = WAKEUP_ENDS },
}

-- Where a family is counted.
local function metrics_key_of(family)
  local own, families = key('metrics:', family), key('metric_families', '')
  if call('SISMEMBER', families, family) == 1 then return own end
  if family == OTHER or call('SCARD', families) >= MAX_METRIC_FAMILIES then return key('other_metrics', '') end
  call('SADD', families, family)
  return own
end

local function add_to_metrics(metrics_key, amounts_of)
  amounts_of.position = nil -- of the note that says how long the last run took
  local names, changed = {}, {}
  for name in pairs(amounts_of) do names[#names + 1] = name end
  for index, value in ipairs(call('HMGET', metrics_key, unpack(names))) do
    local name = names[index]
    local sum = name == 'last' and amounts_of.last or tonumber(value or 0) + amounts_of[name]
    changed[2 * index - 1], changed[2 * index] = name, number_text(sum)
  end
  call('HSET', metrics_key, unpack(changed))
end

local function bucket_of(ends, seconds)
  for index = 1, #ends do
    if seconds <= ends[index] then return index end
  end
  return #ends + 1
end

-- Notes of one kind and family, gathered: how many, how many in each bucket, their sum, the last.
local function add_gathered(amounts_of, kind, gathered)
  local function add(name, amount) amounts_of[name] = (amounts_of[name] or 0) + amount end
  if kind.field then add(kind.field, gathered.count) end
  if kind.timed then
    for bucket, count in pairs(gathered.buckets) do add(kind.timed .. ':' .. bucket, count) end
    add(kind.timed .. '_sum', gathered.sum)
  end
  if kind.is_last and gathered.last and gathered.position > (amounts_of.position or 0) then
    amounts_of.last, amounts_of.position = gathered.last, gathered.position
  end
end

-- Notes of one kind and family together, in the order in which these first came.
local function gather(notes)
  local by_place, in_order = {}, {} -- place: kind and family, as the note has them
  for index = 1, #notes do
    local note = notes[index]
    local space = string.find(note, ' ', 2, true)
    local letter, seconds = string.sub(note, 1, 1), tonumber(string.sub(note, 2, space - 1))
    local place = letter .. string.sub(note, space + 1)
    local gathered = by_place[place]
    if not gathered then
      gathered = { kind = KINDS[letter], family = string.sub(note, space + 1), count = 0, buckets = {}, sum = 0 }
      by_place[place], in_order[#in_order + 1] = gathered, gathered
    end
    gathered.count = gathered.count + 1
    if seconds then
      gathered.last, gathered.position = seconds, index
      if gathered.kind.timed then
        local bucket = bucket_of(gathered.kind.ends, seconds)
        gathered.buckets[bucket] = (gathered.buckets[bucket] or 0) + 1
        gathered.sum = gathered.sum + seconds
      end
    end
  end
  return in_order
end

-- Add up the oldest notes, so many at the most. Returns how many are left.
local function count_metric_notes(most)
  local notes_key, by_key = key('metric_notes', ''), {}
  for _, gathered in ipairs(gather(call('LRANGE', notes_key, 0, most - 1))) do
    local metrics_key = gathered.kind == KINDS.k and key('wakeup_metrics', '') or metrics_key_of(gathered.family)
    by_key[metrics_key] = by_key[metrics_key] or {}
    add_gathered(by_key[metrics_key], gathered.kind, gathered)
  end
  call('LTRIM', notes_key, most, -1)
  for metrics_key, amounts_of in pairs(by_key) do add_to_metrics(metrics_key, amounts_of) end
  return call('LLEN', notes_key)
end
