-- A label names what a worker may refuse: a module, or a family of tasks in it, as the text <module> or
-- <module>:<family>. A task that some worker must not have stands in a ready queue with a label in its name,
-- <runner_set>@<label>|<needs>, apart from the others of its runner set, so that this worker passes over all of them at
-- once. A '!' behind the label says that the queue's tasks were refused just now: they go behind all others.

-- @include lib/hand_out/label_texts.lua
-- @include lib/hand_out/paused_families.lua

-- The labels of a task's module, and of its family.
local function labels_of(task)
  local module = plain(task.module or '')
  return module, module .. ':' .. plain(task.family or '')
end

-- What goes between runner set and needs in the name of the task's ready queue: '' for one that stands with the others.
-- A task that stands apart stays so while it is ready: both places are right, and who is to have it finds it in either.
-- One of a paused family has its family's label: all pass over it by that.
local function mark_of(task)
  local module, family = labels_of(task)
  if task.postponed then return '@' .. family .. '!' end
  if is_paused(task.family) then return '@' .. family end
  if task.apart then return '@' .. (task.apart == 'module' and module or family) end
  local stands = string.match(task.ready or '', '^%d+@([^|]*)|')
  if stands == family .. '!' then return '@' .. family end
  return (stands == module or stands == family) and '@' .. stands or ''
end
