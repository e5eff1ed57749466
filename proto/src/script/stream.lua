-- The head of the scripts that work on a channel's stream, which is two keys:
--
-- KEYS[1]  stream: the publications. The id of an entry is OFFSET-0; its field `e` is the envelope, without
--          a position.
-- KEYS[2]  hash: `epoch`, `top` (the newest offset), `server` (the replication identity of the server that
--          wrote last), `prev_epoch` and `prev_top` (the epoch before this one, and where it ended), `version`
--          and `version_epoch`. It outlives the stream: as long as it is there, numbering goes on.

local stream, meta = KEYS[1], KEYS[2]

-- Above it a Lua number skips some whole numbers.
local OFFSET_MAX = 9007199254740991

-- Whether one decimal number is above another; as text, since they may be too large for Lua.
local function above(a, b)
  if #a ~= #b then
    return #a > #b
  end
  return a > b
end

-- A whole number as text. tostring would write a large one with an exponent.
local function text(number)
  return string.format('%.0f', number)
end

-- Who this server is to its replicas. It changes when a replica is promoted and when a server starts: then
-- the last writes may be lost, and what was numbered by them.
local function server()
  return string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)') or ''
end

-- The stream's state; nil if there is none, or if what stands there makes no sense.
local function read_meta()
  local found = redis.call('HMGET', meta, 'epoch', 'top', 'server', 'prev_epoch', 'prev_top', 'version', 'version_epoch')
  local top = found[2] and string.match(found[2], '^%d+$') and tonumber(found[2])
  local named = found[1] and #found[1] <= 64 and string.match(found[1], '^[%w_-]+$')
  if not named or not top or top >= OFFSET_MAX then
    return nil
  end
  return {
    epoch = found[1], top = top, server = found[3], prev_epoch = found[4], prev_top = found[5],
    version = found[6], version_epoch = found[7] or '',
  }
end

-- Removes what is left of a stream whose numbering is lost: its offsets mean nothing any more.
local function clear()
  -- Refuses a key that is no stream, which is not ours to remove.
  redis.call('XLEN', stream)
  -- Asks first: after a command that may write, even one that changes nothing, the server no longer
  -- refuses the next one for want of memory.
  if redis.call('EXISTS', stream, meta) > 0 then
    redis.call('DEL', stream, meta)
  end
end

