-- Takes the items from holders whose deadline has passed: R7, R8. Called every second.

local period_ms, start, max_losses = arg_number(1, MOST), arg_number(0, 1) == 1, arg_number(1, 1000000)

local AWAY_MS = 15000    -- since the last reap: hub, Redis or machine was away, or the clock jumped
local HOLDERS_MOST = 100 -- in one call, and no further holder after so many items
local ITEMS_MOST = 2000

when_full(true)
local now = now_ms()
local before = tonumber(redis.call('GET', key('reaped')) or 0)
redis.call('SET', key('reaped'), digits(now))

if start or now - before > AWAY_MS or now < before then
	local deadlines = {}
	for _, holder in ipairs(redis.call('ZRANGE', key('holders'), 0, -1)) do
		deadlines[#deadlines + 1] = digits(now + period_ms)
		deadlines[#deadlines + 1] = holder
	end
	call_many('ZADD', key('holders'), deadlines)
	return { 0, 0, 0, 0, #deadlines / 2, {} }
end

local due = redis.call('ZRANGEBYSCORE', key('holders'), '-inf', digits(now), 'LIMIT', 0, HOLDERS_MOST + 1)
local reaped, back, died = {}, 0, 0
for i = 1, math.min(#due, HOLDERS_MOST) do
	local more_back, more_died = release(due[i], max_losses, now)
	reaped[i] = due[i]
	back, died = back + more_back, died + more_died
	if back + died >= ITEMS_MOST then
		break
	end
end
save_counts()
return { #reaped, back, died, #due > #reaped and 1 or 0, redis.call('ZCARD', key('holders')), reaped }
