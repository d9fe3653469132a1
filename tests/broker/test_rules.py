"""One rule of the lease protocol after the other, on a real Redis. The rules: docs/protocol.md."""
import json
import time

import pytest
import redis

from broker import LEAVE, Broker, base_of
from conftest import Server


def push(broker, *payloads):
    broker.redis.lpush(broker.queue, *payloads)  # the first is taken first


def results(broker):
    return broker.other.lrange(broker.output, 0, -1)


# --- R1 ---

def test_r1_an_id_off_the_books_is_passed_over_and_cleared(broker):
    push(broker, "x", "y")
    lease = broker.take(n=1)
    x, y = lease.ids
    broker.reap_now("a:1")
    assert broker.done("a:1", (x, 1)) == "ok"  # late, while it waits in retry
    assert broker.redis.llen(broker.key("retry")) == 2
    assert broker.take("b", n=1).ids == [y]
    assert broker.redis.llen(broker.key("retry")) == 0
    broker.check_books()


@pytest.mark.parametrize("how", ["commit", "fail", "return", "inventory", "reap", "epoch"])
def test_r1_the_sender_never_keeps_what_is_off_the_books(broker, how):
    push(broker, "x")
    (x,) = broker.take("a", n=1).ids
    broker.reap_now("a:1")
    broker.take("b", n=1)
    assert broker.done("a:1", (x, 1)) == "ok"
    assert broker.books()[2] == {"b:1": {x: 1}}
    if how == "commit":
        assert broker.done("b:1", (x, 1)) == "duplicate"
    elif how == "fail":
        assert broker.fail("b:1", (x, 7)) == ["stale"]
    elif how == "return":
        assert broker.give_back("b:1", (x, 7)) == ["stale"]
    elif how == "inventory":
        assert broker.inventory("b", 1, 1) == ("executed", 0, 0)
    elif how == "reap":
        assert broker.reap_now("b:1")["back"] == 0
    else:
        assert broker.renew("b", 2) == ("executed", 0, 0, 0)
    assert broker.redis.exists(broker.key("losses")) == 0
    assert broker.books() == ({}, [], {})
    assert results(broker) == [b"result"]
    broker.check_books()


# --- R2 ---

def test_r2_take_serves_retry_then_arrived_then_the_input_list(broker):
    push(broker, "x", "y", "z")
    (x,) = broker.take(n=1, most=1).ids
    broker.redis.lmove(broker.queue, broker.key("arrived"), "RIGHT", "LEFT")
    broker.give_back("a:1", (x, 1))
    lease = broker.take("b", n=1)
    assert lease.payloads == [b"x", b"y", b"z"] and lease.waiting == 0
    items, _, held = broker.check_books()
    assert set(items) == set(held["b:1"]) == set(lease)
    deadline = broker.redis.zscore(broker.key("holders"), "b:1")
    assert abs(deadline - time.time() * 1000 - broker.lease_ms) < 5000


def test_r2_ids_are_drawn_anew_and_never_come_again(broker):
    push(broker, *range(200))
    seen = set()
    broker.new_seed = lambda: "the same at each call"
    for n in range(1, 101):
        lease = broker.take(n=n, most=2)
        seen |= set(lease)
        if n == 50:  # Redis comes back without its last moments
            broker.redis.delete(broker.key("nodes"))
            broker.redis.delete(broker.key("held:a:1"))
    assert len(seen) == 200
    assert len({i.partition("-")[0] for i in seen}) == 100


@pytest.mark.parametrize("pop", ["left", "right"])
def test_r2_a_take_stops_behind_the_item_that_passes_its_bytes(broker, pop):
    broker.pop = pop
    payloads = [b"%03d" % i + b"." * 97 for i in range(100)]
    (broker.redis.rpush if pop == "left" else broker.redis.lpush)(broker.queue, *payloads)
    assert broker.take(n=1, most=100, max_bytes=950).payloads == payloads[:10]
    assert broker.take(n=2, most=100, max_bytes=0).payloads == payloads[10:11]
    assert broker.take(n=3, most=7).payloads == payloads[11:18]
    assert broker.take(n=4, most=1000, max_bytes=4999).payloads == payloads[18:68]
    assert broker.take(n=5, most=1000).payloads == payloads[68:]
    broker.check_books()


def test_r2_bytes_count_for_what_is_taken_again_too(broker):
    push(broker, *["x" * 100] * 10)
    lease = broker.take(n=1)
    broker.give_back("a:1", *[(item, 1) for item in lease])
    assert broker.take("b", n=1, max_bytes=250).ids == lease.ids[:3]
    assert broker.take("b", n=2).ids == lease.ids[3:]  # in their order still
    broker.check_books()


# --- R3 ---

def test_r3_a_repeated_number_gives_the_same_again(broker):
    push(broker, *range(20))
    lease = broker.take(n=1, most=5)
    again = broker.take(n=1, most=5)
    assert again == lease and again.status == "executed" and list(again) == list(lease)
    broker.done("a:1", (lease.ids[0], 1))
    assert broker.take(n=1, most=5).ids == lease.ids[1:]
    broker.give_back("a:1", *[(item, 1) for item in lease.ids[1:]])
    again = broker.take(n=1, most=5)
    assert again.status == "executed" and not again
    assert broker.take(n=2, most=1).status == "executed"
    lease = broker.take(n=3, most=1)
    assert broker.take(n=3, most=1) == lease


def test_r3_an_empty_answer_keeps_the_number_and_a_lower_one_is_refused(broker):
    assert broker.take(n=1).status == "empty"
    push(broker, "x")
    assert broker.take(n=1).status == "executed"
    push(broker, "y")
    assert broker.take(n=2).payloads == [b"y"]
    before = broker.books()
    stale = broker.take(n=1)
    assert stale.status == "stale" and not stale
    assert broker.books() == before


# --- R4 ---

def test_r4_fail_and_return_count_only_for_the_very_number(broker):
    push(broker, "x")
    (x,) = broker.take(n=1).ids
    assert broker.fail("a:1", (x, 1)) == ["retry"]
    assert broker.fail("a:1", (x, 1)) == ["stale"]
    assert broker.take(n=2).ids == [x]
    assert broker.fail("a:1", (x, 1)) == ["stale"]
    assert broker.give_back("a:1", (x, 1)) == ["stale"]
    assert broker.give_back("b:1", (x, 2)) == ["stale"]
    assert broker.redis.hget(broker.key("attempts"), x) == b"1"
    assert broker.books()[2] == {"a:1": {x: 2}}
    assert broker.give_back("a:1", (x, 2)) == ["retry"]
    broker.check_books()


def test_r4_too_many_failures_make_a_dead_letter(broker):
    push(broker, "x")
    for n in (1, 2, 3):
        lease = broker.take(n=n)
        (x,) = lease.ids
        assert lease[x] == (b"x", n - 1, 0)
        answer = broker.fail("a:1", (x, n, '{"error": "no %d"}' % n))
    assert answer == ["dead"] and broker.died == 1
    _, total, ((item, payload, attempts, losses, error, at),) = broker.dead()
    assert (total, item.decode(), payload, attempts, losses, error) == (1, x, b"x", 3, 0, b'{"error": "no 3"}')
    assert abs(at - time.time() * 1000) < 5000
    assert broker.books() == ({}, [], {})


def test_an_item_dies_only_after_two_nodes_failed_on_it_where_there_are_two(broker):
    broker.two_nodes = 1
    push(broker, "x", "y")
    for n in range(1, 6):
        x, y = broker.take(n=n).ids
        assert broker.fail("a:1", (x, n), (y, n)) == ["retry", "retry"]
    broker.take("b", n=1)
    assert broker.fail("b:1", (x, 1)) == ["dead"]
    assert broker.give_back("b:1", (y, 1)) == ["retry"]
    for n in range(6, 10):  # bounded all the same
        assert broker.take(n=n).ids == [y]
        answer = broker.fail("a:1", (y, n))
    assert answer == ["dead"]


def test_a_failed_item_goes_to_another_node_first(broker):
    broker.avoid_ms = 300
    push(broker, "x")
    (x,) = broker.take("a", n=1).ids
    broker.fail("a:1", (x, 1))
    passed = broker.take("a", n=2)
    assert passed.status == "empty" and 0 < passed.next_ms <= 300 and passed.waiting == 1
    broker.mind_avoid = 0
    assert broker.take("a", n=2).ids == [x]
    broker.mind_avoid = 1
    broker.fail("a:1", (x, 2))
    assert broker.take("b", n=1).ids == [x]
    broker.fail("b:1", (x, 1))
    time.sleep(broker.take("b", n=2).next_ms / 1000 + 0.01)
    assert broker.dead()[1] == 1  # that was its third failure
    push(broker, "y")
    (y,) = broker.take("a", n=3).ids
    broker.fail("a:1", (y, 3))
    time.sleep(broker.take("a", n=4).next_ms / 1000 + 0.01)
    assert broker.take("a", n=4).ids == [y]


def test_what_is_passed_over_does_not_hide_what_stands_behind_it(broker):
    broker.avoid_ms = 60000
    push(broker, *range(501))
    ids = broker.take("a", n=1, most=1000).ids
    broker.fail("a:1", *[(item, 1) for item in ids[:500]])
    broker.give_back("a:1", (ids[500], 1))
    for looked in range(1, 10):
        lease = broker.take("a", n=2, most=1)
        if lease:
            break
        assert lease.next_ms == 50
    assert lease.ids == [ids[500]] and looked == 5  # a bounded look each time, and it comes to the front
    broker.check_books()


def test_items_that_failed_together_come_back_alone(broker):
    push(broker, *range(4))
    ids = broker.take(n=1).ids
    broker.fail("a:1", *[(item, 1, "{}", 1) for item in ids[:3]], (ids[3], 1))
    first = broker.take("a", n=2)
    assert first.ids == [ids[0], ids[3]] and [flags for _, _, flags in first.values()] == [1, 0]
    assert [flags for _, _, flags in broker.take("a", n=2).values()] == [1, 0]  # told again
    second = broker.take("b", n=1)
    assert [flags for _, _, flags in second.values()] == [1]
    broker.fail("a:1", (ids[0], 2))  # alone: the guilty one
    third = broker.take("a", n=3)
    assert third[ids[0]] == (b"0", 2, 0) and third[ids[2]] == (b"2", 1, 1)
    broker.alone_ms = 0
    broker.fail("b:1", (second.ids[0], 1, "{}", 1))
    time.sleep(0.01)
    assert [flags for _, _, flags in broker.take("b", n=2).values()] == [0]  # that time is over
    broker.check_books()


# --- R5 ---

def test_r5_a_higher_epoch_closes_the_lower_one_at_its_first_use(broker):
    for number, first in enumerate(("take", "renew", "inventory"), 1):
        broker.redis.flushall()
        push(broker, "x")
        (x,) = broker.take("a", 1, n=1).ids
        if first == "take":
            assert broker.take("a", 2, n=1).ids == [x]
        elif first == "renew":
            assert broker.renew("a", 2) == ("executed", 0, 1, 0)
        else:
            assert broker.inventory("a", 2, 0) == ("executed", 1, 0)
        assert "a:1" not in broker.check_books()[2]
        assert broker.take("a", 1, n=9).status == "superseded"
        assert broker.renew("a", 1)[0] == "superseded"
        assert broker.inventory("a", 1, 9) == ("superseded", 0, 0)
        assert broker.redis.hget(broker.key("losses"), x) == b"10"
        assert broker.done("a:1", (x, 1)) == "ok"  # the lower one's commits stay welcome


def test_r5_epochs_are_ordered_as_numbers(broker):
    now = int(time.time() * 1000)
    push(broker, "x", "y")
    broker.take("a", 9, n=1, most=1)
    assert broker.take("a", now, n=1, most=1).status == "executed"
    assert broker.take("a", now - 1, n=2).status == "superseded"
    assert list(broker.books()[2]) == [f"a:{now}"]
    assert broker.redis.hget(broker.key("nodes"), "a") == b"%d 1" % now


# --- R6 ---

def test_r6_an_inventory_brings_back_what_the_node_does_not_have(broker):
    push(broker, *range(6))
    first, second, third = (broker.take(n=n, most=2).ids for n in (1, 2, 3))
    answer = broker.inventory("a", 1, 2, [(first[0], 1), (second[0], 1)])  # second[0] by another number
    assert answer == ("executed", 3, 0)
    assert broker.check_books()[2] == {"a:1": {first[0]: 1, third[0]: 3, third[1]: 3}}
    assert broker.redis.exists(broker.key("losses")) == 0  # free
    assert set(broker.take("b", n=1).ids) == {first[1], *second}


def test_r6_an_inventory_closes_the_number_that_was_given_up(broker):
    push(broker, "x")
    broker.inventory("a", 1, 1)
    assert broker.take(n=1).status == "executed" and not broker.take(n=1)
    assert broker.take(n=2).payloads == [b"x"]
    broker.inventory("a", 1, 1, [])
    assert broker.redis.hget(broker.key("nodes"), "a") == b"1 2"


def test_r6_leaving_brings_everything_back_for_nothing(broker):
    push(broker, *range(2500))
    for n in (1, 2, 3):
        broker.take(n=n, most=1000)
    assert broker.inventory("a", 1, LEAVE) == ("executed", 2500, 0)
    assert broker.take(n=4).status == "stale"
    assert broker.take(epoch=2, n=1, most=1000).status == "executed"
    assert broker.redis.exists(broker.key("losses")) == 0
    broker.check_books()


# --- R7 ---

@pytest.mark.parametrize("how", ["reap", "epoch"])
def test_r7_an_item_that_is_lost_too_often_dies(broker, how):
    broker.max_losses = 3
    push(broker, "x")
    for epoch in (1, 2, 3):
        lease = broker.take("a", epoch, n=1)
        assert len(lease) == 1
        if how == "reap":
            broker.reap_now(f"a:{epoch}")
    if how == "epoch":
        assert broker.take("a", 4, n=1).died == 1
    _, _, ((_, payload, attempts, losses, error, _),) = broker.dead()
    assert (payload, attempts, losses) == (b"x", 0, 3)
    assert json.loads(error) == {"reason": "lost too often with the node that held it, last with a"}
    assert broker.books() == ({}, [], {})


def test_r7_only_what_was_opened_is_charged(broker):
    push(broker, "x", "y", "z")
    x, y, z = broker.take(n=1).ids
    broker.renew("a", 1, [y, z])
    broker.renew("a", 1, [y])
    broker.reap_now("a:1")
    losses = broker.redis.hgetall(broker.key("losses"))
    assert losses == {x.encode(): b"10", y.encode(): b"1", z.encode(): b"10"}
    assert broker.redis.exists(broker.key("unopened:a:1")) == 0


def test_r7_what_was_taken_after_the_heartbeat_counts_as_opened(broker):
    push(broker, "x", "y")
    x, y = broker.take(n=1).ids
    broker.renew("a", 1, [x, y])
    broker.give_back("a:1", (x, 1))
    broker.take(n=2)
    broker.reap_now("a:1")
    assert broker.redis.hgetall(broker.key("losses")) == {x.encode(): b"10", y.encode(): b"1"}


def test_r7_what_kills_before_each_heartbeat_dies_all_the_same(broker):
    broker.max_losses = 2
    push(broker, "x")
    for epoch in range(1, 21):
        (x,) = broker.take("a", epoch, n=1).ids
        broker.renew("a", epoch, [x])
        broker.reap_now(f"a:{epoch}")
    assert broker.dead()[1] == 1


# --- R8 ---

def test_r8_only_holders_past_their_deadline_are_reaped(broker):
    push(broker, "x", "y")
    broker.take("a", n=1, most=1)
    broker.take("b", n=1, most=1)
    broker.reap()
    assert broker.reap()["reaped"] == 0
    broker.expire("a:1", "b:1")
    assert broker.renew("b", 1) == ("executed", 1, 0, 0)
    reaped = broker.reap()
    assert reaped == {"reaped": 1, "back": 1, "died": 0, "more": 0, "left": 1, "names": ["a:1"]}
    assert broker.redis.hget(broker.key("nodes"), "a") == b"1 1"  # never forgotten
    assert broker.take("a", n=1).status == "executed"
    broker.check_books()


def test_r8_a_refused_take_renews_nothing(broker):
    push(broker, "x", "y")
    broker.take(epoch=2, n=1, most=1)
    broker.take(epoch=2, n=2, most=1)
    broker.expire("a:2")
    broker.take(epoch=2, n=1)
    broker.take(epoch=1, n=5)
    broker.renew("a", 1)
    broker.done("a:2", ("none", 1))
    assert broker.redis.zscore(broker.key("holders"), "a:2") == 1
    broker.take(epoch=2, n=3)  # empty, but a message
    assert broker.redis.zscore(broker.key("holders"), "a:2") > 1


@pytest.mark.parametrize("pause", ["a hub starts", "a long pause", "the clock went back", "never ran"])
def test_r8_after_a_pause_all_get_a_full_period(broker, pause):
    push(broker, "x", "y")
    broker.take("a", n=1, most=1)
    broker.take("b", n=1, most=1)
    broker.reap()
    broker.expire("a:1", "b:1")
    now = time.time() * 1000
    if pause == "a long pause":
        broker.redis.set(broker.key("reaped"), int(now - 16000))
    elif pause == "the clock went back":
        broker.redis.set(broker.key("reaped"), int(now + 5000))
    elif pause == "never ran":
        broker.redis.delete(broker.key("reaped"))
    assert broker.reap(start=int(pause == "a hub starts"), period_ms=30000)["reaped"] == 0
    for holder in ("a:1", "b:1"):
        assert abs(broker.redis.zscore(broker.key("holders"), holder) - now - 30000) < 5000
    broker.expire("a:1")
    assert broker.reap()["names"] == ["a:1"]


def test_r8_reaping_many_is_done_in_bounded_steps(broker):
    push(broker, *range(6000))
    for node in range(6):
        broker.take(f"n{node}", n=1, most=1000)
    broker.reap()
    broker.expire(*[f"n{node}:1" for node in range(6)])
    steps = [broker.reap() for _ in range(3)]
    assert [s["back"] for s in steps] == [2000] * 3 and [s["more"] for s in steps] == [1, 1, 0]
    assert steps[2]["left"] == 0
    broker.check_books()


def test_a_holder_has_a_bounded_number_of_items(broker):
    push(broker, *range(10100))
    for n in range(1, 11):
        assert len(broker.take(n=n, most=1000)) == 1000
    assert broker.take(n=11).status == "empty"
    assert len(broker.take("b", n=1, most=1000)) == 100
    begun = time.monotonic()
    assert broker.take(epoch=2, n=1).back == 10000
    assert time.monotonic() - begun < 5
    broker.check_books()


# --- R9 ---

def test_r9_output_elsewhere_is_decided_here_and_written_there_once(two_servers_broker):
    broker = two_servers_broker
    push(broker, "x", "y")
    x, y = broker.take(n=1).ids
    sets = [([(item, 1)], [["LPUSH", "results", item]]) for item in (x, y)]
    assert broker.commit("a:1", *sets) == ["ok", "ok"]
    assert broker.commit("a:1", *sets) == ["duplicate", "duplicate"]
    assert results(broker) == [] and broker.books() == ({}, [], {})
    source, entries = broker.outbox()
    assert [destination for _, destination, _ in entries] == [b"task-1"] * 2
    assert int(entries[0][0]) < int(entries[1][0])
    assert broker.outbox(count=1)[1] == entries[:1]
    for _ in range(2):  # the answer got lost
        assert broker.outbox_apply(source, entries) == ["ok", "ok"]
    assert broker.outbox_apply(source, entries[:1]) == ["ok"]  # another hub, late
    assert results(broker) == [y.encode(), x.encode()]
    for dropped in ([2, 0], [0, 0]):
        assert broker.outbox_done(entries, ["ok", "ok"]) == dropped
    assert broker.outbox() == (source, []) and broker.progress()["outbox"] == 0
    assert broker.redis.exists(broker.key("outbox_items")) == 0


def test_r9_only_the_head_of_the_outbox_is_dropped(two_servers_broker):
    broker = two_servers_broker
    push(broker, "x", "y")
    for item in broker.take(n=1).ids:
        broker.done("a:1", (item, 1))
    _, entries = broker.outbox()
    assert broker.outbox_done(entries[1:], ["ok"]) == [0, 0]
    assert broker.outbox()[1] == entries


def test_r9_a_q_is_never_given_again_though_redis_forgot_it(two_servers_broker):
    broker = two_servers_broker
    push(broker, "x", "y")
    x, y = broker.take(n=1).ids
    broker.done("a:1", (x, 1), "one")
    source, entries = broker.outbox()
    broker.outbox_apply(source, entries)
    broker.redis.delete(broker.key("outbox"), broker.key("outbox_q"))
    broker.done("a:1", (y, 1), "two")
    assert broker.outbox_apply(*broker.outbox()) == ["ok"]
    assert results(broker) == [b"two", b"one"]


def test_r9_what_can_never_be_written_there_is_a_dead_letter(two_servers_broker):
    broker = two_servers_broker
    broker.other.set("results:s", "a string")
    push(broker, "x", "y")
    x, y = broker.take(n=1).ids
    broker.commit("a:1", ([(x, 1)], [["LPUSH", "results", "before"], ["LPUSH", "results:s", "r"]]),
                  ([(y, 1)], [["LPUSH", "results", "good"]]))
    source, entries = broker.outbox()
    reason = "LPUSH: the key holds a string"
    assert broker.outbox_apply(source, entries) == [reason, "ok"]
    broker.other.delete("results:s")
    assert broker.outbox_apply(source, entries) == [reason, "ok"]  # its fate is sealed
    assert broker.outbox_done(entries, [reason, "ok"]) == [2, 1]
    assert results(broker) == [b"good"]
    _, _, ((item, payload, *_, error, _),) = broker.dead()
    assert payload == b"x" and json.loads(error) == {"reason": reason}
    assert item.decode() != x  # late messages about the old id find nothing
    assert broker.progress()["done"] == 1
    assert broker.run("dead_retry", 0) == [1, 0]
    broker.done("a:1", (item, 1))
    broker.outbox_apply(*broker.outbox())
    assert broker.other.exists("results:idm:refused") == 0


def test_r9_what_goes_to_the_input_queue_is_written_here_at_once(two_servers_broker):
    broker = two_servers_broker
    push(broker, "x")
    (x,) = broker.take(n=1).ids
    broker.commit("a:1", ([(x, 1)], [["LPUSH", "jobs", "more"]]))
    assert broker.redis.lrange("jobs", 0, -1) == [b"more"] and broker.outbox()[1] == []


# --- R10 ---

def test_r10_a_set_lands_only_whole(broker):
    push(broker, "x", "y", "z")
    x, y, z = broker.take(n=1).ids
    assert broker.done("a:1", (x, 1)) == "ok"
    broker.fail("a:1", (z, 1))
    broker.take("b", n=1)
    answer = broker.commit("a:1", ([(x, 1), (y, 1), (z, 1)], [["LPUSH", "results", "all"]]))
    assert answer == ["incomplete"] and broker.back == 1
    assert results(broker) == [b"result"]
    items, retry, held = broker.check_books()
    assert set(items) == {y, z} and retry == [y] and held == {"b:1": {z: 1}}
    assert broker.progress()["failed"] == 1  # only by fail
    broker.take("b", n=2)
    assert broker.commit("b:1", ([(y, 2), (z, 1)], [["LPUSH", "results", "both"]])) == ["ok"]
    assert results(broker) == [b"both", b"result"]
    assert broker.progress()["done"] == 3


def test_r10_any_node_may_bring_a_commit_and_the_first_wins(broker):
    push(broker, "x")
    (x,) = broker.take("a", n=1).ids
    broker.reap_now("a:1")
    broker.take("b", n=1)
    assert broker.done("a:1", (x, 1), "first") == "ok"
    assert broker.done("b:1", (x, 1), "second") == "duplicate"
    assert results(broker) == [b"first"]
    assert broker.progress()["duplicates"] == 1
    assert broker.books() == ({}, [], {})


def test_r10_a_late_copy_of_a_commit_takes_nothing_from_a_newer_lease(broker):
    push(broker, "x", "y")
    x, y = broker.take(n=1).ids
    copy = ([(x, 1), (y, 1)], [["LPUSH", "results", "both"]])
    broker.done("a:1", (x, 1))
    assert broker.commit("a:1", copy) == ["incomplete"]
    broker.take(n=2)
    assert broker.commit("a:1", copy) == ["incomplete"]
    assert broker.check_books()[2] == {"a:1": {y: 2}}


def test_r10_a_dead_letter_accepts_no_commit_until_it_is_retried(broker):
    broker.max_attempts = 1
    push(broker, "x", "y")
    x, y = broker.take(n=1).ids
    broker.fail("a:1", (x, 1), (y, 1))
    assert broker.done("a:1", (x, 1)) == "duplicate" and results(broker) == []
    assert broker.run("dead_retry", 1, x) == [1, 0]
    assert broker.run("dead_retry", 1, x) == [0, 0]
    assert broker.take("b", n=1)[x] == (b"x", 0, 0)
    assert broker.run("dead_retry", 0) == [1, 0]
    assert broker.run("dead_drop", 1, y) == [0, 0]
    assert broker.dead()[1] == 0
    for name in ("attempts", "losses", "errors", "avoid", "dead", "dead_order"):
        assert broker.redis.exists(broker.key(name)) == 0
    broker.check_books()


def test_dead_letters_are_listed_by_pages_and_dropped(broker):
    broker.max_attempts = 1
    push(broker, *range(5))
    for n in range(1, 6):
        (item,) = broker.take(n=n, most=1).ids
        broker.fail("a:1", (item, n))
        time.sleep(0.002)
    cursor, total, page = broker.dead(0, 3)
    assert (cursor, total, [letter[1] for letter in page]) == (3, 5, [b"0", b"1", b"2"])
    cursor, total, rest = broker.dead(3, 3)
    assert (cursor, total, [letter[1] for letter in rest]) == (0, 5, [b"3", b"4"])
    assert broker.run("dead_drop", 2, page[0][0], "none") == [1, 0]
    assert broker.run("dead_drop", 0) == [4, 0]
    assert broker.dead() == (0, 0, []) and broker.books() == ({}, [], {})
    assert broker.redis.exists(broker.key("attempts")) == 0


def test_dead_letters_lie_in_the_order_of_their_deaths(broker):
    broker.max_attempts = 1
    push(broker, *range(200))
    for n in range(1, 101):  # ids of one take are drawn: several takes, in no order, and many deaths in a millisecond
        first, second = broker.take(n=n, most=2).ids
        broker.fail("a:1", (second, n), (first, n))
    assert [int(letter[1]) for letter in broker.dead(0, 1000)[2]] == [i ^ 1 for i in range(200)]


# --- R11 ---

GOOD = [
    [["LPUSH", "results", "a", "b"], ["RPUSH", "results", "c"]],
    [["SADD", "results:s", "a"], ["HSET", "results:h", "f", "v", "g", "w"], ["XADD", "results:x", "*", "f", "v"]],
    [["ZADD", "results:z", score, score] for score in
     ("1", "-1.5", "+2", ".5", "5.", "1e3", "-1E-3", "inf", "-inf", "+Infinity", "0", "0e9")],
    [["SET", "results:k", "v"], ["APPEND", "results:k", "w"], ["SET", "results", "v"]],
    [["RPUSH", "jobs", "more"], ["lpush", "results", "x"]],
    [["LPUSH", "results", *["v"] * 20000], ["HSET", "results:h", *["v"] * 20000]],
    [["SADD", "results:s", *map(str, range(20000))], ["ZADD", "results:z", *["1", "m"] * 9000]],
    [["XADD", "results:x", "*", *["v"] * 998]],
]
WRONG = {
    "a command that may not be used on the output queue": [["DEL", "results"], ["EVAL", "results", "0"], ["LREM", "results", "0", "x"]],
    "LPUSH: wrong number of arguments": [["LPUSH", "results"]],
    "SET: wrong number of arguments": [["SET", "results", "v", "EX", "5"]],
    "APPEND: wrong number of arguments": [["APPEND", "results", "v", "w"]],
    "HSET: wrong number of arguments": [["HSET", "results", "f"], ["HSET", "results", "f", "v", "g"]],
    "ZADD: wrong number of arguments": [["ZADD", "results", "NX", "1", "m"]],
    "ZADD: a score is not a number": [["ZADD", "results:z", "1", "m", s, "n"] for s in
                                      ("x", "", "nan", "1.2.3", "1e400", "1e-999", "0x10", " 1", "1 ", ".", "e5", "--1")],
    "XADD: the id must be *": [["XADD", "results:x", "5-1", "f", "v"], ["XADD", "results:x", "NOMKSTREAM", "*", "f"],
                               ["XADD", "results:x", "MAXLEN", "1", "*", "f", "v"][:5]],
    "XADD: wrong number of arguments": [["XADD", "results:x", "*", "f"], ["XADD", "results:x", "*"]],
    "XADD: too many arguments": [["XADD", "results:x", "*", *["v"] * 8000]],
    "LPUSH: not on the output queue, nor a key below it": [
        ["LPUSH", name, "v"] for name in ("result", "results2", "other", "results:idm:applied", "{jobs}:idm:retry", "")],
    "SET: not on the input queue": [["SET", "jobs", "v"]],
    "SADD: not on the input queue": [["SADD", "jobs", "v"]],
    "SADD: the key holds a list": [["SADD", "results", "v"]],
    "LPUSH: the key holds a hash": [["LPUSH", "results:h", "v"]],
    "APPEND: the key holds a hash": [["APPEND", "results:h", "v"]],
}


@pytest.mark.parametrize("number", range(len(GOOD)))
def test_r11_what_passes_the_check_is_written(broker, number):
    push(broker, "x")
    (x,) = broker.take(n=1).ids
    assert broker.commit("a:1", ([(x, 1)], GOOD[number])) == ["ok"]
    for write in GOOD[number]:
        assert broker.redis.exists(write[1])
    assert broker.books() == ({}, [], {})


def test_r11_writes_keep_their_order(broker):
    push(broker, "x", "y")
    x, y = broker.take(n=1).ids
    broker.commit("a:1", ([(x, 1)], [["RPUSH", "results", "1"], ["RPUSH", "results", "2"], ["LPUSH", "results", "0"]]),
                  ([(y, 1)], [["LPUSH", "results", "b", "a"], ["RPUSH", "results", "3"]]))
    assert results(broker) == [b"a", b"b", b"0", b"1", b"2", b"3"]


@pytest.mark.parametrize("elsewhere", [False, True], ids=["here", "elsewhere"])
@pytest.mark.parametrize("reason", WRONG)
def test_r11_a_wrong_write_is_a_charged_failure_and_nothing_is_written(server, client, elsewhere, reason):
    broker = Broker(client, other=server.client(db=1) if elsewhere else None)
    broker.destination = "there" if elsewhere else ""
    there = broker.other
    for wrong in WRONG[reason]:
        client.flushall()
        there.rpush("results", "before")
        there.hset("results:h", "f", "v")
        push(broker, "x", "y")
        x, y = broker.take(n=1).ids
        answer = broker.commit("a:1", ([(x, 1), (y, 1)], [["LPUSH", "results:new", "r"], wrong]))
        if elsewhere and "the key holds" in reason:
            assert answer == ["ok"]
            source, entries = broker.outbox()
            assert broker.outbox_apply(source, entries) == [reason]
        else:
            assert answer == [reason] and broker.back == 2
            assert json.loads(client.hget(broker.key("errors"), x)) == {"reason": reason}
            assert client.hget(broker.key("attempts"), y) == b"1"
            broker.check_books()
            assert broker.commit("a:1", ([(x, 1), (y, 1)], [wrong])) == [reason]  # a late copy
            assert client.hget(broker.key("attempts"), y) == b"1"
        assert there.lrange("results", 0, -1) == [b"before"] and not there.exists("results:new")


def test_r11_a_type_is_checked_as_it_will_be(broker):
    push(broker, "x", "y", "z")
    x, y, z = broker.take(n=1).ids
    assert broker.commit(
        "a:1", ([(x, 1)], [["LPUSH", "results:k", "1"], ["HSET", "results:k", "f", "v"]]),
        ([(y, 1)], [["HSET", "results:k", "f", "v"], ["SET", "results:k", "s"], ["APPEND", "results:k", "t"]]),
        ([(z, 1)], [["LPUSH", "results:k", "1"]])) == ["HSET: the key holds a list", "ok", "LPUSH: the key holds a string"]
    assert broker.redis.get("results:k") == b"st"


def test_r11_a_string_that_would_be_too_long_is_refused_before(broker):
    push(broker, "x")
    (x,) = broker.take(n=1).ids
    broker.redis.setrange("results:k", 512 * 1024 * 1024 - 5, "1234")
    assert broker.commit("a:1", ([(x, 1)], [["LPUSH", "results", "r"], ["APPEND", "results:k", "1"], ["APPEND", "results:k", "2"]])) \
        == ["APPEND: the string would be too long"]
    assert results(broker) == []
    broker.redis.delete("results:k")


def test_r11_a_full_redis_refuses_commits_whole_and_lets_items_move():
    server = Server("--maxmemory", "0", "--maxmemory-policy", "noeviction")
    try:
        broker = Broker(server.client())
        push(broker, *range(40))
        ids = broker.take(n=1).ids
        server.client().config_set("maxmemory", 1)
        before = broker.books()
        with pytest.raises(redis.exceptions.ResponseError, match="OOM|maxmemory"):
            broker.commit("a:1", ([(ids[0], 1)], [["LPUSH", "results", "r"]]), ([(ids[1], 1)], [["LPUSH", "results", "r"]]))
        assert broker.books() == before and results(broker) == []
        assert broker.fail("a:1", (ids[2], 1)) == ["retry"]
        assert broker.give_back("a:1", (ids[3], 1)) == ["retry"]
        assert broker.renew("a", 1, [ids[5]])[0] == "executed"
        assert broker.inventory("a", 1, 1, [(item, 1) for item in ids[:5]]) == ("executed", 5, 0)
        broker.reap()
        broker.lease_ms = 0
        assert len(broker.take("b", n=1)) == 10
        assert broker.reap()["back"] == 10
        assert broker.take("a", 2, n=1).back == 3
        broker.inventory("a", 2, LEAVE)
        assert broker.settle()[0] == 0
        server.client().config_set("maxmemory", 0)
        assert broker.redis.llen("jobs") == 40
    finally:
        server.stop()


@pytest.mark.parametrize("name", ["take", "settle"])
def test_r11_an_input_that_is_no_list_is_refused_before_anything_changes(broker, name):
    push(broker, "x")
    (x,) = broker.take(n=1).ids
    broker.give_back("a:1", (x, 1))
    broker.redis.set("jobs", "a string")
    with pytest.raises(redis.exceptions.ResponseError, match="WRONGTYPE"):
        broker.take(n=2) if name == "take" else broker.settle()
    assert broker.books() == ({x: b"x"}, [x], {})


def test_a_wrong_argument_changes_nothing(broker):
    push(broker, "x")
    (x,) = broker.take(n=1).ids
    before = broker.books()
    for call in (lambda: broker.take("a:b", n=2), lambda: broker.take(n=0), lambda: broker.take(n="x"),
                 lambda: broker.take(n=2, most=1001), lambda: broker.done("a", (x, 1)),
                 lambda: broker.commit("a:1", ([(x, 1)], [["LPUSH", "results", "r"]]), ([("y", "x")], [])),
                 lambda: broker.call("commit", [broker.queue, broker.base, broker.output],
                                     ["a:1", 3, 0, 0, 0, "", "seed", 2, 1, x, 1, 0]),
                 lambda: broker.run("reap", 0, 0, 1), lambda: broker.run("settle", "up")):
        with pytest.raises(redis.exceptions.ResponseError, match="IDM "):
            call()
    assert broker.books() == before


# --- R12 ---

def test_r12_what_arrived_counts_as_waiting_and_goes_back(broker):
    push(broker, "x", "y", "z")
    broker.redis.blmove("jobs", broker.key("arrived"), 1, "RIGHT", "LEFT")
    progress = broker.progress()
    assert (progress["input"], progress["arrived"], progress["waiting"]) == (2, 1, 3)
    assert broker.settle() == [0, 1, 0]
    assert broker.redis.lrange("jobs", 0, -1) == [b"z", b"y", b"x"]


@pytest.mark.parametrize("pop", ["left", "right"])
def test_r12_after_the_last_holder_all_goes_back_in_its_order(broker, pop):
    broker.pop = pop
    (broker.redis.rpush if pop == "left" else broker.redis.lpush)("jobs", *range(1600))
    ids = broker.take("a", n=1, most=1000).ids + broker.take("a", n=2, most=300).ids
    broker.take("b", n=1, most=1)
    broker.redis.lmove("jobs", broker.key("arrived"), pop, "LEFT")
    broker.fail("a:1", *[(item, 1) for item in ids[:1000]])
    broker.give_back("a:1", *[(item, 2) for item in ids[1000:]])
    assert broker.settle() == [1, 1, 0]  # b still holds one
    broker.inventory("b", 1, LEAVE)
    assert [broker.settle(), broker.settle(), broker.settle()] == [[0, 1000, 1], [0, 301, 0], [0, 0, 0]]
    order = [b"%d" % i for i in [*range(1300), 1300, *range(1301, 1600)]]
    listed = broker.redis.lrange("jobs", 0, -1)
    assert (listed if pop == "left" else listed[::-1]) == order
    assert broker.books() == ({}, [], {}) and broker.redis.exists(broker.key("attempts")) == 0


@pytest.mark.parametrize("name", ["take", "commit", "fail", "return", "inventory", "renew", "reap", "settle", "dead_retry"])
def test_r12_each_script_may_be_repeated(broker, name):
    push(broker, *range(5))
    ids = broker.take(n=1, most=4).ids
    call = {
        "take": lambda: broker.take(n=2),
        "commit": lambda: broker.commit("a:1", *[([(item, 1)], [["LPUSH", "results", item]]) for item in ids],
                                        (1, [["LPUSH", "results", "loose"]])),
        "fail": lambda: broker.fail("a:1", *[(item, 1) for item in ids]),
        "return": lambda: broker.give_back("a:1", *[(item, 1) for item in ids]),
        "inventory": lambda: broker.inventory("a", 1, 1, [(ids[0], 1)]),
        "renew": lambda: broker.renew("a", 1, ids),
        "reap": lambda: broker.reap_now("a:1"),
        "settle": lambda: (broker.inventory("a", 1, LEAVE), broker.settle()),
        "dead_retry": lambda: broker.run("dead_retry", 0),
    }[name]
    if name == "dead_retry":
        broker.max_attempts = 1
        broker.fail("a:1", *[(item, 1) for item in ids])
    call()
    once = broker.check_books(), results(broker), broker.redis.lrange("jobs", 0, -1), broker.redis.hgetall(broker.key("losses"))
    call()
    assert once == (broker.check_books(), results(broker), broker.redis.lrange("jobs", 0, -1),
                    broker.redis.hgetall(broker.key("losses")))


# --- the rest ---

def test_writes_of_no_item_land_once_for_each_number(broker):
    loose = lambda seq, text: (seq, [["LPUSH", "results", text]])
    assert broker.commit("a:1", loose(1, "one"), loose(2, "two")) == ["ok", "ok"]
    assert broker.commit("a:1", loose(1, "one"), loose(2, "two"), loose(3, "three")) == ["duplicate", "duplicate", "ok"]
    assert broker.commit("a:2", loose(1, "next run")) == ["ok"]
    assert broker.commit("a:2", (2, [["DEL", "results"]])) == ["a command that may not be used on the output queue"]
    assert results(broker) == [b"next run", b"three", b"two", b"one"]


def test_an_item_closed_without_a_result_counts_or_fails(broker):
    push(broker, "x", "y")
    x, y = broker.take(n=1).ids
    assert broker.commit("a:1", ([(x, 1)], [])) == ["ok"]
    broker.require_result = 1
    assert broker.commit("a:1", ([(y, 1)], [])) == ["closed without a result, which the task requires"]
    progress = broker.progress()
    assert (progress["done"], progress["empty"], progress["failed"]) == (1, 1, 1)


def test_progress_says_where_everything_is(broker):
    push(broker, *range(10))
    ids = broker.take(n=1, most=6).ids
    broker.max_attempts = 1
    broker.done("a:1", (ids[0], 1))
    broker.fail("a:1", (ids[1], 1))
    broker.give_back("a:1", (ids[2], 1))
    progress = broker.progress()
    expected = dict(input=4, arrived=0, retry=1, waiting=5, leased=3, dead=1, holders=1, outbox=0, done=1, empty=0, failed=1,
                    died=1, duplicates=0, lost=0, returned=1, loose=0)
    assert progress == expected


def test_bytes_are_never_changed(broker):
    payloads = [bytes(range(256)), b"", b"\r\n$-1\r\n", "ünïcode".encode()]
    push(broker, *payloads)
    lease = broker.take(n=1)
    assert lease.payloads == payloads
    for item, payload in zip(lease, payloads):
        broker.done("a:1", (item, 1), payload)
    assert results(broker)[::-1] == payloads


def test_bytes_are_never_changed_on_their_way_through_the_outbox(two_servers_broker):
    test_bytes = [bytes(range(256)), b"", b"\r\n$-1\r\n", b"x" * 100000]
    broker = two_servers_broker
    push(broker, *test_bytes)
    for item, (payload, _, _) in broker.take(n=1).items():
        broker.done("a:1", (item, 1), payload)
    broker.outbox_apply(*broker.outbox())
    assert results(broker)[::-1] == test_bytes


def test_queues_with_a_hash_tag_of_their_own(client):
    assert [base_of(name) for name in ("jobs", "{t}jobs", "a{}b", "a{b")] == \
        ["{jobs}:idm:", "{t}jobs:idm:", "{a{}b}:idm:", "{a{b}:idm:"]
    broker = Broker(client, queue="{t}jobs", output="{t}out")
    push(broker, "x")
    (x,) = broker.take(n=1).ids
    assert broker.done("a:1", (x, 1)) == "ok" and client.keys("{t}jobs:idm:*")


def test_nothing_is_left_of_finished_items(broker):
    push(broker, *range(50))
    ids = broker.take(n=1, most=50).ids
    broker.fail("a:1", *[(item, 1, "{}", 1) for item in ids[:20]])
    broker.reap_now("a:1")
    ids = broker.take("b", n=1, most=50).ids + broker.take("c", n=1).ids
    for n in range(2, 30):
        ids += broker.take("b", n=n, most=50).ids
    broker.commit("b:1", *[([(item, 1)], [["LPUSH", "results", "r"]]) for item in ids])
    broker.inventory("c", 1, 1)
    left = {name.decode().rpartition(":idm:")[2] for name in broker.redis.keys("*:idm:*")}
    assert left == {"nodes", "stats", "reaped"} and broker.redis.llen("results") == 50


# --- items that are pushed ---

@pytest.mark.parametrize("pop", ["right", "left"])
def test_push_comes_in_order_at_the_producers_end(broker, pop):
    broker.pop = pop
    producer, pop_end = (broker.redis.lpush, broker.redis.rpop) if pop == "right" else (broker.redis.rpush, broker.redis.lpop)
    producer(broker.queue, "before")
    assert broker.push("p", 0, "a", "b") == (2, 2, 0)
    assert broker.push("p", 2, *range(2500)) == (2502, 2500, 0)  # more than goes into one call
    expected = [b"before", b"a", b"b"] + [b"%d" % i for i in range(2500)]
    assert [pop_end(broker.queue) for _ in range(2503)] == expected


def test_push_passes_over_what_is_in(broker):
    assert broker.push("p", 0, "a", "b", "c") == (3, 3, 0)
    assert broker.push("p", 0, "a", "b", "c") == (3, 0, 0)
    assert broker.push("p", 1, "b", "c", "d", "e") == (5, 2, 0)
    assert broker.push("p", 1, "b") == (5, 0, 0)
    assert broker.push("q", 0, "a") == (1, 1, 0)  # another push
    assert broker.redis.lrange(broker.queue, 0, -1)[::-1] == [b"a", b"b", b"c", b"d", b"e", b"a"]


def test_push_with_a_gap_changes_nothing(broker):
    assert broker.push("p", 1, "b") == (0, 0, 1)
    assert broker.push("p", 0, "a") == (1, 1, 0)
    assert broker.push("p", 2, "c") == (1, 0, 1)
    assert broker.redis.lrange(broker.queue, 0, -1) == [b"a"]


def test_push_without_items_only_asks(broker):
    assert broker.push("p", 0) == (0, 0, 0)
    assert broker.redis.keys("*") == []
    broker.push("p", 0, "a")
    assert broker.push("p", 0) == (1, 0, 0) and broker.push("p", 1) == (1, 0, 0) and broker.push("p", 2) == (1, 0, 1)


def test_push_is_remembered_for_a_while(broker):
    broker.push("p", 0, "a")
    assert 0 < broker.redis.ttl(broker.key("push:p")) <= 3600
    broker.redis.expire(broker.key("push:p"), 5)
    broker.push("p", 1, "b")
    assert broker.redis.ttl(broker.key("push:p")) > 5


@pytest.mark.parametrize("count", [1, 2500])
def test_push_to_what_is_no_list_changes_nothing(broker, count):
    broker.redis.set(broker.queue, "x")
    with pytest.raises(redis.exceptions.ResponseError, match="WRONGTYPE"):
        broker.push("p", 0, *range(count))
    assert broker.redis.keys("*") == [broker.queue.encode()]


def test_push_wants_as_many_items_as_announced(broker):
    for arguments in (["right", "p", 60, 0, 2, "a"], ["right", "p", 60, 0, 0, "a"], ["up", "p", 60, 0, 1, "a"], ["right", "p q", 60, 0, 1, "a"]):
        with pytest.raises(redis.exceptions.ResponseError, match="IDM"):
            broker.run("push", *arguments)
    assert broker.redis.keys("*") == []


# --- results that are read ---

@pytest.mark.parametrize("writer", ["left", "right"])
def test_results_keep_their_numbers(broker, writer):
    write = broker.redis.lpush if writer == "left" else broker.redis.rpush
    write(broker.output, *range(10))
    assert broker.results_page(0, 3, writer=writer) == (0, 10, 0, [b"0", b"1", b"2"])
    write(broker.output, 10)
    assert broker.results_page(3, 3, writer=writer) == (0, 11, 3, [b"3", b"4", b"5"])
    assert broker.results_take(4, writer=writer) == (4, 0)
    assert broker.results_page(3, 3, writer=writer) == (4, 11, 4, [b"4", b"5", b"6"])
    write(broker.output, 11)
    assert broker.results_page(10, 100, writer=writer) == (4, 12, 10, [b"10", b"11"])
    assert broker.results_take(12, writer=writer) == (12, 0)
    assert broker.results_page(0, writer=writer) == (12, 12, 12, [])
    assert broker.redis.exists(broker.output) == 0
    write(broker.output, 12)
    assert broker.results_page(12, writer=writer) == (12, 13, 12, [b"12"])
    assert broker.results_page(99, writer=writer) == (12, 13, 13, [])


def test_results_taken_again_takes_nothing(broker):
    broker.redis.lpush(broker.output, *range(10))
    assert [broker.results_take(n) for n in (0, 5, 5, 3, 0)] == [(0, 0), (5, 0), (5, 0), (5, 0), (5, 0)]
    assert broker.redis.llen(broker.output) == 5
    assert broker.results_take(99) == (10, 0)  # no more than is there
    assert broker.results_take(99) == (10, 0)


def test_results_are_taken_in_bounded_steps(broker):
    broker.redis.lpush(broker.output, *range(10))
    assert [broker.results_take(7, most=3) for _ in range(4)] == [(3, 1), (6, 1), (7, 0), (7, 0)]
    assert broker.results_page(0, 1) == (7, 10, 7, [b"7"])


@pytest.mark.parametrize("sizes", [[10] * 50, [1] * 30 + [500] + [1] * 30, [0] * 5000, [5000, 1, 1], [1, 5000, 1]])
@pytest.mark.parametrize("max_bytes", [1, 95, 400])
def test_results_pages_are_as_large_as_wanted(broker, sizes, max_bytes):
    expected = [b"x" * size for size in sizes]
    broker.redis.lpush(broker.output, *expected)
    at = 0
    while at < len(expected):
        _, total, start, page = broker.results_page(at, 3000, max_bytes)
        assert (total, start) == (len(expected), at) and page == expected[at:at + len(page)]
        assert len(page) == 1 or sum(map(len, page)) <= max_bytes
        at += len(page)
        assert at == total or len(page) == 3000 or sum(map(len, page)) >= max_bytes or sum(map(len, page)) + len(expected[at]) > max_bytes


def test_results_pages_of_thousands(broker):
    expected = [b"%d" % i for i in range(20000)]
    for i in range(0, 20000, 1000):
        broker.redis.lpush(broker.output, *expected[i:i + 1000])
    assert broker.results_page(5000, 10000) == (0, 20000, 5000, expected[5000:15000])


def test_results_that_are_no_list_are_an_error(broker):
    broker.redis.hset(broker.output, "a", "b")
    for call in (broker.results_page, lambda: broker.results_take(3)):
        with pytest.raises(redis.exceptions.ResponseError, match="WRONGTYPE"):
            call()


def test_a_full_redis_takes_no_push_and_lets_results_go():
    server = Server("--maxmemory", "3mb", "--maxmemory-policy", "noeviction")
    try:
        broker = Broker(server.client())
        broker.redis.lpush(broker.output, *[b"r" * 1000] * 300)
        broker.push("p", 0, "a")
        while True:
            try:
                broker.redis.lpush("fill", b"x" * 10000)
            except redis.exceptions.ResponseError:
                break
        for _ in range(3):
            with pytest.raises(redis.exceptions.ResponseError, match="OOM"):
                broker.push("p", 1, *[b"y" * 1000] * 10)
        assert broker.redis.llen(broker.queue) == 1 and broker.push("p", 0) == (1, 0, 0)
        assert broker.push("p", 0, "a") == (1, 0, 0)
        assert len(broker.results_page()[3]) == 100
        assert broker.results_take(300) == (300, 0) and broker.results_page() == (300, 300, 300, [])
        assert broker.push("p", 1, b"y" * 1000) == (2, 1, 0)
    finally:
        server.stop()

# ---- what people see of failures ----

def test_failures_show_the_item_its_attempts_and_its_end(broker):
    broker.max_attempts = 2
    push(broker, "small", b"\xff" * 3000)
    small, large = broker.take(n=1).ids
    broker.fail("a:1", (small, 1), ("nobody's", 1), (large, 1))
    assert broker.glimpses == [1, b"small", 5, 1, 0, 3, b"\xff" * 1024, 3000, 1, 0]
    broker.fail("a:1", (small, 1))
    assert broker.glimpses == []  # told before
    (small,) = broker.take(n=2, most=1).ids
    broker.fail("a:1", (small, 2))
    assert broker.glimpses == [1, b"small", 5, 2, 1]


def test_failures_of_refused_results_are_shown_too(broker):
    push(broker, "x", "y")
    x, y = broker.take(n=1).ids
    assert broker.commit("a:1", ([(x, 1)], []), ([(y, 1)], [["LPUSH", "elsewhere", "1"]]))[0] == "ok"
    assert broker.glimpses == [2, b"y", 1, 1, 0]


def test_not_more_than_a_hundred_failures_are_shown_of_a_call(broker):
    push(broker, *range(150))
    ids = broker.take(n=1, most=150).ids
    broker.fail("a:1", *[(item, 1) for item in ids])
    assert len(broker.glimpses) == 5 * 100


# ---- purge ----

def test_a_purge_leaves_nothing_of_the_queue(broker):
    push(broker, *range(20))
    broker.redis.lpush(broker.output, "old")
    broker.redis.set(broker.output + ":idm:taken", 3)
    broker.redis.set(broker.output + ":roots", "a worker's own key")
    broker.max_attempts = 1
    ids = broker.take(n=1, most=10).ids
    broker.fail("a:1", *[(item, 1) for item in ids[:3]])
    broker.done("a:1", (ids[3], 1))
    broker.give_back("a:1", *[(item, 1) for item in ids[4:]])
    broker.redis.lpush(broker.key("arrived"), "late")
    broker.redis.set(broker.key("push:somebody"), 17)
    broker.settle()
    assert broker.purge() == [0, b"0", 17, 3, 2]
    assert broker.redis.keys() == [broker.output.encode() + b":roots"]
    assert broker.purge() == [0, b"0", 0, 0, 0]  # it may be repeated


def test_a_purge_touches_nothing_while_something_is_out(broker):
    push(broker, "a", "b")
    broker.take(n=1, most=1)
    before = sorted(broker.redis.keys())
    assert broker.purge() == [1, b"0", 0, 0, 0]
    assert sorted(broker.redis.keys()) == before and broker.redis.llen(broker.queue) == 1


def test_a_purge_is_of_this_queue_alone(client):
    odd = Broker(client, queue="j[o]b*?", output="")
    others = [Broker(client, queue=name, output="") for name in ("job", "jobs", "job*", "j[o]b")]
    for broker in (odd, *others):
        push(broker, "x", "y")
        broker.give_back("a:1", (broker.take(n=1, most=1).ids[0], 1))
    before = {key for key in client.keys() if not key.startswith(b"{j[o]b*?}")}
    odd.purge()
    assert set(client.keys()) == before - {b"j[o]b*?"}


def test_a_purge_looks_through_a_large_redis_in_steps(broker):
    pipe = broker.redis.pipeline()
    for i in range(5000):
        pipe.set(f"other:{i}", 1)
        pipe.set(broker.key(f"push:{i}"), 1)
    pipe.execute()
    push(broker, "x")
    steps, cursor = 0, b"0"
    while steps == 0 or cursor != b"0":
        holders, cursor, *_ = broker.purge(cursor)
        assert holders == 0
        steps += 1
    assert steps > 3
    assert broker.redis.dbsize() == 5000 and not broker.redis.exists(broker.queue)


def test_a_full_redis_can_be_purged(broker):
    push(broker, *range(100))
    broker.redis.lpush(broker.output, *range(100))
    broker.redis.config_set("maxmemory", 1)
    try:
        assert broker.purge()[2:] == [100, 0, 100]
    finally:
        broker.redis.config_set("maxmemory", 0)
