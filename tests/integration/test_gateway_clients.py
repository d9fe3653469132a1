"""Real clients through a gateway, unchanged: each item's result comes once, whatever they pipeline, and whatever kills them."""
import json
import signal
import subprocess
import threading
import time

import pytest
import redis

from processes import daemon_environment

ITEMS = 500
SQUARES = sorted(n * n for n in range(ITEMS))


class Host:
    """A run of gateway_host: a gateway whose hub hands out the numbers 0 … N-1."""

    def __init__(self, build, items, delay_ms=0):
        self.process = subprocess.Popen([build / "tests/gateway_host", str(items), str(delay_ms)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=daemon_environment())
        self.url = self.process.stdout.readline().strip()

    def end(self, how):
        self.process.stdin.write(f"end {how}\n")
        self.process.stdin.flush()
        self.url = self.process.stdout.readline().strip()

    def report(self):
        self.process.stdin.write("report\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def settled(self, done=ITEMS):
        deadline = time.monotonic() + 20
        while (report := self.report())["done"] < done and time.monotonic() < deadline:
            time.sleep(0.02)
        return report

    def close(self):
        _, log = self.process.communicate(timeout=20)
        assert self.process.returncode == 0, log
        assert "runtime error" not in log and "Sanitizer" not in log, log


@pytest.fixture
def host(build):
    host = Host(build, ITEMS)
    yield host
    host.close()


def assert_all_once(host):
    report = host.settled()
    assert sorted(map(int, report["results"])) == SQUARES
    assert report["done"] == ITEMS and report["duplicates"] == 0
    return report


def work(url, stop_at_none=True):
    link = redis.Redis.from_url(url)
    while (got := link.brpop("in", timeout=1)) is not None:
        assert link.lpush("out", int(got[1]) ** 2) == 1


def test_redis_py(host):
    work(host.url)
    host.end("exited")
    assert_all_once(host)


def test_redis_py_with_a_delay_to_the_hub_prefetches(build):
    host = Host(build, ITEMS, 25)
    started = time.monotonic()
    work(host.url)
    took = time.monotonic() - started
    host.end("exited")
    report = assert_all_once(host)
    host.close()
    assert report["leases"] < ITEMS / 4 and took < ITEMS * 0.025, (report["leases"], took)


def test_redis_py_multi_pipelines(host):
    link = redis.Redis.from_url(host.url)
    got = link.brpop("in", timeout=1)
    item = got and got[1]
    while item is not None:
        with link.pipeline() as pipeline:  # MULTI … EXEC
            pipeline.lpush("out", int(item) ** 2)
            pipeline.rpop("in")
            _, item = pipeline.execute()
    host.end("exited")
    assert_all_once(host)


def test_redis_py_pipelines_without_multi(host):
    link = redis.Redis.from_url(host.url)
    item = link.rpop("in")
    while item is not None:
        pipeline = link.pipeline(transaction=False)
        pipeline.lpush("out", int(item) ** 2)
        pipeline.rpop("in")
        item = pipeline.execute()[1]
    host.end("exited")
    assert_all_once(host)


def test_redis_py_reliable_queue(host):
    link = redis.Redis.from_url(host.url)
    assert link.lrange("mine", 0, -1) == []
    while (item := link.blmove("in", "mine", 1, "RIGHT", "LEFT")) is not None:
        with link.pipeline() as pipeline:
            pipeline.lpush("out", int(item) ** 2)
            pipeline.lrem("mine", 1, item)
            assert pipeline.execute() == [1, 1]
    host.end("exited")
    assert_all_once(host)


def test_redis_py_four_threads(host):
    threads = [threading.Thread(target=work, args=(host.url,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    host.end("exited")
    assert_all_once(host)


def test_redis_py_asks_for_the_length_and_leaves_at_0(host):
    link = redis.Redis.from_url(host.url)
    while link.llen("in") > 0:
        items = link.rpop("in", 10) or []
        link.rpush("out", *[int(item) ** 2 for item in items])
    host.end("exited")
    assert_all_once(host)


def test_redis_cli(build):
    host = Host(build, 20)
    script = 'while item=$(redis-cli -u "$0" rpop in) && [ -n "$item" ]; do redis-cli -u "$0" lpush out $((item*item)); done'
    subprocess.run(["sh", "-c", script, host.url], check=True, timeout=60, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    host.end("exited")
    report = host.settled(20)
    host.close()
    assert sorted(map(int, report["results"])) == [n * n for n in range(20)] and report["duplicates"] == 0


def test_hiredis(build, host):
    workers = [subprocess.Popen([build / "tests/gateway_worker", host.url]) for _ in range(3)]
    assert [worker.wait(60) for worker in workers] == [0, 0, 0]
    host.end("exited")
    assert_all_once(host)


def test_killed_workers_lose_and_repeat_nothing(build, host):
    for _ in range(15):
        worker = subprocess.Popen([build / "tests/gateway_worker", host.url], stderr=subprocess.DEVNULL)
        time.sleep(0.03)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        host.end("failed")
    subprocess.run([build / "tests/gateway_worker", host.url], check=True, timeout=60)
    host.end("exited")
    assert_all_once(host)
