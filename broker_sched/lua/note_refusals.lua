-- Make records of calls and logins that a server has refused, and drop what is too old.
--
-- @args records…
--   records     JSON objects of texts, one for each record
-- Reply 0
-- Cost  O(records + calls under way + records that are too old)
-- @include lib/core/header.lua
-- @include lib/audit/records.lua

return answer(function()
  audit.be_let_pass()
  for index = 1, #ARGS.records do
    local fields = { 'time', NOW_TEXT }
    for name, value in pairs(cjson.decode(ARGS.records[index])) do
      fields[#fields + 1] = name
      fields[#fields + 1] = value
    end
    audit.add_refusal(fields)
  end
  audit.sweep()
  return 0
end, AUDIT_OPTIONS)
