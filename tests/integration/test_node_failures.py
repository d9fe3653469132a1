"""Containers that end, fail, or cannot start, and what the person at the hub sees of it."""
import re
import time

import pytest
from node_fixtures import add_task, make_node, node, wait_for_containers, worker_image, worker_program  # noqa: F401
from processes import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("worker_image")]


def wait_for_error(hub, node, text, timeout=20):
    def look():
        entry = hub.node(node.id)
        return entry if entry["runtime_status"] == "Error" and text in (entry["error"] or "") else None
    return wait_until(look, timeout, f"the error {text!r} at the hub")


def starts(node, slot):
    return len(re.findall(rf"slot={slot}: container started", node.daemon.log))


def test_status_0_starts_again_and_is_no_error(hub, node, redis_server):
    add_task(hub, redis_server, "done", ["exit", 0])
    wait_until(lambda: starts(node, 0) >= 3, 30, "three starts")
    pauses = [float(p) for p in re.findall(r"slot=0: the container ended with status 0 .* next start in ([\d.]+) s",
                                           node.daemon.log)]
    assert pauses[1] >= pauses[0] * 0.99 and max(pauses) <= 30
    assert hub.node(node.id)["runtime_status"] != "Error"


def test_a_failure_starts_again_and_its_last_words_reach_the_hub(hub, node, redis_server):
    add_task(hub, redis_server, "broken", ["exit", 3, "cannot find the answer"])
    wait_for_error(hub, node, "exit status 3")
    assert "cannot find the answer" in hub.node(node.id)["error"]
    wait_until(lambda: starts(node, 0) >= 3, 30, "three starts")
    node.daemon.wait_for_log(r"warn .*slot=0: .*exit status 3; its last output: cannot find the answer")


def test_backoff_ends_at_once_on_a_switch(hub, node, redis_server, engine):
    add_task(hub, redis_server, "broken", ["exit", 1])
    wait_until(lambda: starts(node, 0) >= 4, 40, "a backoff of several seconds")
    add_task(hub, redis_server, "good", ["sleep"])
    begun = time.monotonic()
    hub.next()
    wait_for_containers(engine, node, task="good")
    assert time.monotonic() - begun < 4
    wait_until(lambda: hub.node(node.id)["runtime_status"] == "Running", 10, "recovery")
    assert hub.node(node.id)["error"] is None


def test_out_of_memory_is_named(hub, node, redis_server):
    add_task(hub, redis_server, "greedy", ["eat"], memory_mb=16)
    wait_for_error(hub, node, "out of memory")


def test_a_command_that_does_not_exist_is_named(hub, node, redis_server, engine):
    hub.add("typo", image="idm-test/worker:1", command=["/no/such/program"])
    entry = wait_for_error(hub, node, "/no/such/program")
    assert entry["active_containers"] == 0
    hub.finish()
    wait_for_containers(engine, node, count=0)


def test_an_image_that_is_nowhere_is_named_and_the_next_task_recovers(hub, node, redis_server, engine):
    hub.add("missing", image="127.0.0.1:9/no/such:1")
    entry = wait_for_error(hub, node, "127.0.0.1:9/no/such:1")
    assert entry["active_containers"] == 0
    add_task(hub, redis_server, "good", ["sleep"])
    hub.next()
    wait_for_containers(engine, node, task="good")
    wait_until(lambda: hub.node(node.id)["runtime_status"] == "Running", 10, "recovery")


def test_an_image_for_another_platform_is_named(hub, node, engine, worker_program):
    engine.load_image("127.0.0.1:9/arm:1", {"worker": worker_program}, ["/worker"], "arm64")
    hub.add("arm", image="127.0.0.1:9/arm:1")
    entry = wait_for_error(hub, node, "linux/arm64")
    assert "linux/amd64" in entry["error"]
    engine.remove_image("127.0.0.1:9/arm:1")


def test_a_container_removed_by_hand_is_replaced(hub, node, redis_server, engine):
    add_task(hub, redis_server, "work", ["sleep"])
    wait_for_containers(engine, node)
    victim = engine.containers(node=node.id)[0]
    engine.call("DELETE", f"/containers/{victim['Id']}?force=1")

    def replaced():
        now = engine.containers(everything=False, node=node.id)
        return len(now) == 2 and victim["Id"] not in {entry["Id"] for entry in now}
    wait_until(replaced, 20, "a new container")


def test_the_owners_limits_are_kept(hub, make_node, redis_server, engine):
    strict = make_node(hub, allow_images=["mine/*", "idm-test/worker:*"], container_memory_max=64).start()
    strict.wait_for_id()
    hub.add("theirs", image="theirs/tool:1")
    wait_for_error(hub, strict, "allow_images")
    add_task(hub, redis_server, "large", ["sleep"], memory_mb=65)
    hub.next()
    wait_for_error(hub, strict, "container_memory_max")
    add_task(hub, redis_server, "fits", ["sleep"], memory_mb=64)
    hub.next()
    wait_for_containers(engine, strict, task="fits")


def test_wild_output_does_no_harm(hub, node, redis_server):
    add_task(hub, redis_server, "wild", ["exit", 1, "\N{SNOWMAN} \x1b[31mred\x07 <script>"])
    entry = wait_for_error(hub, node, "exit status 1")
    assert "\N{SNOWMAN}" in entry["error"]
    assert "\x1b" not in node.daemon.log


def test_the_end_of_a_long_output_reaches_the_hub(hub, node, redis_server):
    trace = "\n".join([f"  line {n} of a long traceback, indented as they are" for n in range(60)])
    add_task(hub, redis_server, "trace", ["exit", 1, f"{trace}\nValueError: THE REAL REASON"])
    entry = wait_for_error(hub, node, "exit status 1")
    assert entry["error"].endswith("ValueError: THE REAL REASON")


def test_a_network_that_does_not_exist_is_named_and_tried_with_growing_pauses(hub, make_node, redis_server):
    lost = make_node(hub, network="no-such-network").start()
    lost.wait_for_id()
    add_task(hub, redis_server, "work", ["sleep"])
    wait_for_error(hub, lost, "no-such-network")
    time.sleep(3)
    assert lost.daemon.log.count("did not start") < 10
