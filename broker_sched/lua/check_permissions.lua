-- Which of the commands that we send this user of Redis may not run. Each is tried on a key that is there only
-- meanwhile, as a text: so nearly all fail on its type, and none has an effect that lasts.
--
-- KEYS[1]  `config`  KEYS[2]  a key that is never there
-- @args commands…
--   commands    the names of those to try; one that no script could run is passed over
-- Reply { command, … }; empty when it may run all of them. Without DEL, which cleans up, none is tried that would leave
--       something.
-- Cost  O(commands)
local KEY = KEYS[2]
local TRIED = {
  { 'SET', KEY, 'text', 'EX', '1' },
  { 'BLPOP', KEY, '0' }, -- Redis 6 has it in no script
  { 'DECRBY', KEY, '1' },
  { 'EXISTS', KEY },
  { 'EXPIRE', KEY, '1' },
  { 'GET', KEY },
  { 'HDEL', KEY, 'field' },
  { 'HEXISTS', KEY, 'field' },
  { 'HGET', KEY, 'field' },
  { 'HGETALL', KEY },
  { 'HINCRBY', KEY, 'field', '1' },
  { 'HKEYS', KEY },
  { 'HLEN', KEY },
  { 'HMGET', KEY, 'field' },
  { 'HSCAN', KEY, '0' },
  { 'HSET', KEY, 'field', 'value' },
  { 'HSETNX', KEY, 'field', 'value' },
  { 'HVALS', KEY },
  { 'INCR', KEY },
  { 'LINDEX', KEY, '0' },
  { 'LLEN', KEY },
  { 'LPOP', KEY },
  { 'LPUSH', KEY, 'element' },
  { 'LRANGE', KEY, '0', '0' },
  { 'LTRIM', KEY, '0', '0' },
  { 'PERSIST', KEY },
  { 'PEXPIRE', KEY, '1000' },
  { 'RENAME', KEY, KEY },
  { 'RPUSH', KEY, 'element' },
  { 'SADD', KEY, 'member' },
  { 'SCAN', '0', 'COUNT', '1' },
  { 'SCARD', KEY },
  { 'SINTER', KEY },
  { 'SISMEMBER', KEY, 'member' },
  { 'SMEMBERS', KEY },
  { 'SMOVE', KEY, KEY, 'member' },
  { 'SPOP', KEY },
  { 'SRANDMEMBER', KEY },
  { 'SREM', KEY, 'member' },
  { 'SSCAN', KEY, '0' },
  { 'SUNIONSTORE', KEY, KEY },
  { 'TIME' },
  { 'TYPE', KEY },
  { 'XADD', KEY, '*', 'field', 'value' },
  { 'XDEL', KEY, '0-1' },
  { 'XLEN', KEY },
  { 'XRANGE', KEY, '-', '+' },
  { 'XREAD', 'STREAMS', KEY, '0' },
  { 'XREVRANGE', KEY, '+', '-' },
  { 'XTRIM', KEY, 'MAXLEN', '1' },
  { 'ZADD', KEY, '1', 'member' },
  { 'ZCARD', KEY },
  { 'ZCOUNT', KEY, '0', '0' },
  { 'ZINCRBY', KEY, '1', 'member' },
  { 'ZMSCORE', KEY, 'member' },
  { 'ZRANGE', KEY, '0', '0' },
  { 'ZRANGEBYSCORE', KEY, '0', '0' },
  { 'ZRANK', KEY, 'member' },
  { 'ZREM', KEY, 'member' },
  { 'ZREMRANGEBYSCORE', KEY, '0', '0' },
  { 'ZREVRANGEBYSCORE', KEY, '0', '0' },
  { 'ZSCAN', KEY, '0' },
  { 'ZSCORE', KEY, 'member' },
}
local LEAVES_SOMETHING = {
  SET = true, DECRBY = true, HINCRBY = true, HSET = true, HSETNX = true, INCR = true,
  LPUSH = true, RPUSH = true, SADD = true, XADD = true, ZADD = true, ZINCRBY = true,
}
local SIGNS = { 'NOPERM', 'ACL failure in script', "can't run this command or subcommand", 'has no permissions' }

local function is_denied(command)
  local reply = redis.pcall(unpack(command))
  if type(reply) ~= 'table' or not reply.err then return false end
  local message = tostring(reply.err)
  for _, sign in ipairs(SIGNS) do
    if string.find(message, sign, 1, true) then return true end
  end
  return false
end

local is_wanted, denied = {}, {}
for index = 1, #ARGS.commands do is_wanted[ARGS.commands[index]] = true end
local cleans_up = not is_denied({ 'DEL', KEY })
if is_wanted.DEL and not cleans_up then denied[1] = 'DEL' end
for _, command in ipairs(TRIED) do
  local name = command[1]
  if is_wanted[name] and (cleans_up or not LEAVES_SOMETHING[name]) and is_denied(command) then
    denied[#denied + 1] = name
  end
end
if cleans_up then redis.pcall('DEL', KEY) end
return denied
