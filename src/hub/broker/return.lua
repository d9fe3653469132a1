-- Items that a node gives back uncharged: R4. Called with what a node's commit call returned.

local holder = arg_holder()
local returned = {}
for i = 1, arg_number(1, 100000) do
	returned[i] = { arg_text(), digits(arg_number(0, MOST)) }
end

when_full(true)
local back, answers = 0, {}
for i, pair in ipairs(returned) do
	if let_go(holder, pair[1], pair[2]) then
		redis.call('RPUSH', key('retry'), pair[1])
		answers[i] = 'retry'
		back = back + 1
	else
		answers[i] = 'stale'
	end
end
count('returned', back)
drop_if_empty(holder)
save_counts()
return { back, answers }
