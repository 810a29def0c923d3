-- Bring in some tasks and workers as they stand in a file, with all indexes in which they belong. PENDING tasks come
-- last: so it shows which of them are ready, and since when that is stands in the file. What many deps or
-- dependents need beyond a budget becomes deferred steps. Workers come before the tasks that name them; one that is
-- named and was not brought in is left out, as if it had been pruned.
--
-- @args token words…
--   token  of the import, see begin_import.lua
--   words  of each record its kind, and what follows below; a list is its length and so many words
--     worker      id, seconds since its last call, and since it asked for work or '', fields, info, messages: lists, of
--                 names and values but for messages
--     batchers    worker, families and what is kept of each; after the worker, if it is there
--     family      name, fields, seconds of its last runs, newest first
--     submission  id, fields (names and values)
--     staged      token, ids: a part of a long list of deps, before the task with this token
--     task        id, status, priority, number, 1 if it can be run (with no workers: by assistants), when it is to be
--                 retried and removed, token of its deps or '', fields and detail (names and values), workers,
--                 stakeholders, failures, attempts, deps
-- Reply { deferred steps left, the id of a task that is there already or '' }: at such a one the rest is left out
-- Cost  O(words), and a budget of deferred steps
-- @include lib/core/header.lua
-- @include lib/core/import_claim.lua
-- @include lib/workers/workers.lua
-- @include lib/workers/worker_sets.lua
-- @include lib/workers/worker_set_of.lua
-- @include lib/tasks/tasks.lua
-- @include lib/deferred/backlog.lua
-- @include lib/tasks/links.lua
-- @include lib/tasks/placing.lua
-- @include lib/tasks/statuses.lua
-- @include lib/deferred/run_deferred.lua

local SECONDS, BUDGET, WEEK, MONTH = '60', 150, 604800, 2592000
local position = 0

local function word()
  local index = position + 1
  position = index
  return ARGS.words[index]
end

local function list()
  local found = {}
  for index = 1, tonumber(word()) do found[index] = word() end
  return found
end

local function write_fields(name, fields)
  for index = 1, #fields, 2 do call('HSET', name, fields[index], fields[index + 1]) end
end

local import = {}

-- The silence during which its scheduler was away is none of its own.
function import.worker()
  local worker, silence, asked = get_worker(word()), tonumber(word()), tonumber(word())
  write_fields(key('worker:', worker.id), list())
  if asked then call('HSET', key('worker:', worker.id), 'last_get_work', string.format('%.6f', NOW - asked)) end
  write_fields(key('worker_info:', worker.id), list())
  for _, message in ipairs(list()) do call('RPUSH', key('messages:', worker.id), message) end
  call('ZADD', key('workers', ''), string.format('%.6f', NOW - silence), worker.id)
end

function import.batchers()
  local worker_id, families = word(), list()
  write_fields(key('batchers:', worker_id), families)
  for index = 1, #families, 2 do
    local names = string.match(families[index + 1], '^%S+ (.*)$')
    if names ~= '[]' then call('SADD', key('batch_names:', families[index]), names) end
  end
  if not find_worker(worker_id) then call('EXPIRE', key('batchers:', worker_id), WEEK) end -- it may come back
end

-- Kept as long as that of a family without tasks, until one of its tasks comes.
function import.family()
  local family = word()
  write_fields(key('family:', family), list())
  for _, seconds in ipairs(list()) do call('RPUSH', key('run_times:', family), seconds) end
  call('EXPIRE', key('family:', family), MONTH)
  call('EXPIRE', key('run_times:', family), MONTH)
end

function import.submission()
  local id, fields = word(), list()
  local kept = key('submission:', id)
  write_fields(kept, fields)
  local ended, worker = call('HGET', kept, 'ended'), find_worker(id)
  if ended then
    call('EXPIRE', kept, math.max(1, math.ceil(ended + WEEK - NOW)))
    call('ZADD', key('ended_submissions', ''), ended, id)
  elseif worker then
    call('HSET', key('worker:', id), 'submission', '1')
    call('ZREM', key('workers', ''), id)
    call('SADD', key('submissions', ''), worker.w)
  end
end

function import.staged()
  local token = word()
  for _, id in ipairs(list()) do call('RPUSH', key('staged:', token), id) end
end

-- Those of them that were brought in.
local function workers_named(ids)
  local found = {}
  for _, id in ipairs(ids) do found[#found + 1] = find_worker(id) end
  return found
end

local function set_workers(task, ids, is_runnable)
  local workers, numbers = workers_named(ids), {}
  if not is_runnable then return end
  for index, worker in ipairs(workers) do numbers[index] = worker.w end
  set(task, 'runner_set', worker_set_of('runner_set', workers))
  change_runner_set('0', task.runner_set)
  set(task, 'workers', #numbers > 0 and table.concat(numbers, ','))
  set(task, 'last', numbers[#numbers] or '0') -- is no worker's number
end

local function set_stakeholders(task, ids)
  local workers = workers_named(ids)
  if #workers > 0 then
    set(task, 'stakeholder_set', worker_set_of('stakeholder_set', workers))
    change_stakeholder_set(task.n, '0', task.stakeholder_set)
  else
    call('SADD', key('without_stakeholders', ''), task.n)
  end
end

local function set_due_times(task, retry_at, remove_at)
  if task.status == 'FAILED' then
    call('ZADD', key('due:retry', ''), retry_at ~= '' and retry_at or NOW + OPTIONS.retry_delay, task.n)
  end
  if task.disabled_at and not task.disabled_by then call('ZADD', key('due:enable', ''), task.disabled_at, task.n) end
  if task.postponed then call('ZADD', key('due:postponed', ''), task.postponed, task.n) end
  if remove_at ~= '' then call('ZADD', key('due:remove', ''), remove_at, task.n) end
end

-- Listed as ready since it was so where it comes from.
local function list_since(task, ready_since)
  set(task, 'ready_since', ready_since)
  flush(task)
  enter_listing(task.n, 'READY:' .. (task.family or ''), ready_since or task.updated) -- after what finish_task wrote
end

local function set_deps(task, deps, token)
  local found = {}
  for index, id in ipairs(deps) do found[index] = load_as_dep(id) or { id = id, n = number_of(id) } end
  if #found > 0 then link_first(task.n, found) end
  if token ~= '' then
    begin_linking(task, token)
    add_deferred_step('link', task.n, token, '0')
  end
end

function import.task()
  local id, status, priority, number = word(), word(), word(), word()
  local is_runnable, retry_at, remove_at, token = word() == '1', word(), word(), word()
  local fields, detail = list(), list()
  local workers, stakeholders, failures, attempts, deps = list(), list(), list(), list(), list()
  if call('EXISTS', key('task:', id)) == 1 then return id end
  local task = create_task(id, status, priority, number)
  for index = 1, #fields, 2 do set(task, fields[index], fields[index + 1]) end
  write_fields(key('detail:', id), detail)
  for _, time in ipairs(failures) do call('RPUSH', key('failures:', task.n), time) end
  for _, attempt in ipairs(attempts) do call('RPUSH', key('attempts:', task.n), attempt) end
  set_workers(task, workers, is_runnable)
  set_stakeholders(task, stakeholders)
  set_deps(task, deps, token)
  set_due_times(task, retry_at, remove_at)
  enter_status(task)
  local ready_since = task.ready_since
  finish_task(task)
  if task.ready then list_since(task, ready_since) end
end

return claim.answer(ARGS.token, SECONDS, function()
  local known_task = nil
  while position < #ARGS.words and not known_task do known_task = import[word()]() end
  return { run_deferred(BUDGET), known_task or '' }
end)
