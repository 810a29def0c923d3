-- Resources: limits in the hash `resources` (1 where absent), what RUNNING tasks hold in the hash `used`. A task's
-- needs (field `resources`) and what it holds (`held`) are JSON text, {"name":amount}, needs made by the caller with
-- sorted names, so that equal needs are equal text.

-- @include lib/waking.lua

local NOTHING = '1' -- a task's field `held` when it was handed out and needs nothing
local decoded_needs = { [''] = {}, [NOTHING] = {} }
local MAX_NAMES = 1000 -- looked up by one command
local limit_of, used_of = {}, {}

-- {name = amount} of the JSON text ('' has none).
local function amounts(needs)
  local decoded = decoded_needs[needs]
  if not decoded then
    decoded = cjson.decode(needs)
    decoded_needs[needs] = decoded
  end
  return decoded
end

-- Read the limits of these resources, and what is in use of them, at once.
local function look_up(names)
  for first = 1, #names, MAX_NAMES do
    local last = math.min(first + MAX_NAMES - 1, #names)
    local limits = call('HMGET', key('resources', ''), unpack(names, first, last))
    local in_use = call('HMGET', key('used', ''), unpack(names, first, last))
    for index = first, last do
      local name = names[index]
      limit_of[name] = tonumber(limits[index - first + 1] or 1)
      used_of[name] = tonumber(in_use[index - first + 1] or 0)
    end
  end
end

local function limit(name)
  if not limit_of[name] then limit_of[name] = tonumber(call('HGET', key('resources', ''), name) or 1) end
  return limit_of[name]
end

local function used(name)
  if not used_of[name] then used_of[name] = tonumber(call('HGET', key('used', ''), name) or 0) end
  return used_of[name]
end

-- Change what is in use. Whole numbers are exact; of fractions twelve digits are kept, and what is nothing beside
-- the change is nothing, so that amounts added and taken away leave nothing behind.
local function use(name, amount)
  if amount == 0 then return end
  local total = used(name) + amount
  if amount < 0 then waking.freed[name] = true end
  if math.abs(total) < math.abs(amount) * 0.000000001 then
    total = 0
  elseif total ~= math.floor(total) then
    total = tonumber(string.format('%.12g', total))
  end
  used_of[name] = total
  if total == 0 then
    call('HDEL', key('used', ''), name)
  else
    call('HSET', key('used', ''), name, number_text(total))
  end
end

-- Would these needs fit beside what is taken, {name = amount}? Without that: beside what is in use.
local function fits(needs, taken)
  if needs == '' then return true end
  for name, amount in pairs(amounts(needs)) do
    local total = amount + (taken and (taken[name] or 0) or used_of[name] or used(name))
    if total - (limit_of[name] or limit(name)) > math.abs(total) * 0.000000001 then return false end
  end
  return true
end

-- What a RUNNING task holds: {name = amount}. Luigi: a task that was never handed out holds its needs.
local function holding(task)
  return amounts(task.held or task.resources)
end

local function use_all(held, sign)
  for name, amount in pairs(held) do use(name, sign * amount) end
end
