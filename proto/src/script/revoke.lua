-- Writes down who or what is no longer let in. control.lua follows, which logs the order and announces
-- it: so the order of the log is the order in which things were written down.
--
-- KEYS[1]  stream: the control log
-- KEYS[2]  sorted set: names, by when they may be forgotten, in seconds since 1970
-- KEYS[3]  hash, perhaps: a number to each of these names
-- ARGV[1]  pub/sub name: control messages for all nodes
-- ARGV[2]  the envelope
-- ARGV[3]  about how many orders the log keeps
-- ARGV[4]  how long it keeps them, in milliseconds
-- ARGV[5]  the name
-- ARGV[6]  when it may be forgotten, '+inf' for never; empty to strike it out now
-- ARGV[7]  now, in seconds since 1970
-- ARGV[8]  how many names there may be
-- ARGV[9]  with KEYS[3]: the number
--
-- Answers the order's id in the log, or 'full'.

local function strike(name)
  redis.call('ZREM', KEYS[2], name)
  if KEYS[3] then redis.call('HDEL', KEYS[3], name) end
end

for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', ARGV[7])) do strike(name) end

if ARGV[6] == '' then
  strike(ARGV[5])
else
  local known = redis.call('ZSCORE', KEYS[2], ARGV[5])
  if not known and redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[8]) then return 'full' end
  if KEYS[3] then
    -- The later moment and the longer time of both: what was revoked stays so.
    redis.call('ZADD', KEYS[2], 'GT', ARGV[6], ARGV[5])
    local before = tonumber(redis.call('HGET', KEYS[3], ARGV[5]) or '0')
    if tonumber(ARGV[9]) > before then redis.call('HSET', KEYS[3], ARGV[5], ARGV[9]) end
  else
    redis.call('ZADD', KEYS[2], ARGV[6], ARGV[5])
  end
end

local last = redis.call('ZREVRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2]
for at = 2, #KEYS do
  if last == 'inf' then
    redis.call('PERSIST', KEYS[at])
  elseif last then
    redis.call('EXPIREAT', KEYS[at], last)
  end
end

