-- What the scripts that note events share. Stands before `events_keep.lua` and `events_reap.lua`; `events.rs` builds
-- their keys.
--
-- KEYS[1]  stream: the log; the id of an entry is NUMBER-0
-- KEYS[2]  hash: the log's epoch, its highest number (top), the highest that was delivered (done), and whether it was
--          told that an epoch before it was lost (lost)
-- KEYS[3]  hash: things that are held, to the number of nodes that hold them
-- KEYS[4]  sorted set: things that nobody holds any more, by when that is told
-- KEYS[5]  sorted set: channels about which some events are not told again, by until when
-- KEYS[6]  hash: nodes, to "GENERATION CALL", the generation that may write and its last call
-- KEYS[7]  sorted set: nodes by the end of their lease
-- KEYS[8]  set: the things that the node holds
-- ARGV[1]  the node
-- ARGV[2]  how long nobody holds a thing before that is told, in milliseconds
-- ARGV[3]  how many entries the log has at most
--
-- A thing is a channel, or "CHANNEL USER": a user on a channel. Names of channels have no spaces. All times are this
-- server's, in milliseconds since 1970.

local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local told = 0

-- A plain number of this size may be written with an exponent.
local function whole(number)
  return string.format('%.0f', number)
end

local function tell(name, time, channel, user, client)
  local top = redis.call('HINCRBY', KEYS[2], 'top', 1)
  redis.call('XADD', KEYS[1], 'MAXLEN', '=', ARGV[3], whole(top) .. '-0',
    'n', name, 't', time, 'c', channel, 'u', user, 'k', client)
  told = told + 1
end

local function decide(thing, of_channel, of_member)
  local channel, user = string.match(thing, '^(%S+) (.*)$')
  if channel then
    tell(of_member, whole(now), channel, user, '')
  else
    tell(of_channel, whole(now), thing, '', '')
  end
end

local function vacate(thing)
  decide(thing, 'channel_vacated', 'member_left')
end

-- One node less holds it.
local function let_go(thing)
  if redis.call('HINCRBY', KEYS[3], thing, -1) > 0 then return end
  redis.call('HDEL', KEYS[3], thing)
  if tonumber(ARGV[2]) > 0 then
    redis.call('ZADD', KEYS[4], whole(now + tonumber(ARGV[2])), thing)
  else
    vacate(thing)
  end
end
