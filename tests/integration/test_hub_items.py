"""Items pushed through the hub: each comes in once and in order, whatever is cut, and the hub keeps none of them."""
import http.client
import json
import signal
import socket
import threading
import time

import pytest

from hub_client import expect
from lease_fixtures import leasing, make_redis, store  # noqa: F401
from lease_node import encode
from processes import TOKEN, wait_until
from tls_fixtures import authority, make_tls_hub, tls_hub  # noqa: F401


def resp(items):
    return b"".join(map(encode, items))


def push(leasing, body, name="t", timeout=60.0, headers=None, **query):
    query = "&".join(f"{key}={value}".replace("from_=", "from=") for key, value in query.items())
    return leasing.hub.post(f"/api/tasks/{name}/items?{query}", raw=body, timeout=timeout, headers=headers)


def known(leasing, push_id, name="t"):
    return expect(leasing.hub.get(f"/api/tasks/{name}/items?push={push_id}"), 200).json


def items(store, queue="in"):
    return store.client.lrange(queue, 0, -1)[::-1]


def lines(count, first=0):
    return [b"item-%d" % i for i in range(first, first + count)]


def refused(answer, status, code, in_already):
    """The message."""
    assert answer.status == status, (answer.status, answer.body)
    body = answer.json
    assert body["error"]["code"] == code and body["items"] == in_already, body
    return body["error"]["message"]


class Stream:
    """A push whose body goes out as the test says."""

    def __init__(self, leasing, query, length, name="t"):
        self.socket = socket.create_connection(("127.0.0.1", leasing.hub.port), timeout=30)
        self.socket.sendall(f"POST /api/tasks/{name}/items?{query} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
                            f"Content-Length: {length}\r\n\r\n".encode())

    def send(self, data):
        self.socket.sendall(data)
        return self

    def answer(self):
        response = http.client.HTTPResponse(self.socket, method="POST")
        response.begin()
        return response.status, json.loads(response.read())

    def close(self):
        self.socket.close()


@pytest.fixture
def task(leasing):
    leasing.add()
    return leasing


# ---- forms ----

def test_lines_come_in_order(task):
    answer = expect(push(task, b"one\ntwo\n\nthree", push="p"), 200).json
    assert answer == {"push": "p", "items": 4}
    assert items(task.store) == [b"one", b"two", b"", b"three"]
    assert known(task, "p") == {"push": "p", "items": 4} and known(task, "q") == {"push": "q", "items": 0}


def test_an_id_is_drawn_for_who_names_none(task):
    first = expect(push(task, b"one\n"), 200).json
    second = expect(push(task, b"two\n"), 200).json
    assert first["items"] == second["items"] == 1 and first["push"] != second["push"]
    assert known(task, first["push"])["items"] == 1


def test_other_ends(task):
    expect(push(task, b"a\nb\0c\0", end="nul"), 200)
    expect(push(task, b"whole\nbody\n", end="none"), 200)
    expect(push(task, b"", end="none"), 200)
    assert items(task.store) == [b"a\nb", b"c", b"whole\nbody\n"]


def test_resp_brings_any_bytes(task):
    payloads = [bytes(range(256)), b"", b"\r\n$-1\r\n", b"a\0b\nc", "ünïcode".encode(), b"\xff\xfe", b"x" * 300000] * 30
    expect(push(task, resp(payloads), headers={"Content-Type": "application/x-resp"}), 200)
    assert items(task.store) == payloads


def test_left_poppers_get_the_oldest_first_too(leasing):
    leasing.add(pop="left")
    expect(push(leasing, b"a\nb\nc\n"), 200)
    assert leasing.store.client.lrange("in", 0, -1) == [b"a", b"b", b"c"]


def test_items_are_given_to_nodes_and_may_come_before_the_task_starts(leasing):
    leasing.add("first", input_queue="other")
    node, task = leasing.node(), leasing.add("t")
    expect(push(leasing, b"early\n", push="p"), 200)
    leasing.hub.next()
    leasing.ready()
    node.task()
    assert [item.payload for item in node.items(task)] == [b"early"]
    held = node.hold(task)
    expect(push(leasing, b"late\n", push="p", from_=1), 200)
    lease = held.answer()
    assert [item.payload for item in lease.items] == [b"late"] and held.took < 2


# ---- refusals ----

def test_what_cannot_be_pushed(leasing):
    leasing.add("t")
    for query in ({"push": ""}, {"push": "a+b"}, {"push": "x" * 65}, {"from_": "-1"}, {"from_": "x"}, {"end": "tab"}):
        expect(push(leasing, b"x\n", **query), 400, "bad_request")
    expect(push(leasing, b"x\n", name="nobody"), 404, "not_found")
    expect(leasing.hub.get("/api/tasks/t/items"), 400, "bad_request")
    expect(leasing.hub.post("/api/tasks/t/items", raw=b"x", token="wrong"), 401)
    leasing.hub.add("direct", input_redis=leasing.store.url, delivery="direct")
    expect(push(leasing, b"x\n", name="direct"), 400, "bad_state")
    leasing.hub.finish()
    answer = push(leasing, b"x\n")
    assert answer.status == 409 and answer.json["error"]["code"] == "bad_state"
    assert items(leasing.store) == []


def test_a_gap_is_refused_and_changes_nothing(task):
    assert "item 0" in refused(push(task, b"x\n", push="p", from_=1), 409, "gap", 0)
    expect(push(task, b"a\nb\n", push="p"), 200)
    refused(push(task, b"x\n", push="p", from_=3), 409, "gap", 2)
    assert items(task.store) == [b"a", b"b"]


def test_an_item_that_is_too_large_is_named_and_those_before_it_are_in(task):
    huge = b"x" * (16 << 20)
    assert "item 2" in refused(push(task, b"a\nb\n" + huge + b"x\nc\n", push="p"), 413, "too_large", 2)
    assert expect(push(task, b"a\nb\n" + huge + b"\nc\n", push="p"), 200).json["items"] == 4
    assert items(task.store) == [b"a", b"b", huge, b"c"]
    headers = {"Content-Type": "application/x-resp"}
    assert "item 4" in refused(push(task, b"$16777217\r\n", push="p", from_=4, headers=headers), 413, "too_large", 4)


def test_what_is_no_resp_is_refused_behind_what_is(task):
    headers = {"Content-Type": "application/x-resp"}
    message = refused(push(task, resp([b"a", b"b"]) + b"nonsense", push="p", headers=headers), 400, "bad_request", 2)
    assert "item 2" in message
    refused(push(task, resp([b"a", b"b"]) + b"$5\r\nab", push="q", headers=headers), 400, "bad_request", 2)
    assert items(task.store) == [b"a", b"b"] * 2


def test_a_viewer_may_not_push(make_hub, store):
    hub = make_hub()
    del hub.config["token"]
    hub.start(admin_token="admin-secret-1", viewer_token="viewer-secret-1", join_token="join-secret-1")
    expect(hub.post("/api/tasks", {"name": "t", "image": "i:1", "input_queue": "in", "output_queue": "out", "input_redis": store.url},
                    token="admin-secret-1"), 201)
    expect(hub.post("/api/tasks/t/items", raw=b"a\n", token="viewer-secret-1"), 403, "forbidden")
    expect(hub.post("/api/tasks/t/results/take", {"upto": 0}, token="viewer-secret-1"), 403, "forbidden")
    expect(hub.post("/api/tasks/t/items?push=p", raw=b"a\n", token="admin-secret-1"), 200)
    assert expect(hub.get("/api/tasks/t/items?push=p", token="viewer-secret-1"), 200).json["items"] == 1
    expect(hub.get("/api/tasks/t/results", token="viewer-secret-1"), 200)


# ---- large ones ----

def resident_kb(hub):
    status = open(f"/proc/{hub.daemon.process.pid}/status").read()
    return int(status.split("VmHWM:")[1].split()[0])


def test_the_hub_keeps_nothing_of_a_long_push(leasing, make_redis):
    """200 MB in one call. What a sanitizer keeps of freed memory is not the hub's: there only the order is looked at."""
    store = make_redis("--appendonly", "no")
    leasing.add("big", input_redis=store.url)
    line = b"%07d" + b"." * 992 + b"\n"
    expect(push(leasing, line % 0 * 10, name="big", push="warm"), 200)
    before = resident_kb(leasing.hub)
    count = 200_000

    def body():
        for first in range(0, count, 100):
            yield b"".join(line % i for i in range(first, first + 100))
    answer = expect(leasing.hub.post("/api/tasks/big/items?push=p", raw=body(), timeout=300), 200).json
    grown = resident_kb(leasing.hub) - before
    assert answer["items"] == count
    assert store.client.llen("in") == count + 10
    assert [int(item[:7]) for item in store.client.lrange("in", 0, 99)] == list(range(count - 1, count - 101, -1))
    if b"__asan_init" not in leasing.hub.program.read_bytes():
        assert grown < 8 * 1024, f"{grown} kB"


def test_a_hub_that_waits_for_redis_lets_the_pusher_wait(leasing, make_redis):
    store = make_redis("--appendonly", "no")
    leasing.add("big", input_redis=store.url)
    expect(push(leasing, b"warm\n", name="big"), 200)
    length = 100 << 20
    stream = Stream(leasing, "push=p", length, name="big")
    store.process.send_signal(signal.SIGSTOP)  # it answers nothing
    stream.socket.settimeout(2)
    sent = 0
    line = b"z" * 1023 + b"\n"
    with pytest.raises(TimeoutError):
        while sent < length:
            sent += stream.socket.send(line * 64)
    assert sent < 32 << 20
    assert expect(leasing.hub.get("/health"), 200)
    store.process.send_signal(signal.SIGCONT)
    stream.socket.settimeout(60)
    rest = line * ((length >> 10) + 1)
    stream.send(rest[sent % 1024:][:length - sent])
    status, answer = stream.answer()
    assert status == 200 and answer["items"] == length >> 10
    stream.close()
    assert store.client.llen("in") == (length >> 10) + 1


# ---- cut ones ----

@pytest.mark.parametrize("whole_again", [True, False], ids=["from=0", "from=items"])
def test_a_push_whose_connection_is_cut_goes_on(task, whole_again):
    expected = lines(50000)
    body = b"\n".join(expected) + b"\n"
    stream = Stream(task, "push=p", len(body))
    stream.send(body[:len(body) // 2 - 3])
    wait_until(lambda: task.store.client.llen("in") > 1000, 10)
    stream.close()
    first = 0 if whole_again else known(task, "p")["items"]
    rest = b"\n".join(expected[first:])
    assert expect(push(task, rest, push="p", from_=first), 200).json["items"] == 50000
    assert items(task.store) == expected


@pytest.mark.parametrize("whole_again", [True, False], ids=["from=0", "from=items"])
def test_a_push_goes_on_after_the_hub_was_killed(task, whole_again):
    expected = lines(200000)
    body = b"\n".join(expected)
    stream = Stream(task, "push=p", len(body))
    sender = threading.Thread(target=lambda: quietly(lambda: stream.send(body)))
    sender.start()
    wait_until(lambda: task.store.client.llen("in") > 5000, 20)
    task.restart(kill=True)
    sender.join(30)
    stream.close()
    task.ready()
    count = known(task, "p")["items"]
    assert 5000 <= count == task.store.client.llen("in")
    first = 0 if whole_again else count
    assert expect(push(task, b"\n".join(expected[first:]), push="p", from_=first), 200).json["items"] == 200000
    assert items(task.store) == expected


def quietly(call):
    try:
        call()
    except OSError:
        pass


def test_a_push_goes_on_after_redis_was_killed(task):
    expected = lines(200000)
    body = b"\n".join(expected)
    stream = Stream(task, "push=p", len(body))
    sender = threading.Thread(target=lambda: quietly(lambda: stream.send(body)))
    sender.start()
    wait_until(lambda: task.store.client.llen("in") > 5000, 20)
    task.store.kill()
    status, answer = stream.answer()
    assert status == 503 and answer["error"]["code"] == "redis_unreachable", answer
    sender.join(30)
    stream.close()
    refused_answer = push(task, b"x\n", push="q")
    assert refused_answer.status == 503 and refused_answer.json["items"] is None
    task.store.start()
    wait_until(lambda: task.hub.get("/api/tasks/t/items?push=p").status == 200, 20)
    count = known(task, "p")["items"]
    assert 0 < answer["items"] <= count == task.store.client.llen("in")
    assert expect(push(task, body, push="p"), 200).json["items"] == 200000
    assert items(task.store) == expected


def test_a_pusher_that_goes_while_redis_is_asked(task):
    expect(push(task, b"a\n", push="p"), 200)
    task.store.process.send_signal(signal.SIGSTOP)
    half, whole = Stream(task, "push=q", 100), Stream(task, "push=r", 2)
    half.send(b"a\nb\n")
    whole.send(b"a\n")
    time.sleep(0.3)
    half.close()
    whole.close()
    time.sleep(1.5)  # the hub has noticed
    task.store.process.send_signal(signal.SIGCONT)
    assert known(task, "p")["items"] == 1 and known(task, "r")["items"] == 0  # what was not asked for yet is not brought in


def test_two_that_push_the_same_bring_it_once(task):
    expected = lines(30000)
    body = b"\n".join(expected)
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(push(task, body, push="p"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [expect(answer, 200).json["items"] for answer in answers] == [30000] * 4
    assert items(task.store) == expected


def test_a_full_redis_is_told_and_the_push_goes_on_when_there_is_room(leasing, make_redis):
    store = make_redis("--maxmemory", "30mb", "--maxmemory-policy", "noeviction", "--appendonly", "no")
    leasing.add("t", input_redis=store.url)
    expected = [b"%06d" % i + b"f" * 994 for i in range(60000)]
    body = b"\n".join(expected)
    stream = Stream(leasing, "push=p", len(body))
    sender = threading.Thread(target=lambda: quietly(lambda: stream.send(body)))
    sender.start()
    status, answer = stream.answer()
    assert status == 507 and answer["error"]["code"] == "redis_full" and "maxmemory" in answer["error"]["message"]
    sender.join(30)
    stream.close()
    count = known(leasing, "p")["items"]
    assert 0 < count == answer["items"] == store.client.llen("in")
    again = push(leasing, b"\n".join(expected[count:]), push="p", from_=count)  # some of Redis' own memory may be free again
    assert again.status == 507 and again.json["items"] >= count
    count = known(leasing, "p")["items"]
    store.client.config_set("maxmemory", "0")
    assert expect(push(leasing, b"\n".join(expected[count:]), push="p", from_=count), 200).json["items"] == 60000
    assert items(store) == expected


def test_a_push_that_creeps_is_cut_and_a_long_one_is_not(make_hub, store):
    hub = make_hub().start(request_timeout=2)
    hub.add("t", input_queue="in", output_queue="out", input_redis=store.url)

    class Leasing:
        pass
    leasing = Leasing()
    leasing.hub, leasing.store = hub, store
    creeping = Stream(leasing, "push=creeps", 1000)
    long = Stream(leasing, "push=long", 60 * 500)
    begun = time.monotonic()
    cut_after = None
    for i in range(60):
        long.send(b"l" * 499 + b"\n")
        if cut_after is None:
            try:
                creeping.send(b"c")
            except OSError:
                cut_after = time.monotonic() - begun
        time.sleep(0.1)
    assert cut_after and 1.9 < cut_after < 5
    status, answer = long.answer()
    assert status == 200 and answer["items"] == 60
    assert time.monotonic() - begun > 5
    creeping.close()
    long.close()


def test_a_push_ends_in_order_when_its_task_does(task):
    stream = Stream(task, "push=p", 1000000)
    stream.send(b"a\nb\n")
    wait_until(lambda: known(task, "p")["items"] == 2, 10)
    task.hub.finish()
    stream.send(b"c\n" * 10)
    status, answer = stream.answer()
    assert (status, answer["error"]["code"], answer["items"]) == (409, "bad_state", 2)
    stream.close()
    assert known(task, "p")["items"] == 2


def test_the_hub_ends_in_order_under_a_push(task):
    stream = Stream(task, "push=p", 1 << 30)
    sender = threading.Thread(target=lambda: quietly(lambda: [stream.send(b"x" * 99 + b"\n") for _ in range(1 << 20)]))
    sender.start()
    wait_until(lambda: task.store.client.llen("in") > 1000, 20)
    task.restart()
    sender.join(30)
    stream.close()
    task.ready()
    assert known(task, "p")["items"] == task.store.client.llen("in")


def test_a_cluster_or_another_type_is_told(task):
    task.store.client.set("in", "no list")
    answer = push(task, b"x\n", push="p")
    assert answer.status == 503 and answer.json["error"]["code"] == "redis_refused" and answer.json["items"] == 0


def test_the_same_through_tls(tls_hub, make_redis):
    store = make_redis()
    tls_hub.add("t", input_queue="in", output_queue="out", input_redis=store.url)
    expected = lines(100000)
    body = b"\n".join(expected)
    assert expect(tls_hub.post("/api/tasks/t/items?push=p", raw=body, timeout=60), 200).json["items"] == 100000
    assert items(store) == expected
    connection = tls_hub.connect(60)  # the answer comes in the midst of the body
    connection.putrequest("POST", "/api/tasks/t/items?push=p&from=100001")
    for name, value in {**tls_hub.headers(), "Content-Length": str(1 << 30)}.items():
        connection.putheader(name, value)
    connection.endheaders(b"x\n" * 1000)
    answer = connection.getresponse()
    assert answer.status == 409 and json.loads(answer.read())["items"] == 100000
    connection.close()
