-- Gives a node items in lease: R2, R3, R5, R7, R8. Called when a node asks, and again while its call is held.

local node, epoch, n, most = arg_node(), arg_number(1, MOST), arg_number(1, MOST), arg_number(1, 1000)
local max_bytes, lease_ms, pop, seed = arg_number(0, MOST), arg_number(0, MOST), arg_text(), arg_text()
local max_losses, mind_avoid = arg_number(1, 1000000), arg_number(0, 1) == 1

local HELD_MOST = 10000 -- what one holder may have: closing it is one step
local LOOK_MORE = 100   -- entries of retry that may be passed over in one call
local ALONE = 1         -- the flag in the reply

if pop ~= 'left' and pop ~= 'right' then
	error('IDM pop is left or right')
end
redis.call('LLEN', input) -- is it a list? asked before anything changes

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local holder = node .. ':' .. digits(epoch)
local number = digits(n)
local held = key('held:' .. holder)

when_full(true)
local last, back, died = enter(node, epoch, max_losses, now)
if not last then
	return { 'superseded', waiting(), 0, 0, 0, {} }
end
if n < last then
	return { 'stale', waiting(), 0, 0, 0, {} }
end

local reply = {} -- id, payload, attempts, flags, …
local attempts_known, alone_known = exists('attempts'), exists('alone')
local alone_given = false
local spent = 0

local function is_alone(id)
	local till = alone_known and redis.call('HGET', key('alone'), id)
	if till and tonumber(till) <= now then
		redis.call('HDEL', key('alone'), id)
		till = false
	end
	return till and true or false
end

local function give(id, payload, alone)
	local at = #reply
	reply[at + 1] = id
	reply[at + 2] = payload
	reply[at + 3] = attempts_known and tonumber(redis.call('HGET', key('attempts'), id) or 0) or 0
	reply[at + 4] = alone and ALONE or 0
	spent = spent + #payload
	alone_given = alone_given or alone
end

if n == last then -- R3: the same again
	local entries, ids = redis.call('HGETALL', held), {}
	for i = 1, #entries, 2 do
		if entries[i + 1] == number and on_books(entries[i]) then
			ids[#ids + 1] = entries[i]
		end
	end
	table.sort(ids, function(a, b) return #a < #b or (#a == #b and a < b) end) -- as they were given
	for _, id in ipairs(ids) do
		give(id, redis.call('HGET', key('items'), id), is_alone(id))
	end
	renew_deadline(holder, now + lease_ms)
	save_counts()
	return { 'executed', waiting(), 0, back, died, reply }
end

local room = math.min(most, HELD_MOST - redis.call('HLEN', held))

local function wants_more()
	return #reply < 4 * room and (spent < max_bytes or #reply == 0)
end

local next_ms = 0

-- Milliseconds for which this node shall not have it, or nil.
local function must_wait(id)
	if not mind_avoid then
		return nil
	end
	local known = redis.call('HGET', key('avoid'), id)
	if not known then
		return nil
	end
	local till, failed_on = string.match(known, '^(%d+) (%S+)')
	return failed_on == node and tonumber(till) > now and tonumber(till) - now or nil
end

-- What is passed over goes to the end of the list: each entry comes to the front in turn, whoever asks.
local function take_from_retry()
	local unseen = redis.call('LLEN', key('retry'))
	local may_look = most + LOOK_MORE
	local passed = {}
	while unseen > 0 and may_look > 0 and wants_more() do
		local ids = redis.call('LPOP', key('retry'), math.min(unseen, may_look, 50))
		unseen, may_look = unseen - #ids, may_look - #ids
		local unused = {}
		for _, id in ipairs(ids) do
			local payload = redis.call('HGET', key('items'), id)
			if payload and not wants_more() then
				table.insert(unused, 1, id)
			elseif payload then -- others left the books while they waited (R1)
				local alone, wait = is_alone(id), must_wait(id)
				if wait or (alone and alone_given) then
					passed[#passed + 1] = id
					next_ms = wait and (next_ms == 0 or wait < next_ms) and wait or next_ms
				else
					give(id, payload, alone)
				end
			end
		end
		call_many('LPUSH', key('retry'), unused)
	end
	call_many('RPUSH', key('retry'), passed)
	if unseen > 0 and #reply == 0 then
		next_ms = 50 -- more than a call may look at is waiting for others: go on soon, but not in a circle
	end
end

local books = {} -- id, payload, … of those that are new; what came from retry is on the books already
local tag = string.sub(redis.sha1hex(table.concat({ seed, time[1], time[2], holder, number }, ' ')), 1, 16)
local drawn = 0

-- In growing batches, so that few calls are made, and not many large items taken out only to be put back.
local function take_from_list(name, pop_command, push_command)
	local batch = 1
	while wants_more() do
		if spent > 0 then
			local mean = spent * 4 / #reply
			batch = math.min(batch, math.floor(math.max(max_bytes - spent, 0) / mean) + 1)
		end
		local payloads = redis.call(pop_command, name, math.min(batch, room - #reply / 4))
		if not payloads then
			return
		end
		local at, book, used = #reply, #books, 0
		for i, payload in ipairs(payloads) do
			if spent >= max_bytes and at > 0 then
				break
			end
			local id = tag .. '-' .. drawn + i
			reply[at + 1], reply[at + 2], reply[at + 3], reply[at + 4] = id, payload, 0, 0
			books[book + 1], books[book + 2] = id, payload
			at, book, used, spent = at + 4, book + 2, i, spent + #payload
		end
		drawn = drawn + used
		local unused = {}
		for i = #payloads, used + 1, -1 do
			unused[#unused + 1] = payloads[i]
		end
		call_many(push_command, name, unused)
		batch = batch * 32
	end
end

take_from_retry()
take_from_list(key('arrived'), 'RPOP', 'RPUSH')
take_from_list(input, pop == 'left' and 'LPOP' or 'RPOP', pop == 'left' and 'LPUSH' or 'RPUSH')

if #reply == 0 then
	renew_deadline(holder, now + lease_ms)
	save_counts()
	return { 'empty', waiting(), next_ms, back, died, {} }
end

local lease, ids = {}, {}
for i = 1, #reply / 4 do
	local id = reply[4 * i - 3]
	lease[2 * i - 1], lease[2 * i] = id, number
	ids[i] = id
end
call_many('HSET', key('items'), books)
call_many('HSET', held, lease)
if exists('unopened:' .. holder) then
	call_many('SREM', key('unopened:' .. holder), ids) -- taken after the heartbeat: counts as opened
end
set_last(node, epoch, n)
renew_deadline(holder, now + lease_ms)
save_counts()
return { 'executed', waiting(), 0, back, died, reply }
