-- Notes what one node has seen, and tells what follows from it: all in one step, so that each transition is told once
-- whichever nodes take part in it. With every call the node's lease is renewed, and what is due is told.
--
-- KEYS, ARGV[1] to ARGV[3]  as in events_common.lua
-- ARGV[4]   the node's generation: a call of a generation before the one that has begun does nothing
-- ARGV[5]   counts the node's calls, from 1
-- ARGV[6]   'begin' for the first call of a generation, which is not counted; 'on' for the others
-- ARGV[7]   the lease, in milliseconds
-- ARGV[8]   a random name for a new epoch
-- ARGV[9]   the epoch that the node knows; empty for none
-- ARGV[10]  how long the keys stay without being written, in milliseconds
-- then for each note six:
--   what     'hold', 'release' (a thing: channel and user), 'tell', or 'once' (told once in a debounce time)
--   name, time, channel, user, client   of the event; a thing has channel and user only
--
-- Answers 'late' alone and does nothing if the node's lease has ended or a newer generation has begun. Else 'done', the
-- node's last call before this one (empty if unknown), the epoch, how long until something is due (-1: nothing), how
-- many events were told, and then the nodes whose lease has ended.

local node, generation = ARGV[1], tonumber(ARGV[4])
local known, last_call = string.match(redis.call('HGET', KEYS[6], node) or '', '^(%d+) (%d+)$')
local lease = tonumber(redis.call('ZSCORE', KEYS[7], node) or 0)
known = tonumber(known)
if known and known > generation then return { 'late' } end
if ARGV[6] ~= 'begin' and (known ~= generation or lease <= now) then return { 'late' } end

if redis.call('HEXISTS', KEYS[2], 'epoch') == 0 then
  -- Entries whose numbers are not known any more could not be told from new ones.
  redis.call('DEL', KEYS[1], KEYS[2])
  redis.call('HSET', KEYS[2], 'epoch', ARGV[8])
end
-- Whoever knows of an epoch before this one says so, also if a new node began this one; once is enough.
if ARGV[9] ~= '' and ARGV[9] ~= redis.call('HGET', KEYS[2], 'epoch') and redis.call('HSETNX', KEYS[2], 'lost', '1') == 1 then
  tell('events_lost', whole(now), '', '', '')
end
-- Who begins asks which of its calls was the last: a second time, if the answer did not come.
local call = ARGV[6] == 'begin' and (last_call or '0') or ARGV[5]
redis.call('HSET', KEYS[6], node, ARGV[4] .. ' ' .. call)
redis.call('ZADD', KEYS[7], whole(now + tonumber(ARGV[7])), node)

-- What is due comes before what is new: who comes back too late has been away.
for _, thing in ipairs(redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', whole(now), 'LIMIT', 0, 256)) do
  redis.call('ZREM', KEYS[4], thing)
  vacate(thing)
end
redis.call('ZREMRANGEBYSCORE', KEYS[5], '-inf', whole(now))

local function thing_of(channel, user)
  return user == '' and channel or channel .. ' ' .. user
end

local note = {}

function note.hold(_, _, channel, user)
  local thing = thing_of(channel, user)
  if redis.call('SADD', KEYS[8], thing) == 0 then return end
  if redis.call('HINCRBY', KEYS[3], thing, 1) > 1 then return end
  -- Whoever comes back in time was never away.
  if redis.call('ZREM', KEYS[4], thing) == 0 then decide(thing, 'channel_occupied', 'member_joined') end
end

function note.release(_, _, channel, user)
  local thing = thing_of(channel, user)
  if redis.call('SREM', KEYS[8], thing) == 1 then let_go(thing) end
end

note.tell = tell

function note.once(name, time, channel, user, client)
  local quiet = name .. ' ' .. channel
  if redis.call('ZSCORE', KEYS[5], quiet) then return end
  redis.call('ZADD', KEYS[5], whole(now + tonumber(ARGV[2])), quiet)
  tell(name, time, channel, user, client)
end

for at = 11, #ARGV, 6 do
  note[ARGV[at]](ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4], ARGV[at + 5])
end
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ARGV[10]) end

local next_due = redis.call('ZRANGE', KEYS[4], 0, 0, 'WITHSCORES')[2]
local answer = {
  'done',
  last_call or '',
  redis.call('HGET', KEYS[2], 'epoch'),
  next_due and whole(math.max(0, tonumber(next_due) - now)) or '-1',
  whole(told),
}
for _, dead in ipairs(redis.call('ZRANGEBYSCORE', KEYS[7], '-inf', whole(now), 'LIMIT', 0, 16)) do
  answer[#answer + 1] = dead
end
return answer
