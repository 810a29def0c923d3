-- Which of the commands that we send this user of Redis may not run. Each is tried on a key that is there only
-- meanwhile, as a text: so nearly all fail on its type, and none has an effect that lasts.
--
-- KEYS[1]  `config`  KEYS[2]  a key that is never there
-- @args commands…
--   commands    the names of those to try; one that no script could run is passed over
-- Reply { command, … }; empty when it may run all of them. Without DEL, which cleans up, none is tried that would leave
--       something.
-- Cost  O(commands)
local key = KEYS[2]
local TRIED = {
  { 'SET', key, 'text', 'EX', '1' },
  { 'BLPOP', key, '0' }, -- Redis 6 has it in no script
  { 'DECRBY', key, '1' },
  { 'EXISTS', key },
  { 'EXPIRE', key, '1' },
  { 'GET', key },
  { 'HDEL', key, 'field' },
  { 'HEXISTS', key, 'field' },
  { 'HGET', key, 'field' },
  { 'HGETALL', key },
  { 'HINCRBY', key, 'field', '1' },
  { 'HKEYS', key },
  { 'HLEN', key },
  { 'HMGET', key, 'field' },
  { 'HSCAN', key, '0' },
  { 'HSET', key, 'field', 'value' },
  { 'HSETNX', key, 'field', 'value' },
  { 'HVALS', key },
  { 'INCR', key },
  { 'LINDEX', key, '0' },
  { 'LLEN', key },
  { 'LPOP', key },
  { 'LPUSH', key, 'element' },
  { 'LRANGE', key, '0', '0' },
  { 'LTRIM', key, '0', '0' },
  { 'PERSIST', key },
  { 'PEXPIRE', key, '1000' },
  { 'RENAME', key, key },
  { 'RPUSH', key, 'element' },
  { 'SADD', key, 'member' },
  { 'SCAN', '0', 'COUNT', '1' },
  { 'SCARD', key },
  { 'SINTER', key },
  { 'SISMEMBER', key, 'member' },
  { 'SMEMBERS', key },
  { 'SMOVE', key, key, 'member' },
  { 'SPOP', key },
  { 'SRANDMEMBER', key },
  { 'SREM', key, 'member' },
  { 'SSCAN', key, '0' },
  { 'SUNIONSTORE', key, key },
  { 'TIME' },
  { 'TYPE', key },
  { 'XADD', key, '*', 'field', 'value' },
  { 'XDEL', key, '0-1' },
  { 'XLEN', key },
  { 'XRANGE', key, '-', '+' },
  { 'XREAD', 'STREAMS', key, '0' },
  { 'XREVRANGE', key, '+', '-' },
  { 'XTRIM', key, 'MAXLEN', '1' },
  { 'ZADD', key, '1', 'member' },
  { 'ZCARD', key },
  { 'ZCOUNT', key, '0', '0' },
  { 'ZINCRBY', key, '1', 'member' },
  { 'ZMSCORE', key, 'member' },
  { 'ZRANGE', key, '0', '0' },
  { 'ZRANGEBYSCORE', key, '0', '0' },
  { 'ZRANK', key, 'member' },
  { 'ZREM', key, 'member' },
  { 'ZREMRANGEBYSCORE', key, '0', '0' },
  { 'ZREVRANGEBYSCORE', key, '0', '0' },
  { 'ZSCAN', key, '0' },
  { 'ZSCORE', key, 'member' },
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
local cleans_up = not is_denied({ 'DEL', key })
if is_wanted.DEL and not cleans_up then denied[1] = 'DEL' end
for _, command in ipairs(TRIED) do
  local name = command[1]
  if is_wanted[name] and (cleans_up or not LEAVES_SOMETHING[name]) and is_denied(command) then
    denied[#denied + 1] = name
  end
end
if cleans_up then redis.pcall('DEL', key) end
return denied
