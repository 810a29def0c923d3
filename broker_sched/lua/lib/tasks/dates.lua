-- The date that a task is for, as scheduler/dates.py finds it: for what is read back from Redis. A call that brings
-- parameters names it itself.

local function date_in_text(text)
  local day, rest = string.match(text, '^(%d%d%d%d%-%d%d%-%d%d)(.*)$')
  if not day then day, rest = string.match(text, '^(%d%d%d%d%-%d%d)(.*)$') end
  if not day or (rest ~= '' and not string.find(rest, '^[T ]')) then return nil end
  local month, day_of_month = tonumber(string.sub(day, 6, 7)), tonumber(string.sub(day, 9, 10) or '') or 1
  return month >= 1 and month <= 12 and day_of_month >= 1 and day_of_month <= 31 and day or nil
end

-- Bytes decide, whatever the locale of Redis.
local function is_name_before(name, other)
  for index = 1, math.min(#name, #other) do
    local mine, others = string.byte(name, index), string.byte(other, index)
    if mine ~= others then return mine < others end
  end
  return #name < #other
end

-- params, visibilities: JSON texts of objects, nil for none. Returns the date; nil when the parameters name none.
local function date_of(params, visibilities)
  local is_read, values = pcall(cjson.decode, params or '{}')
  local hidden = visibilities and cjson.decode(visibilities) or {}
  local found, named = nil, nil
  for name, value in pairs(is_read and type(values) == 'table' and values or {}) do
    local date = type(name) == 'string' and type(value) == 'string' and (hidden[name] or 0) == 0 and date_in_text(value)
    if date and named ~= 'date' and (not named or name == 'date' or is_name_before(name, named)) then
      found, named = date, name
    end
  end
  return found
end
