-- How a submission stands.
--
-- ARGV  6 submission
-- Reply { its hash as a flat list, empty when unknown, its worker number or '', pending, running, ready, 1 when over }
-- Cost  O(its crews and their ready groups)
-- @include lib/header.lua
-- @include lib/workers.lua
-- @include lib/crowds.lua
-- @include lib/counts.lua
-- @include lib/submissions.lua

return answer(function()
  local kept = call('HGETALL', key('submission:', ARGV[6]))
  local submission = find_submission(ARGV[6])
  if not submission then return { kept, '', 0, 0, 0, 0 } end
  local pending, running, ready = left_of(submission)
  return { kept, submission.w, pending, running, ready, is_over(submission) and 1 or 0 }
end)
