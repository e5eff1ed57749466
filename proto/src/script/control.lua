-- Logs an order to all nodes and announces it, in one step: who hears the announcement knows its place
-- in the log, and who missed it finds it there.
--
-- KEYS[1]  stream: the control log
-- ARGV[1]  pub/sub name: control messages for all nodes
-- ARGV[2]  the envelope
-- ARGV[3]  about how many orders the log keeps
-- ARGV[4]  how long it keeps them, in milliseconds
--
-- Answers the order's id in the log.

local before = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
local previous = before[1] and before[1][1] or '0-0'
local id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[3], '*', 'p', previous, 'e', ARGV[2])

-- An id begins with the server's time: no other clock is asked. %.0f, because a plain number of this
-- size may be written with an exponent.
local now = tonumber(string.match(id, '^%d+'))
redis.call('XTRIM', KEYS[1], 'MINID', '~', string.format('%.0f', now - tonumber(ARGV[4])))
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('PUBLISH', ARGV[1], id .. '\n' .. ARGV[2])
return id
