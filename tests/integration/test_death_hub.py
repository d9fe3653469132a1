"""The hub dies, or hangs: containers never notice, nothing answered is lost, and its nodes come back one after the other."""
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from hub_client import expect
from node_fixtures import add_task, make_node, node, wait_for_containers, worker_image, worker_program  # noqa: F401
from processes import TOKEN, wait_until

HERE = pathlib.Path(__file__).resolve().parent


def starts(engine, node):
    """What a restart, by whomever, would change."""
    details = [engine.inspect(entry["Id"]) for entry in engine.containers(node=node.id)]
    return {entry["Id"]: (entry["State"]["StartedAt"], entry["State"]["Pid"], entry["RestartCount"]) for entry in details}


@pytest.mark.docker
@pytest.mark.usefixtures("worker_image")
def test_a_killed_hub_is_not_noticed_by_containers(hub, node, redis_server, engine):
    """Killed three times in the middle of the work; every item that the containers took meanwhile is computed."""
    add_task(hub, redis_server, "work")
    wait_for_containers(engine, node)
    before = starts(engine, node)
    nodes = [entry["id"] for entry in hub.nodes()]
    for round_number in range(3):
        hub.kill()
        redis_server.client.lpush("work:in", *range(round_number * 500, (round_number + 1) * 500))
        wait_until(lambda: not redis_server.client.llen("work:in"), 20, "work without a hub")
        hub.start()
        assert [entry["id"] for entry in hub.nodes()] == nodes
        seen = hub.node(node.id)["last_seen"]
        wait_until(lambda: hub.node(node.id)["last_seen"] > seen, 30, "the node's return")
    assert starts(engine, node) == before
    results = wait_until(lambda: (lambda r: len(r) >= 1500 and r)(redis_server.client.lrange("work:out", 0, -1)), 20,
                         "the results")
    assert sorted(map(int, results)) == [n * n for n in range(1500)]
    assert node.id == nodes[0] and hub.queue()[0] == "work"


@pytest.mark.docker
@pytest.mark.usefixtures("worker_image")
def test_a_hub_that_hangs_and_goes_on(make_hub, make_node, redis_server, engine):
    """A hub that was stopped, as by a machine without memory: its node says so, containers run on, and when the hub goes on it
    calls nobody Offline for the time that it did not listen itself."""
    hub = make_hub().start(offline_after=5)
    node = make_node(hub).start()
    node.wait_for_id()
    bystander = hub.register(hostname="bystander")["node_id"]
    add_task(hub, redis_server, "work", ["sleep"])
    wait_for_containers(engine, node)
    before = starts(engine, node)
    hub.beat(bystander)
    hub.daemon.send(signal.SIGSTOP)
    try:
        node.daemon.wait_for_log(r"warn .*does not answer", 40)
    finally:
        hub.daemon.send(signal.SIGCONT)
    assert hub.node(bystander)["status"] == "Online"
    node.daemon.wait_for_log("the hub answers again", 30)
    hub.daemon.wait_for_log(r"this hub did nothing for \d\d\.\d s")
    assert f"node={node.id}: offline" not in hub.daemon.log
    assert starts(engine, node) == before
    wait_until(lambda: hub.node(bystander)["status"] == "Offline", 10, "its own silence counts as ever")


class Refuser:
    """In the hub's place: takes each connection, notes when, and closes it."""

    def __init__(self, port):
        self.times = []
        self.listener = socket.create_server(("127.0.0.1", port))
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.times.append(time.monotonic())
            connection.close()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(5)


@pytest.mark.docker
def test_a_node_asks_a_dead_hub_with_growing_pauses(hub, node):
    hub.kill()
    refuser = Refuser(hub.port)
    begun = time.monotonic()
    time.sleep(20)
    refuser.close()
    # Two calls, each: up to 4 s, then 2 to 4, 4 to 8, 8 to 16: three or four in 20 s (curl may knock twice at once).
    times = [moment - begun for moment in refuser.times]
    distinct = [t for i, t in enumerate(times) if i == 0 or t - times[i - 1] > 0.05]
    assert 4 <= len(distinct) <= 11, times
    assert sum(t > 10 for t in distinct) <= len(distinct) / 2, times  # fewer and fewer
    hub.start()
    node.daemon.wait_for_log("the hub answers again", 30)


HERD = 3000


@pytest.mark.alone
def test_a_herd_that_comes_back_does_not_keep_others_waiting(make_hub):
    """Thousands of held calls break at once when the hub is killed, and come back to it by the nodes' rule; meanwhile the
    hub answers people at once."""
    hub = make_hub().start(log_level="info")
    hub.add("a")
    hub.add("b")
    herd = subprocess.Popen([sys.executable, HERE / "herd.py", str(hub.port), str(HERD), TOKEN], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, text=True)

    def told(wanted):
        for line in herd.stdout:
            word, *rest = line.split()
            if word == wanted:
                return rest
        raise AssertionError(f"the herd ended before it told {wanted}")
    try:
        told("held")
        hub.kill()
        hub.start()
        begun, latencies = time.monotonic(), []
        switched = False
        while time.monotonic() - begun < 5:
            asked = time.monotonic()
            expect(hub.get("/health"), 200)
            latencies.append(time.monotonic() - asked)
            if not switched and asked - begun > 2:
                asked = time.monotonic()
                assert hub.next() == {"previous": "a", "current": "b"}
                latencies.append(time.monotonic() - asked)
                switched = True
            time.sleep(0.02)
        assert switched
        peak, = told("held")  # all are back
        assert int(peak) < HERD / 8, "they came all at once"  # in 100 ms; evenly it would be a fortieth
        latencies.sort()
        assert latencies[len(latencies) // 2] < 0.1 and latencies[-1] < 1, latencies[-5:]
        herd.stdin.write("stop\n")
        herd.stdin.flush()
        switches, = told("knowing")
        assert int(switches) == HERD  # the switch reached each of them
        assert len(hub.nodes()) == HERD
    finally:
        herd.kill()
        herd.wait(10)
        herd.stdin.close()
        herd.stdout.close()
