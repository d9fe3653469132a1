"""The node's own secret: where it is kept, who sees it, and what becomes of a node that has lost it, or whose disk was copied."""
import os
import re
import shutil
import subprocess

import pytest
from hub_client import expect
from node_fixtures import add_task, make_node, wait_for_containers, worker_image, worker_program  # noqa: F401
from processes import wait_until
from test_node_seed_hub import seed_hub  # noqa: F401

pytestmark = [pytest.mark.docker]

JOINER, ADMIN = "the-joiners-own-token", "the-admins-own-token"


@pytest.fixture
def roles(make_hub):
    """A hub whose nodes cannot do what its users do."""
    hub = make_hub()
    hub.config["admin_token"] = hub.config.pop("token")
    return hub.start(join_token=JOINER)


def secret_path(node):
    return node.directory / "state" / f"secret-{node.id}"


def secret_of(node):
    return secret_path(node).read_text().strip()


def wait_for_secret(node):
    node.wait_for_id()
    return wait_until(lambda: secret_path(node).exists() and secret_of(node), 15, "the node's secret")


def beats(hub, node_id, secret):
    return hub.post("/gridnode/heartbeat", {"node_id": node_id, "status": "Idle", "active_containers": 0},
                    token=secret).status


def test_the_secret_is_kept_private_and_lets_the_node_back_in(roles, make_node):
    node = make_node(roles, token=JOINER).start()
    secret = wait_for_secret(node)
    assert secret_path(node).stat().st_mode & 0o777 == 0o600
    assert secret_path(node).parent.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in secret_path(node).parent.iterdir()] == [f"secret-{node.id}"]
    assert secret not in node.config_path.read_text()
    node_id = node.id
    for end in (node.stop, node.kill):
        end()
        node.start()
        node.daemon.wait_for_log(f"registered at .* as node {node_id}")
        wait_until(lambda: roles.node(node_id)["status"] == "Online", 15, "Online")
    assert len(roles.nodes()) == 1 and node.id == node_id
    assert secret_of(node) != secret  # each run has one of its own
    assert beats(roles, node_id, secret) == 401
    # Whom the hub knows needs no token for joining any more.
    node.stop()
    roles.restart(join_token="another-join-token")
    node.start()
    node.daemon.wait_for_log(f"registered at .* as node {node_id}")
    wait_until(lambda: roles.node(node_id)["runtime_status"] == "Idle", 15, "a heartbeat")


def test_the_secret_is_seen_nowhere(roles, make_node, redis_server, engine, worker_image):
    node = make_node(roles, token=JOINER).start()
    secret = wait_for_secret(node)
    add_task(roles, redis_server, "work", ["sleep"])
    wait_for_containers(engine, node)
    seen = [str(engine.ask(f"/containers/{container['Id']}/json"))
            for container in engine.containers(node=node.id)]
    assert len(seen) == 2
    seen.append(subprocess.run(["ps", "axeww"], capture_output=True, check=True, text=True).stdout)
    seen.append(str(roles.nodes()))
    node.stop()
    seen += [node.daemon.log, roles.daemon.log]
    for text in seen:
        assert secret not in text and JOINER not in text


def test_a_node_whose_secret_is_lost_becomes_a_new_one(roles, make_node):
    node = make_node(roles, token=JOINER).start()
    wait_for_secret(node)
    old_id = node.id
    node.stop()
    secret_path(node).unlink()
    node.start()
    wait_until(lambda: node.id != old_id, 15, "a new id")
    wait_for_secret(node)
    assert [path.name for path in (node.directory / "state").iterdir()] == [f"secret-{node.id}"]
    assert {n["id"]: n["status"] for n in roles.nodes()} == {old_id: "Offline", node.id: "Online"}


def test_a_revoked_node_comes_back_as_a_new_one_or_not_at_all(roles, make_node, redis_server, engine, worker_image):
    node = make_node(roles, token=JOINER).start()
    secret = wait_for_secret(node)
    add_task(roles, redis_server, "work", ["sleep"])
    wait_for_containers(engine, node)
    old_id = node.id
    expect(roles.post(f"/api/nodes/{old_id}/revoke"), 200)
    node.daemon.wait_for_log("does not take this node's secret")
    wait_until(lambda: node.id != old_id, 15, "a new id")
    wait_for_containers(engine, node)  # its containers carry the new id now
    assert not engine.containers(node=old_id) and not (node.directory / "state" / f"secret-{old_id}").exists()
    assert beats(roles, old_id, secret) == 401
    # With the token changed it stays out.
    roles.restart(join_token="another-join-token")
    expect(roles.post(f"/api/nodes/{node.id}/revoke"), 200)
    node.daemon.wait_for_log("refuses our token: .* must have the hub's join_token")
    assert node.daemon.running() and len(roles.nodes()) == 2


def test_a_hub_that_lost_its_state_is_joined_anew(roles, make_node):
    node = make_node(roles, token=JOINER).start()
    wait_for_secret(node)
    old_id = node.id
    roles.kill()
    shutil.rmtree(roles.state_dir)
    roles.start()
    node.daemon.wait_for_log("does not take this node's secret")
    wait_until(lambda: node.id != old_id, 30, "a new id")
    secret = wait_for_secret(node)
    assert beats(roles, node.id, secret) == 200 and len(roles.nodes()) == 1


def test_a_stranger_in_the_hubs_place_costs_no_identity(roles, make_hub, make_node):
    """Another hub at its address, or a proxy that refuses everything: nothing is lost when the right one is back."""
    node = make_node(roles, token=JOINER).start()
    wait_for_secret(node)
    node_id = node.id
    roles.stop()
    stranger = make_hub("stranger").start(bind=f"127.0.0.1:{roles.port}", token="a-token-that-nobody-has")
    node.daemon.wait_for_log("does not take this node's secret")
    node.daemon.wait_for_log("refuses our token")
    stranger.stop()
    roles.start()
    wait_until(lambda: roles.node(node_id)["runtime_status"], 60, "the node's heartbeat")
    assert node.id == node_id and len(roles.nodes()) == 1
    assert node.daemon.log.count("does not take this node's secret") == 1


def test_a_stolen_id_ends_as_a_node_of_its_own(roles, make_node):
    owner = make_node(roles, token=JOINER).start()
    wait_for_secret(owner)
    owner_id = owner.id
    owner.stop()  # else the machine's own claim of the id would refuse the thief
    thief = make_node(roles, token=JOINER, node_id=owner_id, hostname="thief").start()
    wait_until(lambda: thief.id != owner_id, 15, "an id of its own")
    wait_for_secret(thief)
    owner.start()
    wait_until(lambda: roles.node(owner_id)["status"] == "Online", 15, "the owner's return")
    assert roles.node(owner_id)["hostname"] != "thief" and roles.node(thief.id)["hostname"] == "thief"


def test_a_cloned_disk_ends_as_a_node_of_its_own(roles, make_node):
    original = make_node(roles, token=JOINER).start()
    wait_for_secret(original)
    node_id = original.id
    original.stop()
    clone = make_node(roles, token=JOINER, node_id=node_id, hostname="clone")
    shutil.copytree(original.directory / "state", clone.directory / "state")
    original.start()
    original.daemon.wait_for_log(f"registered at .* as node {node_id}")
    wait_until(lambda: roles.node(node_id)["status"] == "Online", 15, "Online")
    original.stop()  # as above; on another machine both would run
    clone.start()
    clone.daemon.wait_for_log("does not take this node's secret")
    wait_until(lambda: clone.id != node_id, 15, "an id of its own")
    wait_for_secret(clone)
    original.start()
    for node in (original, clone):
        wait_until(lambda: roles.node(node.id)["status"] == "Online", 15, "Online")
    assert original.id == node_id and roles.node(clone.id)["hostname"] == "clone"


def test_a_secret_that_cannot_be_kept_is_told_and_the_node_works(roles, make_node, redis_server, engine, worker_image):
    node = make_node(roles, token=JOINER)
    (node.directory / "state").write_text("not a directory")
    node.start()
    node.daemon.wait_for_log("the node's secret could not be saved: .*the next start registers as a new node")
    node.wait_for_id()
    add_task(roles, redis_server, "work", ["sleep"])
    wait_for_containers(engine, node)


def test_a_damaged_secret_file_is_told_and_replaced(roles, make_node):
    node = make_node(roles, token=JOINER).start()
    wait_for_secret(node)
    old_id = node.id
    node.stop()
    secret_path(node).write_text("half a sec\n")
    node.start()
    node.daemon.wait_for_log(r"secret could not be read: .*secret-\S+ holds no secret")
    wait_until(lambda: node.id != old_id, 15, "a new id")
    wait_for_secret(node)


def test_a_token_of_the_wrong_kind_is_told(roles, make_node):
    roles.restart(viewer_token="the-viewers-own-token")
    node = make_node(roles, token="the-viewers-own-token").start()
    node.daemon.wait_for_log(rf"refuses our token: {re.escape(str(node.config_path))}: this call needs the hub's join_token")


def test_a_seed_hub_gives_no_secret(seed_hub, make_node):
    node = make_node(None, server_url=seed_hub.url).start()
    node.wait_for_id()
    node.daemon.wait_for_log("registered at")
    assert not os.path.exists(node.directory / "state")
