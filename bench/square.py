#!/usr/bin/python3
"""The measured worker in Python, as its users write it with redis-py: BRPOP n, LPUSH n²."""
import os
import signal

import redis

signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
server = redis.Redis.from_url(os.environ["INPUT_REDIS_URL"])
input_queue, output_queue = os.environ["INPUT_QUEUE"], os.environ["OUTPUT_QUEUE"]
while True:
    _, item = server.brpop(input_queue)
    server.lpush(output_queue, int(item) ** 2)
