-- Reads a part of a stream, and where the stream stands, at one moment. A stream that does not exist
-- begins: what is published from now on is numbered in the epoch that is answered here.
--
-- ARGV[1]  a fresh epoch, in case it is needed
-- ARGV[2]  how long the meta is kept from now on, in milliseconds
-- ARGV[3]  how many entries at most; 0 only asks where the stream stands
-- ARGV[4]  how many bytes of envelopes at most; the first one is answered in any case
-- ARGV[5]  `forward` or `reverse`
-- ARGV[6]  the first offset to read, or nothing: the oldest (in reverse the newest) one
--
-- Answers epoch, top, previous epoch and its top (both empty if there is none), then offset and envelope of
-- each entry. An entry that this script cannot read has an empty envelope.

local fresh, meta_ttl, limit, room = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local reverse, from = ARGV[5] == 'reverse', ARGV[6]

-- Entries of the first chunk, whose size nobody knows, and the most of any.
local CHUNK_FIRST, CHUNK_MAX = 8, 256

local state = read_meta()
if state then
  -- Where nothing may be written, reading is still worth while.
  redis.pcall('PEXPIRE', meta, meta_ttl)
else
  clear()
  redis.call('HSET', meta, 'epoch', fresh, 'top', '0', 'server', server())
  redis.call('PEXPIRE', meta, meta_ttl)
  state = {epoch = fresh, top = 0}
end

local top = text(state.top)
local answer = {state.epoch, top, state.prev_epoch or '', state.prev_epoch and state.prev_top or ''}
-- What stands above the top was never acknowledged nor sent.
if reverse and (from == '' or above(from, top)) then
  from = top
elseif from == '' then
  from = '0'
end

local taken, bytes, chunk = 0, 0, CHUNK_FIRST
while taken < limit and state.top > 0 do
  local count = math.min(chunk, limit - taken)
  local entries
  if reverse then
    entries = redis.call('XREVRANGE', stream, from, '0', 'COUNT', count)
  else
    entries = redis.call('XRANGE', stream, from, top, 'COUNT', count)
  end
  local offset
  for _, entry in ipairs(entries) do
    offset = string.match(entry[1], '^%d+')
    -- Ids of another form are not ours.
    if string.sub(entry[1], -2) == '-0' then
      local envelope = entry[2][1] == 'e' and entry[2][2] or ''
      bytes = bytes + #envelope
      if taken > 0 and bytes > room then
        return answer
      end
      taken = taken + 1
      answer[#answer + 1] = offset
      answer[#answer + 1] = envelope
    end
  end
  if #entries < count then
    return answer
  end
  -- As many as are likely to fit, judged by those before.
  chunk = math.max(1, math.min(CHUNK_MAX, math.ceil((room - bytes) / math.max(1, bytes / math.max(1, taken)))))
  -- An offset up to the top is small enough to be counted with.
  from = text(tonumber(offset) + (reverse and -1 or 1))
  if from == '0' then
    return answer
  end
end
return answer
