-- What a worker ran fails when it is gone. The explanation of that failure names the worker, its host, and since when
-- it was silent.
--
--   missed:<worker_id>   that sentence and the host, for the prune that fails its tasks
--
-- Luigi keeps the explanation of an earlier failure, or none (docs/decisions/0003).

-- @include lib/core/header.lua
-- @include lib/workers/workers.lua

local MISSED_SECONDS = 3600
local SILENT_SECONDS = 5 -- a worker that pings each second has ended, or is cut off, when it was silent for so long

-- Seconds since the epoch as 2026-11-28 06:05:23 UTC. The civil calendar in days, years begin in March.
local function utc(seconds)
  local days, rest = math.floor(seconds / 86400), math.floor(seconds % 86400)
  local shifted = days + 719468
  local era = math.floor(shifted / 146097)
  local day_of_era = shifted - era * 146097
  local year_of_era = math.floor((day_of_era - math.floor(day_of_era / 1460) + math.floor(day_of_era / 36524)
    - math.floor(day_of_era / 146096)) / 365)
  local day_of_year = day_of_era - (365 * year_of_era + math.floor(year_of_era / 4) - math.floor(year_of_era / 100))
  local month_from_march = math.floor((5 * day_of_year + 2) / 153)
  local day = day_of_year - math.floor((153 * month_from_march + 2) / 5) + 1
  local month = month_from_march < 10 and month_from_march + 3 or month_from_march - 9
  local year = year_of_era + era * 400 + (month <= 2 and 1 or 0)
  return string.format('%04d-%02d-%02d %02d:%02d:%02d UTC', year, month, day, math.floor(rest / 3600),
    math.floor(rest % 3600 / 60), rest % 60)
end

local function text_in_info(json)
  local readable, value = pcall(cjson.decode, json or '')
  if readable and (type(value) == 'string' or type(value) == 'number') then return tostring(value) end
end

-- 'Worker x (host h, pid 7)', as far as it told.
local function worker_named(id)
  local told = call('HMGET', key('worker_info:', id), 'host', 'pid')
  local host, pid = text_in_info(told[1]) or call('HGET', key('worker:', id), 'host'), text_in_info(told[2])
  local place = host and 'host ' .. host .. (pid and ', pid ' .. pid or '')
  return 'Worker ' .. id .. (place and ' (' .. place .. ')' or '')
end

local function last_heard_of(id)
  local contact = tonumber(call('ZSCORE', key('workers', ''), id) or 0)
  return utc(contact), string.format('%.0f', NOW - contact)
end

-- How long a worker that lives may be silent: so many of its pings may fail to come, where it told of `ping_interval`.
local function longest_silence(id, missed_pings)
  local told = text_in_info(call('HGET', key('worker_info:', id), 'ping_interval'))
  return math.max(SILENT_SECONDS, missed_pings * (tonumber(told) or 0) + 1)
end

local function has_runs(id)
  return call('EXISTS', key('running:', id), key('worker_batches:', id)) > 0
end

local function why_silent(id)
  local since, seconds = last_heard_of(id)
  return worker_named(id) .. ' was silent since ' .. since .. ', for ' .. seconds
    .. ' s, while it ran this task: it has ended, or its machine was cut off or stood still.'
end

-- Why the runs of a worker fail that people had removed. by: who, '' for nobody in particular.
local function why_forgotten(id, by)
  return worker_named(id) .. ' was removed by ' .. (by ~= '' and by or 'an operator') .. ' at ' .. utc(NOW)
    .. ' while it ran this task, and was heard of last at ' .. last_heard_of(id) .. '.'
end

-- Before the worker is forgotten. why: a sentence; nil for one that was silent.
local function keep_why_missed(id, why)
  if not has_runs(id) then return end
  local told = { why or why_silent(id), find_worker(id).host or '' }
  call('SET', key('missed:', id), cjson.encode(told), 'EX', MISSED_SECONDS)
end

-- Why a running task fails whose worker is not there any more, or has no stake in it; and its host, where it is known
-- from its time only.
local function why_missed(id)
  local kept = not find_worker(id) and call('GET', key('missed:', id))
  if kept then
    local told = cjson.decode(kept)
    if type(told) ~= 'table' then return kept end -- schema 3 kept the sentence alone
    return cjson.encode(told[1]), told[2]
  end
  return cjson.encode(worker_named(id) .. ', which ran this task, is unknown by now or has no stake in it.')
end

-- Why the runs of a worker fail whose name a new one has taken.
local function why_replaced(id)
  local since = last_heard_of(id)
  return cjson.encode(worker_named(id) .. ' ended while it ran this task: another one was started under its name at '
    .. utc(NOW) .. ', and it was heard of last at ' .. since .. '. Does this task kill its worker?')
end
