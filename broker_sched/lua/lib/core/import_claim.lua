-- While tasks are brought in from a file, nobody else works on the namespace: its schema is then IMPORTING, which is
-- that of no program, so every other script is refused. Who brings them in says so in the field `import` of `config`,
-- '<token> <until when (s)> <was the namespace there before: 0, 1>', and renews it with every script. One that stood
-- still for too long gives way to the next one, which begins anew.

-- @include lib/core/header.lua

local IMPORTING = 'importing'
local claim = { token = nil, until_when = 0, was_there = nil }

-- Read the namespace's schema, who imports into it, and what every script reads (read_config).
function claim.read()
  local fields = call('HMGET', key('config', ''), 'schema', 'import', 'paused_families')
  claim.token, claim.until_when, claim.was_there = string.match(fields[2] or '', '^(%S+) (%S+) (%d)$')
  claim.until_when = tonumber(claim.until_when or 0)
  OPTIONS.paused_families = fields[3] or ''
  return fields[1]
end

function claim.take(token, seconds, was_there)
  claim.token, claim.was_there = token, was_there
  local text = string.format('%s %.6f %s', token, NOW + tonumber(seconds), was_there)
  call('HSET', key('config', ''), 'schema', IMPORTING, 'import', text)
end

-- Run the body for the one who imports; an error reply for everybody else, and for one who gave way to another.
function claim.answer(token, seconds, body)
  local schema = claim.read()
  if schema ~= IMPORTING then return redis.error_reply('BSCHED_SCHEMA ' .. (schema or 'none')) end
  if claim.token ~= token then return redis.error_reply('BSCHED_SCHEMA ' .. IMPORTING) end
  claim.take(token, seconds, claim.was_there)
  return run_whole(body)
end
