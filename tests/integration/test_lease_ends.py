"""A leased task's end and what lies around it: switches, queues that tasks share, dead letters, an output elsewhere, the guard."""
import time

import pytest

from hub_client import expect
from lease_fixtures import leasing, make_redis, store  # noqa: F401
from lease_node import Refused, done, failed, loose, returned
from processes import wait_until


def payloads(items):
    return [item.payload for item in items]


def settled(leasing, name="t", **numbers):
    """Its queue is closed: the hub has forgotten what a node could still bring."""
    task = leasing.task(name)["id"]
    node = leasing.nodes[0]

    def look():
        try:
            node.inventory(task, 0)
        except Refused as refused:
            return refused.code == "unknown_task"
        return False
    wait_until(look, 15, f"{name} has settled")
    progress = leasing.progress(name)
    assert {field: progress[field] for field in numbers} == numbers, progress
    return progress


# ---- the end of a task ----

def test_after_a_switch_commits_are_welcome_and_the_rest_goes_back(leasing):
    node, task = leasing.node(), leasing.add()
    leasing.store.push("abcdef")
    leasing.add("next", input_queue="in2")
    leasing.ready()
    a, b, c, d = node.take(task, 4)
    leasing.hub.next()
    assert node.lease(task).status == "closed"
    assert node.commit(task, done(a, ["LPUSH", "out", "A"]), returned(b), failed(c)) == [("accepted", None)] * 3
    assert leasing.progress()["done"] <= 1
    time.sleep(1.5)
    assert node.commit(task, done(d, ["LPUSH", "out", "D"])) == [("accepted", None)]
    settled(leasing, done=2, failed=1, returned=1, leased=0, waiting=4, dead=0)
    assert leasing.store.list() == [b"A", b"D"]
    assert sorted(leasing.store.list("in")) == [b"b", b"c", b"e", b"f"]
    assert leasing.store.list("in")[-2:] == [b"e", b"f"]  # what was taken is popped first
    assert not leasing.store.client.exists("{in}:idm:items", "{in}:idm:retry", "{in}:idm:holders", "{in}:idm:nodes")
    leasing.restart()
    leasing.ready("next")
    assert leasing.progress()["done"] == 2  # from SQLite


def test_a_dead_nodes_items_go_back_after_the_end(leasing):
    leasing.restart(lease_timeout=5)
    node, task = leasing.node(), leasing.add()
    leasing.store.push("ab")
    leasing.ready()
    node.take(task, 2)
    leasing.hub.finish()
    settled(leasing, lost=2, done=0)
    assert sorted(leasing.store.list("in")) == [b"a", b"b"]


def test_an_item_that_woke_the_hub_goes_back_too(leasing):
    node, task = leasing.node(), leasing.add()
    leasing.ready()
    node.task()
    held = node.hold(task)
    time.sleep(0.2)
    held.close()
    time.sleep(2.2)  # the hub looks about once a second who of the held is gone
    leasing.store.push("ab")
    wait_until(lambda: leasing.store.client.exists("{in}:idm:arrived"), 5)
    leasing.hub.finish()
    settled(leasing)
    assert leasing.store.list("in") == [b"a", b"b"]


def test_a_task_without_work_settles_at_once(leasing):
    leasing.node()
    leasing.add()
    leasing.ready()
    leasing.hub.finish()
    assert settled(leasing)["total"] == 0


def test_auto_finish(leasing):
    node = leasing.node()
    task = leasing.add(auto_finish=True, auto_finish_after=2)
    leasing.add("next", input_queue="in2")
    leasing.store.push("a")
    leasing.ready()
    items = node.items(task)
    time.sleep(4)
    assert leasing.hub.queue()[0] == "t"  # leased is not idle
    node.commit(task, done(items, ["LPUSH", "out", "A"]))
    begun = time.monotonic()
    wait_until(lambda: leasing.hub.queue()[0] == "next", 10)
    assert time.monotonic() - begun > 1.5
    settled(leasing, done=1)


def test_without_auto_finish_it_stays_a_persons_call(leasing):
    leasing.add()
    leasing.add("next", input_queue="in2")
    leasing.ready()
    time.sleep(3)
    assert leasing.hub.queue()[0] == "t"


# ---- tasks that share a queue ----

def test_two_tasks_on_one_queue_one_after_the_other(leasing):
    node = leasing.node()
    first, second = leasing.add("t"), leasing.add("u")
    leasing.store.push("abcdefgh")
    leasing.ready()
    items = node.take(first, 3)
    node.commit(first, done(items[0], ["LPUSH", "out", "1a"]), loose(1, ["LPUSH", "out", "1w"]))
    leasing.hub.next()
    leasing.sees("u", waiting=5)
    assert node.lease(first).status == "closed"
    lease = node.lease(second, most=2)
    assert lease.status == "executed" and lease.n == 1  # numbers begin anew for each task
    node.commit(second, done(lease.items[0], ["LPUSH", "out", "2d"]), loose(1, ["LPUSH", "out", "2w"]))
    time.sleep(3)  # the first one's settling must not touch what the second has
    assert node.lease(second, n=1).items == lease.items[1:]
    assert node.commit(first, done(items[1], ["LPUSH", "out", "1b"]), failed(items[2])) == [("accepted", None)] * 2
    rest = node.take(second, 4)  # f g h, and what failed in the first one
    node.commit(second, *(done(item, ["LPUSH", "out", item.payload]) for item in rest + lease.items[1:]))
    leasing.sees("u", waiting=0, leased=0)
    leasing.hub.finish()
    settled(leasing, "u")
    one, two = settled(leasing, "t"), leasing.progress("u")
    assert one["done"] + two["done"] == 8 and one["done"] in (1, 2) and one["waiting"] == one["leased"] == 0
    assert sorted(leasing.store.list()) == sorted([b"1a", b"1w", b"1b", b"2d", b"2w", b"c", b"e", b"f", b"g", b"h"])
    assert leasing.store.list("in") == []


def test_an_ended_task_puts_nothing_back_while_another_runs(leasing):
    node = leasing.node()
    first, second = leasing.add("t"), leasing.add("u")
    leasing.store.push("ab")
    leasing.ready()
    node.commit(first, done(node.items(first, most=1), ["LPUSH", "out", "A"]))
    leasing.hub.next()
    leasing.sees("u", waiting=1)
    node.commit(second, failed(node.items(second)))
    time.sleep(3)  # nobody holds anything: settling would bring b back as a new item
    [item] = node.items(second)
    assert (item.payload, item.failures) == (b"b", 1)
    leasing.hub.finish()
    assert node.commit(second, returned(item)) == [("accepted", None)]
    settled(leasing, "u")
    settled(leasing, "t")
    assert leasing.store.list("in") == [b"b"]


def test_a_later_task_counts_from_where_the_earlier_ended(leasing):
    node, first = leasing.node(), leasing.add("t")
    leasing.store.push("abc")
    leasing.ready()
    node.commit(first, *(done(item, ["LPUSH", "out", "x"]) for item in node.take(first, 3)))
    leasing.sees(done=3)
    leasing.hub.finish()
    settled(leasing, done=3)
    second = leasing.add("u")
    leasing.store.push("de")
    leasing.ready("u")
    assert leasing.progress("u")["done"] == 0
    node.commit(second, *(done(item, ["LPUSH", "out", "x"]) for item in node.take(second, 2)))
    leasing.sees("u", done=2, total=2)
    assert leasing.progress("t")["done"] == 3


def test_what_is_done_in_the_first_moment_counts(leasing):
    node = leasing.node()
    leasing.add("first", input_queue="in0")
    leasing.add("t")
    leasing.store.push("ab")
    leasing.ready()
    leasing.hub.next()
    task = leasing.task()["id"]
    node.commit(task, *(done(item, ["LPUSH", "out", "x"]) for item in node.take(task, 2)))
    leasing.hub.finish()
    settled(leasing, done=2, total=2)


def test_queues_that_differ_only_by_their_braces_are_refused_together(leasing):
    leasing.node()
    leasing.add("t", input_queue="x")
    answer = leasing.hub.post("/api/tasks", {"name": "u", "image": "i", "input_queue": "{x}", "output_queue": "out",
                                             "input_redis": leasing.store.url})
    expect(answer, 409, "conflict", '"t"')
    leasing.add("same", input_queue="x")
    leasing.add("other", input_queue="{x}", input_redis=leasing.store.url[:-1] + "1")  # another database
    for _ in range(3):
        leasing.hub.finish()
    settled(leasing, "t")
    settled(leasing, "same")
    leasing.add("u", input_queue="{x}")


# ---- dead letters ----

def bury(leasing, node, task, count):
    for item in node.take(task, count):
        node.commit(task, failed(item, f"no {item.payload.decode()}"))
    leasing.sees(dead=count)


def dead(leasing, query="", name="t"):
    return expect(leasing.hub.get(f"/api/tasks/{name}/dead{query}"), 200).json


def test_dead_letters_are_listed_retried_and_dropped(leasing):
    node, task = leasing.node(), leasing.add(max_attempts=1)
    leasing.store.push("abcde")
    leasing.ready()
    bury(leasing, node, task, 5)
    first = dead(leasing, "?count=2")
    assert [letter["item"] for letter in first["dead"]] == ["a", "b"] and first["total"] == 5
    rest = dead(leasing, f"?count=10&cursor={first['next_cursor']}")
    assert [letter["item"] for letter in rest["dead"]] == ["c", "d", "e"] and rest["next_cursor"] == 0
    a, b = (letter["id"] for letter in first["dead"])
    assert leasing.hub.post("/api/tasks/t/dead/drop", {"ids": [a, "nonsense"]}).json == {"dropped": 1}
    node.task()
    held = node.hold(task)
    time.sleep(0.2)
    assert leasing.hub.post("/api/tasks/t/dead/retry", {"ids": [b]}).json == {"retried": 1}
    [item] = held.answer(1).items
    node.numbers[task] = item.n + 1
    assert item.payload == b"b" and item.failures == 0
    node.commit(task, done(item, ["LPUSH", "out", "B"]))
    assert leasing.hub.post("/api/tasks/t/dead/retry", {}).json == {"retried": 3}
    assert sorted(payloads(node.take(task, 3))) == [b"c", b"d", b"e"]
    leasing.sees(dead=0)
    assert dead(leasing) == {"total": 0, "next_cursor": 0, "dead": []}


def test_dead_letters_of_a_completed_task(leasing):
    node, task = leasing.node(), leasing.add(max_attempts=1)
    leasing.store.push("abc")
    leasing.ready()
    node.commit(task, done(node.items(task, most=1), ["LPUSH", "out", "A"]))
    bury(leasing, node, task, 2)
    leasing.hub.finish()
    settled(leasing, done=1, dead=2)
    leasing.restart()  # no connection to that Redis any more
    assert [letter["item"] for letter in dead(leasing)["dead"]] == ["b", "c"]
    wait_until(lambda: leasing.hub.post("/api/tasks/t/dead/drop", {"ids": [dead(leasing)["dead"][0]["id"]]}).json == {"dropped": 1})
    assert leasing.hub.post("/api/tasks/t/dead/retry", {}).json == {"retried": 1}
    wait_until(lambda: leasing.store.list("in") == [b"c"], 10, "the retried one is in the input list")
    leasing.sees(dead=0, done=1)
    second = leasing.add("u")
    leasing.ready("u")
    assert payloads(node.items(second)) == [b"c"]
    node.commit(second, done(node.items(second, n=1), ["LPUSH", "out", "C"]))
    dead(leasing)
    assert leasing.progress()["done"] == 1  # its numbers stay, whoever uses the queue


def test_dead_letters_refuse_nonsense(leasing):
    leasing.add()
    leasing.add("direct", delivery="direct")
    leasing.ready()
    hub = leasing.hub
    for query in ("count=0", "count=1001", "count=x", "cursor=-1", "cursor=x"):
        expect(hub.get("/api/tasks/t/dead?" + query), 400, "bad_request")
    for body in ({"ids": []}, {"ids": "x"}, {"ids": [1]}, {"id": "x"}):
        expect(hub.post("/api/tasks/t/dead/retry", body), 400)
    expect(hub.get("/api/tasks/nobody/dead"), 404, "not_found")
    expect(hub.get("/api/tasks/direct/dead"), 400, "bad_state")


def test_thousands_of_dead_letters_are_retried_at_once(leasing):
    node, task = leasing.node(), leasing.add(max_attempts=1)
    leasing.store.push(range(2500))
    leasing.ready()
    died = 0
    while (lease := node.lease(task, most=1000)).status == "executed":
        if lease.items[1:]:
            node.commit(task, failed(lease.items[1:]))
        node.commit(task, done(lease.items[0]))  # or it would be held back
        died += len(lease.items) - 1
    assert died > 2400
    leasing.sees(dead=died)
    assert leasing.hub.post("/api/tasks/t/dead/retry", {}).json == {"retried": died}
    leasing.sees(dead=0, waiting=died)


# ---- the guard ----

def test_a_node_that_fails_everything_gets_one_at_a_time_with_pauses(leasing):
    sick, well, task = leasing.node(), leasing.node(), leasing.add(max_attempts=100)
    leasing.store.push(range(100))
    leasing.ready()
    wait_until(lambda: leasing.progress()["waiting"] == 100)
    for one in (sick, well):
        one.task()
        one.beat()
    for i, item in enumerate(sick.take(task, 5)):
        assert leasing.hub.node(sick.id)["runtime_status"] == "Running"
        sick.commit(task, failed(item, "no such disk"))
    node = leasing.hub.node(sick.id)
    assert node["runtime_status"] == "Error" and "no such disk" in node["error"] and "5 items" in node["error"]
    assert leasing.hub.node(well.id)["runtime_status"] == "Running"
    pauses = []
    for _ in range(3):
        begun = time.monotonic()
        lease = sick.hold(task, most=50).answer(30)
        sick.note(task, lease)
        pauses.append(time.monotonic() - begun)
        assert len(lease.items) == 1
        if len(pauses) < 3:
            sick.commit(task, failed(lease.items, "no such disk"))
    assert pauses[0] > 0.3 and sum(pauses) > 2 and pauses[2] > pauses[0], pauses
    assert len(well.items(task, most=10)) == 10
    sick.commit(task, done(lease.items, ["LPUSH", "out", "x"]))
    node = leasing.hub.node(sick.id)
    assert node["runtime_status"] == "Running" and not node["error"]
    assert len(sick.items(task, most=10)) == 10


def test_a_repeated_failure_is_judged_once(leasing):
    node, task = leasing.node(), leasing.add(max_attempts=100)
    leasing.store.push("a")
    leasing.ready()
    node.beat()
    item = node.items(task)
    for i in range(10):
        assert node.commit(task, failed(item)) == [("accepted" if i == 0 else "duplicate", None)]
    assert leasing.hub.node(node.id)["runtime_status"] == "Running"


# ---- an output on another Redis ----

def test_results_go_to_another_redis(leasing, make_redis):
    elsewhere = make_redis()
    node, task = leasing.node(), leasing.add(output_redis=elsewhere.url, output_queue="results")
    leasing.store.push("abc")
    leasing.ready()
    a, b, c = node.take(task, 3)
    assert node.commit(task, done(a, ["LPUSH", "results", "A"], ["SET", "results:last", "a"]), done(b), returned(c)) == \
        [("accepted", None)] * 3
    wait_until(lambda: elsewhere.list("results") == [b"A"], 2)
    assert elsewhere.client.get("results:last") == b"a" and leasing.store.client.exists("results") == 0
    assert node.commit(task, done(a, ["LPUSH", "results", "A"])) == [("duplicate", None)]
    node.commit(task, done(node.items(task), ["LPUSH", "results", "C"]))
    wait_until(lambda: elsewhere.list("results") == [b"A", b"C"], 0.5, "without waiting for a tick")
    leasing.hub.finish()
    settled(leasing, done=3)


def test_the_output_is_away_and_comes_back(leasing, make_redis):
    elsewhere = make_redis()
    node, task = leasing.node(), leasing.add(output_redis=elsewhere.url)
    leasing.store.push(range(20))
    leasing.ready()
    elsewhere.kill()
    for item in node.take(task, 20):
        assert node.commit(task, done(item, ["LPUSH", "out", item.payload])) == [("accepted", None)]
    leasing.sees(leased=20)
    leasing.hub.finish()
    time.sleep(4)
    leasing.restart(kill=True)
    elsewhere.start()
    wait_until(lambda: len(elsewhere.list()) == 20, 15)
    settled(leasing, done=20, leased=0)
    assert elsewhere.list() == [b"%d" % i for i in range(20)]


def test_a_result_that_can_never_be_written_elsewhere_is_a_dead_letter(leasing, make_redis):
    elsewhere = make_redis()
    elsewhere.client.set("out", "a string")
    node, task = leasing.node(), leasing.add(output_redis=elsewhere.url)
    leasing.store.push("a")
    leasing.ready()
    assert node.commit(task, done(node.items(task), ["LPUSH", "out", "A"])) == [("accepted", None)]
    leasing.sees(dead=1, leased=0)
    [letter] = dead(leasing)["dead"]
    assert letter["item"] == "a" and "string" in letter["error"]["reason"]


def test_two_tasks_on_one_queue_with_different_outputs_elsewhere(leasing, make_redis):
    elsewhere = make_redis()
    node = leasing.node()
    first = leasing.add("t", output_redis=elsewhere.url, output_queue="first out")
    second = leasing.add("u", output_redis=elsewhere.url, output_queue="second")
    leasing.store.push("abcd")
    leasing.ready()
    elsewhere.kill()
    ones = node.take(first, 2)
    node.commit(first, *(done(item, ["LPUSH", "first out", item.payload]) for item in ones))
    leasing.hub.next()
    leasing.sees("u", waiting=2)
    node.commit(second, *(done(item, ["LPUSH", "second", item.payload]) for item in node.take(second, 2)))
    elsewhere.start()
    wait_until(lambda: elsewhere.list("first out") == [b"a", b"b"] and elsewhere.list("second") == [b"c", b"d"], 15)
    leasing.hub.finish()
    settled(leasing, "t", dead=0)
    settled(leasing, "u", dead=0)
