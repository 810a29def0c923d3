-- End an import: the namespace becomes one that everybody may work on, or what it was before.
--
-- @args token outcome tasks note option_count fields…
--   outcome       `done`; `given_up`, when what was brought in has been removed
--   tasks, note   how many tasks were brought in, and who did what: the record of the audit (lib/audit/records.lua)
--   option_count  how many options there are among the fields
--   fields        name, value, … of the options that the namespace is to have, then of its resource limits
-- Reply { how many deferred steps are left; the namespace is not opened before there is none }
-- Cost  O(fields)
-- @include lib/core/header.lua
-- @include lib/core/import_claim.lua
-- @include lib/audit/records.lua

local SECONDS = '60'

local function open()
  local left = call('LLEN', key('deferred_steps', ''))
  if left > 0 then return { left } end
  local config, first_limit = key('config', ''), 1 + 2 * tonumber(ARGS.option_count)
  for index = 1, #ARGS.fields, 2 do
    call('HSET', index < first_limit and config or key('resources', ''), ARGS.fields[index], ARGS.fields[index + 1])
  end
  call('HSET', config, 'schema', ARGS.schema_version)
  call('HSETNX', config, 'paused', '0')
  call('HINCRBY', config, 'version', 1)
  audit.close('', audit.dated(ARGS.note), ARGS.tasks, 'done', '')
  call('HDEL', config, 'import')
  return { 0 }
end

local function give_up()
  if claim.was_there == '0' then
    call('DEL', key('config', ''))
  else
    call('HSET', key('config', ''), 'schema', ARGS.schema_version)
    call('HDEL', key('config', ''), 'import', 'paused_families')
    call('HSETNX', key('counters', ''), 'task', '1000000000')
  end
  return { 0 }
end

return claim.answer(ARGS.token, SECONDS, ARGS.outcome == 'done' and open or give_up)
