-- Why a task failed is kept in its field `expl`, as JSON like Luigi's clients send it; a long explanation stands in
-- detail:<task_id>.

-- @include lib/core/header.lua
-- @include lib/core/ids.lua
-- @include lib/tasks/tasks.lua

local function batch_members(task)
  return task.batch_id and call('SMEMBERS', key('batch:', task.batch_id)) or {}
end

-- The explanation of this task alone: a short one in the task itself, where it is found first. It takes the place of
-- what was said about refusals, if it was refused before: so those count no more.
local function set_own_expl(task, expl)
  if #expl > MAX_INLINE then call('HSET', key('detail:', task.id), 'expl', expl) end
  set(task, 'expl', #expl <= MAX_INLINE and expl)
  task.long_expl = #expl > MAX_INLINE and expl
  set(task, 'refusals', nil)
end

-- That of the task and of the members of its batch.
local function set_expl(task, expl)
  set_own_expl(task, expl)
  for _, n in ipairs(batch_members(task)) do
    local member = load_task(id_of(n))
    if member ~= task then
      set_own_expl(member, expl)
      flush(member)
    end
  end
end
