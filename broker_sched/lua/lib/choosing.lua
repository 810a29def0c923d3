-- Choosing the task that get_work hands out. Never looks at more than the heads of the ready groups, except in
-- the greedy merge, whose steps are at most running tasks + idle slots + groups.
-- Source of the rule: luigi.scheduler.Scheduler.get_work, 3.8.1; docs/architecture.md has the proofs.

local MAX_STALE_HEADS = 20

local function before(a, b)
  if a.score ~= b.score then return a.score < b.score end
  return a.rank < b.rank
end

local function number_in(rank)
  return string.match(rank, ':(%d+)$') or rank
end

local groups_of = {} -- by crew, '' for all, as read in this script
local needs_by_group = {}
local heads = {} -- by group, as read in this script; false when it is empty

local function needs_of(group)
  local needs = needs_by_group[group]
  if not needs then
    needs = string.match(group, '|(.*)$')
    needs_by_group[group] = needs
  end
  return needs
end

-- The best of a group: { group, needs, score, rank }; false when it is empty.
local function head_of(group)
  if heads[group] == nil then
    local head = call('ZRANGE', key('ready:', group), 0, 0, 'WITHSCORES')
    heads[group] = head[1] and { group = group, needs = needs_of(group), score = tonumber(head[2]), rank = head[1] }
  end
  return heads[group]
end

-- The groups of a crew that have ready tasks; '' all such groups.
local function ready_groups(crew)
  groups_of[crew] = groups_of[crew] or call('SMEMBERS', key(crew == '' and 'groups' or 'groups:', crew))
  return groups_of[crew]
end

-- @lazy refuses lib/restrictions.lua

local DEFERRED = '^%d+@[^|]*!|'

-- The groups whose tasks this worker may be given, as far as their names tell; an assistant: all that some worker can
-- or could run. Without those that it refuses. Returns them, and whether some are left out for their turn:
-- turn  'first' only those whose tasks nobody refused just now, 'last' only the others
local function own_groups(worker, as_assistant, turn)
  local groups, left, is_picky = {}, false, worker.refuses or worker.modules
  local function add(group)
    if turn and (string.find(group, DEFERRED) ~= nil) ~= (turn == 'last') then
      left = true
    elseif not is_picky or not refuses(worker, group) then
      groups[#groups + 1] = group
    end
  end
  if as_assistant then
    for _, group in ipairs(ready_groups('')) do
      if not string.find(group, '^0[|@]') then add(group) end
    end
    return groups, left
  end
  for _, crew in ipairs(crews_of(worker)) do
    for _, group in ipairs(ready_groups(crew)) do add(group) end
  end
  return groups, left
end

-- All groups whose tasks others may be given before this worker's: in the first turn not those that were refused just
-- now, so that they keep resources from nobody.
local function groups_in_turn(turn)
  local groups = {}
  for _, group in ipairs(ready_groups('')) do
    if turn ~= 'first' or not string.find(group, DEFERRED) then groups[#groups + 1] = group end
  end
  return groups
end

-- A task was moved from one group to another.
local function forget_groups(...)
  groups_of = {}
  for _, group in ipairs({ ... }) do heads[group] = nil end
end

local is_stale -- see staleness.lua; nil where no job waits, and no head can be stale

-- The head of a group, those put right on the way left out; nil also when there were too many of them: the next
-- calls go on.
local function sound_head_of(group)
  for _ = 1, MAX_STALE_HEADS do
    local head = head_of(group)
    if not head or not is_stale or not is_stale(head) then return head end
    heads[group] = nil
  end
  return false
end

-- Read at once what these groups' needs have to be compared with.
local function look_up_needs(groups)
  local names, seen = {}, {}
  for _, group in ipairs(groups) do
    for name in pairs(amounts(needs_of(group))) do
      if not seen[name] then names[#names + 1] = name end
      seen[name] = true
    end
  end
  look_up(names)
end

-- The best head of these groups that fits beside what is in use.
local function best_head(groups)
  local best
  look_up_needs(groups)
  for _, group in ipairs(groups) do
    if fits(needs_of(group)) then
      local head = sound_head_of(group)
      if head and (not best or before(head, best)) then best = head end
    end
  end
  return best
end

-- @lazy has_runnable_rival lib/rivals.lua

-- The best task that this worker may be given: its head, and whether better tasks may have to go first. nil when there
-- is none. Last, whether there are groups whose turn is when there is none.
local function best_for(worker, as_assistant, turn)
  local groups, left = own_groups(worker, as_assistant, turn)
  local best = best_head(groups)
  if not best then return nil, false, left end
  return best, best.needs ~= '' and has_runnable_rival(best, turn), left
end
