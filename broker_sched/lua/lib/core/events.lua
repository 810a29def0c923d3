-- Each change of a task's status is added to the stream `events`, for whoever follows it.

-- @include lib/core/header.lua

-- by  who of the people did it, '' for nobody in particular; nil when it was none of them
local function record_event(task_id, family, from, to, worker_running, by)
  if by then
    call('XADD', key('events', ''), 'MAXLEN', '~', 10000, '*',
      'task_id', task_id, 'family', family, 'from', from, 'to', to, 'worker', worker_running, 'time', NOW_TEXT,
      'by', by)
    return
  end
  call('XADD', key('events', ''), 'MAXLEN', '~', 10000, '*',
    'task_id', task_id, 'family', family, 'from', from, 'to', to, 'worker', worker_running, 'time', NOW_TEXT)
end
