-- Begin to bring in tasks from a file: from now on nobody else works on the namespace, see lib/core/import_claim.lua.
--
-- @args token seconds last_number paused_families
--   token        of this import
--   seconds      after which it counts as broken off, unless it has gone on
--   last_number  the highest number of a task in the file
--   paused_families  as `config` has them, '' to leave them
-- Reply { what, number }: 'begun', 0; 'full', how many tasks there are, where there is something; 'busy', how many
--       seconds another import has yet to be heard of; 'left', 0: one was broken off, and what it left must be removed
--       before this one calls again
-- Cost  O(1)
-- @include lib/core/header.lua
-- @include lib/core/import_claim.lua

local function take_over()
  if claim.until_when > NOW and claim.token ~= ARGS.token then
    return { 'busy', math.ceil(claim.until_when - NOW) }
  end
  local has_left = call('EXISTS', key('ids', ''), key('counters', ''), key('workers', '')) > 0
  claim.take(ARGS.token, ARGS.seconds, claim.was_there)
  return has_left and { 'left', 0 }
end

local schema = claim.read()
if schema and schema ~= IMPORTING and schema ~= ARGS.schema_version then
  return redis.error_reply('BSCHED_SCHEMA ' .. schema)
end
if schema == IMPORTING then
  local reply = take_over()
  if reply then return reply end
else
  if call('EXISTS', key('ids', ''), key('workers', ''), key('submissions', '')) > 0 then
    return { 'full', call('HLEN', key('ids', '')) }
  end
  claim.take(ARGS.token, ARGS.seconds, schema and '1' or '0')
end
call('HSETNX', key('config', ''), 'lowest_priority', '0')
if ARGS.paused_families ~= '' then call('HSET', key('config', ''), 'paused_families', ARGS.paused_families) end
call('HSET', key('counters', ''), 'task', ARGS.last_number)
return { 'begun', 0 }
