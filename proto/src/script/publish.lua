-- Numbers a publication, stores it and sends it, in one step: what is refused (read-only, out of memory,
-- too few replicas, a key of another type) is neither stored nor sent.
--
-- KEYS[3]  string, only with an idempotency key: what the first publication with it was answered
-- ARGV[1]  pub/sub name of the channel
-- ARGV[2]  the envelope, without a position
-- ARGV[3]  how many publications the stream keeps; 0 if it is not to be stored
-- ARGV[4]  how long the stream is kept, in milliseconds
-- ARGV[5]  how long its meta is kept, in milliseconds
-- ARGV[6]  a fresh epoch, in case it is needed
-- ARGV[7]  how long the idempotency key is remembered, in milliseconds
-- ARGV[8]  version, or nothing
-- ARGV[9]  its epoch
--
-- Answers `sent`, `repeated` or `stale`; where the publication stands, if it is stored: a blank, its
-- offset, a blank, the epoch. A stale one stands where the top does.

local name, envelope, size, ttl, meta_ttl = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local fresh, window, version, version_epoch = ARGV[6], ARGV[7], ARGV[8], ARGV[9]
local once = KEYS[3]

-- The last command, and the only one with a permission of its own: it must not fail when all is written.
-- Servers before 7.0 cannot be asked.
if redis.acl_check_cmd and not redis.acl_check_cmd('PUBLISH', name, '') then
  return redis.error_reply('NOPERM this user may not publish to this channel')
end

if once then
  local place = redis.call('GET', once)
  if place then
    -- Also a write, so that who waits for replicas then waits for something.
    redis.call('PEXPIRE', once, window)
    return 'repeated' .. place
  end
end

if size == '0' then
  if once then
    redis.call('SET', once, '', 'PX', window)
  end
  redis.call('PUBLISH', name, envelope)
  return 'sent'
end

local state = read_meta()
if state and version ~= '' and state.version and state.version_epoch == version_epoch
    and not above(version, state.version) then
  redis.call('PEXPIRE', meta, meta_ttl)
  return 'stale ' .. text(state.top) .. ' ' .. state.epoch
end

local here = server()
local epoch, offset
-- What changes in the meta, besides top.
local changes = {}

local function set(...)
  for _, value in ipairs({...}) do
    changes[#changes + 1] = value
  end
end

local function begin()
  clear()
  epoch, offset, changes = fresh, 1, {}
  set('epoch', epoch, 'server', here)
end

local function add()
  return redis.pcall('XADD', stream, 'MAXLEN', '=', size, text(offset) .. '-0', 'e', envelope)
end

if not state then
  begin()
elseif state.server ~= here then
  -- The end may be lost, and with it publications that clients have seen: their offsets must not be
  -- given again under one epoch.
  epoch, offset = fresh, state.top + 1
  set('epoch', epoch, 'server', here, 'prev_epoch', state.epoch, 'prev_top', text(state.top))
else
  epoch, offset = state.epoch, state.top + 1
end

local added = add()
if type(added) == 'table' and added.err and string.find(added.err, 'equal or smaller', 1, true) then
  -- The stream goes on beyond its top: it was not written by this script alone.
  begin()
  added = add()
end
if type(added) == 'table' and added.err then
  return added
end

-- From here on nothing can be refused: the server looks at memory, role and replicas before a script's
-- first write, and the types are known.
if version ~= '' then
  set('version', version, 'version_epoch', version_epoch)
end
redis.call('HSET', meta, 'top', text(offset), unpack(changes))
redis.call('PEXPIRE', stream, ttl)
redis.call('PEXPIRE', meta, meta_ttl)

local place = ' ' .. text(offset) .. ' ' .. epoch
if once then
  redis.call('SET', once, place, 'PX', window)
end

local function varint(number)
  local bytes = ''
  while number >= 128 do
    bytes = bytes .. string.char(number % 128 + 128)
    number = math.floor(number / 128)
  end
  return bytes .. string.char(number)
end

-- Fields 7 (offset, a number) and 8 (epoch, a string): Protobuf messages may be put together piece by piece.
redis.call('PUBLISH', name, envelope .. '\56' .. varint(offset) .. '\66' .. varint(#epoch) .. epoch)
return 'sent' .. place
