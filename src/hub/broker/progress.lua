-- How things stand, as names and numbers. Called when somebody looks, and for the nodes' LLEN; changes nothing.

local lengths = {
	input = redis.call('LLEN', input),
	arrived = redis.call('LLEN', key('arrived')),
	retry = redis.call('LLEN', key('retry')),
	outbox = redis.call('LLEN', key('outbox')),
}
local reply = {}

local function add(name, number)
	reply[#reply + 1] = name
	reply[#reply + 1] = number
end

for _, name in ipairs({ 'input', 'arrived', 'retry', 'outbox' }) do
	add(name, lengths[name])
end
add('waiting', lengths.input + lengths.arrived + lengths.retry)
add('leased', math.max(redis.call('HLEN', key('items')) - lengths.retry, 0))
add('dead', redis.call('HLEN', key('dead')))
add('holders', redis.call('ZCARD', key('holders')))
local stats = {}
local saved = redis.call('HGETALL', key('stats'))
for i = 1, #saved, 2 do
	stats[saved[i]] = tonumber(saved[i + 1])
end
for _, name in ipairs({ 'done', 'empty', 'failed', 'died', 'duplicates', 'lost', 'returned', 'loose' }) do
	add(name, stats[name] or 0)
end
return reply
