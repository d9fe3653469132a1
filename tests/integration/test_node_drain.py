"""A node that a person drains: what is open is finished, nothing new runs until it is undrained, over all restarts. Real agents."""
import time

from hub_client import expect
from lease_fixtures import leasing, make_redis, store  # noqa: F401
from lease_node import done
from leased_fixtures import PYTHON, Job, workers  # noqa: F401
from node_fixtures import add_task, make_node, wait_for_containers, worker_image, worker_program  # noqa: F401
from process_fixtures import make_process_node  # noqa: F401
from processes import wait_until


def drain(hub, node, what="drain"):
    answer = expect(hub.post(f"/api/nodes/{node.id}/{what}"), 200).json
    assert answer == {"node_id": node.id, "draining": what == "drain"}


def wait_for_rest(hub, node):
    entry = wait_until(lambda: (lambda n: n["active_containers"] == 0 and n["runtime_status"] == "Idle" and n)(hub.node(node.id)),
                       20, "a node at rest")
    assert entry["draining"] is True and entry["status"] == "Online" and "undrain" in entry["idle_reason"], entry
    assert entry["task"] is None and not entry["stop_requested"]


def test_open_items_are_finished_and_the_others_go_on(leasing, make_process_node, workers):
    """With items of a second, of which the drained node has two open."""
    job = Job(leasing, "job", [PYTHON, workers / "serial.py"], 40, env={"ITEM_TIME": "1"})
    one, two = (make_process_node(leasing.hub).start() for _ in range(2))
    for node in (one, two):
        node.wait_for_id()
        node.wait_for_workers()
    wait_until(lambda: len(job.results()) >= 4, 20)
    begun = time.monotonic()
    drain(leasing.hub, one)
    wait_until(lambda: not one.all_workers(), 10, "the drained node's workers' end")
    assert time.monotonic() - begun < 5
    wait_for_rest(leasing.hub, one)
    assert job.progress()["failed"] == 0 and job.progress()["lost"] == 0
    assert leasing.hub.node(two.id)["draining"] is False
    before = len(job.results())
    wait_until(lambda: len(job.results()) >= before + 4, 20, "the other's results")
    assert not one.all_workers()
    one.daemon.wait_for_log("the hub drains this node")
    drain(leasing.hub, one, "undrain")
    one.wait_for_workers()
    assert leasing.hub.node(one.id)["idle_reason"] is None
    job.wait(90)
    job.check_once()  # the open items were finished, and not done again


def test_a_drained_nodes_calls_get_nothing_and_what_it_holds_comes_home(leasing):
    """Calls of a test's own: an agent that has not heard of it yet."""
    node, other, task = leasing.node(), leasing.node(), leasing.add()
    leasing.store.push("ab")
    leasing.ready()
    [a] = node.items(task, most=1)
    for one in (node, other):
        assert one.task() is not None
    leasing.store.client.delete("in")
    held = node.hold(task)
    time.sleep(0.5)
    drain(leasing.hub, node)
    assert held.answer().status == "empty" and held.took < 5  # not held any longer
    leasing.store.push("c")
    for wait in (0, 5):
        lease = node.hold(task, wait=wait).answer()
        assert (lease.status, lease.items) == ("blocked", [])  # never "nothing is left"
    assert node.task() is None and other.task() is not None
    assert node.commit(task, done(a, ["LPUSH", "out", "A"])) == [("accepted", None)]
    assert [item.payload for item in other.items(task)] == [b"c"]
    drain(leasing.hub, node, "undrain")
    assert node.task() is not None


def test_it_stays_drained_over_restarts_of_both(leasing, make_process_node, workers):
    job = Job(leasing, "job", [PYTHON, workers / "serial.py"], 200, env={"ITEM_TIME": "0.1"})
    node = make_process_node(leasing.hub).start()
    node.wait_for_id()
    node.wait_for_workers()
    drain(leasing.hub, node)
    drain(leasing.hub, node)
    wait_for_rest(leasing.hub, node)
    leasing.restart(kill=True)
    done = len(job.results())
    node.stop()
    node.start()
    node.daemon.wait_for_log("registered at")
    leasing.hub.add("other", image=None, command=["sleep", "1000"], delivery="direct")
    leasing.hub.next()
    wait_for_rest(leasing.hub, node)
    time.sleep(1)
    assert not node.all_workers() and len(job.results()) == done
    drain(leasing.hub, node, "undrain")
    node.wait_for_workers(task="other")


def test_a_drained_node_may_be_stopped_and_ends(leasing, make_process_node, workers):
    Job(leasing, "job", [PYTHON, workers / "serial.py"], 20, env={"ITEM_TIME": "0.1"})
    node = make_process_node(leasing.hub).start()
    node.wait_for_id()
    node.wait_for_workers()
    drain(leasing.hub, node)
    wait_for_rest(leasing.hub, node)
    leasing.hub.stop_node(node.id)
    assert node.daemon.wait() == 0


def test_an_item_longer_than_stop_timeout_goes_to_another(leasing, make_process_node, workers):
    job = Job(leasing, "job", [PYTHON, workers / "serial.py"], 1, env={"ITEM_TIME": "6"})
    node = make_process_node(leasing.hub, stop_timeout=2, parallelism=1).start()
    node.wait_for_id()
    leasing.sees("job", 10, leased=1)
    drain(leasing.hub, node)
    leasing.sees("job", 10, leased=0, waiting=1)
    assert job.progress()["failed"] == 0
    wait_for_rest(leasing.hub, node)
    other = make_process_node(leasing.hub).start()
    job.wait(30)
    job.check_once()
    other.stop()


def test_containers_are_drained_too(hub, make_node, redis_server, worker_image, engine):
    node = make_node(hub).start()
    node.wait_for_id()
    add_task(hub, redis_server, "squares")
    wait_for_containers(engine, node)
    drain(hub, node)
    wait_for_containers(engine, node, 0)
    wait_for_rest(hub, node)
    drain(hub, node, "undrain")
    wait_for_containers(engine, node)
    redis_server.client.lpush("squares:in", *range(10))
    wait_until(lambda: redis_server.client.llen("squares:out") == 10, 20)
