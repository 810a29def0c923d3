-- A ready queue's head is its best task. get_work looks at the heads of ready queues, and at no other ready tasks,
-- except where the starvation guard merges the queues.

-- @include lib/core/header.lua
-- @include lib/workers/counts.lua
-- @rarely lib/hand_out/paused_families.lua
-- @rarely lib/hand_out/restrictions.lua

local function before(a, b)
  if a.score ~= b.score then return a.score < b.score end
  return a.rank < b.rank
end

local function number_in_rank(rank)
  return string.match(rank, ':(%d+)$') or rank
end

local queues_of = {} -- by runner set, '' for all, as read in this script
local needs_by_queue = {}
local heads = {} -- by ready queue, as read in this script; false when it is empty

local function needs_of(queue)
  local needs = needs_by_queue[queue]
  if not needs then
    needs = string.match(queue, '|(.*)$')
    needs_by_queue[queue] = needs
  end
  return needs
end

-- The best of a ready queue: { ready queue, needs, score, rank, is it alone }; false when the ready queue is empty.
local function head_of(queue)
  if heads[queue] == nil then
    local first = call('ZRANGE', key('ready:', queue), 0, 1, 'WITHSCORES')
    heads[queue] = first[1] and {
      queue = queue, needs = needs_of(queue), score = tonumber(first[2]), rank = first[1], is_alone = not first[3],
    }
  end
  return heads[queue]
end

-- The ready queues of a runner set that have ready tasks; '' all such ready queues.
local function ready_queues(runner_set)
  if not queues_of[runner_set] then
    queues_of[runner_set] = call('SMEMBERS', key(runner_set == '' and 'ready_queues' or 'ready_queues:', runner_set))
  end
  return queues_of[runner_set]
end

local POSTPONED = '^%d+@[^|]*!|'

-- The ready queues whose tasks this worker may be given, as far as their names tell; an assistant: all that some worker
-- can or could run. Without those that it refuses, and those of paused families. Returns them, and whether some are
-- left out for their turn:
-- turn  'first' only those whose tasks nobody refused just now, 'last' only the others
local function own_queues(worker, as_assistant, turn)
  local queues, left, is_restricted = {}, false, worker.refuses or worker.modules
  local may_be_paused = OPTIONS.paused_families ~= ''
  local function add(queue)
    if may_be_paused and is_paused_queue(queue) then return end
    if turn and (string.find(queue, POSTPONED) ~= nil) ~= (turn == 'last') then
      left = true
    elseif not is_restricted or not refuses(worker, queue) then
      queues[#queues + 1] = queue
    end
  end
  if as_assistant then
    for _, queue in ipairs(ready_queues('')) do
      if not string.find(queue, '^0[|@]') then add(queue) end
    end
    return queues, left
  end
  for _, runner_set in ipairs(runner_sets_of(worker)) do
    for _, queue in ipairs(ready_queues(runner_set)) do add(queue) end
  end
  return queues, left
end

-- All ready queues whose tasks others may be given before this worker's: not those of paused families, and in the first
-- turn not those that were refused just now, so that they keep resources from nobody.
local function queues_in_turn(turn)
  local queues, may_be_paused = {}, OPTIONS.paused_families ~= ''
  for _, queue in ipairs(ready_queues('')) do
    local is_left_out = turn == 'first' and string.find(queue, POSTPONED) or may_be_paused and is_paused_queue(queue)
    if not is_left_out then queues[#queues + 1] = queue end
  end
  return queues
end

-- A task was moved from one ready queue to another.
local function forget_queues(...)
  queues_of = {}
  for _, queue in ipairs({ ... }) do heads[queue] = nil end
end
