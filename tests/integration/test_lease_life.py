"""An item's life at the hub: leased, held for, committed, failed, returned; and a task's end. docs/protocol.md, word by word."""
import socket
import time

import pytest

from lease_fixtures import leasing, make_redis, store  # noqa: F401
from lease_node import ALONE, Node, Refused, done, encode, failed, loose, returned
from processes import wait_until


def payloads(items):
    return [item.payload for item in items]


# ---- lease ----

def test_an_executed_lease_brings_items_in_the_order_of_pops(leasing):
    node, task = leasing.node(), leasing.add()
    leasing.store.push(["a", b"\x00\r\n\xff", "c"])
    leasing.ready()
    node.task()
    lease = node.lease(task, most=2)
    assert lease.status == "executed" and lease.n == 1 and lease.version == node.version and not lease.stop
    assert payloads(lease.items) == [b"a", b"\x00\r\n\xff"] and lease.waiting == 1
    assert all(item.failures == 0 and item.flags == 0 for item in lease.items)
    assert payloads(node.items(task)) == [b"c"]
    lease = node.lease(task)
    assert lease.status == "empty" and lease.n == 3 and lease.items == []
    assert leasing.sees(waiting=0, leased=3, total=3)


def test_pop_left_takes_from_the_other_end(leasing):
    node, task = leasing.node(), leasing.add(pop="left")
    leasing.store.client.rpush("in", "a", "b")
    leasing.ready()
    assert payloads(node.items(task)) == [b"a", b"b"]


def test_a_repeated_number_answers_the_same_and_an_old_one_is_stale(leasing):
    node, task = leasing.node(), leasing.add()
    leasing.store.push("abcd")
    leasing.ready()
    first = node.items(task, most=2)
    assert node.lease(task, n=1).items == first
    second = node.items(task, most=2)
    assert node.lease(task, n=1).status == "stale"
    node.commit(task, done(second[0], ["LPUSH", "out", "x"]))
    assert node.lease(task, n=2).items == second[1:]  # what is still held of it


def test_an_empty_answer_keeps_the_number(leasing):
    node, task = leasing.node(), leasing.add()
    leasing.ready()
    assert node.lease(task).status == "empty"
    leasing.store.push("a")
    assert node.lease(task, n=1).status == "executed"


def test_a_held_call_is_woken_by_a_push_within_milliseconds(leasing):
    node, task = leasing.node(), leasing.add()
    leasing.ready()
    node.task()
    took = []
    for i in range(10):
        held = node.hold(task)
        time.sleep(0.2)
        assert held.waiting()
        begun = time.monotonic()
        leasing.store.push([f"item-{i}"])
        lease = held.answer()
        took.append(time.monotonic() - begun)
        assert lease.status == "executed" and payloads(lease.items) == [b"item-%d" % i]
        node.note(task, lease)
    assert sorted(took)[len(took) // 2] < 0.1, took


def test_a_held_call_is_answered_empty_when_its_time_is_over(leasing):
    node, task = leasing.node(), leasing.add()
    leasing.ready()
    node.task()
    held = node.hold(task, wait=2)
    assert held.answer().status == "empty" and 1.8 < held.took < 3
    leasing.store.push("a")
    assert payloads(node.items(task)) == [b"a"]


def test_a_call_that_need_not_wait_is_not_held(leasing):
    node, task = leasing.node(), leasing.add()
    leasing.ready()
    node.task()
    begun = time.monotonic()
    assert node.lease(task, wait=0).status == "empty"
    assert time.monotonic() - begun < 1


def test_a_newer_call_answers_the_older_one(leasing):
    node, task = leasing.node(), leasing.add()
    leasing.ready()
    node.task()
    first = node.hold(task)
    time.sleep(0.2)
    second = node.hold(task)
    assert first.answer().status == "empty" and first.took < 2
    leasing.store.push("a")
    assert payloads(second.answer().items) == [b"a"]


def test_a_held_call_is_answered_on_a_switch_and_on_a_stop(leasing):
    node, other, task = leasing.node(), leasing.node(), leasing.add()
    leasing.add("next", input_queue="in2")
    leasing.ready()
    node.task()
    other.task()
    held, others = node.hold(task), other.hold(task)
    time.sleep(0.2)
    leasing.hub.stop_node(node.id)
    lease = held.answer(1)
    assert lease.status == "empty" and lease.stop
    time.sleep(0.2)
    assert others.waiting()
    leasing.hub.next()
    assert others.answer(1).status == "closed"
    assert other.lease(task).status == "closed"


def test_a_call_with_an_old_version_is_not_held(leasing):
    node, task = leasing.node(), leasing.add()
    leasing.ready()
    lease = node.lease(task, wait=30)  # it has never asked for the task
    assert lease.status == "empty" and lease.version == leasing.hub.version()


def test_the_later_epoch_of_a_node_supersedes_the_earlier(leasing):
    node, task = leasing.node(), leasing.add()
    leasing.store.push("ab")
    leasing.ready()
    old = node.epoch
    items = node.items(task, most=1)
    node.register()
    assert node.epoch > old
    assert payloads(node.take(task, 2)) == [b"a", b"b"]  # the first message of the later closes the earlier
    assert node.lease(task, epoch=old, n=2).status == "superseded"
    assert node.commit(task, done(items, ["LPUSH", "out", "A"]), epoch=old) == [("accepted", None)]  # still welcome
    assert leasing.store.list() == [b"A"]


def test_the_same_run_registered_again_keeps_its_epoch_and_items(leasing):
    node, task = leasing.node(), leasing.add()
    leasing.store.push("a")
    leasing.ready()
    items, epoch = node.items(task), node.epoch
    node.register(new_run=False)
    assert node.epoch == epoch and node.lease(task, n=1).items == items


def test_bytes_bound_an_answer_but_one_item_always_comes(leasing):
    node, task = leasing.node(), leasing.add()
    leasing.store.push([bytes([65 + i]) * 1000 for i in range(10)])
    leasing.ready()
    assert len(node.items(task, most=10, size=1)) == 1
    assert len(node.items(task, most=10, size=2500)) == 3


def test_shares_shrink_as_the_queue_runs_low(leasing):
    nodes, task = [leasing.node() for _ in range(2)], leasing.add()
    leasing.store.push(range(400))
    leasing.ready()
    wait_until(lambda: leasing.progress().get("waiting") == 400)
    shares = []
    while True:
        lease = nodes[len(shares) % 2].lease(task, most=1000)
        if lease.status == "empty":
            break
        shares.append(len(lease.items))
    assert shares[0] == 101 and shares == sorted(shares, reverse=True) and shares[-1] == 1 and sum(shares) == 400


def test_a_single_item_of_many_held_calls_wakes_one(leasing):
    nodes, task = [leasing.node() for _ in range(5)], leasing.add()
    leasing.ready()
    held = []
    for node in nodes:
        node.task()
        held.append(node.hold(task))
    time.sleep(0.3)
    leasing.store.push("a")
    wait_until(lambda: sum(not call.waiting() for call in held) == 1, 2)
    time.sleep(0.3)
    assert sum(not call.waiting() for call in held) == 1
    leasing.store.push("bcde")
    assert sorted(payload for call in held for payload in payloads(call.answer().items)) == [b"a", b"b", b"c", b"d", b"e"]


def test_a_client_that_goes_loses_nothing(leasing):
    node, other, task = leasing.node(), leasing.node(), leasing.add()
    leasing.ready()
    for one in (node, other):
        one.task()
    for _ in range(20):
        node.hold(task).close()
    leasing.store.push("abc")
    time.sleep(0.3)
    got = payloads(node.lease(task, most=10).items)
    lease = node.lease(task, most=10)
    while lease.status == "executed":
        got += payloads(lease.items)
        lease = node.lease(task, most=10)
    assert sorted(got) == [b"a", b"b", b"c"]


@pytest.mark.parametrize("fields", [{"n": -1}, {"most": 0}, {"most": 1001}, {"size": 0}, {"wait": 61}, {"wait": -1}, {"epoch": 0},
                                    {"n": 2 ** 53}, {"epoch": 2 ** 53}, {"n": "1"}, {"task_id": "x" * 65}])
def test_nonsense_is_refused(leasing, fields):
    node, task = leasing.node(), leasing.add()
    with pytest.raises(Refused) as refused:
        node.lease(task, **fields)
    assert refused.value.status == 400


def test_a_task_that_nobody_knows(leasing):
    node = leasing.node()
    for call in (lambda: node.lease("nonsense"), lambda: node.commit("nonsense", loose(1, ["LPUSH", "out", "x"])),
                 lambda: node.inventory("nonsense", 1)):
        with pytest.raises(Refused) as refused:
            call()
        assert (refused.value.status, refused.value.code) == (404, "unknown_task")


# ---- commit ----

def test_done_items_land_in_one_step_and_once(leasing):
    node, other, task = leasing.node(), leasing.node(), leasing.add()
    leasing.store.push("abc")
    leasing.ready()
    a, b, c = node.take(task, 3)
    assert node.commit(task, done(a, ["LPUSH", "out", "A1"], ["HSET", "out:h", "f", "v"]), done([b])) == \
        [("accepted", None)] * 2
    assert node.commit(task, done(a, ["LPUSH", "out", "A2"]), done(c, ["RPUSH", "out", "C"])) == \
        [("duplicate", None), ("accepted", None)]
    assert leasing.store.list() == [b"A1", b"C"] or leasing.store.list() == [b"C", b"A1"]
    assert leasing.store.client.hget("out:h", "f") == b"v"
    assert other.commit(task, done(c, ["LPUSH", "out", "C2"])) == [("duplicate", None)]
    leasing.sees(done=3, empty=1, duplicates=2, leased=0, waiting=0, total=3, failed=0)


def test_whoever_brings_a_result_first_wins(leasing):
    node, other, task = leasing.node(), leasing.node(), leasing.add()
    leasing.store.push("a")
    leasing.ready()
    items = node.items(task)
    assert other.commit(task, done(items, ["LPUSH", "out", "other"])) == [("accepted", None)]
    assert node.commit(task, done(items, ["LPUSH", "out", "node"])) == [("duplicate", None)]
    assert leasing.store.list() == [b"other"]


def test_items_that_are_done_together_land_together_or_not(leasing):
    node, task = leasing.node(), leasing.add()
    leasing.store.push("ab")
    leasing.ready()
    a, b = node.take(task, 2)
    node.commit(task, done(a, ["LPUSH", "out", "A"]))
    assert node.commit(task, done([a, b], ["LPUSH", "out", "AB"])) == [("duplicate", None)]
    assert leasing.store.list() == [b"A"]
    assert payloads(node.items(task)) == [b"b"]  # went back


def test_loose_writes_land_once_by_their_number(leasing):
    node, task = leasing.node(), leasing.add()
    leasing.ready()
    assert node.commit(task, loose(1, ["LPUSH", "out", "x"])) == [("accepted", None)]
    assert node.commit(task, loose(1, ["LPUSH", "out", "x"]), loose(2, ["LPUSH", "out", "y"])) == \
        [("duplicate", None), ("accepted", None)]
    assert leasing.store.list() == [b"x", b"y"]


@pytest.mark.parametrize("write", [
    ["DEL", "out"], ["LPUSH", "elsewhere", "x"], ["LPUSH", "out", ], ["SET", "out:a", "1", "EX", "5"], ["LPUSH", "out2", "x"],
    ["LPUSH", "out:idm:applied", "x"], ["LPUSH", "{in}:idm:retry", "x"], ["SADD", "in", "x"], ["XADD", "out:s", "1-1", "f", "v"],
    ["ZADD", "out:z", "NX", "1"], ["EVAL", "return 1", "0"], ["LPUSH", ":idm:", "x"]])
def test_a_write_outside_the_table_is_refused_and_charged(leasing, write):
    node, task = leasing.node(), leasing.add(max_attempts=2)
    leasing.store.push(["a", "b"])
    leasing.ready()
    a, b = node.take(task, 2)
    (first, message), second = node.commit(task, done(a, ["LPUSH", "out", "A"], write), done(b, ["LPUSH", "out", "B"]))
    assert first == "refused" and write[0] in message or "command" in message
    assert second == ("accepted", None)
    assert leasing.store.list() == [b"B"] and leasing.store.client.exists("elsewhere", "out2", "out:s") == 0
    lease = node.lease(task)
    assert payloads(lease.items) == [b"a"] and lease.items[0].failures == 1
    assert node.commit(task, loose(1, write))[0][0] == "refused"


def test_a_key_of_another_type_is_a_charged_failure_and_nothing_is_written(leasing):
    node, task = leasing.node(), leasing.add(max_attempts=1)
    leasing.store.client.set("out:s", "a string")
    leasing.store.push("a")
    leasing.ready()
    [(outcome, message)] = node.commit(task, done(node.items(task), ["LPUSH", "out", "A"], ["LPUSH", "out:s", "x"]))
    assert outcome == "refused" and "string" in message
    assert leasing.store.list() == []
    leasing.sees(dead=1, failed=1, leased=0)
    [letter] = leasing.hub.get("/api/tasks/t/dead").json["dead"]
    assert letter["item"] == "a" and "string" in letter["error"]["reason"]


def test_a_task_without_an_output_queue_takes_no_writes(leasing):
    node, task = leasing.node(), leasing.add(output_queue=None)
    leasing.store.push("ab")
    leasing.ready()
    a, b = node.take(task, 2)
    assert node.commit(task, done(a)) == [("accepted", None)]
    assert node.commit(task, done(b, ["LPUSH", "out", "B"]))[0][0] == "refused"
    assert node.commit(task, done(node.items(task), ["LPUSH", "in", "again"])) == [("accepted", None)]
    assert payloads(node.items(task)) == [b"again"]


def test_require_result_makes_an_empty_close_a_failure(leasing):
    node, task = leasing.node(), leasing.add(require_result=True)
    leasing.store.push("a")
    leasing.ready()
    assert node.commit(task, done(node.items(task)))[0][0] == "refused"
    assert node.items(task)[0].failures == 1


@pytest.mark.parametrize("body,status", [
    (b"", 400), (b"*0\r\n", 400), (b":1\r\n", 400), (b"*1\r\n", 400), (b"*1\r\n$4\r\ndone\r\n", 400),
    (encode([["done", [b"x"], []]]), 400), (encode([["done", [b"x", 0], []]]), 400), (encode([["done", [b"", 1], []]]), 400),
    (encode([["done", [b"x" * 65, 1], []]]), 400), (encode([["write", 1, []]]), 400), (encode([["dance", 1]]), 400),
    (encode([["write", 2 ** 60, [["LPUSH", "out", "x"]]]]), 400), (encode([["return", [b"x", 1]]]) + b"x", 400),
    (b"*1\r\n$999999999\r\n", 413), (b"*999999999\r\n", 413), (encode([["return", [b"x", 1]]] * 10001), 413),
    (encode([["return", [b"x", 1] * 100001]]), 413)], ids=lambda value: repr(value)[:30])
def test_a_batch_that_is_none_is_refused_as_a_whole(leasing, body, status):
    node, task = leasing.node(), leasing.add()
    leasing.ready()
    with pytest.raises(Refused) as refused:
        node.commit_bytes(task, body)
    assert refused.value.status == status, refused.value


def test_a_batch_over_32_mb_is_too_large(leasing):
    node, task = leasing.node(), leasing.add()
    leasing.ready()
    part = ["LPUSH", "out", b"x" * (11 << 20)]
    with pytest.raises(Refused) as refused:
        node.commit(task, *(loose(i, part) for i in range(1, 4)))
    assert refused.value.status == 413
    assert node.commit(task, loose(1, part), loose(2, part)) == [("accepted", None)] * 2


def test_an_item_that_no_node_can_take_is_a_dead_letter(leasing):
    node, task = leasing.node(), leasing.add()
    leasing.store.push(["a", b"x" * ((16 << 20) + 1), "b"])
    leasing.ready()
    got = []
    wait_until(lambda: got.extend(node.lease(task, most=10, size=32 << 20).items) or len(got) == 2, 10)
    assert payloads(got) == [b"a", b"b"]
    leasing.sees(dead=1, leased=2)


# ---- fail and return ----

def test_a_failed_item_comes_again_until_it_is_a_dead_letter(leasing):
    node, task = leasing.node(), leasing.add(max_attempts=3)
    leasing.store.push("a")
    leasing.ready()
    for attempt in range(3):
        [item] = node.items(task)
        assert item.failures == attempt
        assert node.commit(task, failed(item, f"no {attempt}", exit_status=1, log_tail="boom")) == [("accepted", None)]
    assert node.lease(task).status == "empty"
    leasing.sees(dead=1, failed=3, done=0, total=1)
    answer = leasing.hub.get("/api/tasks/t/dead").json
    [letter] = answer["dead"]
    assert answer["total"] == 1 and answer["next_cursor"] == 0
    assert letter["item"] == "a" and letter["attempts"] == 3 and letter["losses"] == 0
    error = letter["error"]
    assert (error["reason"], error["exit_status"], error["log_tail"]) == ("no 2", 1, "boom")
    assert error["node"] == node.id and error["hostname"] == node.hostname and error["at"].endswith("Z")


def test_another_node_has_the_first_go_at_what_failed(leasing):
    node, other = leasing.node(), leasing.node()
    task = leasing.add()
    leasing.store.push("a")
    leasing.ready()
    node.task()
    other.task()
    node.commit(task, failed(node.items(task)))
    held = node.hold(task)
    time.sleep(0.3)
    assert held.waiting()
    [item] = other.items(task)
    assert item.payload == b"a" and item.failures == 1
    other.commit(task, returned(item))
    leasing.store.push("b")
    assert payloads(held.answer().items) == [b"b"]


def test_the_node_it_failed_on_has_it_again_when_no_other_takes_it(leasing):
    node, other = leasing.node(), leasing.node()
    task = leasing.add()
    leasing.store.push("a")
    leasing.ready()
    node.task()
    node.commit(task, failed(node.items(task)))
    held = node.hold(task)
    begun = time.monotonic()
    assert payloads(held.answer(15).items) == [b"a"]
    assert 8 < time.monotonic() - begun < 12
    other.close()


def test_what_failed_together_comes_back_alone(leasing):
    node, task = leasing.node(), leasing.add()
    leasing.store.push("abc")
    leasing.ready()
    node.commit(task, failed(node.take(task, 3), together=1))
    for _ in range(3):
        [item] = node.items(task, most=10)
        assert item.flags == ALONE and item.failures == 1
        node.commit(task, done(item, ["LPUSH", "out", item.payload]))
    assert sorted(leasing.store.list()) == [b"a", b"b", b"c"]


def test_a_returned_item_is_not_charged_and_wakes_another(leasing):
    node, other, task = leasing.node(), leasing.node(), leasing.add()
    leasing.store.push("a")
    leasing.ready()
    other.task()
    items = node.items(task)
    held = other.hold(task)
    time.sleep(0.2)
    begun = time.monotonic()
    assert node.commit(task, returned(items)) == [("accepted", None)]
    [item] = held.answer().items
    assert time.monotonic() - begun < 0.5 and item.payload == b"a" and item.failures == 0
    leasing.sees(returned=1, failed=0)


def test_inventory_gives_back_what_the_node_does_not_have(leasing):
    node, task = leasing.node(), leasing.add()
    leasing.store.push("abcd")
    leasing.ready()
    first, second = node.items(task, most=2), node.items(task, most=2)
    assert (len(first), len(second)) == (2, 2)
    assert node.inventory(task, 1, first) == 0
    assert node.inventory(task, 2, [first[0], *second]) == 1
    assert payloads(node.items(task)) == [first[1].payload]
    assert node.leave(task) == 4
    leasing.sees(waiting=4, leased=0, failed=0, lost=0)


def test_an_outstanding_call_that_was_given_up_gives_nothing_later(leasing):
    node, task = leasing.node(), leasing.add()
    leasing.store.push("a")
    leasing.ready()
    assert node.inventory(task, 1) == 0
    assert node.lease(task, n=1).status == "executed" and node.lease(task, n=1).items == []  # executed as nothing
    assert payloads(node.items(task, n=2)) == [b"a"]


# ---- liveness ----

def test_a_silent_node_loses_its_items_and_a_heartbeat_keeps_them(make_hub, leasing):
    hub = leasing.hub
    leasing.restart(lease_timeout=5)
    silent, alive, task = leasing.node(), leasing.node(), leasing.add()
    leasing.store.push("ab")
    leasing.ready()
    silent.items(task, most=1)
    kept = alive.items(task, most=1)
    leasing.sees(leased=2, waiting=0)
    begun = time.monotonic()
    while leasing.progress()["waiting"] == 0:
        assert time.monotonic() - begun < 13
        alive.beat({task: []})
        time.sleep(0.3)
    assert time.monotonic() - begun > 4
    hub.daemon.wait_for_log(f"node={silent.id} was not heard from")
    leasing.sees(waiting=1, leased=1, lost=1)
    assert alive.commit(task, done(kept, ["LPUSH", "out", "x"])) == [("accepted", None)]


def test_heartbeats_with_nonsense_in_holding_are_refused_or_passed_over(leasing):
    node, task = leasing.node(), leasing.add()
    leasing.ready()
    for holding in (5, "x", [5], [{"task_id": 5}], [{"task_id": task, "unopened": 5}], [{"task_id": task, "unopened": [5]}],
                    [{"task_id": task, "unopened": [None, "x"]}], [{"task_id": task, "unopened": ["x" * 100]}],
                    [{"task_id": "other", "unopened": []}], [None]):
        try:
            node.post("/gridnode/heartbeat", {"node_id": node.id, "status": "Idle", "active_containers": 0, "epoch": node.epoch,
                                              "holding": holding})
        except Refused as refused:
            assert refused.status == 400
    assert leasing.hub.daemon.running() and node.lease(task).status == "empty"


def test_a_heartbeat_may_name_ten_thousand_items(leasing):
    node, task = leasing.node(), leasing.add()
    leasing.ready()
    node.beat({task: [b"%016x-%d" % (7, i) for i in range(10000)]})


def test_large_bodies_together_do_not_fill_the_hubs_memory(leasing):
    """Bodies that never end, of one node on many connections: the hub keeps 256 MiB of such at most, and everybody else goes on."""
    task, node = leasing.add(), leasing.node()
    leasing.ready()
    leasing.store.push(["a"])
    item, = node.items(task)
    batch = done(item, ["LPUSH", "out", "x" * 100_000])

    def refusal(name):
        with pytest.raises(Refused) as refused:
            node.commit(name.replace(" ", "%20"), batch)
        return refused.value.status, refused.value.code
    head = (f"POST /gridnode/commit?task_id={task}&epoch={node.epoch} HTTP/1.1\r\nHost: hub\r\nContent-Length: {32 << 20}\r\n"
            f"Authorization: Bearer {node.secret}\r\n\r\n").encode()
    greedy = [socket.create_connection(("127.0.0.1", leasing.hub.port), timeout=20) for _ in range(8)]
    try:
        for connection in greedy:
            connection.sendall(head + b"x" * ((32 << 20) - 500))
        wait_until(lambda: refusal("no such task") == (503, "busy"), 20, "the hub has read them")
        assert refusal(task) == (503, "busy")
        node.beat()
        assert leasing.task()["name"] == "t"
    finally:
        for connection in greedy:
            connection.close()
    assert Node.patiently(node.commit, task, batch) == [("accepted", None)]
