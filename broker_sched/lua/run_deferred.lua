-- Do a bounded part of the deferred steps that other calls left.
--
-- @args budget
--   budget      about how many steps
-- Reply the number of deferred steps left
-- Cost  O(budget)
-- @include lib/core/header.lua
-- @include lib/deferred/run_deferred.lua

return answer(function() return run_deferred(tonumber(ARGS.budget)) end)
