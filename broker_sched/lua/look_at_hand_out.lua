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
-- Cost  that of get_work; where a worker refuses tasks or modules, O(MAX_PASSED) for each of its ready queues
-- @include lib/core/header.lua
-- @include lib/core/ids.lua
-- @include lib/workers/workers.lua
-- @include lib/workers/runner_sets.lua
-- @include lib/tasks/resources.lua
-- @include lib/tasks/tasks.lua
-- @include lib/deferred/backlog.lua
-- @include lib/hand_out/ready_queues.lua
-- @include lib/hand_out/best_head.lua
-- @lazy refuses lib/hand_out/restrictions.lua
-- @lazy shares lib/hand_out/rivals.lua
-- @lazy merge lib/hand_out/starvation_guard.lua

local AS_ASSISTANT = ARGS.assistant == '1'
local MAX_PASSED = 50 -- tasks of one ready queue, the best of which the worker must not have

-- get_work would set tasks apart that the worker must not have. Here they are passed over.
local function pass_over_refused(worker)
  if not worker.refuses and not worker.modules then return end
  for _, queue in ipairs((own_queues(worker, AS_ASSISTANT))) do
    local entries = call('ZRANGE', key('ready:', queue), 0, MAX_PASSED - 1, 'WITHSCORES')
    heads[queue] = false
    for index = 1, #entries, 2 do
      local task = load_task(id_of(number_in_rank(entries[index])))
      if task and not refuses(worker, task) then
        heads[queue] = { queue = queue, needs = needs_of(queue), score = tonumber(entries[index + 1]),
          rank = entries[index] }
        break
      end
    end
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
  pass_over_refused(worker)
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
