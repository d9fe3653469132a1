-- Owns what the broker's scripts share: the keys, the arguments, the books and what takes an item off them. It is put in
-- front of every script. It never answers a call itself. Keys, arguments and replies: docs/protocol.md.
--
--   input list, arrived --take--> held --commit--> gone (its writes are made, or in the outbox)
--                                  |  ^
--       fail, return, inventory,   |  | take
--       reap, closing an epoch     v  |
--                                 retry            fail, reap, closing an epoch: too often --> dead --dead_retry--> retry
--
-- Lua does not roll back (R11): arguments are read and checked before the first write, and nothing that can fail comes
-- after it. A Redis that is full refuses only a script's first write: see when_full.

local input, base = KEYS[1], KEYS[2]
local CHUNK = 1000 -- values in one call: Lua's unpack ends at about 8,000
local OPENED = 10  -- what the loss of an opened item counts; of an unopened one 1, or an item could kill machines for ever

local function key(name)
	return base .. name
end

local ITEMS = key('items')

-- A number as text, without the exponent that Lua gives long ones.
local function digits(number)
	return string.format('%.0f', number)
end

local ARGV = ARGV -- a local is found sooner than a global, and commit has thousands of arguments
local last_arg = 0

local function arg_text()
	last_arg = last_arg + 1
	return ARGV[last_arg] or error('IDM argument ' .. last_arg .. ' is missing')
end

local function arg_number(least, most)
	local number = tonumber(arg_text())
	if not number or number ~= math.floor(number) or number < least or number > most then
		error('IDM argument ' .. last_arg .. ' is not a whole number from ' .. digits(least) .. ' to ' .. digits(most))
	end
	return number
end

local MOST = 9007199254740991

-- A whole number as text. One that is written as we write them is taken as it is.
local function arg_digits()
	local text = ARGV[last_arg + 1]
	if text and #text < 16 and string.find(text, '^[1-9]%d*$') then
		last_arg = last_arg + 1
		return text
	end
	return digits(arg_number(0, MOST))
end

local function arg_list(count)
	if count > CHUNK or last_arg + count > #ARGV then
		local list = {}
		for i = 1, count do
			list[i] = arg_text()
		end
		return list
	end
	last_arg = last_arg + count
	return { unpack(ARGV, last_arg - count + 1, last_arg) }
end

local function arg_node()
	local node = arg_text()
	if not string.match(node, '^[%w_.-]+$') then
		error('IDM argument ' .. last_arg .. ' is not a node id')
	end
	return node
end

local function arg_holder()
	local holder = arg_text()
	if not string.match(holder, '^[%w_.-]+:%d+$') then
		error('IDM argument ' .. last_arg .. ' is not a holder')
	end
	return holder
end

-- (id, number) pairs, as a list of {id, number as text}, each id once.
local function arg_pairs(count)
	if count == 1 then -- the usual case
		return { { arg_text(), arg_digits() } }
	end
	local list, seen = {}, {}
	for _ = 1, count do
		local id, number = arg_text(), arg_digits()
		if not seen[id] then
			seen[id] = true
			list[#list + 1] = { id, number }
		end
	end
	return list
end

local function now_ms()
	local time = redis.call('TIME')
	return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function exists(name)
	return redis.call('EXISTS', key(name)) == 1
end

local function on_books(id)
	return redis.call('HEXISTS', ITEMS, id) == 1
end

-- A Redis above its maxmemory refuses a script's first write if that needs memory, and none after it. What moves items and
-- takes them off the books must go on then, or it would never get empty; commit, which adds results, must not.
local function when_full(goes_on)
	if goes_on then
		redis.call('DEL', key('none'))
	else
		redis.call('HINCRBY', key('stats'), 'done', 0)
	end
end

local function call_many(command, name, values)
	for first = 1, #values, CHUNK do
		redis.call(command, name, unpack(values, first, math.min(first + CHUNK - 1, #values)))
	end
end

local counted = {}

local function count(name, by)
	counted[name] = (counted[name] or 0) + by
end

-- Called once, at a script's end.
local function save_counts()
	for name, by in pairs(counted) do
		if by ~= 0 then
			redis.call('HINCRBY', key('stats'), name, by)
		end
	end
end

local function waiting()
	return redis.call('LLEN', input) + redis.call('LLEN', key('arrived')) + redis.call('LLEN', key('retry'))
end

-- What is known of ids beside the books. For ids that are off them for good, or begin anew.
local function forget(ids)
	for _, name in ipairs({ 'attempts', 'losses', 'avoid', 'alone', 'errors' }) do
		if #ids > 0 and exists(name) then
			call_many('HDEL', key(name), ids)
		end
	end
end

local function bury(id, payload, error_text, now)
	redis.call('HDEL', key('items'), id)
	redis.call('HSET', key('dead'), id, payload)
	local youngest = redis.call('ZREVRANGE', key('dead_order'), 0, 0, 'WITHSCORES')
	if youngest[2] and tonumber(youngest[2]) >= now then
		now = tonumber(youngest[2]) + 0.001 -- those of one millisecond too stand in the order of their deaths
	end
	redis.call('ZADD', key('dead_order'), string.format('%.3f', now), id)
	redis.call('HDEL', key('avoid'), id)
	redis.call('HDEL', key('alone'), id)
	if error_text ~= '' then
		redis.call('HSET', key('errors'), id, error_text)
	end
	count('died', 1)
end

-- holders has exactly those that hold something.
local function drop_if_empty(holder)
	if not exists('held:' .. holder) then
		redis.call('ZREM', key('holders'), holder)
		redis.call('DEL', key('unopened:' .. holder))
	end
end

-- Only for what a node said itself (R8). Never makes a deadline earlier.
local function renew_deadline(holder, deadline)
	if exists('held:' .. holder) then
		redis.call('ZADD', key('holders'), 'GT', deadline, holder)
	end
end

-- Whether the holder has the id by that very take (R4); if so, or if the id is off the books (R1), it has it no more.
local function let_go(holder, id, number)
	local held = key('held:' .. holder)
	local real = on_books(id)
	local same = redis.call('HGET', held, id) == number
	if same or not real then
		redis.call('HDEL', held, id)
	end
	return same and real
end

local GLIMPSES, GLIMPSE = 100, 1024 -- of failures in one call, and bytes of each one's payload

-- What people are shown of failures: number in the call, beginning of the payload, its length, attempts, 1 when dead; …
local glimpses = {}

local function see(i, payload, attempts, dead)
	if #glimpses < 5 * GLIMPSES then
		for _, part in ipairs({ i, string.sub(payload, 1, GLIMPSE), #payload, attempts, dead and 1 or 0 }) do
			glimpses[#glimpses + 1] = part
		end
	end
end

-- A failure of an item that its holder has just let go, the i-th thing of the call. rules: max_attempts, two_nodes, avoid_ms, now.
-- Returns whether it is dead now; otherwise the caller puts it into retry.
local function charge(holder, id, error_text, rules, i)
	local node = string.match(holder, '^[^:]+')
	local attempts = redis.call('HINCRBY', key('attempts'), id, 1)
	local payload = redis.call('HGET', ITEMS, id)
	local known = redis.call('HGET', key('avoid'), id)
	local on_two = '0'
	if known then
		local other, before = string.match(known, '^%d+ (%S+) ([01])$')
		on_two = (before == '1' or other ~= node) and '1' or '0'
	end
	count('failed', 1)
	local dead = attempts >= 3 * rules.max_attempts
		or (attempts >= rules.max_attempts and (on_two == '1' or not rules.two_nodes))
	see(i, payload, attempts, dead)
	if dead then
		bury(id, payload, error_text, rules.now)
		return true
	end
	redis.call('HSET', key('avoid'), id, digits(rules.now + rules.avoid_ms) .. ' ' .. node .. ' ' .. on_two)
	if error_text ~= '' then
		redis.call('HSET', key('errors'), id, error_text)
	end
	return false
end

-- R7: takes everything from a holder that is gone. Returns how many went to retry and how many died. One step for all that
-- it holds, which take keeps to 10,000.
local function release(holder, max_losses, now)
	local held = redis.call('HGETALL', key('held:' .. holder))
	local unopened = {}
	for _, id in ipairs(redis.call('SMEMBERS', key('unopened:' .. holder))) do
		unopened[id] = true
	end
	redis.call('DEL', key('held:' .. holder), key('unopened:' .. holder))
	redis.call('ZREM', key('holders'), holder)
	local back, died = {}, 0
	for i = 1, #held, 2 do
		local id = held[i]
		if on_books(id) then
			count('lost', 1)
			local lost = redis.call('HINCRBY', key('losses'), id, unopened[id] and 1 or OPENED)
			if lost >= OPENED * max_losses then
				bury(id, redis.call('HGET', key('items'), id), cjson.encode({
					reason = 'lost too often with the node that held it, last with ' .. string.match(holder, '^[^:.]+'),
				}), now)
				died = died + 1
			else
				back[#back + 1] = id
			end
		end
	end
	call_many('RPUSH', key('retry'), back)
	return #back, died
end

-- R5: the first message of a higher epoch closes the lower one. Returns the last take number executed, or nil where the
-- epoch is superseded; and what release returned.
local function enter(node, epoch, max_losses, now)
	local stored = redis.call('HGET', key('nodes'), node)
	local current, last = '0', '0'
	if stored then
		current, last = string.match(stored, '^(%d+) (%d+)$')
	end
	if epoch < tonumber(current) then
		return nil, 0, 0
	end
	if epoch == tonumber(current) then
		return tonumber(last), 0, 0
	end
	local back, died = release(node .. ':' .. current, max_losses, now)
	redis.call('HSET', key('nodes'), node, digits(epoch) .. ' 0')
	return 0, back, died
end

local function set_last(node, epoch, last)
	redis.call('HSET', key('nodes'), node, digits(epoch) .. ' ' .. digits(last))
end

-- Which writes a worker may make (R11): the key's type, the least number of arguments after the key, and their step.
-- Those that join may be made in one call with others of the same command and key; at_once: never in several.
local WRITES = {
	LPUSH = { type = 'list', least = 1, step = 1, joins = true },
	RPUSH = { type = 'list', least = 1, step = 1, joins = true },
	SADD = { type = 'set', least = 1, step = 1, joins = true },
	HSET = { type = 'hash', least = 2, step = 2 },
	ZADD = { type = 'zset', least = 2, step = 2 },
	XADD = { type = 'stream', least = 3, step = 2, at_once = true },
	SET = { type = 'string', least = 1, step = 1, most = 1 },
	APPEND = { type = 'string', least = 1, step = 1, most = 1 },
}
local STRING_MOST = 512 * 1024 * 1024

-- Stricter than Redis, so that no version refuses it: decimal, or infinite.
local function is_score(text)
	local mantissa = string.match(text, '^[+-]?([%d.]+)$') or string.match(text, '^[+-]?([%d.]+)[eE][+-]?%d+$')
	if not mantissa then
		local word = string.lower(string.match(text, '^[+-]?(%a+)$') or '')
		return word == 'inf' or word == 'infinity'
	end
	local number = tonumber(text)
	return #text <= 100 and number ~= nil and number - number == 0
		and (number ~= 0 or not string.find(mantissa, '[1-9]'))
end

-- The command's row, or nil and what is wrong; keys and types apart. The command's name is made upper case.
local function check_form(write)
	write[1] = string.upper(write[1])
	local form = WRITES[write[1]]
	local values = #write - 2
	if not form then
		return nil, 'a command that may not be used on the output queue'
	end
	if values > (form.at_once and CHUNK or values) then
		return nil, write[1] .. ': too many arguments'
	end
	if values < form.least or values > (form.most or values) or (values - form.least) % form.step ~= 0 then
		return nil, write[1] .. ': wrong number of arguments'
	end
	if write[1] == 'XADD' and write[3] ~= '*' then
		return nil, 'XADD: the id must be *'
	end
	if write[1] == 'ZADD' then
		for i = 3, #write, 2 do
			if not is_score(write[i]) then
				return nil, 'ZADD: a score is not a number'
			end
		end
	end
	return form
end

local function is_output_key(name, output)
	return output ~= '' and (name == output or string.sub(name, 1, #output + 1) == output .. ':')
		and not string.find(name, ':idm:', 1, true)
end

-- Types of keys and lengths of strings as they will be after the writes of this set that were checked before. `set` has them;
-- `known` has the types that hold for certain.
local function check_type(write, form, set, known)
	local name = write[2]
	local type = set.types[name] or known[name]
	if not type then
		type = redis.call('TYPE', name).ok
		known[name] = type
	end
	if write[1] ~= 'SET' and type ~= 'none' and type ~= form.type then
		return write[1] .. ': the key holds a ' .. type
	end
	if form.type == 'string' then
		local length = set.lengths[name] or (type == 'string' and redis.call('STRLEN', name)) or 0
		set.lengths[name] = (write[1] == 'SET' and 0 or length) + #write[3]
		if set.lengths[name] > STRING_MOST then
			return write[1] .. ': the string would be too long'
		end
	end
	set.types[name] = form.type
	return nil
end

-- Makes checked writes, in order. Calls that can be joined are, until flush_writes.
local joined = nil
local partly = nil -- what went wrong all the same; a person has to see it

local function call_write(write, step)
	for first = 3, #write, step do
		local done = redis.pcall(write[1], write[2], unpack(write, first, math.min(first + step - 1, #write)))
		partly = partly or (type(done) == 'table' and done.err) or nil
	end
end

local function flush_writes()
	if joined then
		call_write(joined, CHUNK)
		joined = nil
	end
end

-- A checked push of one value.
local function push(command, name, value)
	if joined and joined[1] == command and joined[2] == name then
		joined[#joined + 1] = value
	else
		flush_writes()
		joined = { command, name, value }
	end
end

local function make_write(write)
	local form = WRITES[write[1]]
	if form.joins then
		if joined and joined[1] == write[1] and joined[2] == write[2] then
			for i = 3, #write do
				joined[#joined + 1] = write[i]
			end
			return
		end
		flush_writes()
		joined = write
		return
	end
	flush_writes()
	call_write(write, CHUNK)
end

