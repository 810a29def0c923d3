-- A submission has ended, or is cancelled: its stake in its tasks ends, and what became of them is kept for a week.
--
-- @args submission state counts
--   state       DONE, FAILED, INCOMPLETE, CANCELLED
--   counts      what became of its tasks (JSON)
-- Reply { its state: that asked for, or the one it has; '' when unknown, number of deferred steps left }
-- Cost  O(what it had), in deferred steps
-- @include lib/core/header.lua
-- @include lib/workers/remove_worker.lua
-- @include lib/workers/submissions.lua
-- @include lib/deferred/run_deferred.lua

local BUDGET = 100

local function note_end(id)
  local kept, ended = key('submission:', id), key('ended_submissions', '')
  call('HSET', kept, 'state', ARGS.state, 'ended', NOW_TEXT, 'counts', ARGS.counts)
  call('EXPIRE', kept, KEPT_SECONDS)
  call('ZADD', ended, NOW_TEXT, id)
  call('ZREMRANGEBYSCORE', ended, '-inf', number_text(NOW - KEPT_SECONDS))
end

return answer(function()
  local submission = find_submission(ARGS.submission)
  local may_end = submission and (ARGS.state == 'CANCELLED' or is_over(submission))
  if not may_end then
    return { call('HGET', key('submission:', ARGS.submission), 'state') or '', run_deferred(BUDGET) }
  end
  note_end(submission.id)
  -- What is cancelled shall not be run while it waits for its removal: that is due at once.
  remove_worker(submission.id, ARGS.state == 'CANCELLED' and NOW - OPTIONS.remove_delay or NOW)
  return { ARGS.state, run_deferred(BUDGET) }
end)
