-- Do one bite of the jobs that other calls left.
--
-- ARGV  6 budget: about how many steps
-- Reply the number of jobs left
-- Cost  O(budget)
-- @include lib/header.lua
-- @include lib/crowds.lua
-- @include lib/workers.lua
-- @include lib/resources.lua
-- @include lib/tasks.lua
-- @lazy enter_batches, leave_batches, batch_signature lib/batch_index.lua
-- @include lib/placing.lua
-- @include lib/links.lua
-- @include lib/statuses.lua
-- @include lib/working_off.lua

return answer(function() return work_off(tonumber(ARGV[6])) end)
