-- A worker can't load what it was handed out: it goes back to PENDING, with no failure counted and with the reason, and
-- this worker is not given the like for a while. Others are.
--
-- @args worker scope seconds reason attempt task_ids…
--   scope       what it refuses: module, family
--   seconds     for how long
--   attempt     of the runs, '' for none
-- Reply { deferred steps left, ids of the tasks that went back }
-- Cost  O(tasks), and a budget of deferred steps
-- @include lib/core/header.lua
-- @include lib/workers/workers.lua
-- @include lib/workers/missed_workers.lua
-- @include lib/tasks/tasks.lua
-- @include lib/tasks/links.lua
-- @include lib/tasks/explanations.lua
-- @include lib/tasks/release_task.lua
-- @include lib/tasks/superseded.lua
-- @include lib/deferred/run_deferred.lua
-- @include lib/hand_out/labels.lua

local LONGEST_POSTPONEMENT, LONGEST_REFUSAL = 60, 3600 -- seconds
local MAX_REASON = 200 -- characters, for whoever asks why a task does not run

-- A task that this worker alone can't load may go to the next one at once, but behind what nobody refused, and the
-- more often it was refused the longer: else one task with broken parameters would keep the head of its family.
local function postpone(task)
  local seconds = math.min(LONGEST_POSTPONEMENT, 2 ^ math.min(tonumber(task.refusals) - 1, 30))
  set(task, 'postponed', string.format('%.6f', NOW + seconds))
  call('ZADD', key('due:postponed', ''), task.postponed, task.n)
end

local function put_back(task, expl)
  release(task)
  if task.status == 'PENDING' then
    local refusals = (tonumber(task.refusals) or 0) + 1
    set_expl(task, expl)
    set(task, 'refusals', tostring(refusals))
    task.apart = ARGS.scope
    if ARGS.scope == 'family' then postpone(task) end
  end
  finish_task(task)
end

-- Not to be given tasks of this label until then; what is over is forgotten.
local function note_refusal(worker, label)
  local refusals, until_when = key('refusals:', worker.id), string.format('%.6f', NOW + tonumber(ARGS.seconds))
  call('ZREMRANGEBYSCORE', refusals, '-inf', NOW_TEXT)
  call('ZADD', refusals, until_when, label)
  local latest = call('ZRANGE', refusals, -1, -1, 'WITHSCORES')[2]
  call('HSET', key('worker:', worker.id), 'refuses', latest)
  local reasons, last_line = key('refusal_reasons:', worker.id), string.match(ARGS.reason, '([^\n]*)%s*$')
  call('HSET', reasons, label, string.sub(last_line, 1, MAX_REASON))
  call('EXPIRE', reasons, LONGEST_REFUSAL)
  worker.refuses = true
end

local function refuse_tasks()
  local worker, back = find_worker(ARGS.worker), {}
  if not worker then return { 0, back } end
  local expl = cjson.encode(worker_named(worker.id) .. ' can\'t load it: ' .. ARGS.reason)
  for index = 1, #ARGS.task_ids do
    local task = load_task(ARGS.task_ids[index])
    local is_running = task and (task.status == 'RUNNING' or task.status == 'BATCH_RUNNING')
    if task and is_older(ARGS.attempt, task.attempt) then
      refuse_superseded(task.id, task.family or '', task.status, worker.id, ARGS.attempt, 'refuse')
    elseif is_running and task.worker_running == worker.id then
      local module, family = labels_of(task)
      note_refusal(worker, ARGS.scope == 'module' and module or family)
      put_back(task, expl)
      back[#back + 1] = task.id
    end
  end
  return { run_deferred(105), back }
end

return answer(refuse_tasks)
