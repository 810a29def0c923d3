-- The deferred steps (see backlog.lua) are done here, each a bounded part at a time. A step is a line of words in the
-- list `deferred_steps`:
--   tell_dependents <n> <what> <cursor>   tell the dependents of n how it stands; what changed: d DONE or not, b
--                                         blocking or not
--   propagate_to_deps <n> <w> <cursor>    make what the deps of n lack (see propagate_to_dep), for worker number w, or
--                                         '0'
--   link <n> <token> <w>                  read in the deps of n that wait in staged:<token>
--   extend_stake <n> <w> <cursor>         give submission number w a stake in the deps of n, and in theirs; '0': each
--                                         submission that has one in n. The worker that asked for new deps of n may
--                                         leave
--   unlink <n>                            drop the edges in unlink:<n>
--   recheck_blockers <n>                  n lost one of its blockers: is there still a DISABLED task behind the others?
--   remove_worker <w> <weight> <time>     take a worker that is gone since then out of its runner sets and stakeholder
--                                         sets
--   disable_worker <w> <weight>           take a disabled worker out of its runner sets
--   replace_last <runner_set> <w>         find the next-to-last to sign up for what w was the last
--   mark_for_removal <stakeholder_set> <time>  mark the tasks of a stakeholder set that nobody holds since then
--   reindex_batches <cursor> <family>     index the family's ready tasks for newly registered batched parameters
--   set_apart <cursor> <family>           have the family's ready tasks stand where everybody passes over them
-- The function of each kind does at most about `budget` units of work. It returns how many it did and, when it is not
-- done, the line to go on with. A deferred step that fails is set aside in the list `failed_deferred_steps`, for
-- verify to report: it must not stop the call that happened to come by, nor all later ones.

-- @include lib/core/header.lua
-- @include lib/core/ids.lua
-- @include lib/workers/workers.lua
-- @include lib/workers/worker_sets.lua
-- @include lib/tasks/tasks.lua
-- @include lib/deferred/backlog.lua
-- @include lib/tasks/links.lua
-- @include lib/tasks/statuses.lua

local run = {}

-- The task and the worker behind their numbers; nil for what is gone.
local function resolve(n, w)
  local id = id_of(n)
  local worker_id = w ~= '0' and call('HGET', key('worker_ids', ''), w)
  return id and load_task(id) or nil, worker_id and find_worker(worker_id) or nil
end

function run.tell_dependents(words, budget)
  local n, what, cursor = string.match(words, '^(%S+) (%S+) (%S+)$')
  local is_done, blocks = done_and_blocking(n)
  if not has_backlog() then -- else a deferred step about the other half, which this one overtook, may still wait
    if what == 'b' then is_done = nil end
    if what == 'd' then blocks = nil end
  end
  local page, rest = page_of(key('dependents:', n), cursor, budget)
  local was_late = false -- it blocked, then did not, and blocks again; meanwhile nobody was told
  for _, dependent in ipairs(page) do
    local unmet_flips, blockers_flip, knew = sync_edge(dependent, n, is_done, blocks)
    was_late = was_late or knew
    if unmet_flips or blockers_flip then
      local task = resolve(dependent, '0') -- nil for a removed task: the step that unlinks it drops its edges
      if task and task.status == 'PENDING' then
        if blockers_flip then task.was_blocking = not is_blocking(task) end
        finish_task(task)
      end
    end
    if known_edges.lost_blocker[dependent] and not blockers_flip then
      add_deferred_step('recheck_blockers', dependent)
    end
    known_edges.lost_blocker[dependent] = nil
  end
  if was_late and what ~= 'd' then add_deferred_step('recheck_blockers', n) end
  return #page, rest and table.concat({ 'tell_dependents', n, what, rest }, ' ')
end

function run.propagate_to_deps(words, budget)
  local n, w, cursor = string.match(words, '^(%S+) (%S+) (%S+)$')
  local task, worker = resolve(n, w)
  if not task then return 1 end
  local page, rest = page_of(key('deps:', n), cursor, math.ceil(budget / 2))
  propagate_to_deps(task, page, worker)
  return 2 * #page, rest and table.concat({ 'propagate_to_deps', n, w, rest }, ' ')
end

function run.link(words, budget)
  local n, token, w = string.match(words, '^(%S+) (%S+) (%S+)$')
  local staged = key('staged:', token)
  local task = resolve(n, '0')
  if not task or not string.find(task.linking or '', token, 1, true) then
    call('DEL', staged)
    return 1
  end
  local ids = call('LRANGE', staged, 0, math.ceil(budget / 2) - 1)
  for _, id in ipairs(ids) do link(n, number_of(id)) end
  call('LTRIM', staged, #ids, -1)
  if call('EXISTS', staged) == 1 then
    finish_task(task)
    return 2 * #ids, 'link ' .. words
  end
  end_linking(task, token)
  finish_task(task)
  add_deferred_step('propagate_to_deps', n, w, '0')
  add_deferred_step('extend_stake', n, '0', '0')
  return 2 * #ids
end

-- Each submission that has a stake in the task. A task that was a placeholder may have become one that can be run.
local function extend_stakes_to(task)
  local holders = call('SINTER', key('stakeholder_set:', task.stakeholder_set .. ':workers'), key('submissions', ''))
  for _, w in ipairs(holders) do
    local _, submission = resolve(task.n, w)
    if submission then
      join_both(task, submission)
      add_deferred_step('extend_stake', task.n, w, '0')
    end
  end
  finish_task(task)
  return #holders
end

function run.extend_stake(words, budget)
  local n, w, cursor = string.match(words, '^(%S+) (%S+) (%S+)$')
  local task, submission = resolve(n, w)
  if w == '0' then return task and extend_stakes_to(task) or 1 end
  if not submission then return 1 end
  local page, rest = page_of(key('deps:', n), cursor, math.ceil(budget / 2))
  for _, number in ipairs(page) do
    local dep = resolve(number, '0')
    if dep and not is_stakeholder(dep, submission) then
      join_both(dep, submission)
      finish_task(dep)
      call('ZREM', key('due:remove', ''), number)
      add_deferred_step('extend_stake', number, w, '0')
    end
  end
  return 2 * #page, rest and table.concat({ 'extend_stake', n, w, rest }, ' ')
end

function run.unlink(n, budget)
  local old = key('unlink:', n)
  local deps = call('SPOP', old, budget)
  for _, dep in ipairs(deps) do
    if call('SISMEMBER', key('deps:', n), dep) == 0 then
      local task = resolve(n, '0')
      unlink(n, dep)
      if task then finish_task(task) end
    end
  end
  return #deps, call('EXISTS', old) == 1 and 'unlink ' .. n
end

-- Of tasks whose deps form a cycle each may name the next as its blocker when the DISABLED one that made them so is
-- gone. Mostly there is one, some blockers away.
local MAX_WALK, MAX_BEHIND = 50, 1000 -- steps, and tasks looked at; a larger cycle is left to verify

local IS_DISABLED, IS_BLOCKED, CHANGING = 1, 2, 3

-- What a blocker is: DISABLED, blocked itself, or neither any more, which its own deferred step will tell.
local function blocker_state(n)
  local id = id_of(n)
  local status = id and call('HGET', key('task:', id), 'status')
  if status == 'DISABLED' then return IS_DISABLED end
  return status == 'PENDING' and call('EXISTS', key('blockers:', n)) == 1 and IS_BLOCKED or CHANGING
end

-- All that is behind these blockers, as a list, when nothing of it is DISABLED.
local function blocked_without_cause(n)
  local found, seen = { n }, { [n] = true }
  local next_one = 1
  while found[next_one] do
    if #found > MAX_BEHIND or blocker_state(found[next_one]) ~= IS_BLOCKED then return nil end
    for _, blocker in ipairs(call('SMEMBERS', key('blockers:', found[next_one]))) do
      if not seen[blocker] then
        seen[blocker] = true
        found[#found + 1] = blocker
      end
    end
    next_one = next_one + 1
  end
  return found
end

function run.recheck_blockers(n)
  local at = n
  for step = 1, MAX_WALK do
    if blocker_state(at) ~= IS_BLOCKED then return step end
    at = call('SRANDMEMBER', key('blockers:', at))
  end
  local without_cause = blocked_without_cause(n)
  for _, number in ipairs(without_cause or {}) do
    local task = resolve(number, '0')
    call('DEL', key('blockers:', number))
    known_edges.forget(number)
    task.was_blocking = true
    finish_task(task)
  end
  return MAX_WALK + (without_cause and #without_cause or 0)
end

local function leave_runner_sets(w, weight, budget)
  local worker = { w = w, weight = tonumber(weight) }
  local runner_sets = call('SPOP', key('worker_runner_sets:', w), budget)
  for _, runner_set in ipairs(runner_sets) do
    leave_worker_set('runner_set', runner_set, worker)
    if call('EXISTS', key('counted:', runner_set .. ':' .. w)) == 1 then
      add_deferred_step('replace_last', runner_set, w)
    end
  end
  return #runner_sets
end

function run.disable_worker(words, budget)
  local w, weight = string.match(words, '^(%S+) (%S+)$')
  local steps = leave_runner_sets(w, weight, budget)
  return steps, call('EXISTS', key('worker_runner_sets:', w)) == 1 and 'disable_worker ' .. words
end

function run.remove_worker(words, budget)
  local w, weight, since = string.match(words, '^(%S+) (%S+) (%S+)$')
  local steps = leave_runner_sets(w, weight, budget)
  local stakeholder_sets = call('SPOP', key('worker_stakeholder_sets:', w), budget)
  for _, stakeholder_set in ipairs(stakeholder_sets) do
    if leave_worker_set('stakeholder_set', stakeholder_set, { w = w, weight = tonumber(weight) }) == 0 then
      add_deferred_step('mark_for_removal', stakeholder_set, since)
    end
  end
  if call('EXISTS', key('worker_runner_sets:', w), key('worker_stakeholder_sets:', w)) > 0 then
    return steps + #stakeholder_sets, 'remove_worker ' .. words
  end
  call('HDEL', key('worker_ids', ''), w)
  return steps + #stakeholder_sets + 1
end

function run.replace_last(words, budget)
  local runner_set, w = string.match(words, '^(%S+) (%S+)$')
  local counted = key('counted:', runner_set .. ':' .. w)
  local numbers = call('SRANDMEMBER', counted, budget)
  for _, n in ipairs(numbers) do
    local task = resolve(n, '0')
    finish_task(task)
  end
  return #numbers, call('EXISTS', counted) == 1 and 'replace_last ' .. words
end

function run.mark_for_removal(words, budget)
  local stakeholder_set, since = string.match(words, '^(%S+) (%S+)$')
  local tasks_key = key('stakeholder_set:', stakeholder_set .. ':tasks')
  local numbers = call('SPOP', tasks_key, budget)
  for _, n in ipairs(numbers) do
    local task = resolve(n, '0')
    set(task, 'stakeholder_set', '0')
    flush(task)
    local is_to_be_run = task.status == 'PENDING' or task.status == 'FAILED' or task.status == 'UNKNOWN'
    mark_for_removal(task, is_to_be_run and tonumber(since) or NOW)
  end
  if call('EXISTS', tasks_key) == 1 then return #numbers, 'mark_for_removal ' .. words end
  drop_worker_set('stakeholder_set', stakeholder_set)
  return #numbers + 1
end

function run.reindex_batches(words, budget)
  local cursor, family = string.match(words, '^(%S+) (.*)$')
  local page, rest = page_of(key('batchable:', family), cursor, math.ceil(budget / 2))
  for _, n in ipairs(page) do
    local task = resolve(n, '0')
    task.reranked = true
    finish_task(task)
  end
  return 2 * #page, rest and table.concat({ 'reindex_batches', rest, family }, ' ')
end

function run.set_apart(words, budget)
  local cursor, family = string.match(words, '^(%S+) (.*)$')
  local page = call('ZSCAN', key('tasks:', 'READY:' .. family), cursor, 'COUNT', budget)
  local rest, flat = page[1], page[2] -- members and scores
  for index = 1, #flat, 2 do
    local task = resolve(flat[index], '0')
    if task and task.ready then finish_task(task) end
  end
  return #flat / 2, rest ~= '0' and table.concat({ 'set_apart', rest, family }, ' ')
end

-- What pcall caught: Redis 7 raises tables.
local function message_of(failure)
  return type(failure) == 'table' and tostring(failure.err) or tostring(failure)
end

-- Do up to `budget` steps of what waits: this script's own deferred steps first. What is left goes to the end of the
-- list `deferred_steps`. Returns the number of deferred steps left.
local function run_deferred_steps(budget)
  local deferred_steps_key = key('deferred_steps', '')
  local next_own = 1
  while budget > 0 do
    local line = backlog.own[next_own]
    if line then
      next_own = next_own + 1
    else
      line = has_backlog() and call('LPOP', deferred_steps_key)
      if not line then break end
      backlog.waiting = backlog.waiting - 1
    end
    local kind, words = string.match(line, '^(%S+) (.*)$')
    local is_done, steps, rest = pcall(run[kind], words, budget)
    if not is_done then
      call('RPUSH', key('failed_deferred_steps', ''), line .. '\t' .. message_of(steps))
      steps, rest = budget, nil
    end
    if rest then table.insert(backlog.own, next_own, rest) end
    budget = budget - math.max(steps, 1)
  end
  has_backlog()
  for index = next_own, #backlog.own do
    backlog.waiting = call('RPUSH', deferred_steps_key, backlog.own[index])
  end
  backlog.own = {}
  return backlog.waiting
end
