"""Redis' reliable-queue pattern: BLMOVE into a list of the worker's own; LREM in one MULTI with the result. What an earlier
life left in that list is worked on first."""
import os
import time

import redis

client = redis.Redis.from_url(os.environ["INPUT_REDIS_URL"])
queue, out = os.environ["INPUT_QUEUE"], os.environ["OUTPUT_QUEUE"]
mine = f"{queue}:processing:{os.environ['NODE_ID']}:{os.environ['INSTANCE_ID']}"


def finish(item):
    time.sleep(float(os.environ.get("ITEM_TIME", "0")))
    with client.pipeline() as pipeline:
        pipeline.lpush(out, int(item) ** 2)
        pipeline.lrem(mine, 1, item)
        assert pipeline.execute()[1] == 1


for left in client.lrange(mine, 0, -1):
    finish(left)
while True:
    item = client.blmove(queue, mine, 1, "RIGHT", "LEFT")
    if item is not None:
        finish(item)
