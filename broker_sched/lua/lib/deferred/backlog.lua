-- Deferred steps: work that may be long. The script that finds it does a budget of it; the rest waits in the list
-- `deferred_steps` for the next calls. A deferred step brings things in line with the *current* state, so doing one
-- twice, late or after a flip back is harmless. deferred_steps.lua lists the kinds, and does them.

-- @include lib/core/header.lua

local backlog = {
  own = {}, -- the steps that this script has found, and not done yet
  waiting = nil, -- how many wait in Redis; nil before this script has looked
}

-- Do deferred steps of earlier calls wait?
local function has_backlog()
  backlog.waiting = backlog.waiting or call('LLEN', key('deferred_steps', ''))
  return backlog.waiting > 0
end

-- Leave a step, the words of its line, to be done at the end of this script, or later.
local function add_deferred_step(...)
  backlog.own[#backlog.own + 1] = table.concat({ ... }, ' ')
end
