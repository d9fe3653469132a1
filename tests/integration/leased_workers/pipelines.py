"""redis-py's pipeline() is MULTI … EXEC: here the results of an item and the pop of the next one come in one."""
import os

import redis

client = redis.Redis.from_url(os.environ["INPUT_REDIS_URL"])
queue, out = os.environ["INPUT_QUEUE"], os.environ["OUTPUT_QUEUE"]


def compute(item):
    """Pushes both results, and takes the next item."""
    n = int(item)
    with client.pipeline() as pipeline:
        pipeline.lpush(out, n * n)
        pipeline.hset(f"{out}:roots", n * n, n)
        pipeline.rpop(queue)
        pushed, _, following = pipeline.execute()
    assert pushed >= 1
    return following


while True:
    _, item = client.brpop(queue)
    while item is not None:
        item = compute(item)
