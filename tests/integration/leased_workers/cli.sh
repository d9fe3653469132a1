#!/bin/sh
# A shell loop around redis-cli: a connection for each command.
while :; do
	item=$(redis-cli --no-auth-warning -u "$INPUT_REDIS_URL" BRPOP "$INPUT_QUEUE" 1 | tail -n 1)
	[ -z "$item" ] || redis-cli --no-auth-warning -u "$OUTPUT_REDIS_URL" LPUSH "$OUTPUT_QUEUE" $((item * item)) >/dev/null
done
