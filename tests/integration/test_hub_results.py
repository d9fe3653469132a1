"""A task's results read through the hub: by number, whatever comes and goes meanwhile, and in each form."""
import base64
import signal
import threading
import time

import pytest
import redis

from hub_client import Held, expect
from lease_fixtures import leasing, make_redis, store  # noqa: F401
from lease_node import decode, done
from processes import wait_until


def path(name="t", **query):
    return f"/api/tasks/{name}/results?" + "&".join(f"{key}={value}" for key, value in query.items())


def page(leasing, cursor=0, name="t", **query):
    return expect(leasing.hub.get(path(name, cursor=cursor, **query), timeout=70), 200).json


def take(leasing, upto, name="t", **fields):
    return expect(leasing.hub.post(f"/api/tasks/{name}/results/take", {"upto": upto, **fields}), 200).json["taken"]


def hold(leasing, cursor=0, wait=30, name="t", **query):
    connection = leasing.hub.connect()
    connection.request("GET", path(name, cursor=cursor, wait=wait, **query), headers=leasing.hub.headers())
    return Held(connection)


def write(store, *results, queue="out"):
    for result in results:
        store.client.lpush(queue, result)


@pytest.fixture
def task(leasing):
    leasing.add()
    return leasing


# ---- pages ----

def test_pages_by_number(task):
    assert page(task) == {"cursor": 0, "next": 0, "total": 0, "complete": False, "results": []}
    write(task.store, *range(10))
    assert page(task, max=3) == {"cursor": 0, "next": 3, "total": 10, "complete": False, "results": ["0", "1", "2"]}
    write(task.store, 10)
    assert page(task, 3, max=2)["results"] == ["3", "4"]
    assert page(task, 9) == {"cursor": 9, "next": 11, "total": 11, "complete": False, "results": ["9", "10"]}
    assert page(task, 11)["results"] == [] and page(task, 99)["next"] == 11


def test_workers_that_write_at_the_right_end(task):
    task.store.client.rpush("out", *range(5))
    assert page(task, 1, max=2, writer="right")["results"] == ["1", "2"]
    assert take(task, 2, writer="right") == 2
    assert page(task, writer="right") == {"cursor": 2, "next": 5, "total": 5, "complete": False, "results": ["2", "3", "4"]}


def test_what_was_taken_keeps_its_numbers(task):
    write(task.store, *range(10))
    assert [take(task, upto) for upto in (4, 4, 2, 0)] == [4] * 4
    assert page(task, max=2) == {"cursor": 4, "next": 6, "total": 10, "complete": False, "results": ["4", "5"]}
    assert take(task, 1000) == 10
    assert page(task) == {"cursor": 10, "next": 10, "total": 10, "complete": False, "results": []}
    write(task.store, "new")
    assert page(task, 10)["results"] == ["new"]
    assert task.store.client.get("out:idm:taken") == b"10"


def test_many_are_taken_in_one_call(task):
    pipe = task.store.client.pipeline(transaction=False)
    for first in range(0, 250_000, 5000):
        pipe.lpush("out", *range(first, first + 5000))
    pipe.execute()
    assert take(task, 249_990) == 249_990
    assert page(task)["results"] == [str(i) for i in range(249_990, 250_000)]


def test_ten_thousand_at_once_and_no_more(task):
    task.store.client.lpush("out", *range(25_000))
    got = []
    while len(got) < 25_000:
        answer = page(task, len(got), max=10_000)
        assert len(answer["results"]) == min(10_000, 25_000 - len(got)) and answer["cursor"] == len(got)
        got += answer["results"]
    assert got == [str(i) for i in range(25_000)]
    expect(task.hub.get(path(max=10_001)), 400, "bad_request")


def test_pages_keep_to_their_bytes(task):
    write(task.store, b"a" * 1000, b"b" * 1000, b"c" * 1000, b"d" * (9 << 20), b"e")
    assert page(task, bytes=2500)["next"] == 2
    assert page(task, bytes=1)["next"] == 1
    assert page(task, 3, bytes=1000)["results"] == ["d" * (9 << 20)]
    assert page(task, 2, bytes=8 << 20)["next"] == 3
    expect(task.hub.get(path(bytes=(8 << 20) + 1)), 400, "bad_request")


# ---- forms ----

ODD = [bytes(range(256)), b"", b"plain", b"with\nnewline", b"with\0NUL", b"\xff\xfe", "ünïcode".encode(), b'"\\']


def test_any_bytes_survive(task):
    write(task.store, *ODD)
    answer = expect(task.hub.get(path(format="resp")), 200)
    assert answer.headers["Content-Type"] == "application/x-resp"
    assert decode(answer.body) == [0, len(ODD), len(ODD), 0, ODD]
    results = page(task)["results"]
    assert [base64.b64decode(r["base64"]) if isinstance(r, dict) else r.encode() for r in results] == ODD
    assert [isinstance(r, dict) for r in results] == [True, False, False, False, True, True, False, False]


def test_lines_and_nul_with_numbers_in_headers(task):
    write(task.store, "a", "b\nc", "d")
    for form, body in (("lines", b"a\nb\nc\n"), ("nul", b"a\0b\nc\0")):
        answer = expect(task.hub.get(path(format=form, max=2)), 200)
        assert answer.body == body
        assert [answer.headers[f"X-Idm-{name}"] for name in ("First", "Next", "Total", "Complete")] == ["0", "2", "3", "0"]
        assert expect(task.hub.get(path(format=form, cursor=3)), 200).body == b""
    assert decode(expect(task.hub.get(path(format="resp", cursor=3)), 200).body) == [3, 3, 3, 0, []]


# ---- waiting ----

def test_a_wait_ends_with_the_first_result(task):
    held = hold(task)
    time.sleep(1.5)
    assert held.waiting()
    write(task.store, "from elsewhere")
    assert held.answer().json["results"] == ["from elsewhere"]
    assert held.took < 1.5 + 2


def test_a_commit_of_this_hub_wakes_at_once(leasing):
    node, task = leasing.node(), leasing.add()
    leasing.store.push(["a", "b", "c", "d"])
    leasing.ready()
    took = []
    for number, item in enumerate(node.take(task, 4)):
        held = hold(leasing, number)
        time.sleep(0.2)
        assert held.waiting()
        begun = time.monotonic()
        node.commit(task, done(item, ["LPUSH", "out", b"result of " + item.payload]))
        assert held.answer().json["results"] == ["result of " + item.payload.decode()]
        took.append(time.monotonic() - begun)
    assert min(took) < 0.2 and sum(took) < 2, took  # a look a second would take two


def test_a_wait_ends_in_time_with_an_empty_page(task):
    write(task.store, "a")
    begun = time.monotonic()
    assert page(task, 1, wait=2) == {"cursor": 1, "next": 1, "total": 1, "complete": False, "results": []}
    assert 1.9 < time.monotonic() - begun < 4.5
    begun = time.monotonic()
    assert page(task, 0, wait=20)["results"] == ["a"]
    assert time.monotonic() - begun < 2


def test_many_wait_at_the_cost_of_one(task):
    page(task)
    held = [hold(task) for _ in range(100)]
    time.sleep(1.2)
    before = task.store.client.info("stats")["total_commands_processed"]
    time.sleep(3)
    # Looks of the queue, reaping, and one for all who wait: commands inside of scripts are counted too.
    assert task.store.client.info("stats")["total_commands_processed"] - before < 150
    write(task.store, "for all")
    for one in held:
        assert one.answer().json["results"] == ["for all"]


def test_a_reader_that_goes_is_let_go(task):
    before = None
    for _ in range(3):
        held = [hold(task) for _ in range(20)]
        time.sleep(0.2)
        for one in held:
            one.close()
        time.sleep(2.5)
        now = task.hub.daemon.descriptors()
        assert before is None or now <= before
        before = now


def test_a_reader_that_goes_while_redis_is_asked(task):
    write(task.store, "a")
    page(task)
    task.store.process.send_signal(signal.SIGSTOP)
    held = [hold(task) for _ in range(3)]
    time.sleep(0.3)
    for one in held:
        one.close()
    time.sleep(1.5)  # the hub has noticed
    task.store.process.send_signal(signal.SIGCONT)
    assert page(task)["results"] == ["a"]


def test_a_reader_that_reads_slowly_gets_everything(task):
    task.store.client.lpush("out", *[b"s" * 100_000] * 80)
    connection = task.hub.connect(60)
    connection.request("GET", path(max=10_000, bytes=8 << 20, format="nul"), headers=task.hub.headers())
    response = connection.getresponse()
    got = 0
    while piece := response.read(400_000):
        got += len(piece)
        time.sleep(0.1)
        expect(task.hub.get("/health"), 200)
    assert got == 80 * 100_001
    connection.close()


# ---- the end ----

def test_complete_is_told_when_nothing_can_come_any_more(leasing):
    node, task = leasing.node(), leasing.add()
    leasing.store.push(["a", "b"])
    leasing.ready()
    items = node.take(task, 2)
    node.commit(task, done(items[0], ["LPUSH", "out", "1"]))
    assert page(leasing) == {"cursor": 0, "next": 1, "total": 1, "complete": False, "results": ["1"]}
    leasing.hub.finish()
    assert not page(leasing, 1)["complete"]  # one is still out
    node.commit(task, done(items[1], ["LPUSH", "out", "2"]))
    held = hold(leasing, 2)
    node.leave(task)
    answer = held.answer(20).json
    assert answer == {"cursor": 2, "next": 2, "total": 2, "complete": True, "results": []}
    assert page(leasing) == {"cursor": 0, "next": 2, "total": 2, "complete": True, "results": ["1", "2"]}
    assert not page(leasing, max=1)["complete"]
    begun = time.monotonic()
    assert page(leasing, 2, wait=30)["complete"] and time.monotonic() - begun < 3
    leasing.restart()
    assert page(leasing) == {"cursor": 0, "next": 2, "total": 2, "complete": True, "results": ["1", "2"]}
    assert take(leasing, 1) == 1 and page(leasing)["results"] == ["2"]


def test_a_direct_task_is_read_too(leasing):
    leasing.hub.add("direct", delivery="direct", input_redis=leasing.store.url, input_queue="in", output_queue="out")
    write(leasing.store, "a")
    assert page(leasing, name="direct")["results"] == ["a"]
    held = hold(leasing, 1, name="direct")
    time.sleep(0.3)
    leasing.hub.finish()
    assert held.answer().json["complete"]
    assert page(leasing, name="direct")["complete"]


def test_an_output_elsewhere_is_read_where_it_is(leasing, make_redis):
    other = make_redis()
    node, task = leasing.node(), leasing.add(output_redis=other.url)
    leasing.store.push(["a"])
    leasing.ready()
    held = hold(leasing)
    time.sleep(0.3)
    (item,) = node.take(task, 1)
    begun = time.monotonic()
    node.commit(task, done(item, ["LPUSH", "out", "there"]))
    assert held.answer().json["results"] == ["there"]
    assert time.monotonic() - begun < 5
    assert other.list() == [b"there"] and take(leasing, 1) == 1 and other.client.get("out:idm:taken") == b"1"
    leasing.hub.finish()
    node.leave(task)
    assert wait_until(lambda: page(leasing)["complete"], 20)


# ---- refusals ----

def test_what_cannot_be_read(leasing):
    leasing.add("t")
    leasing.add("silent", input_queue="in2", output_queue=None)
    for query in ({"cursor": "x"}, {"cursor": -1}, {"max": 0}, {"bytes": 0}, {"wait": 61}, {"format": "xml"}, {"writer": "up"}):
        expect(leasing.hub.get(path(**query)), 400, "bad_request")
    expect(leasing.hub.get(path("nobody")), 404, "not_found")
    expect(leasing.hub.get(path("silent")), 400, "bad_state")
    expect(leasing.hub.post("/api/tasks/silent/results/take", {"upto": 1}), 400, "bad_state")
    for body in ({}, {"upto": -1}, {"upto": "1"}, {"upto": 1, "x": 1}, {"upto": 1, "writer": "up"}):
        expect(leasing.hub.post("/api/tasks/t/results/take", body), 400, "bad_request")
    leasing.hub.add("nowhere", delivery="direct")
    expect(leasing.hub.get(path("nowhere")), 400, "bad_state")
    leasing.hub.add("away", delivery="direct", input_redis="redis://127.0.0.1:1/0", input_queue="a", output_queue="out")
    expect(leasing.hub.get(path("away")), 503, "redis_unreachable")
    write(leasing.store, "x", queue="other")
    leasing.store.client.set("out", "no list")
    expect(leasing.hub.get(path()), 503, "redis_refused")


def test_a_host_that_is_not_allowed_is_not_asked(make_hub, store):
    hub = make_hub().start(redis_hosts=["10.*"])
    hub.add("direct", delivery="direct", input_redis=store.url, input_queue="in", output_queue="out")
    expect(hub.get(path("direct")), 503, "redis_refused", "redis_hosts")


def test_a_redis_that_dies_ends_the_waiting_and_comes_back(task):
    write(task.store, "a")
    held = hold(task, 1)
    time.sleep(0.3)
    task.store.kill()
    expect(held.answer(20), 503, "redis_unreachable")
    expect(task.hub.get(path()), 503, "redis_unreachable")
    task.store.start()
    assert wait_until(lambda: task.hub.get(path()).status == 200, 20)
    assert page(task)["results"] == ["a"]


def test_a_task_that_is_forgotten_ends_the_waiting(leasing):
    leasing.add("first", input_queue="in1")
    leasing.add("t")
    page(leasing)
    held = hold(leasing)
    time.sleep(0.3)
    expect(leasing.hub.call("DELETE", "/api/tasks/t"), 200)
    expect(held.answer(), 503, "ending")


# ---- all at once ----

def test_numbers_stay_true_while_results_come_and_others_take(task):
    """Two writers, one who takes, and a reader that never takes: it sees each result once, in order, under its number."""
    total = 20_000
    lost = []

    def produce():
        client = redis.Redis(port=task.store.port, password=task.store.client.connection_pool.connection_kwargs["password"])
        for first in range(0, total, 50):
            client.lpush("out", *range(first, first + 50))
            time.sleep(0.002)
        client.close()
    seen = 0
    reached = [0]

    def remove():
        while reached[0] < total:
            upto = reached[0]
            if take(task, upto) < upto:
                lost.append(upto)
            time.sleep(0.005)
    threads = [threading.Thread(target=produce), threading.Thread(target=remove)]
    for thread in threads:
        thread.start()
    while seen < total:
        answer = page(task, seen, wait=10, max=777)
        assert answer["cursor"] == seen and answer["results"] == [str(i) for i in range(seen, answer["next"])]
        seen = answer["next"]
        reached[0] = seen
    for thread in threads:
        thread.join(30)
    assert not lost and take(task, total) == total and task.store.client.exists("out") == 0


def test_a_killed_hub_takes_no_result_twice(task):
    write(task.store, *range(100))
    assert take(task, 30) == 30
    task.restart(kill=True)
    assert page(task, 20, max=1) == {"cursor": 30, "next": 31, "total": 100, "complete": False, "results": ["30"]}
    assert take(task, 30) == 30 and page(task, 30)["results"] == [str(i) for i in range(30, 100)]
