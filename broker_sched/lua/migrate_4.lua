-- Bring a part of a namespace from schema 4 to schema 5. Meanwhile `schema` is '4>5', which no program works with, so
-- nothing else changes.
--
--   task:<task_id>                 gets the field `date` where its parameters name one
--   dated:<state>:<date>:<family>  and months:<family> are new, see lib/tasks/dated.lua
--   config                         `migrating_since` meanwhile: workers can't call, and are not taken for silent; and
--                                  `migrating_cursor`, where in `ids` to go on. What is looked at twice has its date
--                                  already, so one that was broken off, or goes on twice at once, does no harm
--
-- @args count
--   count  how many tasks at the most, or some more
-- Reply how many tasks are left, about; 0: the namespace has schema 5
-- Cost  O(count); at the end O(workers)
-- @include lib/core/header.lua
-- @include lib/tasks/dated.lua
-- @include lib/tasks/dates.lua

local OLD, BETWEEN, NEW = '4', '4>5', '5'

local function list(n, id)
  local fields = call('HMGET', key('task:', id), 'status', 'family', 'ready', 'blocked', 'params', 'date')
  local detail = call('HMGET', key('detail:', id), 'params', 'param_visibilities')
  local state, family, date = fields[1], fields[2] or '', date_of(fields[5] or detail[1] or nil, detail[2] or nil)
  if not state or not date or fields[6] then return end -- a missing dep, one without a date, or done already
  if state == 'PENDING' then
    state = (fields[3] or '') ~= '' and 'READY' or (fields[4] or '') ~= '' and 'BLOCKED' or 'WAITING'
  end
  call('HSET', key('task:', id), 'date', date)
  enter_date(n, state, date, family)
end

local function finish(config)
  local since = call('HGET', config, 'migrating_since')
  for _, id in ipairs(call('ZRANGE', key('workers', ''), 0, -1)) do
    call('ZINCRBY', key('workers', ''), number_text(NOW - tonumber(since)), id)
  end
  call('HSET', config, 'schema', NEW)
  call('HDEL', config, 'migrating_since', 'migrating_cursor')
end

local function migrate()
  local config, ids = key('config', ''), key('ids', '')
  call('HSETNX', config, 'migrating_since', NOW_TEXT)
  local cursor, looked_at = string.match(call('HGET', config, 'migrating_cursor') or '', '^(%d+) (%d+)$')
  cursor, looked_at = cursor or '0', tonumber(looked_at or 0)
  if ARGS.count ~= '0' then
    local page = call('HSCAN', ids, cursor, 'COUNT', ARGS.count)
    for index = 1, #page[2], 2 do list(page[2][index], page[2][index + 1]) end
    if page[1] == '0' then
      finish(config)
      return 0
    end
    cursor, looked_at = page[1], looked_at + #page[2] / 2
  end
  call('HSET', config, 'schema', BETWEEN, 'migrating_cursor', cursor .. ' ' .. number_text(looked_at))
  return math.max(1, call('HLEN', ids) - looked_at)
end

local schema = call('HGET', key('config', ''), 'schema')
local reached = tonumber(string.match(schema or '', '^%d+'))
if reached and reached >= tonumber(NEW) then return 0 end -- by another one at the same time
if schema ~= OLD and schema ~= BETWEEN then return redis.error_reply('BSCHED_SCHEMA ' .. (schema or 'none')) end
return migrate()
