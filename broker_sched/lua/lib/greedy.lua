-- The starvation guard of get_work: would the task still fit after every live worker's idle slots were filled, in
-- rank order, with the better tasks they may run? Running tasks, and the ready groups, are merged as streams.
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

-- A stream of ranked entries stands at `rank` and `score`; what follows is read in pages. Returns false at its end.
local function advance(stream)
  if stream.position > #stream.page then
    stream.page = call('ZRANGE', stream.key, stream.next_index, stream.next_index + PAGE - 1, 'WITHSCORES')
    stream.next_index = stream.next_index + PAGE
    if stream.is_running then look_up_ids(stream.page) end
    stream.position = 1
  end
  stream.rank = stream.page[stream.position]
  if not stream.rank then return false end
  stream.score = tonumber(stream.page[stream.position + 1])
  stream.position = stream.position + 2
  return true
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

-- The idle slots of workers whose last get_work is recent enough: info `workers`, 1 where absent.
local function slot_table()
  local slots = {}
  local limit = NOW - OPTIONS.worker_disconnect_delay
  return function(id, change)
    if slots[id] == nil then
      local fields = call('HMGET', key('worker:', id), 'last_get_work', 'slots')
      slots[id] = fields[1] and tonumber(fields[1]) > limit and tonumber(fields[2] or 1) or false
    end
    if slots[id] and change then slots[id] = slots[id] + change end
    return slots[id] or 0, slots[id] ~= false
  end
end

local ids_by_crew = {} -- of crews of one worker: its id in a list

-- The ids of the workers of a ready task, first to join first. Of a crew of one, the task need not be read.
local function worker_ids_of(stream)
  local crew = stream.crew
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
local function take_slot(stream, worker, as_assistant, slot)
  for _, id in ipairs(worker_ids_of(stream)) do
    if id and slot(id) > 0 then
      slot(id, -1)
      return true
    end
  end
  if as_assistant and slot(worker.id) > 0 then
    slot(worker.id, -1)
    return true
  end
  return false
end

local function add_up(greedy, needs)
  for name, amount in pairs(amounts(needs)) do greedy[name] = (greedy[name] or 0) + amount end
end

local function count_running(entry, slot, greedy)
  local id = id_of(number_in(entry.rank))
  local fields = call('HMGET', key('task:', id), 'worker_running', 'held', 'resources')
  local runner = fields[1] or ''
  local _, is_live = slot(runner)
  if not is_live then return end
  slot(runner, -1)
  add_up(greedy, fields[2] or fields[3] or '')
end

-- The starvation guard: fill live workers' idle slots in rank order; the first task that is this worker's,
-- fits beside what is in use and beside what the better ones would take, is the one. nil when there is none.
local function merge_greedily(worker, as_assistant)
  local heap, slot, greedy, own = {}, slot_table(), {}, {}
  local function taken(name) return greedy[name] or 0 end
  for _, group in ipairs(own_groups(worker, as_assistant)) do own[group] = true end
  local running = { key = key('running', ''), is_running = true, next_index = 0, page = {}, position = 1 }
  if advance(running) then push(heap, running) end
  for _, group in ipairs(ready_groups('')) do
    local head = head_of(group)
    if head then
      push(heap, {
        key = key('ready:', group), group = group, crew = string.match(group, '^%d+'), needs = head.needs,
        rank = head.rank, score = head.score, is_candidate = own[group] and fits(head.needs, used),
        next_index = 1, page = {}, position = 1,
      })
    end
  end
  while #heap > 0 do
    local stream = pop(heap)
    local goes_on = true
    if stream.is_running then
      count_running(stream, slot, greedy)
    elseif not fits(stream.needs, taken) then
      goes_on = false
    elseif stream.is_candidate then
      if not is_stale(stream) then return stream end
      stream.next_index = stream.next_index - 1 -- it left the group, and what follows moved up
    else
      goes_on = take_slot(stream, worker, as_assistant, slot)
      if goes_on then add_up(greedy, stream.needs) end
    end
    if goes_on and advance(stream) then push(heap, stream) end
  end
  return nil
end

return merge_greedily
