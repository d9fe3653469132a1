-- Dead letters are thrown away, all or some. Called when a person asks.

local ids = {}
for i = 1, arg_number(0, 100000) do
	ids[i] = arg_text()
end

when_full(true)
local all = #ids == 0
if all then
	ids = redis.call('ZRANGE', key('dead_order'), 0, 999)
end
local dropped = {}
for _, id in ipairs(ids) do
	if redis.call('HDEL', key('dead'), id) == 1 then
		dropped[#dropped + 1] = id
	end
end
call_many('ZREM', key('dead_order'), ids)
forget(dropped)
return { #dropped, all and exists('dead_order') and 1 or 0 }
