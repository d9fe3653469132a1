"""Four threads, each with a connection of its own, in one process."""
import os
import threading
import time

import redis

queue, out = os.environ["INPUT_QUEUE"], os.environ["OUTPUT_QUEUE"]


def work():
    client = redis.Redis.from_url(os.environ["INPUT_REDIS_URL"])
    while True:
        _, item = client.brpop(queue)
        time.sleep(float(os.environ.get("ITEM_TIME", "0")))
        client.lpush(out, int(item) ** 2)


for _ in range(4):
    threading.Thread(target=work).start()
