-- Merge info into what is known of a worker. An unknown worker is created.
--
-- @args worker assistant slots modules start_id memory info…
--   assistant   0, 1 as the info says; '' when it does not say
--   slots       a number, the info's `workers`; '' when it does not say
--   modules     which modules it takes others' tasks from: patterns as a JSON list, see
--               lib/hand_out/restrictions.lua; '[]' any, '' when it does not say
--   start_id    '' for none
--   memory      bytes of the processes that run its tasks, by task id as a JSON object; '' when it does not say
--   info        key, JSON, key, JSON, …
-- Reply { 'known', 0 }; when it is new under an old name, nothing was merged yet, and there is more to do before:
--       { 'more', deferred steps left } what the former one ran has failed in part: call again
--       { 'alive', when the former one was heard of last (s), who it is } it may run tasks; call again later, in vain
--       while it is heard of
-- Cost  O(info); O(what it runs) when it ceases to be an assistant; in parts, what the former one ran
-- Source: luigi.scheduler.Scheduler.add_worker, 3.8.1.
-- @include lib/core/header.lua
-- @include lib/workers/workers.lua
-- @rarely lib/workers/replaced_worker.lua

-- A worker tells its filter when it begins: what an earlier one of its name refused, it may well load.
local function set_filter(worker, patterns)
  call('DEL', key('refusals:', worker.id), key('refusal_reasons:', worker.id))
  call('HDEL', key('worker:', worker.id), 'refuses')
  if patterns == '[]' then
    call('HDEL', key('worker:', worker.id), 'modules')
  else
    call('HSET', key('worker:', worker.id), 'modules', patterns)
  end
end

local MEMORY_SECONDS = 60 -- it is told every 10 s

local function add_worker()
  local left = 0
  if is_replaced(find_worker(ARGS.worker), ARGS.start_id) then
    local outcome, count, who = lose_runs(find_worker(ARGS.worker))
    if outcome ~= 'lost' then return { outcome, count, who } end
    left = count
  end
  local worker = get_worker(ARGS.worker)
  if ARGS.start_id ~= '' then call('HSET', key('worker:', worker.id), 'start_id', ARGS.start_id) end
  if ARGS.assistant == '1' then
    call('HSET', key('worker:', worker.id), 'assistant', '1')
  elseif ARGS.assistant == '0' and worker.assistant then
    call('HDEL', key('worker:', worker.id), 'assistant')
    suspect_tasks_of(worker.id)
  end
  if ARGS.slots ~= '' then call('HSET', key('worker:', worker.id), 'slots', ARGS.slots) end
  if ARGS.memory ~= '' then call('SET', key('memory:', worker.id), ARGS.memory, 'EX', MEMORY_SECONDS) end
  if ARGS.modules ~= '' then set_filter(worker, ARGS.modules) end
  for index = 1, #ARGS.info, 2 do
    call('HSET', key('worker_info:', worker.id), ARGS.info[index], ARGS.info[index + 1])
  end
  return { 'known', left }
end

return answer(add_worker)
