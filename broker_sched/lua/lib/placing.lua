-- The indexes a task stands in, derived from its fields. place_task compares where it stands (fields tally,
-- counted, ready; set batch_keys:<n>) with where it should, and moves it: doing it twice changes nothing.
--
--   tally    <crew>p, <crew>r (PENDING, without and with resources) or <crew>R (RUNNING): counters `pending`
--            and `with_resources` of crew:<c>, members of crew:<c>:running
--   counted  <crew>:<w>: in counted:<crew>:<w>, what count_pending counts (PENDING and not blocked, or
--            FAILED), by the worker that signed up last; counter `counted` of crew:<c>
--   ready    <crew>|<needs>: in the sorted set ready:<crew>|<needs>, score −priority, member rank; listed in
--            groups and groups:<crew> while it has members
--   batch_ready:<crew>|<signature>, batch_crews:<signature>: the ready batchable ones, by what must be equal

local function change_tally(tally, amount, n)
  if not tally then return end
  local crew, kind = string.match(tally, '^(%d+)(%a)$')
  if kind == 'R' then
    call(amount > 0 and 'SADD' or 'SREM', key('crew:', crew .. ':running'), n)
    return
  end
  call('HINCRBY', key('crew:', crew), 'pending', amount)
  if kind == 'r' then call('HINCRBY', key('crew:', crew), 'with_resources', amount) end
end

local function wanted_tally(task)
  if task.crew == '0' then return nil end
  if task.status == 'RUNNING' then return task.crew .. 'R' end
  if task.status == 'PENDING' then return task.crew .. (task.resources == '' and 'p' or 'r') end
  return nil
end

local function wanted_counted(task)
  if task.crew == '0' then return nil end
  local counts = task.status == 'FAILED'
    or (task.status == 'PENDING' and call('EXISTS', key('blockers:', task.n)) == 0)
  if not counts then return nil end
  if not is_in_crowd('crew', task.crew, task.last) then
    local workers = workers_of(task)
    if #workers == 0 then return nil end
    set(task, 'last', workers[#workers])
  end
  return task.crew .. ':' .. task.last
end

local function change_counted(task, wanted)
  local crew_key = function(counted) return key('crew:', string.match(counted, '^%d+')) end
  if task.counted and call('SREM', key('counted:', task.counted), task.n) == 1 then
    call('HINCRBY', crew_key(task.counted), 'counted', -1)
  end
  if wanted and call('SADD', key('counted:', wanted), task.n) == 1 then
    call('HINCRBY', crew_key(wanted), 'counted', 1)
  end
  set(task, 'counted', wanted)
end

local function leave_group(group, rank)
  local ready_key = key('ready:', group)
  if call('ZREM', ready_key, rank) == 1 and call('EXISTS', ready_key) == 0 then
    call('SREM', key('groups', ''), group)
    call('SREM', key('groups:', string.match(group, '^%d+')), group)
  end
end

local function enter_group(group, task)
  local ready_key = key('ready:', group)
  if call('ZADD', ready_key, number_text(-tonumber(task.priority)), task.rank) == 1
    and call('ZCARD', ready_key) == 1 then
    call('SADD', key('groups', ''), group)
    call('SADD', key('groups:', task.crew), group)
  end
end

-- Values as text that is equal exactly when they are; `null` and other odd values by their name.
local function canonical(value)
  local kind = type(value)
  if kind == 'string' then return #value .. ':' .. value end
  if kind == 'number' then return number_text(value) end
  if kind ~= 'table' then return tostring(value) end
  local parts = {}
  for name, inner in pairs(value) do parts[#parts + 1] = canonical(name) .. '=' .. canonical(inner) end
  table.sort(parts)
  return '{' .. table.concat(parts, ',') .. '}'
end

local function params_text(task)
  return call('HGET', key('task:', task.id), 'params') or call('HGET', key('detail:', task.id), 'params') or '{}'
end

-- What tasks of one batch share, as text: family, batched names, needs, other parameters. nil when the task
-- lacks a batched parameter, or when its parameters can't be compared.
local function batch_signature(task, names_text)
  local readable, params = pcall(cjson.decode, params_text(task))
  if not readable then return nil end
  for _, name in ipairs(cjson.decode(names_text)) do
    if params[name] == nil then return nil end
    params[name] = nil
  end
  return table.concat({ task.family or '', names_text, task.resources, canonical(params) }, '\n')
end

local function leave_batches(task)
  for _, entry in ipairs(call('SMEMBERS', key('batch_keys:', task.n))) do
    local batch_key = key('batch_ready:', entry)
    call('ZREM', batch_key, task.rank)
    if call('EXISTS', batch_key) == 0 then
      local crew, signature = string.match(entry, '^(%d+)|(.*)$')
      call('SREM', key('batch_crews:', signature), crew)
    end
  end
  call('DEL', key('batch_keys:', task.n))
  call('SREM', key('batchable:', task.family or ''), task.n)
end

local function enter_batches(task)
  call('SADD', key('batchable:', task.family or ''), task.n)
  for _, names_text in ipairs(call('SMEMBERS', key('batch_names:', task.family or ''))) do
    local signature = batch_signature(task, names_text)
    if signature then
      local entry = task.crew .. '|' .. signature
      call('ZADD', key('batch_ready:', entry), number_text(-tonumber(task.priority)), task.rank)
      call('SADD', key('batch_crews:', signature), task.crew)
      call('SADD', key('batch_keys:', task.n), entry)
    end
  end
end

-- Move the task to where it belongs. O(1), O(log n) for the sorted sets.
local function place_task(task)
  local tally = wanted_tally(task)
  if tally ~= task.tally then
    change_tally(task.tally, -1, task.n)
    change_tally(tally, 1, task.n)
    set(task, 'tally', tally)
  end
  local counted = wanted_counted(task)
  if counted ~= task.counted then change_counted(task, counted) end
  local ready = nil
  if task.status == 'PENDING' and call('EXISTS', key('unmet:', task.n)) == 0 then
    ready = task.crew .. '|' .. task.resources
  end
  local moves = ready ~= task.ready or task.reranked
  if moves then
    if task.ready then leave_group(task.ready, task.rank) end
    if ready then enter_group(ready, task) end
    set(task, 'ready', ready)
    task.reranked = nil
  end
  local batched = ready and task.batchable == '1'
  if task.batched and (moves or not batched) then leave_batches(task) end
  if batched and (moves or not task.batched) then enter_batches(task) end
  set(task, 'batched', batched and '1')
end
