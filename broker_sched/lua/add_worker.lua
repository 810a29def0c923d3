-- Merge info into what is known of a worker. An unknown worker is created.
--
-- ARGV  6 worker  7 assistant: '', 0, 1 (as the info says)  8 slots: '' or a number (info.workers)
--       9 filter: which modules it takes others' tasks from, as a JSON list of patterns (see lib/restrictions.lua);
--       '[]' any, '' not told  10… info: key, JSON, key, JSON, …
-- Reply 0
-- Cost  O(info); O(what it runs) when it ceases to be an assistant
-- Source: luigi.scheduler.Scheduler.add_worker, 3.8.1.
-- @include lib/header.lua
-- @include lib/workers.lua

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
  local worker = get_worker(ARGV[6])
  if ARGV[7] == '1' then
    call('HSET', key('worker:', worker.id), 'assistant', '1')
  elseif ARGV[7] == '0' and worker.assistant then
    call('HDEL', key('worker:', worker.id), 'assistant')
    suspect_tasks_of(worker.id)
  end
  if ARGV[8] ~= '' then call('HSET', key('worker:', worker.id), 'slots', ARGV[8]) end
  if ARGV[9] ~= '' then set_filter(worker, ARGV[9]) end
  for index = 10, #ARGV, 2 do call('HSET', key('worker_info:', worker.id), ARGV[index], ARGV[index + 1]) end
  return 0
end

return answer(add_worker)
