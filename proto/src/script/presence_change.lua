-- Changes a channel's members: all changes of one node that have come together.
--
-- KEYS     as in presence_common.lua
-- ARGV[1]  pub/sub name of the channel
-- ARGV[2]  the node
-- ARGV[3]  its generation: counts the holders under which the node has written
-- ARGV[4]  until when the holder may write, in milliseconds since 1970 by this server's clock
-- ARGV[5]  how long the keys stay without being written, in milliseconds
-- then for each change four:
--   what    'enter', 'park', 'leave' or 'check'
--   client  the member
--   value   what stands for it; for 'enter' only
--   join    the envelope that is said if it was not there, empty for none; for 'enter' only
--
-- Answers 'late' alone and does nothing once the holder may not write any more: its members may have
-- been removed, and what is written now nobody would ever remove. Else 'done', and then for each change
-- an empty text or the error that kept it from being made; for 'check', 'missing' if the member is not
-- there.

local now = redis.call('TIME')
if tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000) >= tonumber(ARGV[4]) then
  return { 'late' }
end
local node, generation = ARGV[2], tonumber(ARGV[3])

-- All three are touched before anything is written: a key of another type changes nothing.
local members = redis.call('HLEN', KEYS[1])
local users = redis.call('HLEN', KEYS[2])
redis.call('ZCARD', KEYS[3])

-- One of the keys was evicted or deleted: the number of users is what the members say.
if members == 0 and users > 0 then redis.call('DEL', KEYS[2]) end
if members > 0 and users == 0 then
  for _, value in ipairs(redis.call('HVALS', KEYS[1])) do
    local member = read(value)
    if member then count(member.user) end
  end
end

-- Another member of this user, lost and not yet told. The anonymous are not one user.
local function lost(user)
  if user == '' then return nil end
  local prefix = parking(user)
  while true do
    local found = redis.call('ZRANGEBYLEX', KEYS[3], '[' .. prefix, '[' .. prefix .. '\255', 'LIMIT', 0, 1)[1]
    if not found then return nil end
    local client = string.sub(found, #prefix + 1)
    if redis.call('HEXISTS', KEYS[1], client) == 1 then return client, found end
    redis.call('ZREM', KEYS[3], found)
  end
end

-- A newer generation of the same node has written it: this change was held up on the way.
local function overtaken(member)
  return member and member.node == node and member.generation > generation
end

local function enter(client, value, join)
  local new, stood = read(value), redis.call('HGET', KEYS[1], client)
  if not new then error('presence: a value that cannot be read') end
  if stood then
    local old = read(stood)
    if overtaken(old) then return end
    if not old or old.user ~= new.user then
      count(new.user)
      if old then uncount(old.user) end
    end
    redis.call('HSET', KEYS[1], client, value)
    if old then redis.call('ZREM', KEYS[3], parking(old.user) .. client) end
    return
  end
  local replaced, parked = lost(new.user)
  if replaced then
    redis.call('HSET', KEYS[1], client, value)
    redis.call('HDEL', KEYS[1], replaced)
    redis.call('ZREM', KEYS[3], parked)
    return
  end
  count(new.user)
  redis.call('HSET', KEYS[1], client, value)
  if join ~= '' then redis.call('PUBLISH', ARGV[1], join) end
end

-- Others may replace the member from now on, if the same user enters.
local function park(client)
  local member = read(redis.call('HGET', KEYS[1], client))
  if member and member.user ~= '' and not overtaken(member) then
    redis.call('ZADD', KEYS[3], 0, parking(member.user) .. client)
  end
end

local function leave(client)
  local member = read(redis.call('HGET', KEYS[1], client))
  if member and not overtaken(member) then strike(client, member) end
end

local function check(client)
  return redis.call('HEXISTS', KEYS[1], client) == 0 and 'missing' or nil
end

local made = { enter = enter, park = park, leave = leave, check = check }
local answer = { 'done' }
for at = 6, #ARGV, 4 do
  local done, problem = pcall(made[ARGV[at]], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3])
  if not done then problem = type(problem) == 'table' and problem.err or tostring(problem) end
  answer[#answer + 1] = problem or ''
end
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ARGV[5]) end
return answer
