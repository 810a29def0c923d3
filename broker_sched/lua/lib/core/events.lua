-- The stream `events`, for whoever follows what becomes of tasks: each change of a status, and what changes none but
-- was asked for or refused. The last 10,000 or so are kept.

-- @include lib/core/header.lua

-- …  further fields and their values
local function note_event(task_id, family, from, to, worker_running, ...)
  call('XADD', key('events', ''), 'MAXLEN', '~', 10000, '*', 'task_id', task_id, 'family', family, 'from', from,
    'to', to, 'worker', worker_running, 'time', NOW_TEXT, ...)
end

-- by       who of the people did it, '' for nobody in particular; nil when it was none of them
-- started  when the run began that ends by it; nil when none does
local function record_event(task_id, family, from, to, worker_running, by, started)
  if by and started then
    return note_event(task_id, family, from, to, worker_running, 'started', started, 'by', by)
  end
  if by then return note_event(task_id, family, from, to, worker_running, 'by', by) end
  if started then return note_event(task_id, family, from, to, worker_running, 'started', started) end
  note_event(task_id, family, from, to, worker_running)
end
