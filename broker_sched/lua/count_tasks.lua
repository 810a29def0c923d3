-- How many tasks some families have in some states. Changes nothing.
--
-- @args least state_count names…
--   least        count only those that came into their state then or later (s); '' for all
--   state_count  so many of the names are states, the first ones; the others are families
-- Reply { position of the family, position of the state, how many tasks, … }, each from 1 on among its like; what has
--       no tasks is left out
-- Cost  O(states × families)
-- @include lib/core/header.lua

-- Most families have tasks in few states: one command tells in how many, and no more are counted.
local function count_tasks()
  local reply, size, starts, states = {}, 0, {}, tonumber(ARGS.state_count)
  for state = 1, states do starts[state] = key('tasks:', ARGS.names[state] .. ':') end
  local listings = {}
  for family = 1, #ARGS.names - states do
    local name = ARGS.names[states + family]
    for state = 1, states do listings[state] = starts[state] .. name end
    local left = (ARGS.least ~= '' or states == 1) and states or call('EXISTS', unpack(listings))
    for state = 1, states do
      if left == 0 then break end
      local tasks = listings[state]
      local count = ARGS.least == '' and call('ZCARD', tasks) or call('ZCOUNT', tasks, ARGS.least, '+inf')
      if count > 0 then
        reply[size + 1], reply[size + 2], reply[size + 3] = family, state, count
        size, left = size + 3, left - 1
      end
    end
  end
  return reply
end

return answer(count_tasks)
