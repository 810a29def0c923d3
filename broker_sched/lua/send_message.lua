-- Leave a worker a message for its next ping. An unknown worker is created.
--
-- @args worker message option message_id
--   message     JSON
--   option      the one that must be on, '' for none
--   message_id  '' for none
-- Reply its id, which is the first one's for a repetition; '' when the option is off
-- Cost  O(1)
-- Source: luigi.scheduler.Scheduler.set_worker_processes, send_scheduler_message, 3.8.1.
-- @include lib/core/header.lua
-- @include lib/wakeups/wakeups.lua
-- @include lib/workers/workers.lua

return answer(function()
  if ARGS.option ~= '' and OPTIONS[ARGS.option] ~= 1 then return '' end
  local worker = get_worker(ARGS.worker)
  call('RPUSH', key('messages:', worker.id), ARGS.message)
  wakeups.wake(worker.w)
  return ARGS.message_id
end)
