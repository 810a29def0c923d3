-- Removing a worker that is dead, or a submission that has ended.

-- @include lib/core/header.lua
-- @include lib/workers/workers.lua
-- @include lib/workers/missed_workers.lua
-- @include lib/deferred/backlog.lua

local KEPT_NAMES = 10000

-- Tasks know the workers that have signed up by number: why() tells who that was.
local function keep_name(worker)
  local contact = call('ZSCORE', key('workers', ''), worker.id) or NOW_TEXT
  call('ZADD', key('gone_workers', ''), worker.w, contact .. ' ' .. worker.id) -- first: Redis may refuse it
  call('ZREMRANGEBYSCORE', key('gone_workers', ''), '-inf', number_text(tonumber(worker.w) - KEPT_NAMES))
end

-- A dead worker is gone at once; its runner sets and stakeholder sets follow as a deferred step, what it ran is looked
-- at as orphaned run. `since`: from when on its tasks have lacked it. `why`: what is said of its runs, as a sentence;
-- nil for a worker that was silent.
local function remove_worker(id, since, why)
  local worker = find_worker(id)
  keep_name(worker)
  keep_why_missed(id, why)
  suspect_tasks_of(id)
  call('ZREM', key('workers', ''), id)
  call('SREM', key('submissions', ''), worker.w)
  call('ZREM', key('idle', ''), worker.w)
  call('ZREM', key('idle_assistants', ''), worker.w)
  call('DEL', key('worker:', id), key('worker_info:', id), key('messages:', id),
    key('refusals:', id), key('refusal_reasons:', id))
  if call('EXISTS', key('batchers:', id)) == 1 then call('EXPIRE', key('batchers:', id), 604800) end
  known_workers[id] = nil
  add_deferred_step('remove_worker', worker.w, string.format('%.0f', worker.weight), string.format('%.6f', since))
end
