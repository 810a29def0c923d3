-- A submission has ended, or is cancelled: its stake in its tasks ends, and what became of them is kept for a week.
--
-- ARGV  6 submission  7 state  8 what became of its tasks (JSON)
-- Reply { its state: that asked for, or the one it has; '' when unknown, number of jobs left }
-- Cost  O(what it had), in jobs
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
-- @include lib/counts.lua
-- @include lib/submissions.lua
-- @include lib/burying.lua

local BUDGET = 100

local function note_end(id)
  local kept, ended = key('submission:', id), key('ended_submissions', '')
  call('HSET', kept, 'state', ARGV[7], 'ended', NOW_TEXT, 'counts', ARGV[8])
  call('EXPIRE', kept, KEPT_SECONDS)
  call('ZADD', ended, NOW_TEXT, id)
  call('ZREMRANGEBYSCORE', ended, '-inf', number_text(NOW - KEPT_SECONDS))
end

return answer(function()
  local submission = find_submission(ARGV[6])
  local may_end = submission and (ARGV[7] == 'CANCELLED' or is_over(submission))
  if not may_end then return { call('HGET', key('submission:', ARGV[6]), 'state') or '', work_off(BUDGET) } end
  note_end(submission.id)
  -- What is cancelled shall not be run while it waits for its removal: that is due at once.
  bury_worker(submission.id, ARGV[7] == 'CANCELLED' and NOW - OPTIONS.remove_delay or NOW)
  return { ARGV[7], work_off(BUDGET) }
end)
