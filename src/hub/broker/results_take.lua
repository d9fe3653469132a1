-- Removes results that somebody has read for good: all before the number `upto`. Called on the output's Redis; harmless when it is
-- repeated. Keys here: output queue, its taken.

local output, taken = KEYS[1], KEYS[2]
local writer = arg_text()
if writer ~= 'left' and writer ~= 'right' then
	error('IDM writer is left or right')
end
local upto, most = arg_number(0, MOST), arg_number(1, MOST)

local first = tonumber(redis.call('GET', taken) or 0)
local total = first + redis.call('LLEN', output)
local wanted = math.min(upto, total)
local stop = math.min(wanted, first + most)
if stop > first then
	-- A full Redis lets this first write through, and then the other.
	if writer == 'right' then
		redis.call('LTRIM', output, digits(stop - first), '-1')
	else
		redis.call('LTRIM', output, '0', '-' .. digits(stop - first + 1))
	end
	redis.call('SET', taken, digits(stop))
	first = stop
end
return { first, wanted > first and 1 or 0 }
