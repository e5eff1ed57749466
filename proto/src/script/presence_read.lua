-- Counts a channel's members and users, and reads the members if they are few.
--
-- KEYS[1]  hash: the channel's members
-- KEYS[2]  hash: its users
-- ARGV[1]  up to how many members are read
--
-- Answers how many members and how many users there are, and the members' values or none.

local members = redis.call('HLEN', KEYS[1])
local values = members <= tonumber(ARGV[1]) and redis.call('HVALS', KEYS[1]) or {}
return { members, redis.call('HLEN', KEYS[2]), values }
