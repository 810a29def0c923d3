-- A worker is the hash worker:<worker_id>, with what it told of itself (JSON by key) in worker_info:<worker_id>. All
-- are in the sorted set `workers` by last contact; a submission, which never calls, is in the set `submissions`
-- instead. Inside worker sets a worker is its number w; a worker that was pruned and comes back has a new one.

-- @include lib/core/header.lua

local known_workers = {}

local function create_worker(id)
  local w = tostring(call('HINCRBY', key('counters', ''), 'worker', 1))
  -- A call may create several workers: each gets its own share of the random bits.
  local weight = (tonumber(ARGS.random_bits) + tonumber(w) * 7919) % 281474976710656
  call('HSET', key('worker:', id), 'w', w, 'weight', string.format('%.0f', weight),
    'started', NOW_TEXT)
  call('HSET', key('worker_ids', ''), w, id)
  call('ZADD', key('workers', ''), NOW_TEXT, id)
  if call('EXISTS', key('batchers:', id)) == 1 then call('PERSIST', key('batchers:', id)) end
  return { id = id, w = w, weight = weight, created = true }
end

-- The worker, or nil when it is unknown.
local function find_worker(id)
  if known_workers[id] then return known_workers[id] end
  local fields = call('HMGET', key('worker:', id), 'w', 'weight', 'disabled', 'assistant', 'submission', 'modules',
    'refuses', 'start_id', 'host', 'woken')
  if not fields[1] then return nil end
  local worker = {
    id = id, w = fields[1], weight = tonumber(fields[2]),
    disabled = fields[3] == '1', assistant = fields[4] == '1', submission = fields[5] == '1',
    modules = fields[6], refuses = fields[7] and tonumber(fields[7]) > NOW,
    start_id = fields[8], host = fields[9], woken = fields[10],
  }
  known_workers[id] = worker
  return worker
end

-- The worker, created when it is unknown.
local function get_worker(id)
  local worker = find_worker(id)
  if not worker then
    worker = create_worker(id)
    known_workers[id] = worker
  end
  return worker
end

-- The worker, its contact refreshed.
local function touch_worker(id)
  local worker = get_worker(id)
  if not worker.created and not worker.submission then call('ZADD', key('workers', ''), NOW_TEXT, id) end
  return worker
end

-- Does a worker of another start have this name by now? '' is a client that tells of no start: Luigi's.
local function is_replaced(worker, start_id)
  return start_id ~= '' and worker and worker.start_id and worker.start_id ~= start_id
end

-- Let the next prune look at all that runs on this worker.
local function suspect_tasks_of(id)
  local orphaned_runs = key('orphaned_runs', '')
  call('SUNIONSTORE', orphaned_runs, orphaned_runs, key('running:', id))
  for _, batch_id in ipairs(call('HKEYS', key('worker_batches:', id))) do
    call('SUNIONSTORE', orphaned_runs, orphaned_runs, key('batch:', batch_id))
  end
end
