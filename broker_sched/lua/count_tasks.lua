-- How many tasks some families have in some states. Changes nothing.
--
-- @args least state_count names…
--   least        count only those that came into their state then or later (s); '' for all
--   state_count  so many of the names are states, the first ones; the others are families
-- Reply { position of the family, position of the state, how many tasks, … }, each from 1 on among its like; what has
--       no tasks is left out
-- Cost  O(states × families)
-- @include lib/core/header.lua

local function count_tasks()
  local reply, size, starts, states = {}, 0, {}, tonumber(ARGS.state_count)
  for state = 1, states do starts[state] = key('tasks:', ARGS.names[state] .. ':') end
  for family = 1, #ARGS.names - states do
    local name = ARGS.names[states + family]
    for state = 1, states do
      local tasks = starts[state] .. name
      local count = ARGS.least == '' and call('ZCARD', tasks) or call('ZCOUNT', tasks, ARGS.least, '+inf')
      if count > 0 then
        reply[size + 1], reply[size + 2], reply[size + 3] = family, state, count
        size = size + 3
      end
    end
  end
  return reply
end

return answer(count_tasks)
