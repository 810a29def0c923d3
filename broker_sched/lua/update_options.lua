-- Set options of the namespace, and note who did.
--
-- @args by options…
--   by          who sets them, '' when that is not told
--   options     name, value, 1 for a value that is set, 0 for the default, so that nobody has set it any more; name, …
-- Reply 0
-- Cost  O(options)
-- @include lib/core/header.lua

return answer(function()
  local config, changed = key('config', ''), false
  for index = 1, #ARGS.options, 3 do
    local name, value, is_set = ARGS.options[index], ARGS.options[index + 1], ARGS.options[index + 2] == '1'
    changed = changed or call('HGET', config, name) ~= value
    call('HSET', config, name, value)
    if is_set then
      call('HSET', config, 'set:' .. name, cjson.encode({ at = NOW, by = ARGS.by ~= '' and ARGS.by or nil }))
    else
      call('HDEL', config, 'set:' .. name)
    end
  end
  if changed then call('HINCRBY', config, 'version', 1) end
  return 0
end)
