-- How a submission stands.
--
-- @args submission
-- Reply { its hash as a flat list, empty when unknown, its worker number or '', pending, running, ready, 1 when over }
-- Cost  O(its runner sets and their ready queues)
-- @include lib/core/header.lua
-- @include lib/workers/submissions.lua

return answer(function()
  local kept = call('HGETALL', key('submission:', ARGS.submission))
  local submission = find_submission(ARGS.submission)
  if not submission then return { kept, '', 0, 0, 0, 0 } end
  local pending, running, ready = left_of(submission)
  return { kept, submission.w, pending, running, ready, is_over(submission) and 1 or 0 }
end)
