-- Each change of a task's status is added to the stream `events`, for whoever follows it.

-- @include lib/core/header.lua

local function record_event(task_id, from, to, worker_running)
  call('XADD', key('events', ''), 'MAXLEN', '~', 10000, '*',
    'task_id', task_id, 'from', from, 'to', to, 'worker', worker_running, 'time', NOW_TEXT)
end
