-- Lets go of what a node whose lease has ended held, a slice at a time.
--
-- KEYS, ARGV[1] to ARGV[3]  as in events_common.lua, of the dead node
-- ARGV[4]  how many things to let go of
--
-- Answers how many are left; at 0 the node is forgotten. One that lives after all keeps what it has.

if tonumber(redis.call('ZSCORE', KEYS[7], ARGV[1]) or 0) > now then return 0 end
for _, thing in ipairs(redis.call('SPOP', KEYS[8], ARGV[4])) do let_go(thing) end
local left = redis.call('SCARD', KEYS[8])
if left == 0 then
  redis.call('ZREM', KEYS[7], ARGV[1])
  redis.call('HDEL', KEYS[6], ARGV[1])
end
return left
