-- Make the record of a call that was noted by begin_audit.lua. A call that has its record already gets no other.
--
-- @args id tasks result why
--   tasks       how many it has changed; '' when that is not known
--   result      done, refused
--   why         of what was refused, else ''
-- Reply 0
-- Cost  O(calls under way + records that are too old)
-- @include lib/core/header.lua
-- @include lib/audit/records.lua

return answer(function()
  audit.be_let_pass()
  local note = call('HGET', key('audit_open', ''), ARGS.id)
  if note then audit.close(ARGS.id, note, ARGS.tasks, ARGS.result, ARGS.why) end
  audit.sweep()
  return 0
end, AUDIT_OPTIONS)
