"""Fails with every item that is no even number, and says why on standard error."""
import os
import sys

import redis

client = redis.Redis.from_url(os.environ["INPUT_REDIS_URL"])
queue, out = os.environ["INPUT_QUEUE"], os.environ["OUTPUT_QUEUE"]

while True:
    _, item = client.brpop(queue)
    if not item.isdigit() or int(item) % 2:
        print("this one is odd:", item, file=sys.stderr, flush=True)
        sys.exit(7)
    client.lpush(out, int(item) ** 2)
