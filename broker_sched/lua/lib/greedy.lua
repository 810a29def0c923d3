-- The starvation guard of get_work: would the task still fit after every live worker's idle slots were filled, in
-- rank order, with the better tasks they may run? Mostly the running tasks alone tell: those better ones don't fit
-- either. Else running tasks, and the ready groups, are merged as streams.
-- A group is left as soon as it no longer fits or none of its workers has a slot: use only grows, slots only
-- shrink. So the steps are at most running tasks + idle slots + groups, and while jobs wait the candidates that turn
-- out to have an unmet dep.

local PAGE = 16

-- Read the ids of a page's tasks at once.
local function look_up_ids(page)
  local numbers = {}
  for index = 1, #page, 2 do numbers[#numbers + 1] = number_in(page[index]) end
  if #numbers == 0 then return end
  local ids = call('HMGET', key('ids', ''), unpack(numbers))
  for index, n in ipairs(numbers) do id_by_number[n] = ids[index] end
end

-- A stream of ranked entries, of a group or of what runs, stands at `rank` and `score`, which is the entry `index`;
-- what follows is read in pages. Returns false at its end.
local function advance(stream)
  stream.index = stream.index + 1
  stream.position = stream.page and stream.position + 2
  if not stream.page or stream.position > #stream.page then
    local entries = stream.group and key('ready:', stream.group) or key('running', '')
    stream.page = call('ZRANGE', entries, stream.index, stream.index + PAGE - 1, 'WITHSCORES')
    stream.position = 1
    if not stream.group then look_up_ids(stream.page) end
  end
  stream.rank = stream.page[stream.position]
  stream.score = tonumber(stream.page[stream.position + 1])
  return stream.rank ~= nil
end

-- What runs, in rank order, at the first entry; nil when nothing does.
local function running_stream()
  local stream = { index = -1 }
  return advance(stream) and stream or nil
end

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

local slots_by_worker = {} -- info `workers`, 1 where absent; false when its last get_work is too long ago

local function slots_of(id)
  if slots_by_worker[id] == nil then
    local fields = call('HMGET', key('worker:', id), 'last_get_work', 'slots')
    local is_live = fields[1] and tonumber(fields[1]) > NOW - OPTIONS.worker_disconnect_delay
    slots_by_worker[id] = is_live and tonumber(fields[2] or 1)
  end
  return slots_by_worker[id]
end

local ids_by_crew = {} -- of crews of one worker: its id in a list

-- The ids of the workers of a ready task, first to join first. Of a crew of one, the task need not be read.
local function worker_ids_of(stream)
  local crew = string.match(stream.group, '^%d+')
  if crew == '0' then return {} end
  if ids_by_crew[crew] then return ids_by_crew[crew] end
  local is_alone = counters_of(crew).size == 1
  local numbers
  if is_alone then
    numbers = call('SMEMBERS', key('crew:', crew .. ':workers'))
  else
    numbers = workers_of(load_task(id_of(number_in(stream.rank))))
  end
  local ids = #numbers > 0 and call('HMGET', key('worker_ids', ''), unpack(numbers)) or {}
  if is_alone then ids_by_crew[crew] = ids end
  return ids
end

-- Use up a slot of the first of the task's workers that has one. False when none of them has.
local function take_slot(stream, worker, as_assistant, slots_taken)
  local function take(id)
    local slots = id and slots_of(id)
    local taken = slots_taken[id] or 0
    if not slots or taken >= slots then return false end
    slots_taken[id] = taken + 1
    return true
  end
  for _, id in ipairs(worker_ids_of(stream)) do
    if take(id) then return true end
  end
  return as_assistant and take(worker.id)
end

local runs = {} -- by rank: { worker_running, held, resources } of what runs, as read in this script

-- The worker that runs it, false when that is not live, and what it holds.
local function run_of(rank)
  local run = runs[rank]
  if not run then
    run = call('HMGET', key('task:', id_of(number_in(rank))), 'worker_running', 'held', 'resources')
    runs[rank] = run
  end
  local runner = run[1] or ''
  return slots_of(runner) and runner, run[2] or run[3] or ''
end

local function add_up(taken, needs)
  for name, amount in pairs(amounts(needs)) do taken[name] = (taken[name] or 0) + amount end
end

local function shares(needs, wanted)
  for name in pairs(amounts(needs)) do
    if wanted[name] then return true end
  end
  return false
end

-- The better ready tasks, each the first of its group, that want a resource which this one wants.
local function rivals_of(candidate)
  local wanted, rivals = amounts(candidate.needs), {}
  for _, group in ipairs(ready_groups('')) do
    if group ~= candidate.group and shares(needs_of(group), wanted) then
      local head = head_of(group)
      if head and before(head, candidate) then rivals[#rivals + 1] = head end
    end
  end
  return rivals
end

-- Might one of these heads be run beside what runs on live workers and ranks before it? If none, nor will those behind
-- them: they take no slot and no resource from anybody. O(running tasks).
local function can_any_run(rivals)
  if #rivals == 0 then return false end
  table.sort(rivals, before)
  local taken, running = {}, running_stream()
  for _, rival in ipairs(rivals) do
    local fits_so_far = fits(rival.needs, taken)
    while fits_so_far and running and before(running, rival) do
      local runner, held = run_of(running.rank)
      if runner then add_up(taken, held) end
      running = advance(running) and running
      fits_so_far = fits(rival.needs, taken)
    end
    if fits_so_far then return true end
  end
  return false
end

-- The starvation guard: fill live workers' idle slots in rank order; the first task that is this worker's,
-- fits beside what is in use and beside what the better ones would take, is the one. nil when there is none.
local function merge(worker, as_assistant)
  local heap, slots_taken, taken, own = {}, {}, {}, {}
  local function count_running(rank)
    local runner, held = run_of(rank)
    if not runner then return end
    slots_taken[runner] = (slots_taken[runner] or 0) + 1
    add_up(taken, held)
  end
  for _, group in ipairs(own_groups(worker, as_assistant)) do own[group] = true end
  local running = running_stream()
  if running then push(heap, running) end
  for _, group in ipairs(ready_groups('')) do
    local head = head_of(group)
    if head then push(heap, { group = group, needs = head.needs, rank = head.rank, score = head.score, index = 0 }) end
  end
  while #heap > 0 do
    local stream = pop(heap)
    local goes_on = true
    if not stream.group then
      count_running(stream.rank)
    elseif not fits(stream.needs, taken) then
      goes_on = false
    elseif own[stream.group] and fits(stream.needs) then
      if not is_stale(stream) then return stream end
      stream.index = stream.index - 1 -- it left the group, and what follows moved up
    else
      goes_on = take_slot(stream, worker, as_assistant, slots_taken)
      if goes_on then add_up(taken, stream.needs) end
    end
    if goes_on and advance(stream) then push(heap, stream) end
  end
  return nil
end

-- The candidate, or what must run in its place so that better tasks are not starved; nil when nothing may.
local function guard(candidate, worker, as_assistant)
  if not can_any_run(rivals_of(candidate)) then return candidate end
  return merge(worker, as_assistant)
end

return guard
