"""Redis dies under a direct task: containers fail or wait as they were written to, and the work goes on when it is back."""
import os
import signal
import subprocess

import pytest
from conftest import RedisServer
from hub_client import expect
from node_fixtures import add_task, make_node, node, wait_for_containers, worker_image, worker_program  # noqa: F401
from processes import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("worker_image")]


class DurableRedis(RedisServer):
    """Every write is on the disk before it is answered; may be killed and started again in the same place."""

    def __init__(self, directory, gateway):
        super().__init__(directory, gateway)
        self.client.config_set("appendfsync", "always")
        self.client.config_set("appendonly", "yes")
        wait_until(lambda: not self.client.info("persistence")["aof_rewrite_in_progress"], 10, "the first append file")
        self.command = self.process.args
        self.command[self.command.index("--appendonly") + 1] = "yes"
        self.command += ["--appendfsync", "always"]

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def start(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        wait_until(self.answers, 10, "redis-server's return")


@pytest.fixture
def durable_redis(engine, directory):
    path = directory / "durable"
    path.mkdir()
    server = DurableRedis(path, engine.gateway)
    yield server
    server.stop()


def test_redis_killed_and_back_is_a_failure_and_a_recovery(hub, node, durable_redis, engine):
    add_task(hub, durable_redis, "work")
    wait_for_containers(engine, node)
    durable_redis.client.lpush("work:in", *range(3000))
    wait_until(lambda: durable_redis.client.llen("work:out") > 100, 20, "work under way")
    durable_redis.kill()
    # Each worker ends when Redis does, and none can start: the person at the hub reads why.
    wait_until(lambda: hub.node(node.id)["runtime_status"] == "Error", 20, "Error at the hub")
    assert "no connection to Redis" in wait_until(
        lambda: (lambda e: e and "Redis" in e and e)(hub.node(node.id)["error"]), 20, "the workers' words")
    assert node.daemon.running() and hub.node(node.id)["status"] == "Online"
    expect(hub.get("/health"), 200)

    durable_redis.start()
    waiting = durable_redis.client.llen("work:in")
    done = durable_redis.client.llen("work:out")
    assert waiting + done >= 3000 - 2  # two were in a worker's hands: direct delivery loses them, leases will not
    wait_until(lambda: hub.node(node.id)["runtime_status"] == "Running", 60, "recovery")
    wait_until(lambda: durable_redis.client.llen("work:out") == waiting + done, 30, "every item that Redis kept")
    results = list(map(int, durable_redis.client.lrange("work:out", 0, -1)))
    assert len(set(results)) == len(results)


def test_redis_that_hangs_is_waited_for(hub, node, redis_server, engine):
    """A BRPOP waits; nothing is lost, no container starts anew."""
    add_task(hub, redis_server, "work")
    before = wait_for_containers(engine, node)
    pid = redis_server.process.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        hub.add("other")  # the hub does not mind
        wait_until(lambda: hub.node(node.id)["runtime_status"] == "Running", 5, "Running")
    finally:
        os.kill(pid, signal.SIGCONT)
    redis_server.client.lpush("work:in", *range(500))
    wait_until(lambda: redis_server.client.llen("work:out") == 500, 20, "the results")
    assert engine.running_pids(node=node.id) == before
