-- Ready batchable tasks are indexed by what the tasks of one batch share, their signature. A task is in the index once
-- for each list of batched parameters that was registered for its family.
--
--   batch_ready:<runner_set>|<signature>  sorted set like ready:<runner_set>|<needs>
--   batch_runner_sets:<signature>         the runner sets that have such a sorted set
--   batch_keys:<n>                        the <runner_set>|<signature> where task n stands
--   batchable:<family>                    numbers of the family's ready batchable tasks

-- @include lib/core/header.lua
-- @include lib/tasks/tasks.lua

local MAX_EXACT = 9007199254740992 -- 2^53: from here on, two integers may be one double

-- Values as text that is equal exactly when they are; `null` and other odd values by their name. Fails for a number
-- that Lua can't hold exactly.
local function canonical(value)
  local kind = type(value)
  if value == cjson.null then return 'null' end
  if kind == 'string' then return #value .. ':' .. value end
  if kind == 'number' then
    if math.abs(value) >= MAX_EXACT then error('not exact') end
    return number_text(value)
  end
  if kind ~= 'table' then return tostring(value) end
  local parts = {}
  for name, inner in pairs(value) do parts[#parts + 1] = canonical(name) .. '=' .. canonical(inner) end
  table.sort(parts)
  return '{' .. table.concat(parts, ',') .. '}'
end

-- What tasks of one batch share, as text: batched names, needs, other parameters, family. nil when the task
-- lacks a batched parameter, or when its parameters can't be compared.
local function batch_signature(task, names_text)
  local readable, params = pcall(cjson.decode, params_text(task))
  if not readable then return nil end
  for _, name in ipairs(cjson.decode(names_text)) do
    if params[name] == nil then return nil end
    params[name] = nil
  end
  local comparable, others = pcall(canonical, params)
  if not comparable then return nil end
  return table.concat({ names_text, task.resources, others, task.family or '' }, '|')
end

-- The tasks, which are of one family, are in the index no more.
local function leave_batches(tasks)
  local ranks, numbers, lists = {}, {}, {} -- ranks: by entry
  for index, task in ipairs(tasks) do
    numbers[index], lists[index] = task.n, key('batch_keys:', task.n)
    for _, entry in ipairs(call('SMEMBERS', lists[index])) do append_to(ranks, entry, task.rank) end
  end
  for entry, leaving in pairs(ranks) do
    local batch_key = key('batch_ready:', entry)
    call('ZREM', batch_key, unpack(leaving))
    if call('EXISTS', batch_key) == 0 then
      local runner_set, signature = string.match(entry, '^(%d+)|(.*)$')
      call('SREM', key('batch_runner_sets:', signature), runner_set)
    end
  end
  call('DEL', unpack(lists))
  call('SREM', key('batchable:', tasks[1].family or ''), unpack(numbers))
end

local function enter_batches(task)
  call('SADD', key('batchable:', task.family or ''), task.n)
  for _, names_text in ipairs(call('SMEMBERS', key('batch_names:', task.family or ''))) do
    local signature = batch_signature(task, names_text)
    if signature then
      local entry = task.runner_set .. '|' .. signature
      call('ZADD', key('batch_ready:', entry), number_text(-tonumber(task.priority)), task.rank)
      call('SADD', key('batch_runner_sets:', signature), task.runner_set)
      call('SADD', key('batch_keys:', task.n), entry)
    end
  end
end
