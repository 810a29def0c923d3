-- Which task would get_work give a worker now, if it asked? Does that keep a given ready task back? Changes nothing.
--
-- @args worker assistant task_id
--   assistant   0, 1: whether it would ask as one
--   task_id     the ready task
-- Reply { how it is, id of the task that goes first or '' }, how it is one of
--       given     the worker would be given this task
--       better    it would be given another one, which ranks before this one
--       postponed it would be given another one, since a worker could not load this one a moment ago
--       held      this one is kept back by the starvation guard, for the other one
--       none      the worker can't be given it, or it is not ready any more
-- Cost  that of get_work; where there is something that the worker must not have, O(MAX_PASSED) for each of its ready
--       queues
-- @include lib/core/header.lua
-- @include lib/core/ids.lua
-- @include lib/workers/workers.lua
-- @include lib/workers/runner_sets.lua
-- @include lib/tasks/resources.lua
-- @include lib/tasks/tasks.lua
-- @include lib/deferred/backlog.lua
-- @include lib/hand_out/ready_queues.lua
-- @include lib/hand_out/best_head.lua
-- @include lib/hand_out/streams.lua
-- @rarely lib/hand_out/labels.lua
-- @rarely lib/hand_out/paused_families.lua
-- @rarely lib/hand_out/restrictions.lua
-- @rarely lib/hand_out/rivals.lua
-- @rarely lib/hand_out/starvation_guard.lua

local AS_ASSISTANT = ARGS.assistant == '1'
local MAX_PASSED, MAX_APART = 50, 200 -- tasks that the worker must not have: in one ready queue, in all

-- Must this worker, or anybody, not have the task? As choosing.lua has it.
local function must_not_have(worker, task)
  if OPTIONS.paused_families ~= '' and is_paused(task.family) then return true end
  return (worker.refuses or worker.modules) and refuses(worker, task) ~= nil
end

local set_apart_so_far = 0

-- get_work would move the task into a ready queue of its label, where it may be in the way of others. Here it stands in
-- one that this script alone knows of: spaces behind the needs make the name another one.
local function set_apart(queue, task, score)
  set_apart_so_far = set_apart_so_far + 1
  local runner_set, mark, needs = string.match(queue, '^(%d+)@?([^|]*)|(.*)$')
  local _, label = labels_of(task)
  local postponed = string.sub(mark, -1) == '!' and '!' or ''
  local apart = runner_set .. '@' .. label .. postponed .. '|' .. (needs == '' and '{}' or needs)
    .. string.rep(' ', set_apart_so_far)
  heads[apart] = { queue = apart, needs = needs_of(apart), score = score, rank = task.rank }
  local all = ready_queues('')
  all[#all + 1] = apart
end

-- Have the first task that the worker may have be the head of each of its ready queues.
local function pass_over(worker)
  if not worker.refuses and not worker.modules and OPTIONS.paused_families == '' then return end
  for _, queue in ipairs((own_queues(worker, AS_ASSISTANT))) do
    local entries, head = call('ZRANGE', key('ready:', queue), 0, MAX_PASSED - 1, 'WITHSCORES'), false
    for index = 1, #entries, 2 do
      local task, score = load_task(id_of(number_in_rank(entries[index]))), tonumber(entries[index + 1])
      if not must_not_have(worker, task) then
        head = { queue = queue, needs = needs_of(queue), score = score, rank = task.rank }
        break
      end
      set_apart(queue, task, score)
    end
    heads[queue] = head
    if set_apart_so_far >= MAX_APART then return end
  end
end

-- What this worker would be given in a turn (see own_queues), and the first ready task for which something is kept that
-- the given one wants.
local function look_in_turn(worker, entry, turn)
  local best, is_contested, left = best_for(worker, AS_ASSISTANT, turn)
  local kept_for
  if is_contested then
    local wanted = amounts(entry.needs)
    best = merge(worker, AS_ASSISTANT, turn, function(stream)
      if not kept_for and before(stream, entry) and shares(stream.needs, wanted) then kept_for = stream.rank end
    end)
  end
  return best, kept_for, left
end

local function id_at(rank)
  return id_of(number_in_rank(rank)) or ''
end

local function look()
  local worker, task = find_worker(ARGS.worker), load_task(ARGS.task_id)
  if not worker or not task or not task.ready then return { 'none', '' } end
  local score = call('ZSCORE', key('ready:', task.ready), task.rank)
  if not score then return { 'none', '' } end
  backlog.waiting = 0 -- what deferred steps would put right first is not looked at
  slots_by_worker[worker.id] = tonumber(call('HGET', key('worker:', worker.id), 'slots') or 1) -- as if it had asked now
  pass_over(worker)
  local entry = { queue = task.ready, needs = needs_of(task.ready), score = tonumber(score), rank = task.rank }
  local is_postponed = string.find(task.ready, '^%d+@[^|]*!|') ~= nil
  local best, kept_for, left = look_in_turn(worker, entry, 'first')
  if best and is_postponed then return { 'postponed', id_at(best.rank) } end
  if not best and left then best, kept_for = look_in_turn(worker, entry, 'last') end
  if best and best.rank == entry.rank then return { 'given', '' } end
  if best and before(best, entry) then return { 'better', id_at(best.rank) } end
  if kept_for then return { 'held', id_at(kept_for) } end
  return { 'none', best and id_at(best.rank) or '' }
end

return answer(look, { 'worker_disconnect_delay' })
