-- A worker that is no assistant waits as long as tasks count for it (count_pending). Wake those of at_end.may_leave for
-- which none does any more, so that they leave at once. Those that are not noted ask on their own, some seconds later.

local function has_tasks(w)
  for _, runner_set in ipairs(call('SMEMBERS', key('worker_runner_sets:', w))) do
    if counters_of(runner_set).counted > 0 then return true end
  end
  return false
end

local function wake_who_may_leave()
  for w in pairs(at_end.may_leave) do
    if call('ZSCORE', key('idle', ''), w) and not has_tasks(w) then wakeups.wake(w) end
  end
end

return wake_who_may_leave
