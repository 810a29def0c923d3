-- Put right what verify found, while no other script runs: the field `repairing` of `config`, <token> <until when (s)>,
-- has all others refused. Who holds it has time to read everything, and to write in bites; it ends by itself.
--
-- ARGV  6 token of the repair  7 what: begin, anyway (begin, though deferred steps wait), renew, write, end
--       8 seconds that the mark lasts, of begin, anyway, renew and end
--       8… of write: number of words, command, key without prefix, further words, number of words, …
-- Reply { 1 when it is this repair's turn, else 0: nothing was done, number of deferred steps that wait }
-- Cost  O(words given); of renew and end O(workers)
-- @include lib/core/header.lua

local token, what = ARGV[6], ARGV[7]

-- Is it this repair's turn: is nobody else at it, and was this one not silent for too long?
local function has_turn()
  local holder, until_when = string.match(call('HGET', key('config', ''), 'repairing') or '', '^(%S+) (%S+)$')
  local is_held = holder and tonumber(until_when) > NOW
  if what == 'begin' or what == 'anyway' then return not is_held or holder == token end
  return is_held and holder == token
end

-- A worker's pings are refused meanwhile: that is no silence of its own, so its last contact moves along with the time.
local function excuse_workers()
  local until_when = string.match(call('HGET', key('config', ''), 'repairing'), '^%S+ (%S+)$')
  local passed = NOW - (tonumber(until_when) - tonumber(ARGV[8]))
  for _, id in ipairs(call('ZRANGE', key('workers', ''), 0, -1)) do
    call('ZINCRBY', key('workers', ''), number_text(passed), id)
  end
end

local function write()
  local index = 8
  while index <= #ARGV do
    local count = tonumber(ARGV[index])
    call(ARGV[index + 1], key(ARGV[index + 2], ''), unpack(ARGV, index + 3, index + count))
    index = index + count + 1
  end
end

local function repair()
  local deferred_steps = call('LLEN', key('deferred_steps', ''))
  if not has_turn() or (what == 'begin' and deferred_steps > 0) then return { 0, deferred_steps } end
  if what == 'renew' or what == 'end' then excuse_workers() end
  if what == 'write' then
    write()
  elseif what == 'end' then
    call('HDEL', key('config', ''), 'repairing')
  else
    call('HSET', key('config', ''), 'repairing', string.format('%s %.6f', token, NOW + tonumber(ARGV[8])))
  end
  return { 1, deferred_steps }
end

-- As answer does, which refuses every other script meanwhile.
local refusal = read_config({}, true)
return refusal or repair()
