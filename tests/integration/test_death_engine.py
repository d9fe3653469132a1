"""The container engine dies, hangs, or restarts with its containers alive: the node says Error, and goes on by itself."""
import signal
import time

import pytest
from node_fixtures import IMAGE, Node, wait_for_containers, worker_program  # noqa: F401
from processes import TOKEN, wait_until

pytestmark = [pytest.mark.docker]


def wait_for_status(hub, node, status, timeout=50):
    wait_until(lambda: hub.node(node.id)["runtime_status"] == status, timeout, f"status {status}", pause=0.1)


def running(engine, node):
    return {entry["Id"] for entry in engine.containers(everything=False, node=node.id)}


@pytest.fixture
def engine_node(hub, gridnode, directory, own_engine, worker_program):
    """A node of two slots on an engine that may be killed, both working."""
    own_engine.import_image(IMAGE, {"worker": worker_program}, ['ENTRYPOINT ["/worker"]'])
    node = Node(gridnode, directory, server_url=hub.url, token=TOKEN, docker_host=own_engine.url, parallelism=2,
                stop_timeout=3, heartbeat_interval=1, log_level="debug").start()
    node.wait_for_id()
    hub.add("work", image=IMAGE, command=["/worker", "sleep"])
    wait_for_containers(own_engine, node)
    yield node
    if node.daemon.running():
        node.stop(timeout=90)


def test_a_killed_engine_whose_containers_live_on(hub, engine_node, own_engine):
    """With live-restore containers outlive their engine: they are still ours when it is back, and none is started anew."""
    command = own_engine.kill_process() + [b"--live-restore"]
    own_engine.start_process(command)
    wait_until(lambda: len(running(own_engine, engine_node)) == 2, 40, "two containers of the engine that lives on")
    wait_for_status(hub, engine_node, "Running")
    pids = wait_for_containers(own_engine, engine_node)
    before = running(own_engine, engine_node)

    assert own_engine.kill_process()
    wait_for_status(hub, engine_node, "Error")
    time.sleep(2)
    own_engine.start_process(command)
    wait_for_status(hub, engine_node, "Running")
    time.sleep(3)
    assert running(own_engine, engine_node) == before
    assert own_engine.running_pids(node=engine_node.id) == pids

    hub.add("next", image=IMAGE, command=["/worker", "sleep"])
    hub.next()
    wait_for_containers(own_engine, engine_node, task="next")  # they hear signals, and their ends are heard
    wait_until(lambda: len(own_engine.containers(node=engine_node.id)) == 2, 20, "the old ones' removal")


def test_an_engine_that_hangs_and_goes_on(hub, engine_node, own_engine):
    """Nothing breaks off when an engine stops answering: the node asks, says Error, and does what it was to do afterwards."""
    before = running(own_engine, engine_node)
    pid = own_engine.pid
    own_engine.signal(pid, signal.SIGSTOP)
    try:
        wait_for_status(hub, engine_node, "Error")
        assert "does not answer" in hub.node(engine_node.id)["error"]
        assert hub.node(engine_node.id)["status"] == "Online"
    finally:
        own_engine.signal(pid, signal.SIGCONT)
    wait_for_status(hub, engine_node, "Running")
    assert hub.node(engine_node.id)["error"] is None
    assert running(own_engine, engine_node) == before


def test_a_switch_while_the_engine_hangs_is_made_up_for(hub, engine_node, own_engine):
    """So long that SIGTERM, SIGKILL and the removal by force are all asked for in vain, and the engine counts as lost."""
    pid = own_engine.pid
    own_engine.signal(pid, signal.SIGSTOP)
    try:
        hub.add("next", image=IMAGE, command=["/worker", "sleep"])
        hub.next()
        wait_for_status(hub, engine_node, "Error")
    finally:
        own_engine.signal(pid, signal.SIGCONT)
    wait_for_containers(own_engine, engine_node, task="next")
    wait_until(lambda: len(own_engine.containers(node=engine_node.id)) == 2, 40, "the old ones' removal")
    wait_for_status(hub, engine_node, "Running")
