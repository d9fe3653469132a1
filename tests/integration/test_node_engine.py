"""The engine comes and goes; images come from a real registry."""
import json
import os
import pathlib
import subprocess

import pytest
from conftest import free_port
from node_fixtures import IMAGE, Node, make_node, node, wait_for_containers, worker_image, worker_program  # noqa: F401
from processes import TOKEN, wait_until

pytestmark = [pytest.mark.docker]


def wait_for_status(hub, node, status, timeout=40):
    wait_until(lambda: hub.node(node.id)["runtime_status"] == status, timeout, f"status {status}")


@pytest.fixture
def node_of_own_engine(hub, gridnode, directory, own_engine, worker_program):
    own_engine.import_image(IMAGE, {"worker": worker_program}, ['ENTRYPOINT ["/worker"]'])
    node = Node(gridnode, directory, server_url=hub.url, token=TOKEN, docker_host=own_engine.url, parallelism=2,
                stop_timeout=3, heartbeat_interval=1, log_level="debug").start()
    node.wait_for_id()
    yield node
    if node.daemon.running():
        node.stop()


def test_an_engine_killed_and_back_is_an_error_and_a_recovery(hub, node_of_own_engine, own_engine):
    node = node_of_own_engine
    hub.add("work", image=IMAGE, command=["/worker", "sleep"])
    wait_for_containers(own_engine, node)
    command = own_engine.kill_process()
    wait_for_status(hub, node, "Error")
    assert "does not answer" in hub.node(node.id)["error"] or "engine" in hub.node(node.id)["error"]
    assert node.daemon.running()
    own_engine.start_process(command)
    wait_for_status(hub, node, "Running")
    wait_for_containers(own_engine, node)
    assert hub.node(node.id)["error"] is None
    node.stop()
    assert not own_engine.containers(node=node.id)


def test_a_stop_while_the_engine_is_away_ends_all_the_same(hub, node_of_own_engine, own_engine):
    node = node_of_own_engine
    hub.add("work", image=IMAGE, command=["/worker", "sleep"])
    wait_for_containers(own_engine, node)
    command = own_engine.kill_process()
    node.stop(timeout=60)
    own_engine.start_process(command)


class Registry:
    """Debian's docker-registry on loopback, which engines take without TLS."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.port = free_port()
        config = {"version": 0.1, "storage": {"filesystem": {"rootdirectory": str(self.directory / "data")}},
                  "http": {"addr": f"127.0.0.1:{self.port}", "secret": "only-for-this-test"}, "log": {"level": "error"}}
        path = self.directory / "registry.yml"
        path.write_text(json.dumps(config))  # JSON is YAML
        with open(self.directory / "registry.log", "wb") as log:
            self.process = subprocess.Popen(["docker-registry", "serve", path], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log)
        wait_until(self.answers, 20, "the registry")

    def answers(self):
        import http.client
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
            connection.request("GET", "/v2/")
            return connection.getresponse().status == 200
        except OSError:
            assert self.process.poll() is None, (self.directory / "registry.log").read_text()
            return False

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


@pytest.fixture
def registry(directory):
    path = directory / "registry"
    path.mkdir()
    server = Registry(path)
    yield server
    server.stop()


def push(engine, registry, name, files):
    """The image is then in the registry and nowhere else."""
    full = f"127.0.0.1:{registry.port}/{name}"
    engine.import_image(full, files, ['ENTRYPOINT ["/worker"]'])
    repository, _, tag = full.rpartition(":")
    status, body = engine.call("POST", f"/images/{repository}/push?tag={tag}", headers={"X-Registry-Auth": "e30="},
                               timeout=120)
    assert status == 200 and b'"error"' not in body, body
    engine.remove_image(full)
    assert not engine.has_image(full)
    return full


def test_an_image_is_pulled_once_with_progress(hub, node, engine, registry, worker_program, directory):
    ballast = directory / "ballast"
    ballast.write_bytes(os.urandom(24 << 20))
    image = push(engine, registry, "tool:2", {"worker": worker_program, "ballast": ballast})
    hub.add("pulled", image=image, command=["/worker", "sleep"])
    wait_for_containers(engine, node, task="pulled")
    log = node.daemon.log
    assert f"pulling {image}" in log
    assert log.count(f"the image {image} is ready") == 1
    hub.finish()
    wait_for_containers(engine, node, count=0)
    engine.remove_image(image)


def test_an_unknown_tag_is_named(hub, node, engine, registry, worker_program):
    push(engine, registry, "tool:1", {"worker": worker_program})
    hub.add("wrong-tag", image=f"127.0.0.1:{registry.port}/tool:9")
    entry = wait_until(lambda: (lambda n: n["runtime_status"] == "Error" and n)(hub.node(node.id)), 30, "an error")
    assert "tool:9" in entry["error"]


def test_an_image_removed_by_hand_is_fetched_again(hub, node, engine, registry, worker_program):
    image = push(engine, registry, "again:1", {"worker": worker_program})
    hub.add("again", image=image, command=["/worker", "sleep"])
    pids = wait_for_containers(engine, node, task="again")
    engine.remove_image(image)  # by force: running containers go on
    for entry in engine.containers(node=node.id):
        engine.call("DELETE", f"/containers/{entry['Id']}?force=1")
    engine.remove_image(image)

    def anew():
        now = engine.running_pids(node=node.id)
        return len(now) == 2 and not set(now.values()) & set(pids.values())
    wait_until(anew, 60, "containers of the image fetched again")
    hub.finish()
    wait_for_containers(engine, node, count=0)
    engine.remove_image(image)
