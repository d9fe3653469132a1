"""A parent with CHILDREN children, each with CONNECTIONS connections; each 20th item kills its child at the first attempt."""
import os
import pathlib
import time

import redis

queue, out = os.environ["INPUT_QUEUE"], os.environ["OUTPUT_QUEUE"]


def work():
    source = redis.Redis.from_url(os.environ["INPUT_REDIS_URL"])
    target = redis.Redis.from_url(os.environ["OUTPUT_REDIS_URL"]) if os.environ["CONNECTIONS"] == "2" else source
    while True:
        _, item = source.brpop(queue)
        mark = pathlib.Path(f"died-{int(item)}")  # each worker has a folder of its own
        time.sleep(0.01)
        if int(item) % 20 == 0 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), 9)
        target.lpush(out, int(item) ** 2)


children = 0
while True:
    while children < int(os.environ["CHILDREN"]):
        if os.fork() == 0:
            work()
        children += 1
    os.wait()
    children -= 1
