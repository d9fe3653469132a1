-- Brings items of one push into the input list, each once: known is how many of the push are in already. Called with a run of
-- items whose first has the number `first`; without any, only asks. Items that are in are passed over; a gap changes nothing.

local pop = arg_text()
if pop ~= 'left' and pop ~= 'right' then
	error('IDM pop is left or right')
end
local push = arg_text()
if not string.match(push, '^[%w_-]+$') then
	error('IDM argument ' .. last_arg .. ' is not a push id')
end
local kept_s, first, items = arg_number(1, MOST), arg_number(0, MOST), arg_number(0, MOST)
if last_arg + items ~= #ARGV then
	error('IDM the items are not as many as announced')
end

local counter = key('push:' .. push)
local known = tonumber(redis.call('GET', counter) or 0)
if first > known then
	return { known, 0, 1 }
end

-- A Redis that is full, or an input that is no list, refuses the first of these, before anything is written.
local over = math.min(known - first, items)
local command = pop == 'left' and 'RPUSH' or 'LPUSH'
for from = last_arg + over + 1, #ARGV, CHUNK do
	redis.call(command, input, unpack(ARGV, from, math.min(from + CHUNK - 1, #ARGV)))
end
if items > over then
	known = first + items
	redis.call('SET', counter, digits(known), 'EX', digits(kept_s))
end
return { known, items - over, 0 }
