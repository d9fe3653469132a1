-- A cancelled task's queue is emptied: input list, dead letters, results and all keys of the broker. Called after settle, when no task
-- uses the queue any more. The first step drops what counts; what is unlinked Redis frees beside its work, so that it is a short one
-- however much there is. The other steps look through Redis for what else has the broker's prefix, so many keys in each.

local output = KEYS[3] -- '' where it is none, or on another Redis
local cursor = arg_text()
if not string.match(cursor, '^%d+$') then
	error('IDM the cursor is a number')
end
local KEYS_AT_ONCE = '1000'

redis.call('LLEN', input) -- is it a list? asked before anything changes
local holders = redis.call('ZCARD', key('holders'))
if holders > 0 then -- something is out: this is not the time
	return { holders, '0', 0, 0, 0 }
end

when_full(true)
local dropped, dead, results = 0, 0, 0
if cursor == '0' then
	dropped = redis.call('LLEN', input) + redis.call('LLEN', key('arrived')) + redis.call('HLEN', ITEMS)
	dead = redis.call('HLEN', key('dead'))
	redis.call('UNLINK', input, key('arrived'), ITEMS, key('retry'), key('dead'), key('dead_order'), key('attempts'),
		key('losses'), key('errors'), key('outbox'), key('outbox_items'))
	if output ~= '' then
		results = redis.call('TYPE', output).ok == 'list' and redis.call('LLEN', output) or 0
		redis.call('UNLINK', output, output .. ':idm:applied', output .. ':idm:refused', output .. ':idm:taken')
	end
end
local prefix = string.gsub(base, '[%*%?%[%]\\]', '\\%0')
local found = redis.call('SCAN', cursor, 'MATCH', prefix .. '*', 'COUNT', KEYS_AT_ONCE)
for _, name in ipairs(found[2]) do
	redis.call('UNLINK', name)
end
return { 0, found[1], dropped, dead, results }
