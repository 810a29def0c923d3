-- What a worker must not have: what it refused just now (refusals:<worker_id>, a sorted set of labels by until
-- when), and of others' tasks what its filter leaves out (field `modules` of worker:<worker_id>, see fits_pattern).

-- @include lib/core/header.lua
-- @include lib/workers/runner_sets.lua
-- @include lib/hand_out/label_texts.lua
-- @rarely lib/hand_out/labels.lua

local refused = {} -- by worker id: { label = true } of what it refuses now
local filters = {} -- by worker id: its patterns, decoded
local allowed = {} -- by worker id and module

local function refused_by(worker)
  local labels = refused[worker.id]
  if not labels then
    labels = {}
    if worker.refuses then
      for _, label in ipairs(call('ZRANGEBYSCORE', key('refusals:', worker.id), '(' .. NOW_TEXT, '+inf')) do
        labels[label] = true
      end
    end
    refused[worker.id] = labels
  end
  return labels
end

local CHARACTER = string.format('^[^%c-%c][%c-%c]*', 128, 191, 128, 191) -- in UTF-8

local function char_at(text, position)
  return string.match(text, CHARACTER, position) or string.sub(text, position, position)
end

-- A pattern is a list: '*' stands for any characters, '?' for one, '[…]' is a set of Lua's, anything else is itself.
-- The caller made it of what fnmatch knows. At most |text| × |pattern| steps, whatever the pattern.
local function fits_pattern(text, pattern)
  local position, index, star, resume = 1, 1, nil, nil
  while position <= #text do
    local char, token = char_at(text, position), pattern[index]
    local fits_char = token == '?' or token == char
      or (token and #token > 2 and string.sub(token, 1, 1) == '[' and string.find(char, '^' .. token) ~= nil)
    if token == '*' then
      star, resume, index = index, position, index + 1
    elseif fits_char then
      position, index = position + #char, index + 1
    elseif star then
      resume = resume + #char_at(text, resume)
      position, index = resume, star + 1
    else
      return false
    end
  end
  while pattern[index] == '*' do index = index + 1 end
  return pattern[index] == nil
end

local function is_allowed(worker, module)
  filters[worker.id] = filters[worker.id] or cjson.decode(worker.modules)
  local memo = worker.id .. '\n' .. module
  if allowed[memo] == nil then
    allowed[memo] = false
    for _, pattern in ipairs(filters[worker.id]) do
      if fits_pattern(module, pattern) then
        allowed[memo] = true
        break
      end
    end
  end
  return allowed[memo]
end

local function kind_of_refusal(worker, runner_set, module, family)
  local labels = refused_by(worker)
  if labels[module] then return 'module' end
  if family and labels[family] then return 'family' end
  if worker.modules and not is_allowed(worker, readable(module))
    and not is_in_worker_set('runner_set', runner_set, worker.w) then
    return 'module'
  end
  return nil
end

-- Of what kind of label (module or family) the worker refuses a task, or a ready queue as far as its name tells; nil
-- when it may have it. The filter is about others' tasks: what a worker scheduled itself, it has loaded.
local function refuses(worker, what)
  if type(what) == 'table' then
    local module, family = labels_of(what)
    return kind_of_refusal(worker, what.runner_set, module, family)
  end
  local runner_set, family = string.match(what, '^(%d+)@([^|!]*)')
  if not runner_set then return nil end
  local module = string.match(family, '^[^:]*')
  return kind_of_refusal(worker, runner_set, module, family ~= module and family)
end
