-- What the scripts of presence share: how a member stands in Redis, and how it is struck out. Stands
-- before each of them; `presence.rs` has the same form in Rust.
--
-- KEYS[1]  hash: the channel's members, client id to value
-- KEYS[2]  hash: its users, to the number of their members
-- KEYS[3]  sorted set: members whose connection is lost and whose leave is not told yet
-- ARGV[1]  pub/sub name of the channel

-- A value is "NODE GENERATION TOLD LENGTH USER LEAVE": LENGTH is that of USER, TOLD 1 or 0, LEAVE the
-- envelope that is said when the member leaves. What is none is nobody's.
local function read(value)
  if not value then return nil end
  local node, generation, told, length, at = string.match(value, '^(%S+) (%d+) ([01]) (%d+) ()')
  if not node then return nil end
  local stop = at + tonumber(length)
  return {
    node = node,
    generation = tonumber(generation),
    told = told == '1',
    user = string.sub(value, at, stop - 1),
    leave = string.sub(value, stop + 1),
  }
end

-- All members of one user begin alike in the sorted set, and those of no other user do.
local function parking(user)
  return #user .. ':' .. user .. ' '
end

local function count(user)
  redis.call('HINCRBY', KEYS[2], user, 1)
end

-- The last one is deleted, not counted down: a server that is out of memory lets that happen.
local function uncount(user)
  local left = tonumber(redis.call('HGET', KEYS[2], user))
  if left and left > 1 then
    redis.call('HINCRBY', KEYS[2], user, -1)
  else
    redis.call('HDEL', KEYS[2], user)
  end
end

-- Strikes a member out and tells it: in one step, so that whoever finds it gone need not tell.
local function strike(client, member)
  redis.call('ZREM', KEYS[3], parking(member.user) .. client)
  uncount(member.user)
  redis.call('HDEL', KEYS[1], client)
  if member.told then redis.call('PUBLISH', ARGV[1], member.leave) end
end
