-- The edges between tasks, and what follows for a task from how its deps stand. All are sets of numbers:
--
--   deps:<n>, dependents:<n>  kept in step
--   unmet:<n>                 its deps that are not DONE; '!' while deps are still being read in
--   blockers:<n>              its deps that make it UPSTREAM_DISABLED
--
-- What may be long is left to deferred steps.

-- @include lib/core/header.lua
-- @include lib/core/ids.lua
-- @include lib/workers/worker_sets.lua
-- @include lib/tasks/tasks.lua
-- @include lib/tasks/placing.lua
-- @include lib/tasks/resources.lua
-- @include lib/wakeups/wakeups.lua
-- @include lib/deferred/backlog.lua

local MAX_SORTED = 512 -- SSCAN gives a set of up to this many numbers whole, whatever the count

-- Up to about `count` members of a set of numbers, and the cursor to go on with, nil at the end. Members that are
-- there all the while are seen. `cursor` is '0' at first, later SSCAN's or '>' and the last number seen.
local function page_of(set_key, cursor, count)
  local is_sorted = string.sub(cursor, 1, 1) == '>'
  if not is_sorted and (cursor ~= '0' or call('SCARD', set_key) > MAX_SORTED) then
    local page = call('SSCAN', set_key, cursor, 'COUNT', count)
    return page[2], page[1] ~= '0' and page[1] or nil
  end
  local members = call('SMEMBERS', set_key)
  table.sort(members)
  local last, page = string.sub(cursor, 2), {}
  for _, member in ipairs(members) do
    if not is_sorted or member > last then
      if #page >= count then return page, '>' .. page[#page] end
      page[#page + 1] = member
    end
  end
  return page, nil
end

-- How the task with this number stands to those above it: is it DONE, does it block them?
local function done_and_blocking(n)
  local id = id_of(n)
  local task = id and load_as_dep(id)
  if not task then return false, false end
  return task.status == 'DONE', is_blocking(task)
end

-- Write the task's changes, move it in the indexes, and tell its dependents if they should know.
local function finish_task(task)
  place_task(task)
  if task.left_runner_set then
    change_runner_set(task.left_runner_set, task.runner_set)
    task.left_runner_set = nil
  end
  flush(task)
  local is_done, blocks = task.status == 'DONE', is_blocking(task)
  -- Its own disable, or the blocker that it lost, may be all there was behind the others.
  if blocks and task.status == 'PENDING' and (task.old_status == 'DISABLED' or known_edges.lost_blocker[task.n]) then
    add_deferred_step('recheck_blockers', task.n)
  end
  known_edges.lost_blocker[task.n] = nil
  task.old_status = task.status
  local changed = (is_done ~= task.was_done and 'd' or '') .. (blocks ~= task.was_blocking and 'b' or '')
  if changed ~= '' then
    task.was_done, task.was_blocking = is_done, blocks
    if call('EXISTS', key('dependents:', task.n)) == 1 then
      add_deferred_step('tell_dependents', task.n, changed, '0')
    end
  end
end

-- Bring one edge in line with how its dep stands; nil for what did not change. Returns whether the dependent's
-- unmet deps, and whether its blockers, became none or ceased to be none; and whether it took the dep for a blocker
-- before.
local function sync_edge(dependent, dep, is_done, blocks)
  local unmet, blockers = key('unmet:', dependent), key('blockers:', dependent)
  local unmet_flips, blockers_flip, knew = false, false, false
  known_edges.forget(dependent)
  if is_done then
    if call('SREM', unmet, dep) == 1 then unmet_flips = call('EXISTS', unmet) == 0 end
  elseif is_done == false and call('SADD', unmet, dep) == 1 then
    unmet_flips = call('SCARD', unmet) == 1
  end
  if blocks then
    knew = call('SADD', blockers, dep) == 0
    if not knew then blockers_flip = call('SCARD', blockers) == 1 end
  elseif blocks == false and call('SREM', blockers, dep) == 1 then
    blockers_flip = call('EXISTS', blockers) == 0
    known_edges.lost_blocker[dependent] = true
  end
  return unmet_flips, blockers_flip, knew
end

-- A task that depends on itself is a blocker of its own or not when all its edges are there: a deferred step looks
-- then.
local function check_edge_to_itself(n, dep)
  if n == dep then add_deferred_step('tell_dependents', n, 'b', '0') end
end

-- Make `dep` a dep of `n` (both numbers). The caller finishes the task.
local function link(n, dep)
  if call('SADD', key('deps:', n), dep) == 1 then call('SADD', key('dependents:', dep), n) end
  sync_edge(n, dep, done_and_blocking(dep))
  check_edge_to_itself(n, dep)
end

-- The same for a task that has no edges to deps yet; `deps` as load_as_dep gives them, without a status for a missing
-- dep.
local function link_first(n, deps)
  local numbers, unmet, blockers = {}, {}, {}
  for _, dep in ipairs(deps) do
    call('SADD', key('dependents:', dep.n), n)
    numbers[#numbers + 1] = dep.n
    if dep.status ~= 'DONE' then unmet[#unmet + 1] = dep.n end
    if is_blocking(dep) then blockers[#blockers + 1] = dep.n end
    check_edge_to_itself(n, dep.n)
  end
  call('SADD', key('deps:', n), unpack(numbers))
  if #unmet > 0 then call('SADD', key('unmet:', n), unpack(unmet)) end
  if #blockers > 0 then call('SADD', key('blockers:', n), unpack(blockers)) end
  known_edges.unmet[n], known_edges.blockers[n] = #unmet > 0, #blockers > 0
end

-- A staged list of deps waits for its deferred step, several when new deps come on top: field `linking`, their tokens.
-- All the while '!' is among the unmet deps, so that the task is not ready.
local function begin_linking(task, token)
  call('SADD', key('unmet:', task.n), '!')
  known_edges.forget(task.n)
  set(task, 'linking', task.linking and task.linking .. ' ' .. token or token)
end

local function end_linking(task, token)
  local left = {}
  for each in string.gmatch(task.linking, '%S+') do
    if each ~= token then left[#left + 1] = each end
  end
  set(task, 'linking', #left > 0 and table.concat(left, ' '))
  if task.linking then return end
  call('SREM', key('unmet:', task.n), '!')
  known_edges.forget(task.n)
end

local function unlink(n, dep)
  known_edges.forget(n)
  call('SREM', key('deps:', n), dep)
  call('SREM', key('unmet:', n), dep)
  if call('SREM', key('blockers:', n), dep) == 1 then known_edges.lost_blocker[n] = true end
  call('SREM', key('dependents:', dep), n)
  drop_unneeded_missing_dep(dep)
end

-- Set the task's deps aside for a deferred step, which drops those that are not among its deps by then.
local function set_deps_aside(n)
  local deps_key, old = key('deps:', n), key('unlink:', n)
  if call('EXISTS', deps_key) == 0 then return end
  if call('EXISTS', old) == 1 then
    call('SUNIONSTORE', old, old, deps_key)
    call('DEL', deps_key)
  else
    call('RENAME', deps_key, old)
  end
  add_deferred_step('unlink', n)
end

-- A priority only rises. Returns whether it did; the caller finishes the task.
local function raise_priority(task, priority)
  if tonumber(task.priority) >= tonumber(priority) then return false end
  set(task, 'priority', priority)
  task.reranked = true
  if task.status == 'RUNNING' then
    call('ZADD', key('running', ''), number_text(-tonumber(priority)), task.rank)
    -- The better tasks that wait for what it holds may keep less from the others now (starvation_guard.lua).
    for name in pairs(held_amounts(task)) do wakeups.freed[name] = true end
  end
  return true
end

-- What an add_task owes a dep of its task: a placeholder where there is none and a stake (both only from an
-- enabled worker that is no assistant), and the task's priority. `dep` as load_as_dep gives it, a missing dep without
-- status.
local function propagate_to_dep(task, dep, worker)
  local dep_task = loaded_tasks[dep.id] or dep
  if not dep_task.status then
    if not worker then return end
    dep_task = create_task(dep.id, 'UNKNOWN', task.asked_priority or task.priority)
  end
  local stakeholder_set = dep_task.stakeholder_set
  if worker then stakeholder_set = join_worker_set('stakeholder_set', stakeholder_set, worker) or stakeholder_set end
  local is_urgent_enough = tonumber(dep_task.priority) >= tonumber(task.priority)
  if stakeholder_set == dep_task.stakeholder_set and is_urgent_enough then return end
  dep_task = load_task(dep.id)
  if worker then join_stakeholder_set(dep_task, worker) end
  flush(dep_task)
  if raise_priority(dep_task, task.priority) then
    finish_task(dep_task)
    if call('EXISTS', key('deps:', dep.n)) == 1 then add_deferred_step('propagate_to_deps', dep.n, '0', '0') end
  end
end

-- See to the deps with these numbers.
local function propagate_to_deps(task, numbers, worker)
  if #numbers == 0 then return end
  local ids = call('HMGET', key('ids', ''), unpack(numbers))
  for index, n in ipairs(numbers) do
    if ids[index] then propagate_to_dep(task, load_as_dep(ids[index]) or { id = ids[index], n = n }, worker) end
  end
end
