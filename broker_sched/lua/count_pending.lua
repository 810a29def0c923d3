-- Count what a worker still has to do. An unknown worker is created.
--
-- @args worker
-- Reply { state, pending, unique, last_scheduled, { task_id, worker, … }, { worker, {info…}, … } }
-- Cost  O(the worker's runner sets + running tasks in them)
-- Source: luigi.scheduler.Scheduler.count_pending, 3.8.1.
-- @include lib/core/header.lua
-- @include lib/workers/workers.lua
-- @include lib/workers/counts.lua

return answer(function() return count_for(get_worker(ARGS.worker)) end)
