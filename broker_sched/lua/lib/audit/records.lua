-- The stream `audit`: one record for each change that a person or a token asked for, and for what was refused. It is
-- kept below a number of records and a number of seconds. Those of refusals are a tenth of that at the most, so whoever
-- is refused again and again drives no other record out.
--
-- Before a call changes anything, what is asked for is noted in `audit_open`; at its end that becomes the record. So a
-- process that dies in between leaves the note, of which a record is made later: that the end is not known.

-- @include lib/core/header.lua

local AUDIT_OPTIONS = { 'audit_max_records', 'audit_max_age' }
local OPEN_SECONDS = 900 -- for as long the answer to a repeated call is kept, and the call may end yet
local audit = {}

-- Remove nothing: a script that begins with a removal is carried out even where Redis is out of memory. What frees
-- memory is among the calls that are recorded.
function audit.be_let_pass()
  call('HDEL', key('audit_open', ''), '')
end

-- A note with the time of now.
function audit.dated(note)
  local fields = cjson.decode(note)
  fields.time = NOW_TEXT
  return cjson.encode(fields)
end

-- fields  name, value, …
function audit.add(fields)
  local most = tostring(math.max(1, OPTIONS.audit_max_records or 20000))
  return call('XADD', key('audit', ''), 'MAXLEN', most, '*', unpack(fields))
end

-- As `add`, for what was refused.
function audit.add_refusal(fields)
  local ids = key('audit_refused', '')
  call('RPUSH', ids, audit.add(fields))
  if call('LLEN', ids) > math.max(1, (OPTIONS.audit_max_records or 20000) / 10) then
    call('XDEL', key('audit', ''), call('LPOP', ids))
  end
end

-- The record that a note of `audit_open` becomes. tasks: how many were changed, '' when that is not known.
function audit.close(id, note, tasks, result, why)
  local fields = { 'tasks', tasks, 'result', result, 'why', why }
  for name, value in pairs(cjson.decode(note)) do
    fields[#fields + 1] = name
    fields[#fields + 1] = value
  end
  audit.add(fields)
  call('HDEL', key('audit_open', ''), id)
end

-- Drop what is too old, and make records of calls whose end nobody told.
function audit.sweep()
  local oldest = math.floor((NOW - (OPTIONS.audit_max_age or 7776000)) * 1000)
  if oldest > 0 then call('XTRIM', key('audit', ''), 'MINID', string.format('%.0f', oldest)) end
  if call('HLEN', key('audit_open', '')) == 0 then return end
  local open = call('HGETALL', key('audit_open', ''))
  for index = 1, #open, 2 do
    if tonumber(cjson.decode(open[index + 1]).time) < NOW - OPEN_SECONDS then
      audit.close(open[index], open[index + 1], '', 'unknown', 'its process ended in the midst of it')
    end
  end
end
