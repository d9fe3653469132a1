"""Pushes the items, and counts the results, in a thread of its own: a Redis that is away or paused holds nobody else up."""
import threading
import time

import redis


class Feeder:
    def __init__(self, client, items):
        self.client, self.items = client, items
        self.ceiling = 1
        self.pushed = self.done = 0   # as last seen
        self.failure = None
        self.ended = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.ended:
            try:
                self.pushed = self.items.push_more(self.client, self.ceiling)
                self.done = self.client.llen(self.items.output)
            except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError):
                self.client.connection_pool.disconnect()
            except redis.exceptions.RedisError as error:  # it loads its data
                self.failure = error
            time.sleep(0.01)

    def close(self):
        self.ended = True
        self.thread.join(10)
        self.client.close()
