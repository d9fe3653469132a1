-- Makes the writes of an outbox on the output's own Redis, each entry once: R9, R11. Called with what outbox_next gave, in
-- its order. Keys here: output queue, its applied, its refused.

local output, applied, refused = KEYS[1], KEYS[2], KEYS[3]
local source = arg_text()
local entries = {}
for i = 1, arg_number(1, 1000) do
	entries[i] = { arg_number(1, MOST), cmsgpack.unpack(arg_text()) }
	if i > 1 and entries[i][1] <= entries[i - 1][1] then
		error('IDM entries out of order')
	end
end

local done = tonumber(redis.call('HGET', applied, source) or 0)
redis.call('HSET', applied, source, digits(done)) -- a full Redis refuses here, before anything is written

-- Entries below the first are out of the outbox: nobody will ask for their fate again.
for _, field in ipairs(redis.call('HKEYS', refused)) do
	local of, q = string.match(field, '^(.*) (%d+)$')
	if of == source and tonumber(q) < entries[1][1] then
		redis.call('HDEL', refused, field)
	end
end

local function check(writes)
	local view = { types = {}, lengths = {} }
	for _, write in ipairs(writes) do
		local form, reason = check_form(write)
		if form and not is_output_key(write[2], output) then
			reason = write[1] .. ': not on the output queue, nor a key below it'
		end
		reason = reason or check_type(write, form, view, {})
		if reason then
			return reason
		end
	end
	return nil
end

local answers = {}
for i, entry in ipairs(entries) do
	local q, writes = entry[1], entry[2]
	local field = source .. ' ' .. digits(q)
	if q <= done then
		answers[i] = redis.call('HGET', refused, field) or 'ok'
	else
		done = q
		redis.call('HSET', applied, source, digits(q))
		local reason = check(writes)
		if reason then
			redis.call('HSET', refused, field, reason)
		else
			for _, write in ipairs(writes) do
				make_write(write)
			end
			flush_writes()
		end
		answers[i] = reason or 'ok'
	end
end
return { answers, partly or '' }
