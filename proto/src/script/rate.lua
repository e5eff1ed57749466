-- Takes from a bucket that fills by itself, for a rate that many nodes share.
--
-- KEYS[1]  string: when the bucket will be full again, in microseconds since 1970 by this server's clock
-- ARGV[1]  in how many microseconds one more comes in; may have a fraction
-- ARGV[2]  how many the full bucket holds
-- ARGV[3]  how many are wanted
--
-- Answers how many were taken, at most what was wanted, and, if there was none, in how many microseconds there
-- will be one. The key ends when the bucket is full: a full one and none are the same.

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local interval, holds, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local depth = holds * interval

local found = redis.call('GET', KEYS[1])
local full_at = found and tonumber(found)
-- What makes no sense is a full bucket, and so is one that was full before now.
if not full_at or full_at ~= full_at or full_at < now then
  full_at = now
end
-- No bucket is more than empty: the rate was another one, or the server's clock went back.
if full_at > now + depth then
  full_at = now + depth
end

-- A little over, because a multiple of a fraction is never quite one.
local room = math.floor((now + depth - full_at) / interval + 0.001)
local taken = math.min(wanted, room)
if taken < 1 then
  return { 0, math.ceil(full_at + interval - now - depth) }
end
full_at = full_at + taken * interval
redis.call('SET', KEYS[1], string.format('%.3f', full_at), 'PX', math.ceil((full_at - now) / 1000) + 1)
return { taken, 0 }
