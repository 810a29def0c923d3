-- Leave a worker a message for its next ping. An unknown worker is created.
--
-- ARGV  6 worker  7 the message, JSON  8 the option that must be on, or ''  9 its id, or ''
-- Reply its id, which is the first one's for a repetition; '' when the option is off
-- Cost  O(1)
-- Source: luigi.scheduler.Scheduler.set_worker_processes, send_scheduler_message, 3.8.1.
-- @include lib/core/header.lua
-- @include lib/workers/workers.lua
-- @include lib/wakeups/wakeups.lua

return answer(function()
  if ARGV[8] ~= '' and OPTIONS[ARGV[8]] ~= 1 then return '' end
  local worker = get_worker(ARGV[6])
  call('RPUSH', key('messages:', worker.id), ARGV[7])
  wakeups.wake(worker.w)
  return ARGV[9]
end)
