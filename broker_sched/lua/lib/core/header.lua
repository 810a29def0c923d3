-- What nearly every script begins with: the time, the namespace's options, the names of its keys, and the answer that a
-- repeated request gets.
--
-- @args prefix schema_version now request_id random_bits
--   prefix          bsched:{<namespace>}:
--   schema_version  that the caller was written for
--   now             in seconds, or '' for Redis TIME
--   request_id      <caller>:<number> for what must not happen twice, else ''; with '!' behind it when it was sent
--                   before. A repeated request gets its first answer. One whose caller has had an answer to a higher
--                   number is a late copy, whose answer nobody awaits: it is refused. So is one without '!' whose
--                   first answer no longer holds.
--   random_bits     48 of them, as a number: the weight of a worker that this call may create
-- These arguments come before those of the script. Of the keys, the `config` key routes the call; all others are
-- derived inside the namespace's slot.
--
-- A script's writes stay when it fails, and what was only counted is not written then. So a body checks first what it
-- was given, and deferred steps, where others' mistakes may show, are run so that they can't make it fail.

local call = redis.call
local PREFIX = ARGS.prefix
local REQUEST_ID = ARGS.request_id
local MAX_INLINE = 64 -- bytes; a longer value would cost a task's whole hash its compact encoding

local NOW = tonumber(ARGS.now)
if not NOW then
  local time = call('TIME')
  NOW = tonumber(time[1]) + tonumber(time[2]) / 1000000
end
local NOW_TEXT = string.format('%.6f', NOW)

-- An option of the namespace, a number where it is one; read when first asked for.
local OPTIONS = setmetatable({}, {
  __index = function(options, name)
    local text = call('HGET', PREFIX .. 'config', name)
    local value = tonumber(text or nil) or text
    rawset(options, name, value)
    return value
  end,
})

-- The key of these parts: key('task:', id).
local function key(kind, name)
  return PREFIX .. kind .. name
end

-- A number as Redis should store it: all its digits, whole numbers without a point.
local function number_text(number)
  return string.format('%.17g', number)
end

-- Append to the list of this name, which is made when it is not there.
local function append_to(lists, name, value)
  local list = lists[name] or {}
  lists[name] = list
  list[#list + 1] = value
end

-- An optional argument: '' is null, '=text' is the text.
local function optional(text)
  if text == '' then return nil end
  return string.sub(text, 2)
end

-- Read the schema version and the options that the script always asks for. Returns an error reply when the script
-- can't run here, or not now: an index is being repaired.
local function read_config(names, is_repair)
  local values = call('HMGET', PREFIX .. 'config', 'schema', 'repairing', 'paused_families', unpack(names))
  local schema, repairing = values[1], values[2]
  if not schema then return redis.error_reply('BSCHED_UNCONFIGURED') end
  if schema ~= ARGS.schema_version then return redis.error_reply('BSCHED_SCHEMA ' .. schema) end
  if repairing and not is_repair and tonumber(string.match(repairing, ' (.*)$')) > NOW then
    return redis.error_reply('BSCHED_REPAIRING')
  end
  OPTIONS.paused_families = values[3] or '' -- see lib/hand_out/paused_families.lua
  for index, name in ipairs(names) do
    local text = values[index + 3] or nil
    rawset(OPTIONS, name, tonumber(text) or text)
  end
end

local function is_lower(number, other)
  local mine, others = tonumber(string.match(number, '^%d+')), tonumber(string.match(other, '^%d+'))
  return mine ~= nil and others ~= nil and mine < others
end

local function run_whole(body)
  local reply = body()
  -- @run_at_end
  return reply
end

-- Run the script's body and return its reply, or the first answer to this request when it is a repetition.
-- names    options that the body always asks for: they are read together
-- shorten  makes of the reply what is kept for a repetition, nil when that may run anew; without it, the reply itself.
--          Its second argument: is this a repetition already?
-- holds    is what was kept still so? Without it, it is. Else the request is carried out anew
local function answer(body, names, shorten, holds)
  local error_reply = read_config(names or {})
  if error_reply then return error_reply end
  if REQUEST_ID == '' then return run_whole(body) end
  local caller, number, mark = string.match(REQUEST_ID, '^(.*):([^:!]*)(!?)$')
  local kept = call('GET', key('reply:', caller))
  if kept then
    local kept_number = string.match(kept, '^[^\n]*')
    if kept_number == number then
      local reply = cjson.decode(string.sub(kept, #number + 2))[1]
      if not holds or holds(reply) then return reply end
      -- Sent first, it arrives after its repetition was answered: nobody awaits what it would do. Only a proxy that
      -- sends again by itself would be refused for nothing.
      if mark == '' then return redis.error_reply('BSCHED_LATE ' .. string.match(kept_number, '^%d+')) end
    elseif is_lower(number, kept_number) then
      return redis.error_reply('BSCHED_LATE ' .. string.match(kept_number, '^%d+'))
    end
  end
  local reply = run_whole(body)
  local keep = reply
  if shorten then keep = shorten(reply, mark ~= '') end
  if keep then call('SET', key('reply:', caller), number .. '\n' .. cjson.encode({ keep }), 'EX', 900) end
  return reply
end
