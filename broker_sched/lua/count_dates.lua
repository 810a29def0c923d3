-- How many tasks some families have for some dates of a month, by state. Changes nothing.
--
-- @args month state_count date_count names…
--   month                    that all of the dates are in, or are
--   state_count, date_count  so many of the names are states, the first ones, and then so many dates; the others are
--                            families
-- Reply { position of the family, of the date, of the state, how many tasks, … }, each from 1 on among its like; what
--       has no tasks is left out
-- Cost  O(states × dates × families) at the most: of a family no more states are looked at than its tasks of the month
--       are in, so those that most tasks are in should come first
-- @include lib/core/header.lua

local function count_dates()
  local reply, size, states, dates = {}, 0, tonumber(ARGS.state_count), tonumber(ARGS.date_count)
  local before = states + dates
  for family = 1, #ARGS.names - before do
    local name = ARGS.names[before + family]
    local state, left = 1, tonumber(call('HGET', key('months:', name), ARGS.month) or 0)
    while state <= states and left > 0 do
      local start = key('dated:', ARGS.names[state] .. ':')
      for date = 1, dates do
        local count = call('SCARD', start .. ARGS.names[states + date] .. ':' .. name)
        if count > 0 then
          reply[size + 1], reply[size + 2], reply[size + 3], reply[size + 4] = family, date, state, count
          size, left = size + 4, left - count
        end
      end
      state = state + 1
    end
  end
  return reply
end

return answer(count_dates)
