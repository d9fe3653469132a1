-- Takes items off the books and makes their writes, set by set: R1, R9, R10, R11. Called with what a node's commit call brought.

local holder = arg_holder()
local rules = {
	max_attempts = arg_number(1, 1000000), two_nodes = arg_number(0, 1) == 1, avoid_ms = arg_number(0, MOST), now = now_ms(),
}
local require_result = arg_number(0, 1) == 1
local destination, seed = arg_text(), arg_text()
local elsewhere = destination ~= ''
local output = KEYS[3]

local function read_set()
	local ids = arg_number(0, 100000)
	local set = { seq = ids == 0 and arg_number(1, MOST) or nil, ids = arg_pairs(ids), writes = {} }
	for i = 1, arg_number(0, 1000000) do
		set.writes[i] = arg_list(arg_number(2, 1000000))
	end
	return set
end

-- Nearly all sets are one item and one push of one value. Such a set stays where it is among the arguments, and is known by the
-- place before its first one: 1 id number 1 3 command key value. Tables are made of it only where something is unusual.
local USUAL = 8

local checked_number -- of the last one; those of one take follow each other

local function read_usual()
	local at = last_arg
	if ARGV[at + 1] ~= '1' or ARGV[at + 4] ~= '1' or ARGV[at + 5] ~= '3' or not ARGV[at + USUAL] then
		return nil
	end
	local number = ARGV[at + 3]
	if number ~= checked_number then
		if #number > 15 or not string.find(number, '^[1-9]%d*$') then
			return nil
		end
		checked_number = number
	end
	last_arg = at + USUAL
	return at
end

local function expand(at)
	return { ids = { { ARGV[at + 2], ARGV[at + 3] } }, writes = { { ARGV[at + 6], ARGV[at + 7], ARGV[at + 8] } } }
end

local sets = {}
for i = 1, arg_number(1, 100000) do
	sets[i] = read_usual() or read_set()
end
if elsewhere and string.find(destination, '[%s%c]') then
	error('IDM the destination has blanks')
end

when_full(false)

local held = key('held:' .. holder)
local known_types = {}
local cleared = {} -- ids that are off the books for good, and that the holder must have no more (R1)
local back, died = 0, 0

-- Where the write goes: 'here', 'there' (R9), or nil and why not.
local function check_place(write, form)
	local name = write[2]
	local to_output = is_output_key(name, output)
	if name == input and not (elsewhere and to_output) and not string.find(name, ':idm:', 1, true) then
		if form.joins and form.type == 'list' then
			return 'here'
		end
		return nil, write[1] .. ': not on the input queue'
	end
	if to_output then
		return elsewhere and 'there' or 'here'
	end
	return nil, write[1] .. ': not on the output queue, nor a key below it'
end

local NONE = {}

-- Nearly all sets are one more push to the same key. Where the last write of a set that passed was a push here, another one to
-- that key passes too, until some other write was looked at.
local pushed, pushed_to

local function passes(write)
	return write[1] == pushed and write[2] == pushed_to and #write > 2
end

-- R11: everything, before anything is written. Returns what goes there, or nil and the reason.
local function check(set)
	local view, there, last_push
	if #set.writes == 0 and require_result then
		return nil, 'closed without a result, which the task requires'
	end
	for _, write in ipairs(set.writes) do
		if not passes(write) then
			pushed, last_push = nil, nil
			view = view or { types = {}, lengths = {} }
			local form, reason = check_form(write)
			local place
			if form then
				place, reason = check_place(write, form)
			end
			if place == 'there' then
				there = there or {}
				there[#there + 1] = write
			elseif place == 'here' then
				reason = check_type(write, form, view, known_types)
				last_push = form.joins and write
			end
			if reason then
				return nil, reason
			end
		end
	end
	for name, type in pairs(view and view.types or NONE) do
		known_types[name] = type
	end
	if last_push then
		pushed, pushed_to = last_push[1], last_push[2]
	end
	return there or NONE
end

local function real_ids(set)
	local real = 0
	for _, pair in ipairs(set.ids) do
		real = real + (on_books(pair[1]) and 1 or 0)
	end
	return real
end

-- The set does not land: what the sender holds by those very takes goes back, charged where there is a reason.
local function give_back(set, reason, i)
	for _, pair in ipairs(set.ids) do
		local id = pair[1]
		if let_go(holder, id, pair[2]) then
			if reason then
				redis.call('HDEL', key('alone'), id)
			else
				count('returned', 1)
			end
			if reason and charge(holder, id, cjson.encode({ reason = reason }), rules, i) then
				died = died + 1
			else
				redis.call('RPUSH', key('retry'), id)
				back = back + 1
			end
		end
	end
end

-- R9: the entry that takes the writes to the output's Redis. q follows the clock, so that a Redis that lost its last
-- moments never gives one out again.
local function put_into_outbox(writes, items)
	local time = redis.call('TIME')
	local q = math.max(tonumber(redis.call('GET', key('outbox_q')) or 0) + 1, time[1] * 1000000 + time[2])
	redis.call('SETNX', key('outbox_source'), string.sub(redis.sha1hex(seed .. ' ' .. digits(q)), 1, 16))
	redis.call('SET', key('outbox_q'), digits(q))
	redis.call('HSET', key('outbox_items'), digits(q), cmsgpack.pack(items))
	redis.call('RPUSH', key('outbox'), digits(q) .. ' ' .. destination .. ' ' .. cmsgpack.pack(writes))
end

-- Checked; its ids are on the books, if it has any.
local function land(set, there)
	local sending = #there > 0
	local items = sending and {}
	for _, pair in ipairs(set.ids) do
		if sending then
			items[#items + 1] = pair[1]
			items[#items + 1] = redis.call('HGET', key('items'), pair[1]) or ''
		end
		redis.call('HDEL', ITEMS, pair[1])
		cleared[#cleared + 1] = pair[1]
	end
	local at = 1 -- there is a part of set.writes, in its order
	for _, write in ipairs(set.writes) do
		if write == there[at] then
			at = at + 1
		else
			make_write(write)
		end
	end
	if sending then
		put_into_outbox(there, items)
	end
end

-- Writes of no item: once for each seq, which grows.
local function commit_loose(set)
	if set.seq <= tonumber(redis.call('HGET', key('loose'), holder) or 0) then
		return 'duplicate'
	end
	local there, reason = check(set)
	if not there then
		return reason
	end
	redis.call('HSET', key('loose'), holder, digits(set.seq))
	land(set, there)
	count('loose', 1)
	return 'ok'
end

local function commit_set(set, i)
	local real = real_ids(set)
	if real < #set.ids then
		give_back(set, nil)
		count('duplicates', #set.ids - real)
		return real == 0 and 'duplicate' or 'incomplete'
	end
	local there, reason = check(set)
	if not there then
		give_back(set, reason, i)
		return reason
	end
	land(set, there)
	count('done', #set.ids)
	count('empty', #set.writes == 0 and #set.ids or 0)
	return 'ok'
end

local usual_done = 0

-- What passes takes its item off the books, if it is on them; what does not, or is not, goes the long way.
local function commit_usual(at, i)
	local command, name, id = ARGV[at + 6], ARGV[at + 7], ARGV[at + 2]
	if command ~= pushed or name ~= pushed_to or redis.call('HDEL', ITEMS, id) == 0 then
		return commit_set(expand(at), i)
	end
	cleared[#cleared + 1] = id
	push(command, name, ARGV[at + 8])
	usual_done = usual_done + 1
	return 'ok'
end

local answers = {}
for i, set in ipairs(sets) do
	if type(set) == 'number' then
		answers[i] = commit_usual(set, i)
	else
		answers[i] = set.seq and commit_loose(set) or commit_set(set, i)
	end
end
count('done', usual_done)
flush_writes()
call_many('HDEL', held, cleared)
forget(cleared)
drop_if_empty(holder)
save_counts()
return { back, died, answers, partly or '', glimpses }
