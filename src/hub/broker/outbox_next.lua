-- What is to be written on another Redis, lowest q first: R9. Called while the outbox is not empty; changes nothing.

local most, max_bytes = arg_number(1, 1000), arg_number(0, MOST)

local reply, bytes, at = {}, 0, 0
while #reply < 3 * most and (bytes < max_bytes or #reply == 0) do
	local entry = redis.call('LINDEX', key('outbox'), at)
	if not entry then
		break
	end
	local q, destination, from = string.match(entry, '^(%d+) (%S+) ()')
	reply[#reply + 1] = q
	reply[#reply + 1] = destination
	reply[#reply + 1] = string.sub(entry, from)
	bytes = bytes + #entry
	at = at + 1
end
return { redis.call('GET', key('outbox_source')) or '', reply }
