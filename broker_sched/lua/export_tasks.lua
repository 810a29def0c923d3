-- Read some tasks whole, each with its deps, for a file: what stands in one reply is as it was at one moment.
--
-- @args numbers…
-- Reply { how many of the numbers were looked at, tasks, numbers that are no tasks but missing deps, time }; each task
--       { id, fields, detail, deps, its workers or false, stakeholders, failures, attempts, when it is to be retried,
--       and removed }, ids in place of numbers
-- Cost  O(numbers), O(their deps up to MAX_DEPS) or O(deps of one task)
-- @include lib/core/header.lua
-- @include lib/core/ids.lua

local MAX_DEPS = 1000 -- read by one script, where one task alone does not have more
local IDS_AT_ONCE = 1000

local workers_by_number, members_by_set = {}, {}

-- The id of a worker that is there; nil when it has left, and its number stays for a while.
local function worker_id_of(w)
  if workers_by_number[w] == nil then
    local id = call('HGET', key('worker_ids', ''), w)
    workers_by_number[w] = id and call('HGET', key('worker:', id), 'w') == w and id or false
  end
  return workers_by_number[w] or nil
end

local function members_of(set_key)
  local found = members_by_set[set_key]
  if not found then
    found = { list = call('SMEMBERS', set_key) }
    table.sort(found.list)
    for _, w in ipairs(found.list) do found[w] = true end
    members_by_set[set_key] = found
  end
  return found
end

local function ids_of_workers(numbers, members)
  local found = {}
  for _, w in ipairs(numbers) do
    if members[w] then found[#found + 1] = worker_id_of(w) end
  end
  return found
end

local function ids_of_all(numbers)
  local found = {}
  for first = 1, #numbers, IDS_AT_ONCE do
    local last = math.min(first + IDS_AT_ONCE - 1, #numbers)
    for _, id in ipairs(call('HMGET', key('ids', ''), unpack(numbers, first, last))) do
      if id then found[#found + 1] = id end
    end
  end
  return found
end

-- Those that are still being read in belong to it as well.
local function deps_of(n, linking)
  local deps = ids_of_all(call('SMEMBERS', key('deps:', n)))
  for token in string.gmatch(linking or '', '%S+') do
    for _, id in ipairs(call('LRANGE', key('staged:', token), 0, -1)) do deps[#deps + 1] = id end
  end
  return deps
end

-- Returns what stands in the reply, and how many deps it has; nil when there is no such task.
local function read_task(id)
  local flat = call('HGETALL', key('task:', id))
  if not flat[1] then return nil, 0 end
  local task = {}
  for index = 1, #flat, 2 do task[flat[index]] = flat[index + 1] end
  local workers, signed_up = false, {}
  if task.runner_set then
    for w in string.gmatch(task.workers or '', '%d+') do signed_up[#signed_up + 1] = w end
    workers = ids_of_workers(signed_up, members_of(key('runner_set:', task.runner_set .. ':workers')))
  end
  local stakeholders = {}
  if task.stakeholder_set then
    local members = members_of(key('stakeholder_set:', task.stakeholder_set .. ':workers'))
    stakeholders = ids_of_workers(members.list, members)
  end
  local deps = deps_of(task.n, task.linking)
  local entry = {
    id, flat, call('HGETALL', key('detail:', id)), deps, workers, stakeholders,
    call('LRANGE', key('failures:', task.n), 0, -1), call('LRANGE', key('attempts:', task.n), 0, -1),
    call('ZSCORE', key('due:retry', ''), task.n), call('ZSCORE', key('due:remove', ''), task.n),
  }
  return entry, #deps
end

return answer(function()
  local tasks, missing, deps, looked_at = {}, {}, 0, 0
  while looked_at < #ARGS.numbers and deps < MAX_DEPS do
    looked_at = looked_at + 1
    local n = ARGS.numbers[looked_at]
    local id = id_of(n)
    local task, count = nil, 0
    if id then task, count = read_task(id) end
    if task then tasks[#tasks + 1] = task elseif id then missing[#missing + 1] = n end
    deps = deps + count
  end
  return { looked_at, tasks, missing, NOW_TEXT }
end)
