-- Remove a worker at people's word, as one that was silent for too long: what it ran fails at the next prune.
--
-- @args worker force by
--   force       0, 1: also one that was heard of just now
--   by          who asks, '' when that is not told
-- Reply { 'forgotten', how many tasks it ran, deferred steps left }, or why nothing was done:
--       { 'unknown' }, { 'submission' },
--       { 'alive', how long ago it was heard of (s), which silence is long enough (s) }
-- Cost  O(batches that it runs); O(its runner sets) in deferred steps
-- @include lib/core/header.lua
-- @include lib/workers/workers.lua
-- @include lib/workers/missed_workers.lua
-- @include lib/workers/remove_worker.lua
-- @include lib/deferred/run_deferred.lua

local MISSED_PINGS = 3

local function count_runs(id)
  local count = call('SCARD', key('running:', id))
  for _, members in ipairs(call('HVALS', key('worker_batches:', id))) do count = count + tonumber(members) end
  return count
end

local function forget_worker()
  local worker = find_worker(ARGS.worker)
  if not worker then return { 'unknown' } end
  if worker.submission then return { 'submission' } end
  local silence = NOW - tonumber(call('ZSCORE', key('workers', ''), worker.id))
  local enough = longest_silence(worker.id, MISSED_PINGS)
  if ARGS.force == '0' and silence <= enough then
    return { 'alive', string.format('%.1f', silence), string.format('%.0f', enough) }
  end
  local count = count_runs(worker.id)
  remove_worker(worker.id, NOW, why_forgotten(worker.id, ARGS.by))
  return { 'forgotten', count, run_deferred(105) }
end

return answer(forget_worker)
