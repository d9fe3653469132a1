-- A page of a task's results, oldest first, and what it needs to be numbered: how many were ever taken away, so that the oldest that
-- lies there has that number. One step, so that both agree. Called on the output's Redis; changes nothing. Keys here: output queue,
-- its taken.

local output, taken = KEYS[1], KEYS[2]
local writer = arg_text()
if writer ~= 'left' and writer ~= 'right' then
	error('IDM writer is left or right')
end
local cursor, most, max_bytes = arg_number(0, MOST), arg_number(0, 10000), arg_number(0, MOST)

local first = tonumber(redis.call('GET', taken) or 0)
local total = first + redis.call('LLEN', output)
local at = math.min(math.max(cursor, first), total)
local start, stop, bytes, results = at, math.min(at + most, total), 0, {}
local STEP = 1000 -- results looked at together: the list is walked to anew each time

-- From the end where the workers do not write: its results keep their places.
local function range(from, to)
	if writer == 'right' then
		return redis.call('LRANGE', output, digits(from - first), digits(to - 1 - first))
	end
	local page = redis.call('LRANGE', output, '-' .. digits(to - first), '-' .. digits(from - first + 1))
	for i = 1, math.floor(#page / 2) do
		page[i], page[#page + 1 - i] = page[#page + 1 - i], page[i]
	end
	return page
end

while at < stop and (bytes < max_bytes or #results == 0) do
	local size = #results == 0 and 1 or math.min(STEP, math.ceil(#results * (max_bytes - bytes) / math.max(bytes, 1)))
	for _, result in ipairs(range(at, math.min(at + math.max(size, 1), stop))) do
		if #results > 0 and bytes + #result > max_bytes then
			return { first, total, start, results }
		end
		bytes = bytes + #result
		results[#results + 1] = result
		at = at + 1
	end
end
return { first, total, start, results }
