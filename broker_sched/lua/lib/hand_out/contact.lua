-- A worker that asks for work tells its host, its start id, and that it is an assistant. That, and the time, is noted.

-- @include lib/core/header.lua
-- @include lib/tasks/metric_notes.lua

local function note_contact(worker)
  local fields = { 'last_get_work', NOW_TEXT }
  if ARGS.host ~= '' then
    fields[3], fields[4] = 'host', optional(ARGS.host)
  end
  if (worker.woken or '') ~= '' then
    note_metric('k', '', worker.woken)
    fields[#fields + 1], fields[#fields + 2] = 'woken', ''
    worker.woken = nil
  end
  if ARGS.start_id ~= '' and not worker.start_id then
    fields[#fields + 1], fields[#fields + 2] = 'start_id', ARGS.start_id
  end
  if ARGS.assistant == '1' and not worker.disabled and not worker.assistant then
    fields[#fields + 1], fields[#fields + 2] = 'assistant', '1'
    call('HSET', key('worker_info:', worker.id), 'assistant', 'true')
    worker.assistant = true
  end
  call('HSET', key('worker:', worker.id), unpack(fields))
end
