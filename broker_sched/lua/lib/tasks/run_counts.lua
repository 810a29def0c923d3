-- How many runs ended, and how long they took, for whoever looks. It is written when the script ends.
--
--   ended:<number>      hash, number = floor(time / 20): how many runs ended in these 20 s. `DONE`, `FAILED` (disabled
--                       by it, too), `failed:<family>`, `done_on:<worker_id>`, `failed_on:<worker_id>`
--   family:<family>     hash: `runs` that ended DONE; what its last failure was, see ended_runs.lua
--   run_times:<family>  list, how long its last runs took that ended DONE (s), newest first, 100 or some more
--
-- A batch is as many runs as it has members; how long it took is the time of the whole.

-- @include lib/core/header.lua

local SLICE_SECONDS, SLICE_KEPT_SECONDS = 20, 3700
local MAX_TIMES, SPARE_TIMES = 100, 20

local run_counts = { ended = {}, done = {}, times = {} } -- by field of ended:<number>; by family

function run_counts.add(field)
  run_counts.ended[field] = (run_counts.ended[field] or 0) + 1
end

-- The task's run has ended DONE. old: the status that it had; is_combined: it ran a batch.
function run_counts.add_done(task, old, is_combined)
  local family, done, times = task.family or '', run_counts.done, run_counts.times
  if old == 'RUNNING' and task.time_running and not task.is_marked then
    times[family] = times[family] or {}
    table.insert(times[family], string.format('%.6f', math.max(NOW - tonumber(task.time_running), 0)))
  end
  if is_combined then return end
  done[family] = (done[family] or 0) + 1
  run_counts.add('DONE')
  if task.worker_running then run_counts.add('done_on:' .. task.worker_running) end
end

-- @at_end run_counts write_run_counts
local function write_run_counts()
  for field, amount in pairs(run_counts.ended) do
    local slice = key('ended:', string.format('%.0f', math.floor(NOW / SLICE_SECONDS)))
    local is_first = call('HINCRBY', slice, field, amount) == amount
    if is_first and (field == 'DONE' or field == 'FAILED') then call('EXPIRE', slice, SLICE_KEPT_SECONDS) end
  end
  for family, amount in pairs(run_counts.done) do call('HINCRBY', key('family:', family), 'runs', amount) end
  for family, times in pairs(run_counts.times) do
    local count = call('LPUSH', key('run_times:', family), unpack(times))
    if count >= MAX_TIMES + SPARE_TIMES then call('LTRIM', key('run_times:', family), 0, MAX_TIMES - 1) end
  end
end
