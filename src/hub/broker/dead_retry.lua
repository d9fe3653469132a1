-- Dead letters begin anew, all or some: R10, in one step, so that no commit can come between. Called when a person asks.

local ids = {}
for i = 1, arg_number(0, 100000) do
	ids[i] = arg_text()
end

when_full(true)
local all = #ids == 0
if all then
	ids = redis.call('ZRANGE', key('dead_order'), 0, 999)
end
local back = {}
for _, id in ipairs(ids) do
	local payload = redis.call('HGET', key('dead'), id)
	if payload then
		redis.call('HDEL', key('dead'), id)
		redis.call('HSET', key('items'), id, payload)
		back[#back + 1] = id
	end
end
call_many('ZREM', key('dead_order'), ids)
forget(back)
call_many('RPUSH', key('retry'), back)
return { #back, all and exists('dead_order') and 1 or 0 }
