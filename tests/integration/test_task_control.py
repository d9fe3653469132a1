"""What a person does to one task by its name: finish, cancel and purge, pause and resume, look at its failures. Nodes are calls of
the tests' own; at the end real agents whose workers are processes."""
import time

import pytest

from hub_client import expect
from lease_fixtures import leasing, make_redis, store  # noqa: F401
from lease_node import done, failed, returned
from leased_fixtures import PYTHON, run_job, workers  # noqa: F401
from process_fixtures import make_process_node  # noqa: F401
from processes import wait_until


def control(leasing, name, what, body=None, status=200, code=None, text=None):
    return expect(leasing.hub.post(f"/api/tasks/{name}/{what}", body), status, code, text).json


def cancel(leasing, name="t", purge=False, **expected):
    return control(leasing, name, "cancel", {"purge": purge}, **expected)


def failures(leasing, name="t", query=""):
    return expect(leasing.hub.get(f"/api/tasks/{name}/failures{query}"), 200).json


def keys(redis):
    return sorted(key.decode() for key in redis.client.keys())


# ---- finish ----

def test_finish_by_name(leasing):
    leasing.add("größe 1?")
    leasing.add("next", input_queue="in2")
    control(leasing, "next", "finish", status=409, code="bad_state", text="waiting")
    answer = control(leasing, "gr%C3%B6%C3%9Fe%201%3F", "finish")
    assert (answer["completed"], answer["started"]) == ("größe 1?", "next")
    control(leasing, "gr%C3%B6%C3%9Fe%201%3F", "finish", status=409, code="bad_state", text="completed")
    assert leasing.hub.queue() == ("next", [], ["größe 1?"])


# ---- cancel ----

def test_a_cancelled_task_ends_as_one_that_is_finished(leasing):
    node, task = leasing.node(), leasing.add()
    leasing.store.push("abcd")
    leasing.add("next", input_queue="in2")
    leasing.ready()
    a, b = node.take(task, 2)
    node.task()
    held = node.hold(task, n=2)
    held.answer()
    assert cancel(leasing) == {"cancelled": "t", "started": "next", "purge": False}
    assert node.lease(task).status == "closed"
    assert node.commit(task, done(a, ["LPUSH", "out", "A"]), returned(b)) == [("accepted", None)] * 2
    tasks = leasing.hub.tasks()
    assert (tasks["current"], tasks["completed"]) == ("next", ["t"])
    assert leasing.task()["status"] == "cancelled" and leasing.task()["completed_at"]
    cancel(leasing, status=409, code="bad_state", text="cancelled")
    cancel(leasing, "nobody", status=404, code="not_found")
    node.leave(task)
    wait_until(lambda: sorted(leasing.store.list("in")) == [b"b", b"c", b"d"], 15, "what was not done is back")
    assert leasing.store.list() == [b"A"]


def test_a_waiting_task_that_is_cancelled_disturbs_nobody_on_its_queue(leasing):
    """Its books are the running one's, whose numbers go on."""
    node, task = leasing.node(), leasing.add()
    leasing.add("waits")
    leasing.store.push("ab")
    leasing.ready()
    a, b = node.take(task, 2)
    assert cancel(leasing, "waits") == {"cancelled": "waits", "started": None, "purge": False}
    assert leasing.hub.queue() == ("t", [], ["waits"]) and leasing.task("waits")["started_at"] is None
    time.sleep(2.5)
    assert node.commit(task, done(a, ["LPUSH", "out", "A"]), done(b, ["LPUSH", "out", "B"])) == [("accepted", None)] * 2
    leasing.sees(done=2, leased=0)
    leasing.restart()
    assert leasing.hub.queue() == ("t", [], ["waits"]) and leasing.task("waits")["status"] == "cancelled"


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_purge_drops_what_is_left_when_all_is_home(leasing, make_redis, elsewhere):
    """A kill of the hub in between changes nothing; nobody else gets near the queues meanwhile."""
    output = make_redis() if elsewhere else leasing.store
    fields = {"output_redis": output.url} if elsewhere else {}
    node, task = leasing.node(), leasing.add(max_attempts=1, **fields)
    leasing.store.push("abcdef")
    leasing.store.client.set("in:mine", "not the hub's")
    leasing.ready()
    a, b, c = node.take(task, 3)
    node.commit(task, done(a, ["LPUSH", "out", "A"]), failed(b))
    wait_until(lambda: output.list() == [b"A"], 10)
    leasing.sees(dead=1, leased=1)
    assert cancel(leasing, purge=True)["purge"] is True
    assert leasing.task()["purge"] is True
    for queues in ({"input_queue": "in"}, {"input_queue": "x", "output_queue": "in", "output_redis": leasing.store.url}, {"input_queue": "y", "delivery": "direct"}):
        taken = {"name": "u", "image": "i", "input_redis": leasing.store.url, "output_queue": "out", **fields, **queues}
        expect(leasing.hub.post("/api/tasks", taken), 409, "conflict", "purged")
    leasing.restart(kill=True)
    time.sleep(3)
    assert leasing.store.client.llen("in") == 3 and output.list() == [b"A"], "something is still out"
    assert node.commit(task, done(c, ["LPUSH", "out", "C"])) == [("accepted", None)]
    wait_until(lambda: keys(leasing.store) == ["in:mine"], 20, "an empty Redis")
    wait_until(lambda: not output.client.exists("out", "out:idm:applied"), 5, "no results")
    progress = leasing.sees(done=2, waiting=0, dead=0)
    assert progress["failed"] == 1
    wait_until(lambda: leasing.hub.post("/api/tasks", {"name": "t", "image": "i", "input_queue": "in", "output_queue": "out",
                                                       "input_redis": leasing.store.url, **fields}).status == 201, 10)
    leasing.store.push(["new"])
    leasing.restart()
    leasing.sees(waiting=1, dead=0)
    time.sleep(2.5)
    assert leasing.store.list("in") == [b"new"]  # what is purged is purged once


def test_a_purge_waits_for_the_outputs_redis(leasing, make_redis):
    elsewhere = make_redis()
    leasing.add(output_redis=elsewhere.url)
    leasing.store.push("abc")
    elsewhere.client.lpush("out", "A")
    leasing.ready()
    elsewhere.kill()
    time.sleep(0.5)
    cancel(leasing, purge=True)
    leasing.hub.daemon.wait_for_log("what is left of it cannot be dropped yet: .*")
    assert leasing.store.client.llen("in") == 3
    elsewhere.start()
    wait_until(lambda: keys(leasing.store) == [] and keys(elsewhere) == [], 20, "two empty Redis")
    assert leasing.hub.daemon.log.count("cannot be dropped yet") == 1
    wait_until(lambda: "purged: 3 items" in leasing.hub.daemon.log, 5)


def test_a_waiting_task_can_be_purged(leasing):
    leasing.add("runs", input_queue="in2", output_queue="out2")
    leasing.add()
    leasing.store.push("abc")
    leasing.ready("runs")
    cancel(leasing, purge=True)
    wait_until(lambda: not leasing.store.client.exists("in"), 15)
    assert leasing.hub.queue() == ("runs", [], ["t"])
    assert not [key for key in keys(leasing.store) if key.startswith("{in}")]


def test_a_purge_is_refused_where_another_task_uses_a_queue(leasing):
    node, task = leasing.node(), leasing.add()
    leasing.add("reads", input_queue="out", output_queue="more")
    leasing.store.push("a")
    leasing.ready()
    cancel(leasing, purge=True, status=409, code="conflict", text='"reads"')
    cancel(leasing, "reads", purge=True, status=409, code="conflict", text='"t"')
    assert leasing.hub.queue() == ("t", ["reads"], []) and leasing.store.list("in") == [b"a"]
    [a] = node.take(task, 1)
    cancel(leasing)
    cancel(leasing, "reads", purge=True, status=409, code="conflict", text='"t"')  # its result may still come
    node.commit(task, done(a, ["LPUSH", "out", "A"]))
    wait_until(lambda: leasing.hub.post("/api/tasks/reads/cancel", {"purge": True}).status == 200, 15)
    wait_until(lambda: not leasing.store.client.exists("out"), 15)


# ---- pause ----

def test_a_paused_task_gives_nothing_and_takes_what_is_done(leasing):
    node, other, task = leasing.node(), leasing.node(), leasing.add()
    leasing.store.push("ab")
    leasing.ready()
    [a] = node.items(task, most=1)
    for one in (node, other):
        one.task()
    assert control(leasing, "t", "pause") == {"name": "t", "paused": True}
    assert control(leasing, "t", "pause") == {"name": "t", "paused": True}
    assert leasing.task()["paused"] is True and leasing.hub.tasks()["tasks"][0]["paused"] is True
    lease = node.lease(task)
    assert (lease.status, lease.items) == ("blocked", [])  # never `empty`: its worker would read that nothing is left
    held = other.hold(task)
    assert node.commit(task, done(a, ["LPUSH", "out", "A"])) == [("accepted", None)]
    time.sleep(0.5)
    short = node.hold(task, wait=1).answer()
    assert (short.status, short.n) == ("empty", 2)  # as the queue were empty; the number stays
    leasing.store.push("c")
    time.sleep(1)
    assert held.waiting()
    assert leasing.store.list("in") == [b"b", b"c"]
    assert not leasing.store.client.exists("{in}:idm:arrived")
    assert control(leasing, "t", "resume") == {"name": "t", "paused": False}
    lease = held.answer(5)
    other.note(task, lease)
    assert lease.status == "executed" and held.took < 20
    assert leasing.task()["paused"] is False
    rest = node.items(task) if len(lease.items) < 2 else []
    assert sorted(item.payload for item in [*lease.items, *rest]) == [b"b", b"c"]


def test_a_pause_wakes_with_the_hub_and_ends_with_the_task(leasing):
    node, task = leasing.node(), leasing.add()
    leasing.store.push("a")
    leasing.add("next", input_queue="in2")
    leasing.ready()
    control(leasing, "next", "pause", status=409, code="bad_state", text="waiting")
    control(leasing, "t", "pause")
    leasing.restart(kill=True)
    leasing.ready()
    assert leasing.task()["paused"] is True
    assert node.lease(task).status == "blocked"
    node.task()
    held = node.hold(task)
    time.sleep(0.5)
    assert leasing.hub.next()["current"] == "next"
    assert held.answer().status == "closed" and leasing.task()["paused"] is False
    control(leasing, "t", "resume", status=409, code="bad_state", text="completed")


def test_a_paused_task_does_not_finish_by_itself(leasing):
    leasing.add(auto_finish=True, auto_finish_after=1)
    leasing.add("next", input_queue="in2")
    control(leasing, "t", "pause")
    leasing.ready()
    time.sleep(4)
    assert leasing.hub.queue()[0] == "t"
    control(leasing, "t", "resume")
    begun = time.monotonic()
    wait_until(lambda: leasing.hub.queue()[0] == "next", 10)
    assert time.monotonic() - begun > 0.5  # the pause does not count


def test_workers_that_pop_until_nothing_is_left_wait_out_a_pause(run_job, workers):
    job = run_job([PYTHON, workers / "until_empty.py"], count=60, env={"ITEM_TIME": "0.05"})
    client = job.store.client
    wait_until(lambda: len(job.results()) > 5, 20)
    control(job.leasing, job.name, "pause")
    time.sleep(2)
    at_rest = len(job.results())
    assert 5 < at_rest < 60
    time.sleep(3)
    assert len(job.results()) == at_rest and not client.exists(f"{job.output}:ends")
    assert len(job.node.workers()) == 2
    control(job.leasing, job.name, "resume")
    wait_until(lambda: len(job.results()) == 60, 30)
    wait_until(lambda: client.llen(f"{job.output}:ends") >= 2, 10, "both say that nothing is left")
    job.check_once()


# ---- failures ----

def test_failures_are_shown_with_what_the_node_said(leasing):
    node, task = leasing.node(), leasing.add(max_attempts=2)
    assert failures(leasing) == []
    leasing.store.push(["plain", b"\xff\x00", "x" * 2000])
    leasing.ready()
    plain, binary, large = node.take(task, 3)
    error = {"exit_status": 3, "out_of_memory": True, "log_tail": "the end"}
    node.commit(task, failed(plain, "exit status 3", **error), done(binary, ["LPUSH", "elsewhere", "1"]), failed(large))
    node.commit(task, failed(plain, "told before"))
    refused, first, second = sorted(failures(leasing), key=lambda failure: failure["item_bytes"])
    assert first.pop("at_ms") / 1000 == pytest.approx(time.time(), abs=20)
    assert first == {"node": node.id, "hostname": node.hostname, "item": "plain", "item_bytes": 5, "reason": "exit status 3",
                     "attempts": 1, "dead": False, **error}
    assert refused["item_base64"] == "/wA=" and "output queue" in refused["reason"] and refused["node"] == node.id
    assert second["item"] == "x" * 1024 and second["item_bytes"] == 2000 and second["log_tail"] is None
    for item in node.take(task, 3):
        node.commit(task, failed(item, "again"))
    last = failures(leasing, query="?max=3")
    assert [(failure["reason"], failure["attempts"], failure["dead"]) for failure in last] == [("again", 2, True)] * 3
    assert len(failures(leasing)) == 6
    for query in ("?max=0", "?max=101", "?max=x"):
        expect(leasing.hub.get("/api/tasks/t/failures" + query), 400, "bad_request")
    expect(leasing.hub.get("/api/tasks/nobody/failures"), 404, "not_found")


def test_redis_refuses_a_result_and_people_see_why(leasing):
    leasing.store.client.set("out", "a string")
    node, task = leasing.node(), leasing.add()
    leasing.store.push("a")
    leasing.ready()
    [item] = node.take(task, 1)
    assert node.commit(task, done(item, ["LPUSH", "out", "A"]))[0][0] == "refused"
    [failure] = failures(leasing)
    assert failure["item"] == "a" and "string" in failure["reason"] and failure["hostname"] == node.hostname


def test_failures_of_real_workers_stay_when_the_task_has_ended(run_job, workers):
    job = run_job([PYTHON, workers / "failing.py"], count=4, max_attempts=1)
    job.wait(done=2, dead=2)
    job.leasing.hub.finish()
    time.sleep(4)  # its queue is closed
    seen = failures(job.leasing, job.name)
    assert sorted(failure["item"] for failure in seen) == ["1", "3"]
    for failure in seen:
        assert failure["dead"] is True and failure["attempts"] == 1 and failure["exit_status"] == 7
        assert "this one is odd" in failure["log_tail"] and failure["node"] == job.node.id


def test_real_workers_of_a_cancelled_task_end_and_the_next_one_starts(run_job, workers):
    job = run_job([PYTHON, workers / "serial.py"], count=500, env={"ITEM_TIME": "0.2"})
    job.leasing.hub.add("next", image=None, command=["sleep", "1000"], delivery="direct")
    wait_until(lambda: len(job.results()) > 4, 20)
    begun = time.monotonic()
    assert cancel(job.leasing, job.name, purge=True)["started"] == "next"
    job.node.wait_for_workers(task="next")
    assert time.monotonic() - begun < 10
    wait_until(lambda: keys(job.store) == [], 20, "an empty Redis")
    progress = job.leasing.sees(job.name, waiting=0, leased=0, dead=0)
    assert progress["failed"] == 0 and progress["done"] > 4  # what was open was finished
