"""Leased delivery while Redis or the hub is away, many nodes at once, and how much of Redis the hub asks for."""
import random
import resource
import threading
import time

import pytest

from hub_client import expect
from lease_fixtures import Leasing, PASSWORD, leasing, make_redis, store  # noqa: F401
from lease_node import LOST, Node, Refused, done, failed, returned
from processes import wait_until


def payloads(items):
    return [item.payload for item in items]


# ---- Redis away ----

def test_redis_is_killed_and_comes_back(leasing):
    node, task = leasing.node(), leasing.add()
    leasing.store.push("abc")
    leasing.ready()
    a, b, c = node.take(task, 3)
    node.task()
    held = node.hold(task)
    time.sleep(0.2)
    leasing.store.kill()
    assert held.answer(2).status == "blocked"
    wait_until(lambda: "blocked" in leasing.progress(), 5)
    blocked = leasing.progress()["blocked"]
    assert str(leasing.store.port) in blocked and PASSWORD not in blocked
    assert node.lease(task, wait=5).status == "blocked"
    for call in (lambda: node.commit(task, done(a, ["LPUSH", "out", "A"])), lambda: node.inventory(task, 1, [a, b, c])):
        with pytest.raises(Refused) as refused:
            call()
        assert (refused.value.status, refused.value.code) == (503, "redis_unreachable")
    leasing.store.start()
    leasing.ready()
    assert node.commit(task, done(a, ["LPUSH", "out", "A"])) == [("accepted", None)]
    held = node.hold(task)
    time.sleep(0.3)
    leasing.store.push("d")
    assert payloads(held.answer().items) == [b"d"]
    assert node.commit(task, done([b, c], ["LPUSH", "out", "BC"])) == [("accepted", None)]
    leasing.sees(done=3, leased=1)


def test_after_redis_was_away_nobody_is_overdue(leasing):
    leasing.restart(lease_timeout=6)
    node, task = leasing.node(), leasing.add()
    leasing.store.push("a")
    leasing.ready()
    node.items(task)
    leasing.store.kill()
    time.sleep(7)
    leasing.store.start()
    leasing.ready()
    assert leasing.sees(leased=1)["lost"] == 0
    time.sleep(3)
    assert leasing.progress()["leased"] == 1
    leasing.sees(leased=0, lost=1, waiting=1, timeout=12)


def test_a_task_registered_while_redis_is_unreachable(make_hub, make_redis):
    store = make_redis(start=False)
    leasing = Leasing(make_hub().start(), store)
    node = leasing.node()
    task = leasing.add()  # 201
    wait_until(lambda: str(store.port) in leasing.progress().get("blocked", ""), 5)
    listed = next(entry for entry in leasing.hub.tasks()["tasks"] if entry["name"] == "t")
    assert str(store.port) in listed["progress"]["blocked"]
    assert node.lease(task).status == "blocked"
    expect(leasing.hub.get("/api/tasks/t/dead"), 503, "redis_unreachable")
    store.start()
    store.push("a")
    leasing.ready()
    assert payloads(node.items(task)) == [b"a"]
    leasing.close()


def test_a_wrong_password_blocks_with_the_reason(leasing):
    leasing.add(input_redis=leasing.store.url.replace(PASSWORD, "hunter2-wrong"))
    blocked = wait_until(lambda: leasing.progress().get("blocked"), 5)
    wait_until(lambda: "password" in leasing.progress()["blocked"].lower() or "WRONGPASS" in leasing.progress()["blocked"], 5, blocked)
    assert "hunter2" not in leasing.progress()["blocked"]


def test_an_input_queue_of_another_type_blocks_with_the_reason(leasing):
    node = leasing.node()
    leasing.store.client.set("in", "a string")
    task = leasing.add()
    wait_until(lambda: "WRONGTYPE" in leasing.progress().get("blocked", ""), 5)
    assert node.lease(task, wait=2).status in ("blocked", "empty")
    leasing.store.client.delete("in")
    leasing.store.push("a")
    leasing.ready()
    assert payloads(node.items(task)) == [b"a"]


def test_a_full_redis_refuses_commits_with_503_and_takes_them_later(leasing):
    node, task = leasing.node(), leasing.add()
    leasing.store.push("ab")
    leasing.ready()
    a, b = node.take(task, 2)
    leasing.store.client.config_set("maxmemory", "1mb")
    with pytest.raises(Refused) as refused:
        node.commit(task, done(a, ["LPUSH", "out", "A"]))
    assert (refused.value.status, refused.value.code) == (503, "redis_refused")
    assert node.commit(task, returned(b)) == [("accepted", None)]
    blocked = leasing.progress()["blocked"]  # who looks at the task sees why its count rests
    assert blocked.startswith("results wait at the nodes") and "maxmemory" in blocked
    leasing.store.client.config_set("maxmemory", "0")
    assert node.commit(task, done(a, ["LPUSH", "out", "A"])) == [("accepted", None)]
    assert "blocked" not in leasing.progress()


# ---- which Redis ----

def test_the_hubs_own_redis_is_the_default(make_hub, store):
    leasing = Leasing(make_hub().start(redis_url=store.url), store)
    node = leasing.node()
    task = leasing.add(input_redis=None)
    leasing.ready()
    store.push("a")
    assert payloads(node.items(task)) == [b"a"]
    assert str(store.port) not in str(node.task())  # the address stays with the hub
    leasing.close()


def test_without_a_redis_a_leased_task_is_refused(make_hub):
    hub = make_hub().start()
    answer = hub.post("/api/tasks", {"name": "t", "image": "i", "input_queue": "in", "output_queue": "out"})
    expect(answer, 400, "bad_request", "redis_url")
    assert hub.queue() == (None, [], [])


def test_redis_hosts_restrict_what_tasks_may_name(make_hub, store):
    hub = make_hub().start(redis_hosts=["*.example.org", "127.0.0.2"], redis_url=store.url)
    fields = {"image": "i", "input_queue": "in", "output_queue": "out"}
    for url in ("redis://127.0.0.1:1/0", "redis://example.org/0", "redis://a.example.org.evil/0"):
        expect(hub.post("/api/tasks", {"name": "t", "input_redis": url, **fields}), 403, "forbidden", "redis_hosts")
        expect(hub.post("/api/tasks", {"name": "t", "output_redis": url, **fields}), 403, "forbidden", "redis_hosts")
    expect(hub.post("/api/tasks", {"name": "own", **fields}), 201)  # the hub's own is always allowed
    expect(hub.post("/api/tasks", {"name": "t", "input_redis": "redis://x.example.org/0", **fields}), 201)


# ---- the hub away ----

def test_a_hub_killed_in_the_middle_changes_no_count(leasing):
    node, task = leasing.node(), leasing.add()
    leasing.store.push(range(50))
    leasing.ready()
    items = node.take(task, 30)
    node.commit(task, *(done(item, ["LPUSH", "out", item.payload]) for item in items[:10]), failed(items[10]))
    before = leasing.sees(done=10, failed=1, leased=19, waiting=21)
    leasing.restart(kill=True)
    after = leasing.sees(done=10, failed=1, leased=19, waiting=21)
    assert {k: v for k, v in before.items() if k not in ("rate", "eta")} == {k: v for k, v in after.items() if k not in ("rate", "eta")}
    assert node.lease(task, n=1).status in ("executed", "stale")  # its secret and epoch are still good
    results = node.commit(task, done(items[9], ["LPUSH", "out", "again"]),
                          *(done(item, ["LPUSH", "out", item.payload]) for item in items[11:]))
    assert results == [("duplicate", None)] + [("accepted", None)] * 19
    leasing.sees(done=29, duplicates=1, leased=0, waiting=21)
    assert leasing.store.client.llen("out") == 29


def test_a_hub_that_ends_answers_nothing_wrong(leasing):
    """Held calls end with the hub, and nothing was taken for them."""
    node, task = leasing.node(), leasing.add()
    leasing.ready()
    node.task()
    held = node.hold(task)
    time.sleep(0.2)
    leasing.hub.stop()
    with pytest.raises(LOST):
        held.answer()
    leasing.store.push("a")
    leasing.restart()
    leasing.ready()
    assert payloads(node.items(task)) == [b"a"]


def test_nothing_is_lost_or_repeated_while_hub_and_redis_are_killed(leasing):
    """Three nodes work through a queue; hub and Redis are killed again and again. The chaos test does more of this."""
    count, stop = 3000, threading.Event()
    task = leasing.add()
    leasing.store.push(range(count))
    leasing.ready()
    errors = []

    def work(node):
        try:
            while not stop.is_set():
                lease = node.patiently(node.lease, task, most=20, wait=1)
                if lease.status != "executed":
                    stop.wait(0.1)
                    continue
                node.patiently(node.commit, task, *(done(item, ["LPUSH", "out", item.payload]) for item in lease.items))
        except Exception as error:  # pylint: disable=broad-except
            errors.append(error)
    threads = [threading.Thread(target=work, args=(leasing.node(),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    plan = random.Random(4)
    for _ in range(6):
        time.sleep(plan.uniform(0.2, 0.8))
        if plan.random() < 0.5:
            leasing.hub.kill()
            leasing.hub.start()
        else:
            leasing.store.kill()
            leasing.store.start()
    try:
        leasing.ready()
        leasing.sees(waiting=0, leased=0, timeout=60)
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
    assert not errors
    out = leasing.store.list()
    assert len(out) == count and sorted(map(int, out)) == list(range(count))
    assert leasing.progress()["done"] == count


# ---- many, and how much is asked ----

@pytest.mark.alone
def test_two_thousand_held_calls_are_woken_once_each(leasing):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 8192)), hard))
    task = leasing.add()
    leasing.ready()
    nodes = [leasing.node() for _ in range(2000)]
    version = leasing.hub.version()
    for node in nodes:
        node.version = version
        node.close()  # a held call has a connection of its own
    held = [node.hold(task, wait=60) for node in nodes]
    time.sleep(1)
    assert all(call.waiting() for call in held)
    takes = lambda: int(leasing.store.client.info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0))  # noqa: E731
    before = takes()
    begun = time.monotonic()
    leasing.store.push(range(len(nodes)))
    leases = [call.answer(60) for call in held]
    print(f"2000 wake-ups in {time.monotonic() - begun:.2f} s, {takes() - before} scripts")
    assert all(lease.status == "executed" for lease in leases if lease.items)
    got = sorted(int(payload) for lease in leases for payload in payloads(lease.items))
    assert len(got) == len(set(got))
    assert takes() - before < 2 * len(nodes) + 100


def test_an_idle_hub_looks_at_redis_once_a_second(leasing):
    node, task = leasing.node(), leasing.add()
    for i in range(20):
        leasing.add(f"later-{i}", input_queue=f"in-{i}")
    leasing.ready()
    node.task()
    held = node.hold(task)
    time.sleep(2)

    def commands():
        stats = leasing.store.client.info("commandstats")
        return {name[8:]: entry["calls"] for name, entry in stats.items() if name[8:] in ("evalsha", "eval", "blmove", "get")}
    before = commands()
    time.sleep(10)
    after = commands()
    asked = {name: after[name] - before.get(name, 0) for name in after}
    # a look per second of the running task, one in ten seconds of each waiting one, a reap in five seconds
    assert asked["blmove"] <= 1 and asked["evalsha"] + asked["eval"] <= 10 + 2 * 20 + 2 + 3, asked
    assert held.waiting()
    held.close()


def test_progress_has_all_its_numbers_in_list_and_details(leasing):
    node, task = leasing.node(), leasing.add(max_attempts=1)
    leasing.store.push(range(10))
    leasing.ready()
    items = node.take(task, 5)
    node.commit(task, done(items[0], ["LPUSH", "out", "x"]), done(items[1]), failed(items[2]), returned(items[3]))
    node.commit(task, done(items[0], ["LPUSH", "out", "x"]))
    progress = leasing.sees(total=10, waiting=6, leased=1, done=2, failed=1, empty=1, dead=1, duplicates=1, lost=0, returned=1)
    assert set(progress) == {"total", "waiting", "leased", "done", "failed", "empty", "dead", "duplicates", "lost", "returned",
                             "rate", "eta"}
    listed = next(entry for entry in leasing.hub.tasks()["tasks"] if entry["name"] == "t")["progress"]
    assert {name: value for name, value in listed.items() if name not in ("rate", "eta")} == \
        {name: value for name, value in progress.items() if name not in ("rate", "eta")}
    for _ in range(3):
        time.sleep(1)
        node.commit(task, *(done(item, ["LPUSH", "out", "x"]) for item in node.take(task, 1)))
    progress = wait_until(lambda: leasing.progress()["rate"] > 0 and leasing.progress(), 10)
    assert 0 < progress["rate"] < 20 and 0 < progress["eta"] < 1000
