"""Nodes as the hub sees them, and the calls that nodes make; the held call has a file of its own."""
import re
import time
import uuid

import pytest

from hub_client import expect
from processes import wait_until

FIELDS = {"id", "hostname", "architecture", "cpu_count", "last_seen", "status", "runtime_status", "active_containers",
          "platform", "slots", "task", "error", "idle_reason", "stop_requested", "agent_version", "runtime", "pull"}
SEED_FIELDS = {"task_name", "image", "input_redis", "output_redis", "input_queue", "output_queue"}


def test_registration_gives_an_id_and_the_current_task(hub):
    answer = hub.register()
    uuid.UUID(answer["node_id"])
    assert answer["current_task"] is None
    hub.add("a", input_redis="redis://:pw@h")
    again = hub.register(answer["node_id"])
    assert again["node_id"] == answer["node_id"]
    assert again["current_task"]["task_name"] == "a" and again["current_task"]["input_redis"] == "redis://:pw@h"
    assert len(hub.nodes()) == 1


def test_an_unknown_id_gets_a_new_one(hub):
    for unknown in (str(uuid.uuid4()), "not-even-a-uuid", "'; DROP TABLE nodes; --", ""):
        answer = hub.register(unknown)
        assert answer["node_id"] != unknown
        uuid.UUID(answer["node_id"])
    assert len(hub.nodes()) == 4


def test_a_node_is_listed_with_what_it_told(hub):
    node_id = hub.register(hostname="pi-4 中", architecture="aarch64", cpu_count=4, run="r1", agent_version="9.9",
                           runtime="docker", slots=3)["node_id"]
    node = hub.node(node_id)
    assert set(node) >= FIELDS
    assert (node["hostname"], node["architecture"], node["platform"]) == ("pi-4 中", "aarch64", "linux/arm64")
    assert (node["cpu_count"], node["slots"], node["agent_version"], node["runtime"]) == (4, 3, "9.9", "docker")
    assert (node["status"], node["runtime_status"], node["active_containers"]) == ("Online", None, 0)
    assert re.match(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$", node["last_seen"])
    expect(hub.beat(node_id, "Error", 2, error="no image", task="t", pull="1 of 2"), 200)
    node = hub.node(node_id)
    assert (node["runtime_status"], node["active_containers"]) == ("Error", 2)
    assert (node["error"], node["task"], node["pull"]) == ("no image", "t", "1 of 2")
    expect(hub.beat(node_id, "Running", 3), 200)
    node = hub.node(node_id)
    assert (node["runtime_status"], node["error"], node["pull"]) == ("Running", None, None)


@pytest.mark.parametrize("body,text", [
    ({}, '"hostname" is missing'),
    ({"hostname": "h", "cpu_count": 1}, '"architecture" is missing'),
    ({"hostname": "h", "architecture": "x86_64"}, '"cpu_count" is missing'),
    ({"hostname": "h", "architecture": "x86_64", "cpu_count": 0}, '"cpu_count" must be from'),
    ({"hostname": "h", "architecture": "x86_64", "cpu_count": "2"}, '"cpu_count" must be an integer'),
    ({"hostname": 1, "architecture": "x86_64", "cpu_count": 1}, '"hostname" must be a string'),
    ({"hostname": "h" * 256, "architecture": "x86_64", "cpu_count": 1}, '"hostname" is longer than 255'),
    ({"hostname": "h", "architecture": "x86_64", "cpu_count": 1, "node_id": "x" * 65}, '"node_id" is longer than 64'),
])
def test_wrong_registrations_are_refused_by_their_field(hub, body, text):
    expect(hub.post("/gridnode/register", body), 400, "bad_request", text)
    assert hub.nodes() == []


@pytest.mark.parametrize("more,text", [
    ({"status": "Sleeping"}, '"status" must be Running, Idle or Error'),
    ({"status": None}, '"status" is missing'),
    ({"active_containers": -1}, '"active_containers" must be from'),
    ({"active_containers": None}, '"active_containers" is missing'),
    ({"leaving": "yes"}, '"leaving" must be true or false'),
])
def test_wrong_heartbeats_are_refused_by_their_field(hub, more, text):
    node_id = hub.register()["node_id"]
    body = {"node_id": node_id, "status": "Idle", "active_containers": 0, **more}
    expect(hub.post("/gridnode/heartbeat", body), 400, "bad_request", text)


def test_a_seed_agents_heartbeat_is_enough(hub):
    node_id = hub.register()["node_id"]
    answer = hub.post("/gridnode/heartbeat", {"node_id": node_id, "status": "Running", "active_containers": 2})
    assert expect(answer, 200).json == {"stop_requested": False}


def test_an_unknown_nodes_heartbeat_is_404(hub):
    expect(hub.beat(str(uuid.uuid4())), 404, "unknown_node")
    expect(hub.get(f"/gridnode/task?node_id={uuid.uuid4()}"), 404, "unknown_node")


def test_stop_is_told_until_a_new_run(hub):
    node_id = hub.register(run="r1")["node_id"]
    assert hub.beat(node_id).json == {"stop_requested": False}
    assert hub.stop_node(node_id).json == {"node_id": node_id, "stop_requested": True}
    assert hub.beat(node_id).json == {"stop_requested": True}
    assert hub.node(node_id)["stop_requested"] is True
    hub.stop_node(node_id)  # a second time is as good
    hub.register(node_id, run="r1")
    assert hub.beat(node_id).json == {"stop_requested": True}
    hub.register(node_id, run="r2")
    assert hub.beat(node_id).json == {"stop_requested": False}


def test_stopping_an_unknown_node_is_404(hub):
    expect(hub.post(f"/api/nodes/{uuid.uuid4()}/stop"), 404, "not_found")


def test_the_task_as_a_seed_agent_gets_it(hub):
    assert expect(hub.get("/gridnode/task"), 200).json is None
    hub.add("a", "i:1", input_redis="redis://:pw@in:6379", input_queue="q1", output_queue="q2")
    task = expect(hub.get("/gridnode/task?platform=linux/amd64"), 200).json
    assert set(task) >= SEED_FIELDS and "version" not in task
    assert task["task_name"] == "a" and task["image"] == "i:1"
    assert task["input_redis"] == task["output_redis"] == "redis://:pw@in:6379"
    assert (task["input_queue"], task["output_queue"]) == ("q1", "q2")


def test_each_platform_gets_its_image(hub):
    hub.add("a", "i:other", images={"linux/amd64": "i:amd64", "linux/arm64": "i:arm64"})
    for query, image in (("", "i:amd64"), ("?platform=linux/amd64", "i:amd64"), ("?platform=linux%2Farm64", "i:arm64"),
                         ("?platform=linux/arm/v7", "i:other")):
        assert expect(hub.get("/gridnode/task" + query), 200).json["image"] == image
    expect(hub.get("/gridnode/task?platform=linux/riscv64"), 400, "bad_request", "platform")
    expect(hub.get("/gridnode/task?platform="), 400, "bad_request", "platform")


def test_a_node_without_an_image_is_told_null_and_idles_with_a_reason(hub):
    amd = hub.register()["node_id"]
    arm = hub.register(architecture="aarch64")["node_id"]
    odd = hub.register(architecture="riscv64")["node_id"]
    expect(hub.post("/api/tasks", {"name": "a", "images": {"linux/amd64": "i"}}), 201)
    assert expect(hub.get("/gridnode/task?platform=linux/arm64"), 200).json is None
    assert hub.register(arm, architecture="aarch64")["current_task"] is None
    assert hub.node(amd)["idle_reason"] is None
    assert "linux/arm64" in hub.node(arm)["idle_reason"] and '"a"' in hub.node(arm)["idle_reason"]
    assert "riscv64" in hub.node(odd)["idle_reason"]
    hub.finish()
    assert hub.node(arm)["idle_reason"] is None


def test_a_command_without_an_image_reaches_process_nodes_alone(hub):
    process = hub.register(runtime="process")["node_id"]
    docker = hub.register(runtime="docker")["node_id"]
    held = [hub.hold(node_id=node) for node in (process, docker)]
    hub.add("a", image=None, command=["run", "it"])
    told = [call.answer().json["task"] for call in held]
    assert told[0]["command"] == ["run", "it"] and "image" not in told[0]
    assert told[1] is None
    assert hub.register(process, runtime="process")["current_task"]["command"] == ["run", "it"]
    assert hub.register(docker, runtime="docker")["current_task"] is None
    assert hub.node(process)["idle_reason"] is None
    assert "no image" in hub.node(docker)["idle_reason"]
    hub.finish()
    hub.add("b", image="i")
    assert hub.register(process, runtime="process")["current_task"]["image"] == "i"  # it says itself why it cannot
    assert "no command" in hub.node(process)["idle_reason"]


def test_silent_nodes_go_offline_and_come_back(make_hub):
    hub = make_hub().start(offline_after=1)
    quiet = hub.register()["node_id"]
    busy = hub.register()["node_id"]

    def quiet_is_offline():
        hub.beat(busy)
        return hub.node(quiet)["status"] == "Offline"
    wait_until(quiet_is_offline, 6, "a silent node is Offline", pause=0.2)
    assert hub.node(busy)["status"] == "Online"
    hub.beat(quiet)
    assert hub.node(quiet)["status"] == "Online"
    hub.beat(quiet, leaving=True)
    assert hub.node(quiet)["status"] == "Offline"


def test_long_silent_nodes_are_forgotten(make_hub):
    hub = make_hub().start(offline_after=1, forget_after=3)
    node_id = hub.register()["node_id"]
    time.sleep(2)
    assert hub.node(node_id)["status"] == "Offline"
    wait_until(lambda: hub.node(node_id) is None, 6, "the node is forgotten")
    expect(hub.beat(node_id), 404, "unknown_node")
    assert hub.register(node_id)["node_id"] != node_id


def test_two_thousand_nodes_are_listed_in_order(hub):
    connection = hub.connect(30)
    ids = []
    for i in range(2000):
        connection.request("POST", "/gridnode/register",
                           f'{{"hostname": "node-{i}", "architecture": "x86_64", "cpu_count": 4}}', hub.headers())
        response = connection.getresponse()
        assert response.status == 200
        ids.append(re.search(rb'"node_id": ?"([^"]+)"', response.read()).group(1).decode())
    connection.close()
    nodes = hub.nodes()
    assert [node["id"] for node in nodes] == ids
    assert nodes[1999]["hostname"] == "node-1999"
    hub.restart()
    assert [node["id"] for node in hub.nodes()] == ids


def test_a_listing_that_is_read_slowly_stays_valid(hub):
    """Nodes come and go while a listing is on its way."""
    for i in range(300):
        hub.register(hostname=f"h{i}" * 20)
    connection = hub.connect(20)
    connection.request("GET", "/api/nodes", headers=hub.headers())
    time.sleep(0.2)
    for i in range(50):
        hub.register(hostname="late")
    response = connection.getresponse()
    body = b""
    while piece := response.read(1000):
        body += piece
    import json
    assert len(json.loads(body)) >= 300
    connection.close()


def test_a_reader_that_goes_in_the_middle_does_no_harm(hub):
    for i in range(200):
        hub.register(hostname="x" * 255)
    for _ in range(20):
        connection = hub.connect()
        connection.request("GET", "/api/nodes", headers=hub.headers())
        connection.sock.recv(10)
        connection.close()
    assert len(hub.nodes()) == 200


def test_a_hubs_own_absence_makes_nobody_forgotten(hub):
    node_id = hub.register()["node_id"]
    hub.restart(offline_after=1, forget_after=4)
    hub.stop()
    time.sleep(5)
    hub.start()
    time.sleep(1.5)  # a tick and more
    assert hub.node(node_id)
    wait_until(lambda: hub.node(node_id) is None, 10, "the node's being forgotten for its own silence")
