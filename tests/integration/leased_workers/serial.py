"""The seed's loop: BRPOP, compute for ITEM_TIME seconds, LPUSH."""
import os
import time

import redis

client = redis.Redis.from_url(os.environ["INPUT_REDIS_URL"])
queue, out = os.environ["INPUT_QUEUE"], os.environ["OUTPUT_QUEUE"]

while True:
    _, item = client.brpop(queue)
    time.sleep(float(os.environ.get("ITEM_TIME", "0")))
    client.lpush(out, int(item) ** 2)
