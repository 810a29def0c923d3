-- Note for the mails that a task could not be scheduled, where mails are collected (batch_emails).
--
-- ARGV  6 worker  7 family  8 params (JSON)  9 param_visibilities (JSON, '' when they are not told)
--       10 owners (JSON or '')  11 expl
-- Reply 0
-- Cost  O(1)
-- Source: luigi.scheduler.Scheduler.announce_scheduling_failure, 3.8.1.
-- @include lib/core/header.lua
-- @lazy note_failure, note_scheduling_failure lib/tasks/mail_notes.lua

local function or_nil(text)
  return text ~= '' and text or nil
end

return answer(function()
  local params, visibilities, owners = or_nil(ARGV[8]), or_nil(ARGV[9]), or_nil(ARGV[10])
  note_scheduling_failure(or_nil(ARGV[6]), ARGV[7], params, visibilities, owners, ARGV[11])
  return 0
end)
