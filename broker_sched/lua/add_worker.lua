-- Merge info into what is known of a worker. An unknown worker is created.
--
-- ARGV  6 worker  7 assistant: '', 0, 1 (as the info says)  8 slots: '' or a number (info.workers)
--       9 filter: which modules it takes others' tasks from, as a JSON list of patterns (see
--       lib/hand_out/restrictions.lua); '[]' any, '' not told  10 its start id, or ''  11… info: key, JSON, key, JSON,
--       …
-- Reply { 'known', 0 }; when it is new under an old name, nothing was merged yet, and there is more to do before:
--       { 'more', deferred steps left } what the former one ran has failed in part: call again
--       { 'alive', when the former one was heard of last (s), who it is } it may run tasks; call again later, in vain
--       while it is heard of
-- Cost  O(info); O(what it runs) when it ceases to be an assistant; in bites, what the former one ran
-- Source: luigi.scheduler.Scheduler.add_worker, 3.8.1.
-- @include lib/core/header.lua
-- @include lib/workers/workers.lua
-- @include lib/core/ids.lua
-- @lazy lose_runs lib/workers/replaced_worker.lua

-- A worker tells its filter when it begins: what an earlier one of its name refused, it may well load.
local function set_filter(worker, patterns)
  call('DEL', key('refusals:', worker.id))
  call('HDEL', key('worker:', worker.id), 'refuses')
  if patterns == '[]' then
    call('HDEL', key('worker:', worker.id), 'modules')
  else
    call('HSET', key('worker:', worker.id), 'modules', patterns)
  end
end

local function add_worker()
  local left = 0
  if is_replaced(find_worker(ARGV[6]), ARGV[10]) then
    local outcome, count, who = lose_runs(find_worker(ARGV[6]))
    if outcome ~= 'lost' then return { outcome, count, who } end
    left = count
  end
  local worker = get_worker(ARGV[6])
  if ARGV[10] ~= '' then call('HSET', key('worker:', worker.id), 'start_id', ARGV[10]) end
  if ARGV[7] == '1' then
    call('HSET', key('worker:', worker.id), 'assistant', '1')
  elseif ARGV[7] == '0' and worker.assistant then
    call('HDEL', key('worker:', worker.id), 'assistant')
    suspect_tasks_of(worker.id)
  end
  if ARGV[8] ~= '' then call('HSET', key('worker:', worker.id), 'slots', ARGV[8]) end
  if ARGV[9] ~= '' then set_filter(worker, ARGV[9]) end
  for index = 11, #ARGV, 2 do call('HSET', key('worker_info:', worker.id), ARGV[index], ARGV[index + 1]) end
  return { 'known', left }
end

return answer(add_worker)
