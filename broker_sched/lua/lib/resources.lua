-- Resources: limits in the hash `resources` (1 where absent), what RUNNING tasks hold in the hash `used`,
-- what one task holds in held:<n>. A task's needs are JSON text, {"name":amount}, made by the caller with
-- sorted names, so that equal needs are equal text.

local decoded_needs = { [''] = {} }
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

-- Would these needs fit beside what `taken` says is in use ({name = amount}, or a function of the name)?
local function fits(needs, taken)
  if needs == '' then return true end
  for name, amount in pairs(amounts(needs)) do
    local total = amount + taken(name)
    if total - limit(name) > math.abs(total) * 0.000000001 then return false end
  end
  return true
end

-- What a RUNNING task holds: {name = amount}. Luigi: a task that was never handed out holds its needs.
local function holding(task)
  if not task.held then return amounts(task.resources or '') end
  local held = {}
  if task.held == '1' then return held end
  local flat = call('HGETALL', key('held:', task.n))
  for index = 1, #flat, 2 do held[flat[index]] = tonumber(flat[index + 1]) end
  return held
end

local function use_all(held, sign)
  for name, amount in pairs(held) do use(name, sign * amount) end
end
