-- Why a task failed is kept in its field `expl`, as JSON like Luigi's clients send it; a long explanation stands in
-- detail:<task_id>.

-- @include lib/core/header.lua
-- @include lib/core/ids.lua
-- @include lib/tasks/tasks.lua

local function batch_members(task)
  return task.batch_id and call('SMEMBERS', key('batch:', task.batch_id)) or {}
end

-- The explanation of the task and of the members of its batch: a short one in the task itself, where it is found first.
-- It takes the place of what was said about refusals, if they were refused before: so those count no more.
local function set_expl(task, expl)
  local tasks = { task }
  for _, n in ipairs(batch_members(task)) do tasks[#tasks + 1] = load_task(id_of(n)) end
  for _, each in ipairs(tasks) do
    if #expl > MAX_INLINE then call('HSET', key('detail:', each.id), 'expl', expl) end
    set(each, 'expl', #expl <= MAX_INLINE and expl)
    each.long_expl = #expl > MAX_INLINE and expl
    set(each, 'refusals', nil)
    if each ~= task then flush(each) end
  end
end
