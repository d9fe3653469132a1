-- A heartbeat: the holder lives, and says what it has not opened yet: R5, R7, R8. Called for nothing else.

local node, epoch, lease_ms, max_losses = arg_node(), arg_number(1, MOST), arg_number(0, MOST), arg_number(1, 1000000)
local unopened = {}
for i = 1, arg_number(0, 100000) do
	unopened[i] = arg_text()
end

when_full(true)
local now = now_ms()
local last, back, died = enter(node, epoch, max_losses, now)
if not last then
	return { 'superseded', 0, 0, 0 }
end
local holder = node .. ':' .. digits(epoch)
local count_held = redis.call('HLEN', key('held:' .. holder))
redis.call('DEL', key('unopened:' .. holder))
if count_held > 0 then
	call_many('SADD', key('unopened:' .. holder), unopened)
	renew_deadline(holder, now + lease_ms)
end
save_counts()
return { 'executed', count_held, back, died }
