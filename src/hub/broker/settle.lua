-- Brings what waits back into the input list after a task's end: R8, R12. Called at the end, and after each reap until no
-- holder is left.

local pop = arg_text()
if pop ~= 'left' and pop ~= 'right' then
	error('IDM pop is left or right')
end

local MOST_AT_ONCE = 1000
local push = pop == 'left' and 'LPUSH' or 'RPUSH'
redis.call('LLEN', input) -- is it a list? asked before anything changes

when_full(true)
local moved = 0

-- The last to be taken goes first, so that the first ends at the pop end.
local arrived = redis.call('LPOP', key('arrived'), MOST_AT_ONCE)
if arrived then
	call_many(push, input, arrived)
	moved = #arrived
end

local holders = redis.call('ZCARD', key('holders'))
local ids = holders == 0 and moved < MOST_AT_ONCE and redis.call('RPOP', key('retry'), MOST_AT_ONCE)
if ids then
	local payloads = {}
	for _, id in ipairs(ids) do
		payloads[#payloads + 1] = redis.call('HGET', key('items'), id) or nil
	end
	call_many(push, input, payloads)
	call_many('HDEL', key('items'), ids)
	forget(ids)
	moved = moved + #payloads
end
local left = redis.call('LLEN', key('arrived')) + (holders == 0 and redis.call('LLEN', key('retry')) or 0)
return { holders, moved, left > 0 and 1 or 0 }
