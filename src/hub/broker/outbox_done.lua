-- Drops entries of the outbox whose fate is known: R9. Called with what outbox_apply answered, in its order.

local fates = {}
for i = 1, arg_number(1, 1000) do
	fates[i] = { arg_number(1, MOST), arg_text() }
end

when_full(true)
local now = now_ms()
local dropped, died = 0, 0
for _, fate in ipairs(fates) do
	local entry = redis.call('LINDEX', key('outbox'), 0)
	local q = entry and string.match(entry, '^%d+')
	if q and tonumber(q) == fate[1] then
		if fate[2] ~= '' then
			local items = cmsgpack.unpack(redis.call('HGET', key('outbox_items'), q))
			for i = 1, #items, 2 do -- with new ids: the old ones may still stand in retry or with a holder
				bury(items[i] .. '-' .. q, items[i + 1], cjson.encode({ reason = fate[2] }), now)
				died = died + 1
			end
		end
		redis.call('LPOP', key('outbox'))
		redis.call('HDEL', key('outbox_items'), q)
		dropped = dropped + 1
	end
end
count('done', -died)
save_counts()
return { dropped, died }
