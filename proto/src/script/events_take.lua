-- Takes the next entries of the log to deliver them, unless another node delivers.
--
-- KEYS[1]  stream: the log
-- KEYS[2]  hash: its epoch, top and done
-- KEYS[3]  string: the node that delivers
-- ARGV[1]  the node
-- ARGV[2]  how long it delivers without being heard of, in milliseconds
-- ARGV[3]  how many entries at most; 0 only says that the node is still at it
--
-- Answers 'other' alone, or 'mine', the epoch (empty if there is no log), top, done, and for each entry its id, name,
-- time, channel, user and client.

local owner = redis.call('GET', KEYS[3])
if owner and owner ~= ARGV[1] then return { 'other' } end
redis.call('SET', KEYS[3], ARGV[1], 'PX', ARGV[2])
local log = redis.call('HMGET', KEYS[2], 'epoch', 'top', 'done')
local answer = { 'mine', log[1] or '', log[2] or '0', log[3] or '0' }
if not log[1] or ARGV[3] == '0' then return answer end
for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '(' .. answer[4] .. '-0', '+', 'COUNT', ARGV[3])) do
  answer[#answer + 1] = entry[1]
  for field = 2, 10, 2 do answer[#answer + 1] = entry[2][field] or '' end
end
return answer
