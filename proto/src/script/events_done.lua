-- Notes up to where the log was delivered, and removes that.
--
-- KEYS     as in events_take.lua
-- ARGV[1]  the node
-- ARGV[2]  the epoch that was delivered
-- ARGV[3]  the number of the last entry that was
-- ARGV[4]  the number after it
--
-- Answers 'done', or 'other' and does nothing: another node delivers by now, or the log is another one.

if redis.call('GET', KEYS[3]) ~= ARGV[1] then return 'other' end
if redis.call('HGET', KEYS[2], 'epoch') ~= ARGV[2] then return 'other' end
redis.call('HSET', KEYS[2], 'done', ARGV[3])
redis.call('XTRIM', KEYS[1], 'MINID', '=', ARGV[4] .. '-0')
return 'done'
