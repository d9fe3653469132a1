-- Items that failed at their holder: R4, and who is to have them next. Called with the failures of a node's commit call.

local holder = arg_holder()
local rules = {
	max_attempts = arg_number(1, 1000000), two_nodes = arg_number(0, 1) == 1, avoid_ms = arg_number(0, MOST), now = now_ms(),
}
local alone_ms = arg_number(0, MOST)
local failures = {}
for i = 1, arg_number(1, 100000) do
	failures[i] = { arg_text(), digits(arg_number(0, MOST)), arg_text(), arg_number(0, 1) == 1 }
end

when_full(true)
local back, died, answers = 0, 0, {}
for i, failure in ipairs(failures) do
	local id, number, error_text, together = unpack(failure)
	if not let_go(holder, id, number) then
		answers[i] = 'stale'
	elseif charge(holder, id, error_text, rules, i) then
		answers[i] = 'dead'
		died = died + 1
	else
		answers[i] = 'retry'
		back = back + 1
		redis.call('RPUSH', key('retry'), id)
		if together then
			redis.call('HSET', key('alone'), id, digits(rules.now + alone_ms))
		else
			redis.call('HDEL', key('alone'), id)
		end
	end
end
drop_if_empty(holder)
save_counts()
return { back, died, answers, glimpses }
