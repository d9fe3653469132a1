"""The held call GET /gridnode/task?version=&wait=: a switch, a finish or a stop reaches every node within a second."""
import resource
import time

import pytest

from hub_client import expect
from processes import wait_until


def assert_released(held, task, stop=False, within=1.0):
    changed = time.monotonic()
    answer = expect(held.answer(), 200).json
    assert time.monotonic() - changed < within
    assert set(answer) == {"version", "stop_requested", "draining", "task"}
    assert (answer["task"] and answer["task"]["task_name"]) == task and answer["stop_requested"] is stop
    return answer


def test_an_old_version_is_answered_at_once(hub):
    hub.add("a")
    begun = time.monotonic()
    answer = expect(hub.get("/gridnode/task?version=1&wait=30"), 200).json
    assert answer["task"]["task_name"] == "a" and time.monotonic() - begun < 1
    answer = expect(hub.get("/gridnode/task?wait=30"), 200).json  # an agent's first call
    assert answer["task"]["task_name"] == "a" and time.monotonic() - begun < 1


def test_a_new_task_next_finish_and_stop_release_it(hub):
    node_id = hub.register(run="r1")["node_id"]
    held = hub.hold(node_id=node_id)
    time.sleep(0.3)
    assert held.waiting()
    hub.add("a")
    version = assert_released(held, "a")["version"]

    held = hub.hold(version, node_id=node_id)
    hub.add("b")
    time.sleep(0.3)
    assert held.waiting()  # a waiting task is no news for nodes
    hub.next()
    version = assert_released(held, "b")["version"]

    held = hub.hold(version, node_id=node_id)
    expect(hub.post("/api/tasks/next"), 400)
    time.sleep(0.3)
    assert held.waiting()  # nor is a refusal
    hub.finish()
    version = assert_released(held, None)["version"]

    held = hub.hold(version, node_id=node_id)
    hub.stop_node(node_id)
    assert_released(held, None, stop=True)
    assert_released(hub.hold(version, node_id=node_id), None, stop=True)  # at once, until a new run
    hub.register(node_id, run="r2")
    held = hub.hold(version, node_id=node_id)
    time.sleep(0.3)
    assert held.waiting()
    held.close()


def test_it_is_released_though_the_caller_keeps_its_connection(hub):
    """Nothing else happens at the hub after the call that releases."""
    for name in "abc":
        hub.add(name)
    node_id = hub.register(run="r")["node_id"]
    caller = hub.connect()
    for method, path, task, stop in (("POST", "/api/tasks/next", "b", False), ("POST", "/api/tasks/finish", "c", False),
                                     ("POST", f"/api/nodes/{node_id}/stop", "c", True)):
        held = hub.hold(node_id=node_id)
        time.sleep(0.3)
        caller.request(method, path, headers=hub.headers())
        assert caller.getresponse().read()
        assert_released(held, task, stop)
    caller.close()


def test_it_is_answered_when_its_time_is_over(hub):
    hub.add("a")
    for wait in (1, 2):
        held = hub.hold(wait=wait)
        answer = expect(held.answer(), 200).json
        assert wait - 0.2 < held.took < wait + 1.5 and answer["task"]["task_name"] == "a"
    held = hub.hold(wait=0)
    expect(held.answer(), 200)
    assert held.took < 0.5


def test_a_stop_reaches_its_node_alone(hub):
    one, two = (hub.register(run="r")["node_id"] for _ in range(2))
    held_one, held_two = hub.hold(node_id=one), hub.hold(node_id=two)
    time.sleep(0.2)
    hub.stop_node(one)
    assert_released(held_one, None, stop=True)
    time.sleep(0.3)
    assert held_two.waiting()
    held_two.close()


def test_a_newer_call_of_a_node_answers_the_older(hub):
    node_id = hub.register()["node_id"]
    first = hub.hold(node_id=node_id)
    time.sleep(0.2)
    second = hub.hold(node_id=node_id)
    assert_released(first, None)
    hub.add("a")
    assert_released(second, "a")


def test_a_client_that_goes_is_let_go(hub):
    version = hub.version()
    time.sleep(0.3)  # until the connections of these calls are gone
    before = hub.daemon.descriptors()
    held = [hub.hold(version) for _ in range(50)]
    wait_until(lambda: hub.daemon.descriptors() >= before + 50, 5, "50 are held")
    for call in held[::2]:
        call.close()
    wait_until(lambda: hub.daemon.descriptors() <= before + 25, 5, "25 descriptors come back")
    hub.add("a")
    for call in held[1::2]:
        assert_released(call, "a")
    wait_until(lambda: hub.daemon.descriptors() <= before, 5, "all descriptors come back")


@pytest.mark.alone
def test_five_hundred_at_once_are_released_within_a_second(hub):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    nodes = [hub.register(run="r")["node_id"] for _ in range(500)]
    version = hub.version()
    held = [hub.hold(version, 60, node_id) for node_id in nodes]
    time.sleep(0.5)
    assert all(call.waiting() for call in held)
    assert all(node["status"] == "Online" for node in hub.nodes())
    begun = time.monotonic()
    hub.add("a")
    for call in held:
        assert call.answer().json["task"]["task_name"] == "a"
    assert time.monotonic() - begun < 1.0


def test_platforms_get_their_own_answer(hub):
    version = hub.version()
    amd, arm = hub.hold(version), hub.hold(version, platform="linux/arm64")
    expect(hub.post("/api/tasks", {"name": "a", "images": {"linux/amd64": "i"}}), 201)
    assert_released(amd, "a")
    assert_released(arm, None)


def test_nonsense_is_refused(hub):
    for query in ("wait=x", "wait=-1", "version=x&wait=1", "wait=1.5", "wait=", "version=99999999999999999999&wait=1"):
        expect(hub.get("/gridnode/task?" + query), 400, "bad_request")


def test_a_held_call_counts_as_a_sign_of_life(make_hub):
    hub = make_hub().start(offline_after=2)
    node_id = hub.register()["node_id"]
    time.sleep(1.5)
    held = hub.hold(node_id=node_id)
    time.sleep(1)
    assert hub.node(node_id)["status"] == "Online"
    held.close()


def test_the_hub_ends_in_order_with_held_calls(hub):
    held = [hub.hold(hub.version(), 60) for _ in range(20)]
    time.sleep(0.2)
    begun = time.monotonic()
    hub.stop()
    assert time.monotonic() - begun < 5
    for call in held:
        call.close()
