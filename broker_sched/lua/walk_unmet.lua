-- Read tasks, and breadth first what they wait for: how they stand, and which of their deps are unmet. Changes nothing.
--
-- @args task_id most fresh_count numbers…
--   task_id      where to begin; '' to go on with numbers
--   most         read so many tasks at the most
--   fresh_count  so many of the numbers are of tasks to read, as far as the script gets; the others have been read by
--                earlier calls
-- Reply { time (s), deferred steps that wait, deferred steps that failed, task, … }, each task
--       { number, id or '', { its FIELDS, or while it waits for others its SIGNS }, { numbers of unmet deps }, how many
--       there are, 1 while deps are read in, else 0, numbers of deps that it does not have any more }
--       Of very many unmet deps only some are named, first those that block it or have failed. A missing dep has no
--       status. An unknown task_id gives the number of its missing dep, where there is one, or no task.
-- Cost  O(most + deps named): at least one task is read, and none any more once MAX_NAMED_IN_ALL deps are named
-- @include lib/core/header.lua
-- @include lib/core/ids.lua
-- @include lib/deferred/backlog.lua

local SIGNS = { 'status', 'updated', 'attempt', 'ready' }
local FIELDS = { 'status', 'updated', 'attempt', 'ready', 'family', 'module', 'priority', 'rank', 'worker_running',
  'time_running', 'batch_id', 'disabled_at', 'disabled_by', 'runner_set', 'workers', 'refusals', 'postponed', 'policy' }
local STATUS, READY = 1, 4
local MAX_NAMED, MAX_FAILED = 1000, 500
local MAX_NAMED_IN_ALL = 1500
local MAX_CHECKED_DEPS = 200 -- as get_work does, see stale_heads.lua

-- Of very many unmet deps: those that block the task, those that have failed, and some of the others.
local function some_of(unmet, n)
  local named, seen = {}, {}
  local function add(dep)
    if not seen[dep] and #named < MAX_NAMED then
      seen[dep] = true
      named[#named + 1] = dep
    end
  end
  for _, dep in ipairs(call('SSCAN', key('blockers:', n), '0', 'COUNT', 100)[2]) do add(dep) end
  for _, dep in ipairs(call('ZRANGE', key('due:retry', ''), 0, MAX_FAILED - 1)) do
    if call('SISMEMBER', unmet, dep) == 1 then add(dep) end
  end
  for _, dep in ipairs(call('SSCAN', unmet, '0', 'COUNT', MAX_NAMED)[2]) do add(dep) end
  return named
end

-- Deps that the task does not have any more, and whose deferred step waits, are told apart.
local function split(numbers, n)
  local is_unlinking = has_backlog() and call('EXISTS', key('unlink:', n)) == 1
  local unmet, dropped, is_linking = {}, {}, 0
  for _, dep in ipairs(numbers) do
    if dep == '!' then
      is_linking = 1
    elseif is_unlinking and call('SISMEMBER', key('deps:', n), dep) == 0 then
      dropped[#dropped + 1] = dep
    else
      unmet[#unmet + 1] = dep
    end
  end
  return unmet, is_linking, dropped
end

-- A task that looks ready may have a dep that is not DONE any more, while the deferred step that tells it waits.
local function undone_deps_of(n)
  local undone = {}
  if not has_backlog() or call('SCARD', key('deps:', n)) > MAX_CHECKED_DEPS then return undone end
  for _, dep in ipairs(call('SMEMBERS', key('deps:', n))) do
    local id = id_of(dep)
    if not id or call('HGET', key('task:', id), 'status') ~= 'DONE' then undone[#undone + 1] = dep end
  end
  return undone
end

-- Of a task that waits for others little is wanted; of one at the root, all FIELDS.
local function read_task(n)
  local id = id_of(n)
  local signs = id and call('HMGET', key('task:', id), unpack(SIGNS)) or {}
  local unmet, count = key('unmet:', n), 0
  if signs[STATUS] == 'PENDING' then count = call('SCARD', unmet) end
  if count > 0 then
    local numbers = count > MAX_NAMED and some_of(unmet, n) or call('SMEMBERS', unmet)
    if count <= MAX_NAMED then table.sort(numbers) end
    local named, is_linking, dropped = split(numbers, n)
    return { n, id, signs, named, count - is_linking - #dropped, is_linking, dropped }
  end
  local fields = signs[STATUS] and call('HMGET', key('task:', id), unpack(FIELDS)) or {}
  local undone = fields[READY] and fields[READY] ~= '' and undone_deps_of(n) or {}
  return { n, id or '', fields, undone, #undone, 0, {} }
end

local function first_numbers()
  if ARGS.task_id == '' then return {} end
  local n = call('HGET', key('task:', ARGS.task_id), 'n') or call('HGET', key('missing_deps', ''), ARGS.task_id)
  return { n or nil }
end

local function walk()
  local queue, seen = first_numbers(), {}
  for index = 1, #ARGS.numbers do
    seen[ARGS.numbers[index]] = true
    if index <= tonumber(ARGS.fresh_count) then queue[#queue + 1] = ARGS.numbers[index] end
  end
  if queue[1] then seen[queue[1]] = true end
  has_backlog()
  local reply = { NOW_TEXT, backlog.waiting, call('LLEN', key('failed_deferred_steps', '')) }
  local head, most, named = 1, tonumber(ARGS.most), 0
  while queue[head] and head <= most and named < MAX_NAMED_IN_ALL do
    local task = read_task(queue[head])
    reply[#reply + 1] = task
    named = named + #task[4]
    for _, dep in ipairs(task[4]) do
      if not seen[dep] then
        seen[dep] = true
        queue[#queue + 1] = dep
      end
    end
    head = head + 1
  end
  return reply
end

return answer(walk)
