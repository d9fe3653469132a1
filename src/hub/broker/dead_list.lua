-- A page of the dead letters, oldest first. Called when a person looks at them; changes nothing.

local cursor, most = arg_number(0, MOST), arg_number(1, 1000)

local page = redis.call('ZRANGE', key('dead_order'), digits(cursor), digits(cursor + most - 1), 'WITHSCORES')
local letters = {}
for i = 1, #page, 2 do
	local id = page[i]
	letters[#letters + 1] = id
	letters[#letters + 1] = redis.call('HGET', key('dead'), id) or ''
	letters[#letters + 1] = tonumber(redis.call('HGET', key('attempts'), id) or 0)
	letters[#letters + 1] = math.floor(tonumber(redis.call('HGET', key('losses'), id) or 0) / OPENED)
	letters[#letters + 1] = redis.call('HGET', key('errors'), id) or ''
	letters[#letters + 1] = tonumber(page[i + 1])
end
local total = redis.call('ZCARD', key('dead_order'))
local next_cursor = cursor + #page / 2
return { next_cursor < total and next_cursor or 0, total, letters }
