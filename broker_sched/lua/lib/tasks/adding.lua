-- add_task for every case: for a task that is there or not, with any status, in batches, with changed deps, and whoever
-- reports it.

-- @include lib/core/header.lua
-- @include lib/core/ids.lua
-- @include lib/workers/workers.lua
-- @include lib/tasks/resources.lua
-- @include lib/tasks/tasks.lua
-- @include lib/tasks/attempts.lua
-- @include lib/deferred/backlog.lua
-- @include lib/tasks/links.lua
-- @include lib/tasks/statuses.lua
-- @include lib/tasks/explanations.lua
-- @include lib/tasks/superseded.lua
-- @include lib/deferred/run_deferred.lua
-- @rarely lib/batches/batch_index.lua
-- @rarely lib/tasks/dates.lua

local BUDGET = 105
local FIRST_STEPS = 56 -- of what a report leaves to be done: with the report itself they take a script long enough
local HAS_NEW_DEPS = ARGS.has_new_deps == '1'

-- The date in the parameters that the call brings: the caller has found it, but for what an earlier call hides.
local function date_in_call(task, params, visibilities, are_given)
  local kept = not are_given or (not visibilities and ARGS.date ~= '' and not task.is_new)
  kept = kept and call('HGET', key('detail:', task.id), 'param_visibilities')
  if kept then return date_of(params, kept) end
  return ARGS.date ~= '' and ARGS.date
end

-- Luigi: family, module, parameters and visibilities are set only while empty.
local function describe(task)
  if task.batched and ((task.family or '') == '' or not task.params) then
    leave_batches({ task }) -- finish_task puts it where it then belongs
    set(task, 'batched', nil)
  end
  if (task.family or '') == '' then set(task, 'family', ARGS.family ~= '' and ARGS.family) end
  if not task.module and ARGS.module ~= '=' then set(task, 'module', optional(ARGS.module)) end
  local params, visibilities, detail = optional(ARGS.params), optional(ARGS.param_visibilities), key('detail:', task.id)
  if task.params or (not params and not visibilities) then return end
  if not task.is_new and call('HEXISTS', detail, 'params') == 1 then return end
  local are_given = not visibilities or call('HSETNX', detail, 'param_visibilities', visibilities) == 1
  if params then set(task, 'date', date_in_call(task, params, visibilities, are_given)) end
  if params and #params > MAX_INLINE then
    call('HSET', detail, 'params', params)
  elseif params then
    set(task, 'params', params)
  end
end

-- Set, or with nil remove, a field beside the task, and beside the members of its batch.
local function set_detail(task, name, value)
  local ids = { (value or not task.is_new) and task.id or nil }
  for _, n in ipairs(batch_members(task)) do ids[#ids + 1] = id_of(n) end
  for _, id in ipairs(ids) do
    if value then
      call('HSET', key('detail:', id), name, value)
    else
      call('HDEL', key('detail:', id), name)
    end
  end
end

-- That workers refused it was so far: it was loaded by one, or it is added anew.
local function forget_refusals(task)
  if task.postponed then call('ZREM', key('due:postponed', ''), task.n) end
  set(task, 'postponed', nil)
  set(task, 'refusals', nil)
  set(task, 'expl', nil)
  call('HDEL', key('detail:', task.id), 'expl')
end

local function set_batch_id(task, batch_id)
  local moves = task.status == 'BATCH_RUNNING' and batch_id ~= task.batch_id
  if moves then leave_status(task) end
  set(task, 'batch_id', batch_id)
  if moves then enter_status(task) end
end

local function is_running(task)
  return task.status == 'RUNNING' or task.status == 'BATCH_RUNNING'
end

local function is_newer_attempt(task)
  return ARGS.attempt ~= '' and tonumber(ARGS.attempt) > tonumber(task.attempt or 0)
end

-- A worker says that it runs a task which nobody runs. Luigi: of a batch, it holds what a member was given.
local function take_over(task, worker, batch_id)
  set(task, 'worker_running', worker.id)
  set(task, 'time_running', NOW_TEXT)
  set(task, 'attempt', ARGS.attempt ~= '' and ARGS.attempt or attempt_after(task.attempt))
  if batch_id then
    local n = call('SMEMBERS', key('batch:', batch_id))[1]
    local member = n and load_task(id_of(n))
    local held = member and (member.held or member.resources) or ''
    set(task, 'held', held ~= '' and held or NOTHING)
  end
end

local function set_resources(task, needs)
  if needs == task.resources then return end
  local counted_by_needs = task.status == 'RUNNING' and not task.held
  if counted_by_needs then use_all(held_amounts(task), -1) end
  set(task, 'resources', needs)
  if counted_by_needs then use_all(held_amounts(task), 1) end
end

local function forget_staged_deps(task)
  for token in string.gmatch(task.linking or '', '%S+') do
    call('DEL', key('staged:', token))
    end_linking(task, token)
  end
end

-- The deps were staged: the task is not ready until a deferred step has read them in.
local function set_staged_deps(task, token, replaces, worker)
  call('PERSIST', key('staged:', token))
  if replaces then
    forget_staged_deps(task)
    set_deps_aside(task.n)
  end
  begin_linking(task, token)
  add_deferred_step('link', task.n, token, worker and worker.w or '0')
end

-- The deps that the call names, as load_as_dep gives them. Placeholders are made in the order given: it decides their
-- rank.
local function named_deps(worker)
  local deps = {}
  for index = 1, #ARGS.deps do
    local id = ARGS.deps[index]
    local dep = load_as_dep(id)
    if not dep and worker then
      dep = create_task(id, 'UNKNOWN', ARGS.priority)
      join_stakeholder_set(dep, worker)
      flush(dep)
    end
    deps[#deps + 1] = dep or { id = id, n = number_of(id) }
  end
  return deps
end

local function has_edges(task)
  if task.is_new and not task.was_missing_dep then return false end
  if task.linking then return true end
  return call('EXISTS', key('deps:', task.n), key('unlink:', task.n)) > 0
end

-- The deps named take the place of those it has, or come on top.
local function change_edges(task, deps, replaces)
  local wanted = {}
  for _, dep in ipairs(deps) do wanted[dep.n] = true end
  if replaces then
    if call('SCARD', key('deps:', task.n)) > BUDGET then set_deps_aside(task.n) end
    for _, dep in ipairs(call('SMEMBERS', key('deps:', task.n))) do
      if wanted[dep] then wanted[dep] = nil else unlink(task.n, dep) end
    end
  end
  for dep in pairs(wanted) do link(task.n, dep) end
end

-- Returns the task's deps, as load_as_dep gives them, where the call names them all; else nil.
local function set_deps(task, worker)
  local replaces, token = ARGS.replaces_deps == '1', ARGS.deps_token
  if token ~= '' then
    set_staged_deps(task, token, replaces, worker)
    return nil
  end
  if replaces then forget_staged_deps(task) end
  local deps = named_deps(worker)
  if not replaces and #deps == 0 then return nil end
  if has_edges(task) then
    change_edges(task, deps, replaces)
    return replaces and deps
  end
  if #deps > 0 then link_first(task.n, deps) end
  return deps
end

-- `deps` as set_deps returns them.
local function propagate_to_all_deps(task, deps, worker)
  if not worker and tonumber(task.priority) <= OPTIONS.lowest_priority then return end
  if deps then
    for _, dep in ipairs(deps) do propagate_to_dep(task, dep, worker) end
    return
  end
  local deps_key = key('deps:', task.n)
  local count = call('SCARD', deps_key)
  if count > BUDGET then return add_deferred_step('propagate_to_deps', task.n, worker and worker.w or '0', '0') end
  if count == 0 then return end
  local numbers = call('SMEMBERS', deps_key)
  table.sort(numbers)
  propagate_to_deps(task, numbers, worker)
end

-- Submissions with a stake in the task shall have one in all that it depends on.
local function extend_stake(task)
  if call('EXISTS', key('submissions', '')) == 1 then add_deferred_step('extend_stake', task.n, '0', '0') end
end

local function may_change_status(task, worker, status)
  local started = status == 'DONE' or status == 'FAILED' or status == 'RUNNING'
  return not is_running(task) or (started and task.worker_running == worker.id) or HAS_NEW_DEPS
end

-- The members of the batch that a combined task runs, while they still wait in this attempt.
local function has_members_in_attempt(batch_id)
  local n = call('SMEMBERS', key('batch:', batch_id))[1]
  return n and call('HGET', key('task:', id_of(n)), 'attempt') == ARGS.attempt
end

-- Does the reported run not count any more? It does not when the task was handed out again, or runs elsewhere. When the
-- task has ended, or was given back, without a newer run: that it is DONE counts as in Luigi; it runs again if nobody
-- says how that run ended; but its failure was counted already, and must not undo a DONE.
local function is_superseded(task, worker, status)
  local batch_id = optional(ARGS.batch_id)
  if status == 'RUNNING' and batch_id and not has_members_in_attempt(batch_id) then return true end
  if not task then return false end
  if is_older(ARGS.attempt, task.attempt) then return true end
  if is_running(task) then return task.worker_running ~= worker.id end
  if is_newer_attempt(task) or status == 'DONE' then return false end
  if status == 'RUNNING' then
    return task.status == 'DONE' or task.status == 'DISABLED' or task.worker_running ~= nil
  end
  return status ~= 'DISABLED' or task.status == 'DONE'
end

local function report(task, worker)
  local status, batch_id = ARGS.status, optional(ARGS.batch_id)
  if batch_id then set_batch_id(task, batch_id) end
  local is_newer = is_newer_attempt(task)
  if status == 'RUNNING' and (not task.worker_running or (is_newer and not is_running(task))) then
    take_over(task, worker, batch_id)
  end
  if is_newer then set(task, 'attempt', ARGS.attempt) end
  if ARGS.accepts_messages ~= '' then set(task, 'accepts_messages', ARGS.accepts_messages == '1' and '1') end
  local tracking_url, expl = optional(ARGS.tracking_url), optional(ARGS.expl)
  if tracking_url or task.status ~= 'RUNNING' then set_detail(task, 'tracking_url', tracking_url) end
  if ARGS.batchable ~= '' then set(task, 'batchable', ARGS.batchable == '1' and '1') end
  if not task.is_new then call('ZREM', key('due:remove', ''), task.n) end
  if task.refusals then forget_refusals(task) end
  if expl then set_expl(task, expl) end
  if ARGS.owners ~= '' then call('HSET', key('detail:', task.id), 'owners', ARGS.owners) end
  if may_change_status(task, worker, status) then
    -- Its run() wants more deps. When it began to is kept until it ends, so that it does not wait for them in vain.
    if HAS_NEW_DEPS and task.status == 'RUNNING' and not task.waits_since then set(task, 'waits_since', NOW_TEXT) end
    task.wants_deps = HAS_NEW_DEPS
    set_status(task, status == 'SUSPENDED' and 'PENDING' or status)
  end
end

-- A report that a task is DONE comes by all of this.
-- @with touch_worker get_worker find_worker known_workers load_task loaded_tasks is_place note_listing state_in_fields
-- @with note_places known_edges is_blocking id_by_number describe report is_newer_attempt set set_expl set_own_expl
-- @with batch_members may_change_status is_running set_status move_status is_run leave_status use_all held_amounts
-- @with amounts no_needs enter_status is_orphaned_run record_event note_event kind_of_end note_metric note_of
-- @with keep_notes run_counts.add_done run_counts run_counts.add set_deps named_deps set_resources join_stakeholder_set
-- @with join_worker_set joined find_or_make_worker_set is_in_worker_set raise_priority finish_task place_task
-- @with wanted_tally change_tally wanted_counted list_task wanted_state append_to enter_listing flush is_neutral
-- @with propagate_to_all_deps run_deferred backlog has_backlog write_listings write_run_counts
local function add_any_task()
  local worker = touch_worker(ARGS.worker)
  local task, status = load_task(ARGS.task_id), ARGS.status
  if ARGS.attempt ~= '' and is_superseded(task, worker, status) then
    local family, old = task and task.family or ARGS.family, task and task.status or ''
    return refuse_superseded(ARGS.task_id, family, old, worker.id, ARGS.attempt, status)
  end
  if not worker.disabled and not task then task = create_task(ARGS.task_id, 'PENDING', ARGS.priority) end
  if not task or (worker.disabled and task.status ~= 'RUNNING') then return 0 end
  local cooldown = OPTIONS.stable_done_cooldown_secs
  if status == 'PENDING' and task.status == 'DONE' and NOW - tonumber(task.updated) < cooldown then return 0 end

  local was_unknown = task.status == 'UNKNOWN'
  describe(task)
  report(task, worker)
  local stakeholder_sets = not worker.disabled and ARGS.assistant ~= '1'
  local deps = set_deps(task, stakeholder_sets and worker)
  if (HAS_NEW_DEPS or #ARGS.deps > 0 or was_unknown) and not worker.submission then extend_stake(task) end
  set_resources(task, ARGS.resources)
  if stakeholder_sets then join_stakeholder_set(task, worker) end
  if task.stakeholder_set == '0' then call('SADD', key('without_stakeholders', ''), task.n) end
  task.asked_priority = ARGS.priority
  raise_priority(task, ARGS.priority)
  set(task, 'policy', ARGS.retry_policy ~= '' and ARGS.retry_policy)
  if ARGS.runnable == '1' and status ~= 'FAILED' and not worker.disabled then join_workers(task, worker) end
  finish_task(task)
  propagate_to_all_deps(task, deps, stakeholder_sets and worker)
  return run_deferred(FIRST_STEPS)
end
