-- Put right what verify found, while no other script runs: the field `repairing` of `config`, <token> <until when (s)>,
-- has all others refused. Who holds it has time to read everything, and to write in parts; it ends by itself.
--
-- @args token action seconds words…
--   token       of the repair
--   action      begin, anyway (begin, though deferred steps wait), renew, write, end
--   seconds     that the mark lasts
--   words       of write: number of words, command, key without prefix, further words, number of words, …
-- Reply { 1 when it is this repair's turn, else 0: nothing was done, number of deferred steps that wait }
-- Cost  O(words given); of renew and end O(workers)
-- @include lib/core/header.lua

-- Is it this repair's turn: is nobody else at it, and was this one not silent for too long?
local function has_turn()
  local holder, until_when = string.match(call('HGET', key('config', ''), 'repairing') or '', '^(%S+) (%S+)$')
  local is_held = holder and tonumber(until_when) > NOW
  if ARGS.action == 'begin' or ARGS.action == 'anyway' then return not is_held or holder == ARGS.token end
  return is_held and holder == ARGS.token
end

-- A worker's pings are refused meanwhile: that is no silence of its own, so its last contact moves along with the time.
local function excuse_workers()
  local until_when = string.match(call('HGET', key('config', ''), 'repairing'), '^%S+ (%S+)$')
  local passed = NOW - (tonumber(until_when) - tonumber(ARGS.seconds))
  for _, id in ipairs(call('ZRANGE', key('workers', ''), 0, -1)) do
    call('ZINCRBY', key('workers', ''), number_text(passed), id)
  end
end

local function write()
  local index = 1
  while index <= #ARGS.words do
    local count, further = tonumber(ARGS.words[index]), {}
    for offset = 3, count do further[#further + 1] = ARGS.words[index + offset] end
    call(ARGS.words[index + 1], key(ARGS.words[index + 2], ''), unpack(further))
    index = index + count + 1
  end
end

local function repair()
  local deferred_steps = call('LLEN', key('deferred_steps', ''))
  if not has_turn() or (ARGS.action == 'begin' and deferred_steps > 0) then return { 0, deferred_steps } end
  if ARGS.action == 'renew' or ARGS.action == 'end' then excuse_workers() end
  if ARGS.action == 'write' then
    write()
  elseif ARGS.action == 'end' then
    call('HDEL', key('config', ''), 'repairing')
  else
    call('HSET', key('config', ''), 'repairing', string.format('%s %.6f', ARGS.token, NOW + tonumber(ARGS.seconds)))
  end
  return { 1, deferred_steps }
end

-- As answer does, which refuses every other script meanwhile.
local error_reply = read_config({}, true)
return error_reply or repair()
