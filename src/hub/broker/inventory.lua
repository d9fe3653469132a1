-- All that a node has, up to the take number r; what else it holds in the books goes back uncharged: R6. Called to give up an
-- outstanding take, at leave (no pairs), and as an audit.

local node, epoch, r, max_losses = arg_node(), arg_number(1, MOST), arg_number(0, MOST), arg_number(1, 1000000)
local has = {}
for _, pair in ipairs(arg_pairs(arg_number(0, 100000))) do
	has[pair[1]] = pair[2]
end

when_full(true)
local last, back, died = enter(node, epoch, max_losses, now_ms())
if not last then
	return { 'superseded', 0, 0 }
end
if last < r then
	set_last(node, epoch, r)
end

local holder = node .. ':' .. digits(epoch)
local held = redis.call('HGETALL', key('held:' .. holder))
local gone, returned = {}, {}
for i = 1, #held, 2 do
	local id, number = held[i], held[i + 1]
	if tonumber(number) <= r and has[id] ~= number then
		gone[#gone + 1] = id
		if on_books(id) then
			returned[#returned + 1] = id
		end
	end
end
call_many('HDEL', key('held:' .. holder), gone)
call_many('RPUSH', key('retry'), returned)
count('returned', #returned)
drop_if_empty(holder)
save_counts()
return { 'executed', back + #returned, died }
