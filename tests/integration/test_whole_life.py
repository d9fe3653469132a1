"""Valgrind watches a whole life of each daemon: start, registration, tasks, switches, containers, failures, SIGTERM. It must find
nothing: no invalid access, no leak. With the release build alone: valgrind and the sanitizers do not go together."""
import pathlib
import shlex

import pytest
from hub_client import Hub, expect
from node_fixtures import add_task, make_node, wait_for_containers, worker_image, worker_program  # noqa: F401
from processes import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.valgrind, pytest.mark.timeout(400)]

VALGRIND = ["valgrind", "--quiet", "--error-exitcode=9", "--leak-check=full", "--show-leak-kinds=definite,possible",
            "--errors-for-leak-kinds=definite,possible", "--track-fds=no", "--child-silent-after-fork=yes",
            "--suppressions=" + str(pathlib.Path(__file__).resolve().parents[1] / "valgrind.supp")]


def under_valgrind(program, directory):
    script = directory / f"{program.name}-watched"
    script.write_text(f"#!/bin/sh\nexec {shlex.join(VALGRIND)} {shlex.quote(str(program))} \"$@\"\n")
    script.chmod(0o755)
    return script


def end(daemon):
    """In order, and valgrind found nothing: it would have said so and ended with 9."""
    daemon.stop(timeout=120)
    assert "==" not in daemon.log, daemon.log


@pytest.fixture
def watched_hub(computehub, directory):
    hub = Hub(under_valgrind(computehub, directory), directory)
    yield hub
    hub.kill()


def test_the_life_of_a_hub(watched_hub):
    hub = watched_hub
    hub.start(offline_after=2, forget_after=4, keep_completed=2, request_timeout=2)
    for name in "abcde":
        hub.add(name, input_redis="redis://:hunter2@h:6379", env={"A": "1"}, memory_mb=64)
    nodes = [hub.register(hostname=f"n{i}", run="r")["node_id"] for i in range(5)]
    gone = hub.hold(node_id=nodes[0])
    held = [hub.hold(node_id=node_id) for node_id in nodes[1:]]
    gone.close()
    hub.next()
    assert [call.answer(30).json["task"]["task_name"] for call in held] == ["b"] * 4
    for node_id in nodes:
        expect(hub.beat(node_id, "Running", 2, task="b", error="exit status 3"), 200)
    hub.beat(nodes[4], leaving=True)
    hub.stop_node(nodes[3])
    for _ in range(3):
        hub.finish()
    expect(hub.post("/api/tasks", {"name": 1}), 400)
    expect(hub.post("/api/tasks", raw=b"{" * 1000), 400)
    expect(hub.post("/api/tasks", raw=b"x" * 300000), 413)
    expect(hub.get("/api/tasks", token="wrong-token"), 401)
    expect(hub.get("/nothing"), 404)
    expect(hub.beat("unknown"), 404)
    expect(hub.call("DELETE", "/api/tasks/e"), 409)
    waiting = [hub.hold(wait=60) for _ in range(5)]
    half = hub.connect()
    half.connect()
    half.sock.sendall(b"POST /api/tasks HTTP/1.1\r\nContent-Le")
    wait_until(lambda: not hub.nodes(), 30, "all nodes are forgotten")
    expect(hub.register(nodes[0]) and hub.get("/api/nodes"), 200)
    end(hub.daemon)
    for call in [*waiting, half]:
        call.close()
    hub.start()  # with a state to load
    assert len(hub.nodes()) == 1 and hub.queue()[0] == "e"
    end(hub.daemon)


@pytest.mark.usefixtures("worker_image")
def test_the_life_of_a_node(hub, make_node, gridnode, redis_server, engine, directory):
    node = make_node(hub)
    node.program = under_valgrind(gridnode, directory)
    node.start()
    wait_until(lambda: node.id, 60, "the node's registration")
    add_task(hub, redis_server, "work")
    wait_for_containers(engine, node)
    redis_server.client.lpush("work:in", *range(50))
    wait_until(lambda: redis_server.client.llen("work:out") == 50, 30, "the results")
    add_task(hub, redis_server, "broken", ["exit", 3, "last words"])
    hub.next()
    wait_until(lambda: "last words" in (hub.node(node.id)["error"] or ""), 60, "the failure at the hub")
    hub.add("nowhere", image="127.0.0.1:9/no/such:1")
    hub.next()
    wait_until(lambda: "no/such" in (hub.node(node.id)["error"] or ""), 60, "the image that is nowhere")
    hub.add("typo", image="idm-test/worker:1", command=["/no/such/program"])
    hub.next()
    wait_until(lambda: "/no/such/program" in (hub.node(node.id)["error"] or ""), 60, "the command that is not there")
    hub.kill()
    node.daemon.wait_for_log(r"the hub at \S+ does not answer", 60)
    hub.start()
    node.daemon.wait_for_log("the hub answers again", 60)
    add_task(hub, redis_server, "last", ["sleep"])
    hub.next()
    wait_for_containers(engine, node, task="last")
    end(node.daemon)
    assert not engine.containers(node=node.id)
