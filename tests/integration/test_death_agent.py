"""The agent dies by kill -9: what it leaves is found at its next start and removed, in whatever state it was left."""
import pathlib
import subprocess
import time

import pytest
from node_fixtures import IMAGE, add_task, make_node, node, wait_for_containers, worker_image, worker_program  # noqa: F401
from processes import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("worker_image")]


def ids(engine, **labels):
    return {entry["Id"] for entry in engine.containers(**labels)}


def create(engine, name, node_id):
    """A container with a node's label, created and never started; its id."""
    status, body = engine.call("POST", f"/containers/create?name={name}",
                               {"Image": IMAGE, "Cmd": ["sleep"], "Labels": {"idm-gridcore.node": node_id}})
    assert status == 201, body
    return next(entry["Id"] for entry in engine.containers(node=node_id) if f"/{name}" in entry["Names"])


def test_orphans_in_every_state_are_removed_and_the_work_goes_on(hub, node, redis_server, engine):
    """Running, paused, exited, and created but never started; a neighbour's container is none of them."""
    add_task(hub, redis_server, "work", ["sleep"])
    wait_for_containers(engine, node)
    running = ids(engine, node=node.id)
    node.kill()
    created = create(engine, "idm-orphan-created", node.id)
    exited = create(engine, "idm-orphan-exited", node.id)
    engine.call("POST", f"/containers/{exited}/start")
    engine.call("POST", f"/containers/{exited}/kill")
    paused = sorted(running)[0]
    assert engine.call("POST", f"/containers/{paused}/pause")[0] == 204
    foreign = create(engine, "idm-orphan-of-another", "another")
    wait_until(lambda: engine.inspect(exited)["State"]["Status"] == "exited", 10, "the exit")
    assert {engine.inspect(i)["State"]["Status"] for i in running | {created, exited}} == \
        {"running", "paused", "created", "exited"}
    try:
        node.start()
        node.daemon.wait_for_log("removed 4 containers that an earlier run had left", 30)
        assert not ids(engine, node=node.id) & (running | {created, exited})
        assert ids(engine, node="another") == {foreign}
        wait_for_containers(engine, node)
    finally:
        engine.call("DELETE", f"/containers/{foreign}?force=1")


def test_killed_at_any_moment_of_starting_it_leaves_nothing_in_the_end(hub, make_node, redis_server, engine):
    """Six slots, killed a little later each time: some are created only, some run already."""
    node = make_node(hub, parallelism=6).start()
    node.wait_for_id()
    add_task(hub, redis_server, "work", ["sleep"])
    states = set()
    for delay in (0.0, 0.05, 0.1, 0.2, 0.4):
        wait_until(lambda: engine.containers(node=node.id), 20, "a first container", pause=0.005)
        time.sleep(delay)
        node.kill()
        time.sleep(0.3)  # what was asked of the engine is done
        left = engine.containers(node=node.id)
        states |= {entry["State"] for entry in left}
        before = {entry["Id"] for entry in left}
        node.start()
        node.daemon.wait_for_log("workers run on")
        assert not ids(engine, node=node.id) & before
    assert "created" in states, states
    wait_for_containers(engine, node, count=6)


def test_an_orphan_that_resists_is_said_and_removed_at_a_later_start(hub, node, engine):
    """A file that cannot be deleted makes the engine's removal fail; nothing else waits for it."""
    node.kill()
    orphan = create(engine, "idm-orphan-resists", node.id)
    pinned = pathlib.Path(engine.directory) / "data" / "containers" / orphan / "pinned"
    pinned.write_text("")
    if subprocess.run(["chattr", "+i", pinned], capture_output=True, check=False).returncode:
        pytest.skip("this file system cannot pin a file")
    try:
        node.start()
        node.daemon.wait_for_log(r"warn .*a container of an earlier run cannot be removed")
        node.daemon.wait_for_log("workers run on", 20)
        assert hub.node(node.id)["runtime_status"] != "Error"
        assert ids(engine, node=node.id) == {orphan}
    finally:
        subprocess.run(["chattr", "-i", pinned], check=True)
    node.kill()
    node.start()
    wait_until(lambda: not engine.containers(node=node.id), 20, "its removal")
