#!/usr/bin/env python3
"""A worker as one writes it for IDM-GridCore: pops an item, computes, pushes the result, for ever.

IDM-GridCore starts it once per CPU, in a container, with its queues in the environment. The items here are whole
numbers, and a result is {"n": n, "square": n * n, …}.
"""
import json
import os
import signal
import sys
import time

import redis

INPUT_QUEUE = os.environ["INPUT_QUEUE"]
OUTPUT_QUEUE = os.environ["OUTPUT_QUEUE"]

stopping = False


def on_stop(signal_number, frame):
    """The container is to end: finish the item in work, and take no other."""
    global stopping
    stopping = True


def connect(url):
    # Without a time limit a server that vanished would be waited for for ever. It must exceed the pop's own.
    return redis.Redis.from_url(url, socket_timeout=15, socket_connect_timeout=5, health_check_interval=30)


def compute(item):
    """Your work. What it raises becomes an error result, so that no item vanishes without a trace."""
    n = int(item)
    return {"n": n, "square": n * n}


def handle(item):
    try:
        result = compute(item)
    except Exception as error:
        result = {"item": item.decode(errors="replace"), "error": f"{type(error).__name__}: {error}"}
    result["worker"] = f"{os.environ.get('NODE_ID', 'here')}/{os.environ.get('INSTANCE_ID', '0')}"
    return json.dumps(result)


def retry(action):
    """Repeats a call until Redis answers; None if we are told to stop meanwhile."""
    pause = 0.1
    while True:
        try:
            return action()
        except (redis.ConnectionError, redis.TimeoutError) as error:
            print(f"redis: {error}", file=sys.stderr, flush=True)
            if stopping:
                return None
            time.sleep(pause)
            pause = min(pause * 2, 5)


def main():
    # The first process of a container has no default handlers: without these SIGTERM would do nothing.
    signal.signal(signal.SIGTERM, on_stop)
    signal.signal(signal.SIGINT, on_stop)
    source = connect(os.environ["INPUT_REDIS_URL"])
    target = connect(os.environ.get("OUTPUT_REDIS_URL") or os.environ["INPUT_REDIS_URL"])

    while not stopping:
        popped = retry(lambda: source.brpop(INPUT_QUEUE, timeout=1))
        if popped:
            result = handle(popped[1])
            retry(lambda: target.lpush(OUTPUT_QUEUE, result))


if __name__ == "__main__":
    main()
