-- The text of an explanation, and its last line. It is JSON as workers send it, or plain text, and may be long.

-- @include lib/core/header.lua

local MAX_TEXT = 4000 -- bytes of the text that is kept: its end
local MAX_LINE = 200 -- characters of its last line
local LONG = 12000 -- bytes: of a longer explanation only the end is decoded
local MAX_DECODED = 1000000 -- bytes: a longer explanation is not decoded

-- The end of a long text, from the beginning of a character on.
local function tail(text)
  if #text <= MAX_TEXT then return text end
  local start = #text - MAX_TEXT + 1
  while start <= #text do
    local byte = string.byte(text, start)
    if byte < 128 or byte >= 192 then break end
    start = start + 1
  end
  return string.sub(text, start)
end

-- What the JSON says; of a long text its end, from a space on, which is no part of an escape.
local function decoded(expl)
  if #expl > LONG and string.sub(expl, 1, 1) == '"' then
    local last = string.match(expl, ' .*$', #expl - LONG)
    local readable, list = pcall(cjson.decode, last and '["' .. last .. ']' or '')
    if readable and #list == 1 then return true, list[1] end
  end
  local readable, list = pcall(cjson.decode, #expl <= MAX_DECODED and '[' .. expl .. ']' or '')
  return readable, readable and list[1]
end

local function error_text(expl)
  if not expl then return nil end
  local readable, text = decoded(expl)
  if readable and text == cjson.null then return nil end
  return tail(type(text) == 'string' and text or expl)
end

local function first_characters(line)
  local count = 0
  for position = 1, #line do
    local byte = string.byte(line, position)
    if byte < 128 or byte >= 192 then count = count + 1 end
    if count > MAX_LINE then return string.sub(line, 1, position - 1) end
  end
  return line
end

-- The last line of why the task failed that is not empty, its beginning if it is long; '' when nothing is known.
local function error_line(task)
  local expl = task.expl or task.long_expl or call('HGET', key('detail:', task.id), 'expl')
  local last = ''
  for line in string.gmatch(error_text(expl or nil) or '', '[^\r\n]+') do
    last = string.match(line, '^%s*(.-)%s*$') ~= '' and line or last
  end
  return first_characters(string.match(last, '^%s*(.-)%s*$'))
end
