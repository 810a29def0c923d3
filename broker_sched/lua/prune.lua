-- One bite of pruning; any process may do it.
--
-- ARGV  6 budget: about how many steps
-- Reply 1 while there is more to do, else 0
-- Cost  O(budget)
-- Source: luigi.scheduler.Scheduler.prune, 3.8.1.
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
-- @lazy prune lib/pruning.lua

return answer(function() return prune(tonumber(ARGV[6])) end)
