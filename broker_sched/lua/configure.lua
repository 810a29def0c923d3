-- Make the namespace ready: write the schema version and the options that are given, or absent so far.
--
-- @args by given_count options…
--   by          who gives the options
--   options     name, value, … of those that are given, so many as given_count says, then of all defaults
-- Reply the configuration's version, raised whenever an option changes
-- Cost  O(options)
local call = redis.call
local config = ARGS.prefix .. 'config'
local schema = call('HGET', config, 'schema')
if schema and schema ~= ARGS.schema_version then return redis.error_reply('BSCHED_SCHEMA ' .. schema) end
if not schema then
  call('HSET', config, 'schema', ARGS.schema_version, 'paused', '0', 'version', '0', 'lowest_priority', '0')
  -- Ten digits from the first task on: numbers as text sort like numbers.
  call('HSETNX', ARGS.prefix .. 'counters', 'task', '1000000000')
end
local now = tonumber(ARGS.now) or tonumber(call('TIME')[1])
local first_default = 1 + 2 * tonumber(ARGS.given_count)
local changed = false
for index = 1, #ARGS.options, 2 do
  local name, value = ARGS.options[index], ARGS.options[index + 1]
  local old = call('HGET', config, name)
  if old ~= value and (index < first_default or not old) then
    call('HSET', config, name, value)
    if index < first_default then call('HSET', config, 'set:' .. name, cjson.encode({ at = now, by = ARGS.by })) end
    changed = true
  end
end
if changed then call('HINCRBY', config, 'version', 1) end
return tonumber(call('HGET', config, 'version'))
