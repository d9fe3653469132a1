"""What the tests of leased delivery share: a Redis that may be killed, a hub, and nodes."""
import subprocess

import pytest
import redis

from conftest import free_port
from lease_node import Node
from processes import wait_until

PASSWORD = "hunter2-lease"


class DurableRedis:
    """A redis-server that keeps what it has said, over kill -9; its port stays."""

    def __init__(self, directory, *arguments):
        self.directory = directory
        self.arguments = arguments
        self.port = free_port()
        self.process = None
        self.client = redis.Redis(port=self.port, password=PASSWORD)

    def start(self, wait=True):
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes",
             "--appendfsync", "always", "--dir", str(self.directory), "--requirepass", PASSWORD, "--logfile", "redis.log",
             *self.arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if wait:
            wait_until(self.answers, 20, "redis-server's first answer")
        return self

    def answers(self):
        try:
            return self.client.ping()
        except redis.exceptions.RedisError:
            assert self.process.poll() is None, "redis-server ended"
            return False

    @property
    def url(self):
        return f"redis://:{PASSWORD}@127.0.0.1:{self.port}/0"

    def kill(self):
        self.process.kill()
        self.process.wait(10)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)
        self.client.close()

    # ---- what a producer and a consumer do ----

    def push(self, items, queue="in"):
        """Equal to a producer's: the first one is popped first."""
        items = list(items)
        for first in range(0, len(items), 1000):
            self.client.lpush(queue, *items[first:first + 1000])

    def list(self, queue="out"):
        """In the order of LPUSH."""
        return self.client.lrange(queue, 0, -1)[::-1]


@pytest.fixture
def make_redis(directory):
    servers = []

    def make(*arguments, start=True):
        path = directory / f"redis-{len(servers)}"
        path.mkdir()
        servers.append(DurableRedis(path, *arguments))
        return servers[-1].start() if start else servers[-1]
    yield make
    for server in servers:
        server.stop()


@pytest.fixture
def store(make_redis):
    return make_redis()


class Leasing:
    """A hub with a Redis, and the calls that most tests begin with."""

    def __init__(self, hub, store):
        self.hub, self.store = hub, store
        self.nodes = []

    def node(self, **fields):
        node = Node(lambda: self.hub.port, hostname=f"node-{len(self.nodes)}")
        node.register(**fields)
        self.nodes.append(node)
        return node

    def add(self, name="t", **fields):
        """A task's id."""
        fields = {"input_queue": "in", "output_queue": "out", "input_redis": self.store.url, **fields}
        return self.hub.add(name, **fields)["id"]

    def progress(self, name="t"):
        return self.hub.get(f"/api/tasks/{name}").json.get("progress", {})

    def task(self, name="t"):
        return self.hub.get(f"/api/tasks/{name}").json

    def ready(self, name="t"):
        """The task's Redis answers."""
        return wait_until(lambda: "waiting" in self.progress(name) and "blocked" not in self.progress(name), 10, "a look at Redis")

    def sees(self, name="t", timeout=10, **numbers):
        """Waits until its progress has these numbers."""
        def look():
            progress = self.progress(name)
            return all(progress.get(field) == number for field, number in numbers.items()) and progress
        try:
            return wait_until(look, timeout)
        except AssertionError:
            raise AssertionError(f"wanted {numbers}, is {self.progress(name)}") from None

    def restart(self, kill=False, **config):
        if kill:
            self.hub.kill()
        self.hub.restart(**config)
        self.close()  # their connections ended with it

    def close(self):
        for node in self.nodes:
            node.close()


@pytest.fixture
def leasing(make_hub, store):
    leasing = Leasing(make_hub().start(), store)
    yield leasing
    leasing.close()
