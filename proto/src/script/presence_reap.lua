-- Strikes out what a holder whose lease has ended has left on a channel, a slice at a time.
--
-- KEYS     as in presence_common.lua
-- ARGV[1]  pub/sub name of the channel
-- ARGV[2]  the holder's node
-- ARGV[3]  the holder's generation
-- ARGV[4]  where to go on: 0, or what the slice before has answered
-- ARGV[5]  about how many members to look at
--
-- Answers where to go on, 0 at the end, and how many members were struck out.

local page = redis.call('HSCAN', KEYS[1], ARGV[4], 'COUNT', ARGV[5])
local struck = 0
for at = 1, #page[2], 2 do
  local member = read(page[2][at + 1])
  if member and member.node == ARGV[2] and member.generation == tonumber(ARGV[3]) then
    strike(page[2][at], member)
    struck = struck + 1
  end
end
return { page[1], struck }
