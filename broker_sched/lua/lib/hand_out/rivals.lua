-- Rivals of a task are better ready tasks that want a resource which it wants. If live workers might run one of them,
-- the starvation guard has to decide. Mostly none of them fits beside the running tasks, and it need not.

-- @include lib/tasks/resources.lua
-- @include lib/hand_out/ready_queues.lua
-- @include lib/hand_out/streams.lua

local function shares(needs, wanted)
  for name in pairs(amounts(needs)) do
    if wanted[name] then return true end
  end
  return false
end

-- The better ready tasks, each the first of its ready queue, that want a resource which this one wants.
local function rivals_of(candidate, turn)
  local wanted, rivals = amounts(candidate.needs), {}
  for _, queue in ipairs(queues_in_turn(turn)) do
    if queue ~= candidate.queue and shares(needs_of(queue), wanted) then
      local head = head_of(queue)
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

-- turn  see own_queues
local function has_runnable_rival(candidate, turn)
  return can_any_run(rivals_of(candidate, turn))
end
