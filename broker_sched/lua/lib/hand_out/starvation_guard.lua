-- The starvation guard of get_work: would the task still fit after every live worker's idle slots were filled, in
-- rank order, with the better tasks they may run? Running tasks, and the ready queues, are merged as streams.
-- A ready queue is left as soon as it no longer fits or none of its workers has a slot: use only grows, slots only
-- shrink. So the steps are at most running tasks + idle slots + ready queues, and while deferred steps wait the
-- candidates that turn out to have an unmet dep.

-- @include lib/core/header.lua
-- @include lib/core/ids.lua
-- @include lib/workers/runner_sets.lua
-- @include lib/workers/workers.lua
-- @include lib/tasks/resources.lua
-- @include lib/tasks/tasks.lua
-- @include lib/hand_out/ready_queues.lua
-- @include lib/hand_out/stale_heads.lua
-- @include lib/hand_out/streams.lua
-- @rarely lib/hand_out/restrictions.lua

-- A binary heap of streams by their current entry.
local function push(heap, stream)
  local index = #heap + 1
  heap[index] = stream
  while index > 1 do
    local parent = math.floor(index / 2)
    if not before(heap[index], heap[parent]) then break end
    heap[index], heap[parent] = heap[parent], heap[index]
    index = parent
  end
end

local function pop(heap)
  local top, last = heap[1], table.remove(heap)
  if #heap == 0 then return top end
  heap[1] = last
  local index = 1
  while true do
    local child = 2 * index
    if child > #heap then break end
    if child < #heap and before(heap[child + 1], heap[child]) then child = child + 1 end
    if not before(heap[child], heap[index]) then break end
    heap[index], heap[child] = heap[child], heap[index]
    index = child
  end
  return top
end

local ids_by_runner_set = {} -- of runner sets of one worker: its id in a list

-- The ids of the workers of a ready task, first to join first. Of a runner set of one, the task need not be read.
local function worker_ids_of(stream)
  local runner_set = string.match(stream.queue, '^%d+')
  if runner_set == '0' then return {} end
  if ids_by_runner_set[runner_set] then return ids_by_runner_set[runner_set] end
  local is_alone = counters_of(runner_set).size == 1
  local numbers
  if is_alone then
    numbers = call('SMEMBERS', key('runner_set:', runner_set .. ':workers'))
  else
    numbers = workers_of(load_task(id_of(number_in_rank(stream.rank))))
  end
  local ids = #numbers > 0 and call('HMGET', key('worker_ids', ''), unpack(numbers)) or {}
  if is_alone then ids_by_runner_set[runner_set] = ids end
  return ids
end

-- Must the worker not have the ready queue's tasks? What it refuses would keep slot and resources from others for
-- nothing. Only of a ready queue that stands apart (see labels.lua) the worker has to be read.
local function is_refused_by(id, queue)
  if not string.find(queue, '^%d+@') then return false end
  local worker = find_worker(id)
  return worker ~= nil and refuses(worker, queue) ~= nil
end

-- Use up a slot of the first of the task's workers that has one, at last of the one that asks, where that may be given
-- it as an assistant. False when none of them has.
local function take_slot(stream, worker, may_be_given, slots_taken)
  local function take(id)
    local slots = id and slots_of(id)
    local taken = slots_taken[id] or 0
    if not slots or taken >= slots then return false end
    slots_taken[id] = taken + 1
    return true
  end
  for _, id in ipairs(worker_ids_of(stream)) do
    if not is_refused_by(id, stream.queue) and take(id) then return true end
  end
  return may_be_given and take(worker.id)
end

-- Fill live workers' idle slots in rank order; the first task that is this worker's,
-- fits beside what is in use and beside what the better ones would take, is the one. nil when there is none.
-- turn  see own_queues; note  is called with each better ready task that takes a slot; only to look at it
local function merge(worker, as_assistant, turn, note)
  local heap, slots_taken, taken, own = {}, {}, {}, {}
  local function count_running(rank)
    local runner, held = run_of(rank)
    if not runner then return end
    slots_taken[runner] = (slots_taken[runner] or 0) + 1
    add_up(taken, held)
  end
  for _, queue in ipairs((own_queues(worker, as_assistant, turn))) do own[queue] = true end
  local is_restricted = worker.refuses or worker.modules
  local running = running_stream()
  if running then push(heap, running) end
  for _, queue in ipairs(queues_in_turn(turn)) do
    local head = head_of(queue)
    if head then push(heap, { queue = queue, needs = head.needs, rank = head.rank, score = head.score, index = 0 }) end
  end
  while #heap > 0 do
    local stream = pop(heap)
    local goes_on = true
    if not stream.queue then
      count_running(stream.rank)
    elseif not fits(stream.needs, taken) then
      goes_on = false
    elseif own[stream.queue] and fits(stream.needs) then
      if not is_stale(stream) then return stream end
      stream.index = stream.index - 1 -- it left the ready queue, and what follows moved up
    else
      local may_be_given = as_assistant and not (is_restricted and refuses(worker, stream.queue))
      goes_on = take_slot(stream, worker, may_be_given, slots_taken)
      if goes_on then
        add_up(taken, stream.needs)
        if note then note(stream) end
      end
    end
    if goes_on and advance(stream) then push(heap, stream) end
  end
  return nil
end
