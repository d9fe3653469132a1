"""A leased task in containers of an agent without root: its workers reach the gateway and nothing else, and neither they nor
their machine ever hold the password of Redis."""
import json
import os
import pathlib
import shutil
import subprocess

import pytest

from conftest import RedisServer
from lease_fixtures import Leasing
from leased_fixtures import Job
from node_fixtures import make_node, wait_for_containers, worker_program  # noqa: F401
from place_fixtures import reach_program  # noqa: F401

IMAGE = "idm-test/isolated:1"
USER, DOCKER_GROUP = 65533, 4242
GATEWAY = "127.0.0.1:6379"


@pytest.fixture(scope="module")
def image(engine, worker_program, reach_program):  # noqa: F811
    """The tests' worker, and beside it the program that tries what can be reached."""
    return engine.import_image(IMAGE, {"worker": worker_program, "reach": reach_program})


@pytest.fixture
def bridged_redis(engine, directory):
    """A Redis that containers on the engine's bridge can reach, with what DurableRedis offers to Job."""
    class Bridged(RedisServer):
        def push(self, items, queue):
            self.client.lpush(queue, *items)

        def list(self, queue):
            return self.client.lrange(queue, 0, -1)[::-1]
    server = Bridged(directory, engine.gateway)
    yield server
    server.stop()


def without_root(node, engine):
    """From now on the agent runs as a user who may talk to the engine, and has no other rights."""
    node.write_config()
    os.chown(engine.socket, 0, DOCKER_GROUP)
    os.chmod(engine.socket, 0o660)
    for path in (node.directory, *list(node.directory.parents)[:2], engine.directory):
        os.chmod(path, 0o711)
    agent = shutil.copy(node.program, node.directory)
    for path in (node.directory, node.config_path):
        os.chown(path, USER, USER)
    script = node.directory / "gridnode-without-root"
    script.write_text(f'#!/bin/sh\nexec setpriv --reuid={USER} --regid={USER} --groups={DOCKER_GROUP} "{agent}" "$@"\n')
    script.chmod(0o755)
    node.program = script
    return node


@pytest.fixture
def job(make_hub, bridged_redis, make_node, engine, image):  # noqa: F811
    """A task that is being worked on, whose Redis only the hub's configuration knows."""
    hub = make_hub().start(redis_url=bridged_redis.url("127.0.0.1"))
    leasing = Leasing(hub, bridged_redis)
    job = Job(leasing, "isolated", ["/worker"], 50, image=image, input_redis=None)
    job.node = without_root(make_node(hub), engine).start()
    job.node.wait_for_id()
    return job


def worker_containers(engine, node):
    return [entry for entry in engine.containers(node=node.id) if "idm-gridcore.place" not in entry["Labels"]]


def run_inside(engine, container, *command):
    """What the command says, in that container."""
    body = {"Cmd": list(command), "AttachStdout": True, "AttachStderr": True}
    status, answer = engine.call("POST", f"/containers/{container}/exec", body)
    assert status == 201, answer
    status, stream = engine.call("POST", f"/exec/{json.loads(answer)['Id']}/start", {"Detach": False, "Tty": False})
    assert status == 200, stream
    text = b""
    while stream:  # frames: kind, three zeros, length in four bytes
        length = int.from_bytes(stream[4:8], "big")
        text, stream = text + stream[8:8 + length], stream[8 + length:]
    return text.decode()


def tried(engine, container, *addresses):
    """({address: (whether there is a way, what was heard)}, the network interfaces)"""
    lines = [line.split(" ") for line in run_inside(engine, container, "/reach", "try", *addresses).splitlines()]
    return ({words[0]: (words[1] == "yes", " ".join(words[2:]).strip()) for words in lines if words[0] != "interface"},
            {words[1] for words in lines if words[0] == "interface"})


@pytest.fixture
def neighbour(engine, image):
    """A container of somebody else on the engine's bridge, which serves port 7000; its id and address."""
    status, answer = engine.call("POST", "/containers/create", {"Image": image, "Cmd": ["/reach", "serve", "7000"]})
    assert status == 201, answer
    container = json.loads(answer)["Id"]
    assert engine.call("POST", f"/containers/{container}/start")[0] == 204
    yield container, engine.inspect(container)["NetworkSettings"]["IPAddress"]
    engine.call("DELETE", f"/containers/{container}?force=1&v=1")


def host_addresses():
    text = subprocess.run(["ip", "-4", "-o", "addr"], capture_output=True, text=True, check=True).stdout
    addresses = [line.split()[3].split("/")[0] for line in text.splitlines()]
    return [address for address in addresses if not address.startswith("127.")]


def test_workers_reach_the_gateway_and_nothing_else(engine, job, neighbour, bridged_redis):
    job.wait()
    job.check_once()
    wait_for_containers(engine, job.node, 2)
    agent = pathlib.Path(f"/proc/{job.node.daemon.pid}/status").read_text()
    assert f"Uid:\t{USER}\t{USER}" in agent and "CapEff:\t0000000000000000" in agent
    stranger, stranger_address = neighbour
    redis = [f"{address}:{bridged_redis.port}" for address in host_addresses()]
    hub = [f"{address}:{job.leasing.hub.port}" for address in host_addresses()]
    others = [*redis, *hub, f"{stranger_address}:7000", "1.1.1.1:53"]
    assert f"{engine.gateway}:{bridged_redis.port}" in redis

    for entry in worker_containers(engine, job.node):
        seen, interfaces = tried(engine, entry["Id"], GATEWAY, *others)
        assert seen.pop(GATEWAY)[0]
        assert seen and not any(way for way, _ in seen.values()), seen
        assert "lo" in interfaces and "eth0" not in interfaces
        # The loopback that they see is their own: neither Redis nor the hub is there.
        seen, _ = tried(engine, entry["Id"], f"127.0.0.1:{bridged_redis.port}", f"127.0.0.1:{job.leasing.hub.port}")
        assert all(answer == (True, "") for answer in seen.values()), seen

    # What could not be seen if the test were blind: the same program in a container that nobody isolates.
    seen, interfaces = tried(engine, stranger, f"{engine.gateway}:{bridged_redis.port}", f"{stranger_address}:7000")
    assert seen[f"{engine.gateway}:{bridged_redis.port}"][0] and seen[f"{stranger_address}:7000"] == (True, "hello")
    assert "eth0" in interfaces


def processes_of(engine, node):
    pids = [node.daemon.pid]
    for entry in engine.containers(node=node.id):
        pids += [int(row[1]) for row in engine.ask(f"/containers/{entry['Id']}/top")["Processes"]]
    return pids


def places_to_look(engine, node):
    """(where, bytes) of all that the node's machine holds of a task."""
    for path in [path for path in node.directory.rglob("*") if path.is_file() and path.name != "gridnode"]:
        yield path, path.read_bytes()
    for pid in processes_of(engine, node):
        for name in ("environ", "cmdline"):
            yield f"/proc/{pid}/{name}", pathlib.Path(f"/proc/{pid}/{name}").read_bytes()
    for entry in engine.containers(node=node.id):
        yield f"inspect {entry['Names']}", engine.call("GET", f"/containers/{entry['Id']}/json")[1]
        if "idm-gridcore.place" not in entry["Labels"]:
            yield f"files of {entry['Names']}", engine.call("GET", f"/containers/{entry['Id']}/export")[1]
            yield f"log of {entry['Names']}", engine.call("GET", f"/containers/{entry['Id']}/logs?stdout=1&stderr=1")[1]


def where(needle, places):
    return [str(place) for place, content in places if needle in content]


def test_no_redis_password_is_on_the_nodes_machine(engine, job, bridged_redis):
    job.wait()
    wait_for_containers(engine, job.node, 2)
    password = bridged_redis.PASSWORD.encode()
    places = list(places_to_look(engine, job.node))
    assert where(password, places) == []
    assert where(str(bridged_redis.port).encode() + b"/", places) == [], "nor is its address"

    # The search finds what is there: the node's own secret, the gateway's address in the workers' environment.
    secret = next(path for path in job.node.directory.glob("state/*secret*"))
    assert where(secret.read_bytes().strip(), places) == [str(secret)]
    assert secret.stat().st_mode & 0o777 == 0o600
    assert len([place for place in where(f"@{GATEWAY}".encode(), places) if place.startswith("/proc/")]) >= 2
    assert password in job.leasing.hub.config_path.read_bytes()


def test_direct_delivery_is_what_carries_the_password(engine, make_hub, bridged_redis, make_node, image):  # noqa: F811
    """The other side of it: such a task's workers need it, and docker inspect shows it."""
    hub = make_hub().start()
    hub.add("open", image=image, command=["/worker"], delivery="direct", input_redis=bridged_redis.url(),
            input_queue="in", output_queue="out")
    node = make_node(hub).start()
    node.wait_for_id()
    wait_for_containers(engine, node, 2)
    assert where(bridged_redis.PASSWORD.encode(), places_to_look(engine, node))
