"""A parent with CHILDREN children; one that pops an item that ends with DIES_AT kills itself, at its first attempt."""
import os

import redis

queue, out = os.environ["INPUT_QUEUE"], os.environ["OUTPUT_QUEUE"]


def work():
    client = redis.Redis.from_url(os.environ["INPUT_REDIS_URL"])
    while True:
        _, item = client.brpop(queue)
        if int(item) % 10 == int(os.environ["DIES_AT"]) and not os.path.exists(f"died-{int(item)}"):
            open(f"died-{int(item)}", "w", encoding="ascii").close()  # the second attempt goes through
            os.kill(os.getpid(), 9)
        client.lpush(out, int(item) ** 2)


children = 0
while True:
    while children < int(os.environ["CHILDREN"]):
        if os.fork() == 0:
            work()
        children += 1
    os.wait()
    children -= 1
