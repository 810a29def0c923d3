-- Note for the mails that a task could not be scheduled, where mails are collected (batch_emails).
--
-- @args worker family params param_visibilities owners expl
--   worker, params (JSON), param_visibilities (JSON), owners (JSON)   '' when they are not told
-- Reply 0
-- Cost  O(1)
-- Source: luigi.scheduler.Scheduler.announce_scheduling_failure, 3.8.1.
-- @include lib/core/header.lua
-- @include lib/tasks/mail_notes.lua

local function or_nil(text)
  return text ~= '' and text or nil
end

return answer(function()
  local params, visibilities, owners = or_nil(ARGS.params), or_nil(ARGS.param_visibilities), or_nil(ARGS.owners)
  note_scheduling_failure(or_nil(ARGS.worker), ARGS.family, params, visibilities, owners, ARGS.expl)
  return 0
end)
