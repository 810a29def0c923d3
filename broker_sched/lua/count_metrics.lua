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
  for index = 1, #ARGS.counted, 2 do
    call('HINCRBYFLOAT', key('server_metrics', ''), ARGS.counted[index], ARGS.counted[index + 1])
  end
  return count_metric_notes(tonumber(ARGS.count))
end

return answer(count_metrics)
