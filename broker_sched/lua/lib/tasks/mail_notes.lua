-- What mails are to tell of is noted for the server that sends them.
--
--   mail:notes     list of notes, JSON each; scheduler/operations/mails.py reads them
--   mail:unlisted  how many there were beyond MAX_NOTES
--   mail:server    there while a server that sends mails was seen within a week: without one, nothing is noted

-- @include lib/core/header.lua
-- @include lib/tasks/error_texts.lua

local MAX_NOTES = 10000
local MAX_PARAMS = 4000 -- bytes

-- The parameters that the worker's tasks of this family are batched by, JSON.
local function batched_names(worker_id, family)
  local registered = worker_id and call('HGET', key('batchers:', worker_id), family)
  return registered and string.match(registered, '^%S+ (.*)$') or nil
end

local function is_mailed()
  return call('EXISTS', key('mail:server', '')) == 1
end

local function add_note(note)
  if call('LLEN', key('mail:notes', '')) >= MAX_NOTES then return call('INCR', key('mail:unlisted', '')) end
  note.time = NOW_TEXT
  if note.params and #note.params > MAX_PARAMS then note.params = nil end
  call('RPUSH', key('mail:notes', ''), cjson.encode(note))
end

-- A task failed, and was disabled when that was once too often. Without batch_emails only the latter is mailed here.
local function note_failure(task, is_disabled)
  if not is_disabled and OPTIONS.batch_emails ~= 1 then return end
  if not is_mailed() then return end
  local detail = call('HMGET', key('detail:', task.id), 'params', 'param_visibilities', 'expl', 'owners')
  add_note({
    kind = 'failure', disabled = is_disabled or nil, task_id = task.id, family = task.family or '',
    params = task.params or detail[1] or nil, visibilities = detail[2] or nil, owners = detail[4] or nil,
    batched = batched_names(task.worker_running, task.family or ''), worker = task.worker_running,
    error = error_text(task.expl or detail[3] or nil),
  })
end

-- A task could not be scheduled. All but the worker and the error are texts of JSON; those not known are nil.
local function note_scheduling_failure(worker_id, family, params, visibilities, owners, error)
  if OPTIONS.batch_emails ~= 1 or not is_mailed() then return end
  add_note({
    kind = 'scheduling', family = family, params = params, visibilities = visibilities, owners = owners,
    batched = batched_names(worker_id, family), worker = worker_id, error = error_text(error),
  })
end
