-- The starvation guard reads running tasks and ready queues as streams, in rank order and page by page; and it asks how
-- many slots a worker has.

-- @include lib/core/header.lua
-- @include lib/core/ids.lua
-- @include lib/tasks/resources.lua
-- @include lib/hand_out/ready_queues.lua

local PAGE = 16

-- A stream of ranked entries, of a ready queue or of what runs, stands at `rank` and `score`, which is the entry
-- `index`; what follows is read in pages. Returns false at its end.
local function advance(stream)
  stream.index = stream.index + 1
  stream.position = stream.page and stream.position + 2
  if not stream.page or stream.position > #stream.page then
    local entries = stream.queue and key('ready:', stream.queue) or key('running', '')
    stream.page = call('ZRANGE', entries, stream.index, stream.index + PAGE - 1, 'WITHSCORES')
    stream.position = 1
    if not stream.queue then
      local numbers = {}
      for index = 1, #stream.page, 2 do numbers[#numbers + 1] = number_in_rank(stream.page[index]) end
      look_up_ids(numbers)
    end
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

local slots_by_worker = {} -- info `workers`, 1 where absent; false when its last get_work is too long ago

local function slots_of(id)
  if slots_by_worker[id] == nil then
    local fields = call('HMGET', key('worker:', id), 'last_get_work', 'slots')
    local is_live = fields[1] and tonumber(fields[1]) > NOW - OPTIONS.worker_disconnect_delay
    slots_by_worker[id] = is_live and tonumber(fields[2] or 1)
  end
  return slots_by_worker[id]
end

local runs = {} -- by rank: { worker_running, held, resources } of what runs, as read in this script

-- The worker that runs it, false when that is not live, and what it holds.
local function run_of(rank)
  local run = runs[rank]
  if not run then
    run = call('HMGET', key('task:', id_of(number_in_rank(rank))), 'worker_running', 'held', 'resources')
    runs[rank] = run
  end
  local runner = run[1] or ''
  return slots_of(runner) and runner, run[2] or run[3] or ''
end

local function add_up(taken, needs)
  for name, amount in pairs(amounts(needs)) do taken[name] = sums.plus(taken[name] or 0, amount) end
end
