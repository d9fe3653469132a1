"""How a node ends: from afar, by signals, patiently and in a hurry."""
import signal
import time

import pytest
from node_fixtures import add_task, make_node, node, wait_for_containers, worker_image, worker_program  # noqa: F401
from processes import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("worker_image")]


def test_remote_stop_ends_the_node_at_once(hub, node, redis_server, engine):
    add_task(hub, redis_server, "work")
    wait_for_containers(engine, node)
    begun = time.monotonic()
    hub.stop_node(node.id)
    assert node.daemon.wait(10) == 0
    assert time.monotonic() - begun < 5
    assert not engine.containers(node=node.id)
    assert redis_server.client.llen("work:out:terms") == 2  # both were asked, not killed
    assert hub.node(node.id)["status"] == "Offline"  # it said goodbye


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_node_in_order(hub, node, redis_server, engine, number):
    add_task(hub, redis_server, "work")
    wait_for_containers(engine, node)
    node.stop(number=number)
    assert not engine.containers(node=node.id)
    assert redis_server.client.llen("work:out:terms") == 2
    assert hub.node(node.id)["status"] == "Offline"


def test_a_stopped_node_may_come_back(hub, node, redis_server, engine):
    hub.stop_node(node.id)
    assert node.daemon.wait(10) == 0
    node.start()
    wait_until(lambda: hub.node(node.id)["status"] == "Online", 15, "the node's return")
    assert hub.node(node.id)["stop_requested"] is False
    add_task(hub, redis_server, "again", ["sleep"])
    wait_for_containers(engine, node)


def test_a_container_that_ignores_sigterm_is_killed_in_time(hub, make_node, redis_server, engine):
    node = make_node(hub, stop_timeout=2).start()
    node.wait_for_id()
    add_task(hub, redis_server, "deaf", ["stubborn"])
    wait_for_containers(engine, node)
    begun = time.monotonic()
    node.stop()
    assert 1.9 < time.monotonic() - begun < 8
    assert not engine.containers(node=node.id)


def test_a_second_signal_hurries(hub, make_node, redis_server, engine):
    node = make_node(hub, stop_timeout=60).start()
    node.wait_for_id()
    add_task(hub, redis_server, "deaf", ["stubborn"])
    wait_for_containers(engine, node)
    begun = time.monotonic()
    node.daemon.send(signal.SIGTERM)
    node.daemon.wait_for_log("stopping containers")
    time.sleep(0.5)
    assert node.daemon.running()
    node.daemon.send(signal.SIGTERM)
    assert node.daemon.wait(10) == 0
    assert time.monotonic() - begun < 10
    assert not engine.containers(node=node.id)


def test_a_stop_without_containers_is_immediate(hub, node):
    begun = time.monotonic()
    node.stop()
    assert time.monotonic() - begun < 3


def test_a_stop_while_the_hub_is_away_is_orderly(make_hub, make_node, redis_server, engine):
    hub = make_hub().start()
    node = make_node(hub).start()
    node.wait_for_id()
    add_task(hub, redis_server, "work", ["sleep"])
    wait_for_containers(engine, node)
    hub.stop()
    node.stop()
    assert not engine.containers(node=node.id)


def test_a_second_agent_with_the_same_id_is_refused_on_this_machine(hub, node, make_node, redis_server, engine):
    add_task(hub, redis_server, "work", ["sleep"])
    before = wait_for_containers(engine, node)
    twin = make_node(hub, node_id=node.id).start()
    assert twin.daemon.wait(10) == 1
    assert "another gridnode with the id" in twin.daemon.log
    assert engine.running_pids(node=node.id) == before
    twin.config_path.write_text("")  # or the fixture takes the other's containers for its own


def test_what_a_killed_agent_left_is_removed_at_its_next_start(hub, node, redis_server, engine):
    add_task(hub, redis_server, "work", ["sleep"])
    old = {entry["Id"] for entry in engine.containers(node=node.id)} if wait_for_containers(engine, node) else set()
    node.kill()
    hub.finish()
    status, _ = engine.call("POST", "/containers/create?name=idm-left-over",
                            {"Image": "idm-test/worker:1", "Labels": {"idm-gridcore.node": node.id}})
    assert status == 201  # created and never started
    status, _ = engine.call("POST", "/containers/create?name=idm-somebody-elses",
                            {"Image": "idm-test/worker:1", "Labels": {"idm-gridcore.node": "another"}})
    assert status == 201
    assert len(engine.containers(node=node.id)) == len(old) + 1 == 3
    try:
        node.start()
        wait_until(lambda: not engine.containers(node=node.id), 20, "the removal of what was left")
        assert engine.containers(node="another")  # not ours
    finally:
        engine.call("DELETE", "/containers/idm-somebody-elses?force=1")


def test_a_node_that_drains_does_not_ask_on_and_on(hub, make_node, redis_server, engine):
    node = make_node(hub, stop_timeout=3).start()
    node.wait_for_id()
    add_task(hub, redis_server, "deaf", ["stubborn"])
    wait_for_containers(engine, node)
    before = hub.daemon.log.count("GET /gridnode/task")
    hub.stop_node(node.id)
    assert node.daemon.wait(15) == 0
    assert hub.daemon.log.count("GET /gridnode/task") - before < 5
