-- Bring a part of a namespace from schema 3 to schema 4. Meanwhile `schema` is '3>4', which no program works with, so
-- nothing else changes. What is done is not there to be done any more, so a migration that was broken off goes on.
--
--   tasks:<status>           a set of numbers in schema 3. Its members go to tasks:<state>:<family>, by since when
--   families, batch_running  new
--   task:<task_id>           gets the field `blocked` while it is BLOCKED. Since when a task is READY was not kept:
--                            since it is PENDING
--   config                   `migrating_since` meanwhile: workers can't call, and are not taken for silent
--
-- @args count
--   count  how many tasks at the most
-- Reply how many tasks are left; 0: the namespace has schema 4
-- Cost  O(count); at the end O(workers)
-- @include lib/core/header.lua
-- @include lib/core/ids.lua

local OLD, BETWEEN, NEW = '3', '3>4', '4'
local STATUSES = { 'PENDING', 'RUNNING', 'BATCH_RUNNING', 'DONE', 'FAILED', 'DISABLED', 'UNKNOWN' }

local function state_of(n, status, ready)
  if status ~= 'PENDING' then return status end
  if ready and ready ~= '' then return 'READY' end
  return call('EXISTS', key('blockers:', n)) == 1 and 'BLOCKED' or 'WAITING'
end

local function list(n)
  local task_key = key('task:', id_of(n) or '')
  local fields = call('HMGET', task_key, 'status', 'updated', 'family', 'ready')
  local status, family = fields[1], fields[3] or ''
  if not status then return end -- an index that was wrong before
  local state = state_of(n, status, fields[4])
  call('ZADD', key('tasks:', state .. ':' .. family), fields[2], n)
  call('SADD', key('families', ''), family)
  if state == 'BLOCKED' then call('HSET', task_key, 'blocked', '1') end
  if state == 'BATCH_RUNNING' then call('SADD', key('batch_running', ''), n) end
end

local function finish(config)
  local since = call('HGET', config, 'migrating_since')
  for _, id in ipairs(call('ZRANGE', key('workers', ''), 0, -1)) do
    call('ZINCRBY', key('workers', ''), number_text(NOW - tonumber(since)), id)
  end
  call('HSET', config, 'schema', NEW)
  call('HDEL', config, 'migrating_since')
end

local function migrate()
  local config = key('config', '')
  call('HSETNX', config, 'migrating_since', NOW_TEXT)
  local left, budget = 0, tonumber(ARGS.count)
  for _, status in ipairs(STATUSES) do
    local old = key('tasks:', status)
    for _, n in ipairs(budget > 0 and call('SPOP', old, budget) or {}) do
      list(n)
      budget = budget - 1
    end
    left = left + call('SCARD', old)
  end
  if left > 0 then call('HSET', config, 'schema', BETWEEN) else finish(config) end
  return left
end

local schema = call('HGET', key('config', ''), 'schema')
local reached = tonumber(string.match(schema or '', '^%d+'))
if reached and reached >= tonumber(NEW) then return 0 end -- by another one at the same time
if schema ~= OLD and schema ~= BETWEEN then return redis.error_reply('BSCHED_SCHEMA ' .. (schema or 'none')) end
return migrate()
