"""How a node treats its hub: few calls while nothing happens, and no flood of them while it stops or the hub refuses."""
import time

import pytest
from node_fixtures import add_task, make_node, node, wait_for_containers, worker_image, worker_program  # noqa: F401
from processes import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("worker_image")]


def calls(hub, what="/gridnode/"):
    return sum(1 for line in hub.daemon.log.splitlines() if what in line)


def test_a_node_that_has_nothing_to_tell_is_quiet(hub, make_node):
    quiet = make_node(hub, heartbeat_interval=30).start()
    quiet.wait_for_id()
    time.sleep(2)
    before = calls(hub)
    time.sleep(4)
    assert calls(hub) - before <= 1


def test_a_node_that_works_is_quiet_too(hub, make_node, redis_server, engine):
    busy = make_node(hub, heartbeat_interval=30).start()
    busy.wait_for_id()
    add_task(hub, redis_server, "work", ["sleep"])
    wait_for_containers(engine, busy)
    time.sleep(3)
    before = calls(hub)
    time.sleep(4)
    assert calls(hub) - before <= 1


def test_a_node_that_stops_does_not_flood_its_hub(hub, make_node, redis_server, engine):
    """A hub answers a node that shall stop at once: asking again without a pause would be a flood."""
    slow = make_node(hub, stop_timeout=4).start()
    slow.wait_for_id()
    add_task(hub, redis_server, "slow", ["stubborn"])
    wait_for_containers(engine, slow)
    time.sleep(1)
    before = calls(hub)
    hub.stop_node(slow.id)
    assert slow.daemon.wait(30) == 0
    assert calls(hub) - before < 30


def test_a_hub_that_is_away_is_asked_with_growing_pauses(hub, node):
    hub.stop()
    wait_until(lambda: "does not answer" in node.daemon.log, 15, "the loss is said")
    time.sleep(6)
    assert sum("does not answer" in line for line in node.daemon.log.splitlines()) <= 2  # said once, not each time
    hub.start()
    wait_until(lambda: "the hub answers again" in node.daemon.log, 40, "the return is said")
    assert hub.node(node.id)["status"] == "Online"
