"""A node of a test's own, and the image that its containers are made from."""
import pathlib
import re
import signal
import subprocess
import time

import pytest

from processes import TOKEN, Daemon, toml_text, wait_until

HERE = pathlib.Path(__file__).resolve().parent
IMAGE = "idm-test/worker:1"


class Node:
    """gridnode with a configuration of its own; may be started again and again."""

    def __init__(self, program, directory, **config):
        self.program = program
        self.directory = directory
        self.config_path = directory / "gridnode.toml"
        self.log_path = directory / "gridnode.log"
        self.config = config
        self.daemon = None

    def write_config(self, **config):
        self.config.update(config)
        self.config_path.write_text("# this machine's node\n" + toml_text(self.config) + "# the end\n")
        self.config_path.chmod(0o600)

    def start(self, environment=None, arguments=(), **config):
        if config or not self.config_path.exists():
            self.write_config(**config)
        self.daemon = Daemon(self.program, ["-c", self.config_path, *arguments], self.log_path, environment)
        return self

    @property
    def id(self):
        match = re.search(r'^node_id = "(.*)"$', self.config_path.read_text(), re.MULTILINE)
        return match and match.group(1)

    def wait_for_id(self):
        return wait_until(lambda: self.id, 15, "the node's registration")

    def stop(self, **how):
        deadline = time.monotonic() + 2
        while self.daemon.running() and " slots on " not in self.daemon.log and time.monotonic() < deadline:
            time.sleep(0.05)  # started a moment ago: it does not mind signals yet
        self.daemon.stop(**how)

    def kill(self):
        self.daemon.kill()


@pytest.fixture(scope="session")
def worker_program(session_dir):
    program = session_dir / "worker"
    subprocess.run(["gcc", "-O1", "-static", "-w", "-o", program, HERE / "worker.c", "-lhiredis"], check=True,
                   timeout=120)
    return program


@pytest.fixture(scope="session")
def worker_image(engine, worker_program):
    return engine.import_image(IMAGE, {"worker": worker_program}, ['ENTRYPOINT ["/worker"]'])


@pytest.fixture
def make_node(gridnode, directory, engine):
    """Makes nodes (not started yet). Whatever still runs at the end must end in order, and leave no container."""
    nodes = []

    def make(hub, **config):
        path = directory / f"node-{len(nodes)}"
        path.mkdir()
        settings = {"server_url": hub.url if hub else "http://127.0.0.1:1", "token": TOKEN,
                    "docker_host": engine.url, "state_dir": str(path / "state"), "parallelism": 2, "stop_timeout": 5, "heartbeat_interval": 1,
                    "log_level": "debug", **config}
        nodes.append(Node(gridnode, path, **settings))
        return nodes[-1]
    yield make
    for node in nodes:
        if node.daemon and node.daemon.running():
            node.stop()
        if node.id:
            left = engine.containers(node=node.id)
            for container in left:
                engine.call("DELETE", f"/containers/{container['Id']}?force=1&v=1")
            assert not left, "containers were left behind"


@pytest.fixture
def node(make_node, hub):
    """A node of two slots, registered."""
    started = make_node(hub).start()
    started.wait_for_id()
    return started


def add_task(hub, redis_server, name, command=None, image=IMAGE, delivery="direct", **fields):
    """A task on the test's Redis, its queues named after it; its workers talk to Redis themselves, as in the seed."""
    if command:
        fields["command"] = ["/worker", *map(str, command)]
    return hub.add(name, image=image, delivery=delivery, input_redis=redis_server.url("host.docker.internal"),
                   input_queue=f"{name}:in", output_queue=f"{name}:out", **fields)


def minds_sigterm(pid):
    """Whether the worker in this container has come so far that SIGTERM finds its handler; pid may be the engine's init."""
    try:
        processes = [pid, *pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        texts = [pathlib.Path(f"/proc/{process}/status").read_text() for process in processes]
    except (FileNotFoundError, ProcessLookupError):
        return False
    caught = [int(re.search(r"^SigCgt:\s*(\S+)$", text, re.MULTILINE).group(1), 16) for text in texts
              if re.search(r"^Name:\s*worker$", text, re.MULTILINE)]
    return any(mask >> (signal.SIGTERM - 1) & 1 for mask in caught)


def wait_for_containers(engine, node, count=2, task=None):
    """{instance: pid} as soon as that many run, and their workers are ready for a SIGTERM."""
    labels = {"node": node.id, **({"task": task} if task else {})}

    def look():
        pids = engine.running_pids(**labels)
        return pids if len(pids) == count and all(map(minds_sigterm, pids.values())) else None
    return wait_until(look, 30, f"{count} containers of {task or 'any task'}", pause=0.05) if count else \
        wait_until(lambda: not engine.containers(**labels), 30, "the containers' end")
