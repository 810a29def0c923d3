-- Note what somebody asks for, before it changes anything: lib/audit/records.lua.
--
-- @args id note
--   id          of the call
--   note        a JSON object of texts: who, kind, address, method, arguments
-- Reply the id; of a repeated call that of its first attempt
-- Cost  O(1)
-- @include lib/core/header.lua
-- @include lib/audit/records.lua

return answer(function()
  audit.be_let_pass()
  call('HSETNX', key('audit_open', ''), ARGS.id, audit.dated(ARGS.note))
  return ARGS.id
end)
