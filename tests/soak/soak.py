#!/usr/bin/python3
"""The soak: soak.py BUILD [TIMES]. 100,000 heartbeats and 1,000 task switches at a real hub with a real agent on the receiving
end, and 10,000 slot cycles without containers; all of it TIMES over, once if not told. Memory and descriptors must stay what they
were after a warm-up of a tenth. Exit status 1, and what grew, if anything did. BUILD is a build without sanitizers: they keep
what programs free."""
import json
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "integration"))
from hub_client import Hub, expect  # noqa: E402
from processes import TOKEN, Daemon, toml_text, wait_until  # noqa: E402

HEARTBEATS, SWITCHES, SLOT_CYCLES = 100_000, 1_000, 10_000
NODES = 50
# A leak of 2 bytes per heartbeat, or 200 per switch, shows. Below it lies what moves by itself: malloc takes 132 KiB at a time,
# SQLite's cache of pages 4 KiB.
GROWTH_MAX_KIB = 160


class Watched:
    """A daemon's private memory and descriptors, now and after."""

    def __init__(self, name, daemon):
        self.name = name
        self.daemon = daemon
        self.before = None

    def memory_kib(self):
        text = pathlib.Path(f"/proc/{self.daemon.pid}/smaps_rollup").read_text()
        return int(re.search(r"^Anonymous:\s+(\d+) kB", text, re.MULTILINE).group(1))

    def note(self):
        self.before = self.memory_kib(), self.daemon.descriptors()

    def judge(self, doing):
        memory, descriptors = self.memory_kib(), self.daemon.descriptors()
        grown = memory - self.before[0]
        flat = grown <= GROWTH_MAX_KIB and descriptors <= self.before[1]
        print(f"{doing}: {self.name}: {self.before[0]} -> {memory} KiB, descriptors {self.before[1]} -> {descriptors}"
              f"{'' if flat else '  GREW'}")
        return flat


def read_answers(stream, wanted):
    """Only counts them: http.client is slower than the hub."""
    mark, seen, rest = b"HTTP/1.1 200 OK\r\n", 0, b""
    while seen < wanted:
        data = stream.recv(1 << 16)
        assert data, "the hub closed the connection"
        rest += data
        seen += rest.count(mark)
        rest = rest[-len(mark) + 1:]


def send_heartbeats(hub, node_ids, total):
    """Pipelined, a node after the other, each with another state than the last."""
    stream = socket.create_connection(("127.0.0.1", hub.port))
    for number in range(0, total, len(node_ids)):
        requests = b""
        for node_id in node_ids:
            failing = number // len(node_ids) % 3 == 0
            body = json.dumps({"node_id": node_id, "status": "Error" if failing else "Running", "active_containers": number % 64,
                               "task": f"task-{number % 7}", "error": "exit status 3" if failing else None}).encode()
            requests += (f"POST /gridnode/heartbeat HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer {TOKEN}\r\n"
                         f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body
        stream.sendall(requests)
        read_answers(stream, len(node_ids))
    stream.close()


def make_switches(hub, agent, total):
    """Each switch reaches the agent before the next one is made, or it would
    see only the last."""
    connection = hub.connect()
    log = open(agent.log_path, encoding="utf-8")
    log.seek(0, 2)

    def post(path, body=None):
        connection.request("POST", path, body and json.dumps(body), hub.headers())
        response = connection.getresponse()
        return response.status, response.read()
    for number in range(total):
        name = f"switch-{number}-{total}"
        status, body = post("/api/tasks", {"name": name, "image": f"some/image:{number}", "env": {"N": str(number)}})
        assert status == 201, body
        status, body = post("/api/tasks/next")
        assert status == 400 or json.loads(body)["current"] == name, body  # 400: it began at once, as the first of all
        seen = [""]

        def arrived():
            seen[0] += log.read()  # a line may come in two pieces
            return name in seen[0]
        wait_until(arrived, 10, "the switch at the agent", pause=0.001)
    connection.close()
    log.close()


def soak_daemons(build, directory, times):
    hub = Hub(build / "src" / "computehub", directory / "hub")
    hub.directory.mkdir()
    hub.start(keep_completed=20, log_level="info")
    config = directory / "gridnode.toml"
    config.write_text(toml_text({"server_url": hub.url, "token": TOKEN, "docker_host": f"unix://{directory}/none.sock",
                                 "state_dir": str(directory / "agent"),
                                 "heartbeat_interval": 1, "parallelism": 2, "log_level": "debug"}))
    agent = Daemon(build / "src" / "gridnode", ["-c", config], directory / "gridnode.log")
    wait_until(lambda: len(hub.nodes()) == 1, 10, "the agent")
    node_ids = [hub.register(hostname=f"soak-{i}", run="r")["node_id"] for i in range(NODES)]
    watched = [Watched("hub", hub.daemon), Watched("agent", agent)]
    flat = True
    for doing, work, total in (("heartbeats", lambda n: send_heartbeats(hub, node_ids, n), HEARTBEATS * times),
                               ("task switches", lambda n: make_switches(hub, agent, n), SWITCHES * times)):
        begun = time.monotonic()
        work(total // 10)
        time.sleep(0.5)
        for one in watched:
            one.note()
        work(total)
        time.sleep(0.5)
        print(f"{total} {doing} in {time.monotonic() - begun:.1f} s")
        flat = all([one.judge(doing) for one in watched]) and flat
    expect(hub.get("/health"), 200)
    agent.stop()
    hub.stop()
    return flat


def main(arguments):
    if len(arguments) not in (1, 2) or not all(number.isdigit() for number in arguments[1:]):
        sys.exit(__doc__)
    build = (ROOT / arguments[0]).resolve()
    times = int(arguments[1]) if arguments[1:] else 1
    cycles = subprocess.run([build / "tests" / "soak" / "slot_cycles", str(SLOT_CYCLES * times)], check=False, timeout=3600)
    with tempfile.TemporaryDirectory(prefix="idm-soak-") as directory:
        flat = soak_daemons(build, pathlib.Path(directory), times)
    return 0 if flat and cycles.returncode == 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
