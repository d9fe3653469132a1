"""RPOP until it says that nothing is there; then notes that, and ends."""
import os
import time

import redis

client = redis.Redis.from_url(os.environ["INPUT_REDIS_URL"])
queue, out = os.environ["INPUT_QUEUE"], os.environ["OUTPUT_QUEUE"]

while (item := client.rpop(queue)) is not None:
    time.sleep(float(os.environ.get("ITEM_TIME", "0")))
    client.lpush(out, int(item) ** 2)
client.lpush(f"{out}:ends", os.environ["INSTANCE_ID"])
