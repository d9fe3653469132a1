"""A redis-server with a password, on loopback, that keeps nothing: what tasks that are measured have their queues in."""
import secrets

import redis

from place import free_port, wait_until

CHUNK = 5000


class RedisServer:
    def __init__(self, place):
        self.password = secrets.token_hex(8)
        self.port = free_port()
        config = place.directory / "redis.conf"
        config.write_text(f'bind 127.0.0.1\nport {self.port}\nsave ""\nappendonly no\nrequirepass {self.password}\n'
                          f"dir {place.directory}\nlogfile redis.log\n")
        self.place = place
        self.process = place.spawn_command(["redis-server", config])
        self.pid = self.process.pid
        self.client = redis.Redis(port=self.port, password=self.password)
        wait_until(self.answers, 20, "redis-server's first answer")

    def answers(self):
        try:
            return self.client.ping()
        except redis.exceptions.RedisError:
            if self.process.poll() is not None:
                raise SystemExit("bench/run: redis-server ended") from None
            return False

    def url(self, port=None):
        return f"redis://:{self.password}@127.0.0.1:{port or self.port}/0"

    def fill(self, queue, count):
        """Whole numbers, the first one is popped first."""
        for first in range(0, count, CHUNK):
            self.client.lpush(queue, *range(first, min(first + CHUNK, count)))

    def drop(self, *queues):
        self.client.unlink(*queues)

    def end(self):
        self.client.close()
        self.place.end(self.process)
