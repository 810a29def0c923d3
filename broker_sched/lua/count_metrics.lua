-- Add up what was noted for /metrics, and what a server process has counted since it told last.
--
-- @args count counted…
--   count    notes at the most
--   counted  fields of `server_metrics` and by how much each grows, in turn
-- Reply how many notes are left
-- Cost  O(count)
-- @include lib/core/header.lua
-- @include lib/tasks/metric_counts.lua

local function count_metrics()
  local amounts_of = {}
  for index = 1, #ARGS.counted, 2 do amounts_of[ARGS.counted[index]] = tonumber(ARGS.counted[index + 1]) end
  if next(amounts_of) then add_to_metrics(key('server_metrics', ''), amounts_of) end
  return count_metric_notes(tonumber(ARGS.count))
end

return answer(count_metrics)
