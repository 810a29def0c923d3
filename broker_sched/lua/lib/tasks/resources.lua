-- Resources have their limits in the hash `resources` (1 where absent), and what RUNNING tasks hold of them in the hash
-- `used`. A task's needs (field `resources`) and what it holds (field `held`) are JSON texts, {"name":amount}. The
-- caller makes the needs with sorted names, so that equal needs are equal texts.
--
-- Sums are exact, whatever the amounts. A sum that one double can't hold is a list of doubles of which none overlaps
-- another, smallest first (Shewchuk, "Adaptive Precision Floating-Point Arithmetic", 1997); in `used` it is their
-- texts, largest first, with spaces between.

-- @include lib/core/header.lua
-- @include lib/wakeups/wakeups.lua

local NOTHING = '1' -- a task's field `held` when it was handed out and needs nothing
local decoded_needs = {}
local no_needs = {}
local MAX_NAMES = 1000 -- looked up by one command
local limit_of, used_of = {}, {}

local sums = {}

-- The exact sum of a sum and a number: a number, or a list.
function sums.plus(sum, amount)
  if type(sum) == 'number' then
    local total = sum + amount
    local part = total - sum
    local lost = (sum - (total - part)) + (amount - part)
    if lost == 0 then return total end
    return { lost, total }
  end
  local parts = {}
  for _, part in ipairs(sum) do
    local total = amount + part
    local smaller, larger = amount, part
    if math.abs(amount) > math.abs(part) then smaller, larger = part, amount end
    local lost = smaller - (total - larger)
    if lost ~= 0 then parts[#parts + 1] = lost end
    amount = total
  end
  if #parts == 0 then return amount end
  if amount ~= 0 then parts[#parts + 1] = amount end
  return #parts > 1 and parts or parts[1]
end

function sums.of_text(text)
  local number = tonumber(text)
  if number then return number end
  local sum = 0
  for part in string.gmatch(text, '%S+') do sum = sums.plus(sum, tonumber(part)) end
  return sum
end

function sums.text_of(sum)
  if type(sum) == 'number' then return number_text(sum) end
  local texts = {}
  for index, part in ipairs(sum) do texts[#sum - index + 1] = number_text(part) end
  return table.concat(texts, ' ')
end

-- Is the sum above the limit? Ten times 0.1 is not above 1: decimal fractions, each the nearest double, may come to a
-- 2^51st more than they say. Of a limit so high that this is a thousandth and more, only that: it is no rounding.
function sums.exceeds(sum, most)
  local excess = sums.plus(sum, -most)
  local is_whole = true
  if type(excess) == 'table' then
    for _, part in ipairs(excess) do is_whole = is_whole and part == math.floor(part) end
    excess = excess[#excess]
  else
    is_whole = excess == math.floor(excess)
  end
  return excess > 0 and (is_whole or excess > math.min(2 ^ -51 * most, 2 ^ -10))
end

-- {name = amount} of the JSON text ('' has none).
local function amounts(needs)
  if needs == '' or needs == NOTHING then return no_needs end
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
      used_of[name] = sums.of_text(in_use[index - first + 1] or '0')
    end
  end
end

local function limit(name)
  if not limit_of[name] then limit_of[name] = tonumber(call('HGET', key('resources', ''), name) or 1) end
  return limit_of[name]
end

local function used(name)
  if not used_of[name] then used_of[name] = sums.of_text(call('HGET', key('used', ''), name) or '0') end
  return used_of[name]
end

-- Change what is in use.
local function use(name, amount)
  if amount == 0 then return end
  local total = sums.plus(used(name), amount)
  if amount < 0 then wakeups.freed[name] = true end
  used_of[name] = total
  if total == 0 then
    call('HDEL', key('used', ''), name)
  else
    call('HSET', key('used', ''), name, sums.text_of(total))
  end
end

-- Would these needs fit beside what is taken, {name = sum}? Without that: beside what is in use.
local function fits(needs, taken)
  if needs == '' then return true end
  for name, amount in pairs(amounts(needs)) do
    local total = sums.plus(taken and (taken[name] or 0) or used_of[name] or used(name), amount)
    if sums.exceeds(total, limit_of[name] or limit(name)) then return false end
  end
  return true
end

-- What a RUNNING task holds: {name = amount}. Luigi: a task that was never handed out holds its needs.
local function held_amounts(task)
  return amounts(task.held or task.resources)
end

local function use_all(held, sign)
  for name, amount in pairs(held) do use(name, sign * amount) end
end
