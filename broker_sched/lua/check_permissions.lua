-- Which of the commands that we send this user of Redis may not run. Each is tried on a key that is there only
-- meanwhile, as a text: so nearly all fail on its type, and none has an effect that lasts.
--
-- KEYS[1]  `config`  KEYS[2]  a key that is never there
-- @args
-- Reply { command, … }; empty when it may run all of them. Without DEL, which cleans up, no other is tried.
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
  { 'SPOP', key },
  { 'SRANDMEMBER', key },
  { 'SREM', key, 'member' },
  { 'SSCAN', key, '0' },
  { 'SUNIONSTORE', key, key },
  { 'TIME' },
  { 'TYPE', key },
  { 'XADD', key, '*', 'field', 'value' },
  { 'XLEN', key },
  { 'XRANGE', key, '-', '+' },
  { 'XREVRANGE', key, '+', '-' },
  { 'ZADD', key, '1', 'member' },
  { 'ZCARD', key },
  { 'ZCOUNT', key, '0', '0' },
  { 'ZINCRBY', key, '1', 'member' },
  { 'ZRANGE', key, '0', '0' },
  { 'ZRANGEBYSCORE', key, '0', '0' },
  { 'ZRANK', key, 'member' },
  { 'ZREM', key, 'member' },
  { 'ZREMRANGEBYSCORE', key, '0', '0' },
  { 'ZREVRANGEBYSCORE', key, '0', '0' },
  { 'ZSCAN', key, '0' },
  { 'ZSCORE', key, 'member' },
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

if is_denied({ 'DEL', key }) then return { 'DEL' } end
local denied = {}
for _, command in ipairs(TRIED) do
  if is_denied(command) then denied[#denied + 1] = command[1] end
end
redis.pcall('DEL', key)
return denied
