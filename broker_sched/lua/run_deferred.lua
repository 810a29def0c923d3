-- Do one bite of the deferred steps that other calls left.
--
-- @args budget
--   budget      about how many steps
-- Reply the number of deferred steps left
-- Cost  O(budget)
-- @include lib/core/header.lua
-- @include lib/workers/worker_sets.lua
-- @include lib/workers/workers.lua
-- @include lib/tasks/resources.lua
-- @include lib/tasks/tasks.lua
-- @lazy enter_batches, leave_batches, batch_signature lib/batches/batch_index.lua
-- @include lib/tasks/placing.lua
-- @include lib/tasks/links.lua
-- @include lib/tasks/statuses.lua
-- @include lib/deferred/run_deferred.lua

return answer(function() return run_deferred(tonumber(ARGS.budget)) end)
