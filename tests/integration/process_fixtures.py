"""Nodes whose workers are plain processes of another user: no container engine is asked for."""
import os
import pathlib
import re
import shutil
import signal
import tempfile

import pytest

from conftest import RedisServer
from node_fixtures import Node, worker_program  # noqa: F401
from processes import TOKEN, Daemon, wait_until

USER = "nobody"  # every Debian has one


@pytest.fixture(scope="session")
def public_worker(worker_program):  # noqa: F811
    """The tests' worker where that user can run it."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="idm-it-public-"))
    path.chmod(0o755)
    program = path / "worker"
    shutil.copy(worker_program, program)
    program.chmod(0o755)
    yield program
    shutil.rmtree(path)


@pytest.fixture
def loopback_redis(directory):
    server = RedisServer(directory)
    yield server
    server.stop()


@pytest.fixture
def make_process_node(gridnode, directory):
    """Makes nodes (not started yet). Whatever still runs at the end must end in order, and leave nothing."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to run workers as another user")
    nodes = []

    def make(hub, **config):
        path = directory / f"node-{len(nodes)}"
        path.mkdir()
        (path / "tmp").mkdir()
        (path / "tmp").chmod(0o1777)
        settings = {"server_url": hub.url if hub else "http://127.0.0.1:1", "token": TOKEN, "runtime": "process",
                    "process_user": USER, "state_dir": str(path / "state"), "parallelism": 2, "stop_timeout": 5,
                    "heartbeat_interval": 1, "log_level": "debug", **config}
        nodes.append(ProcessNode(gridnode, path, **settings))
        return nodes[-1]
    yield make
    for node in nodes:
        if node.daemon and node.daemon.running():
            node.stop()
        if node.id:
            left = node.all_workers(), node.records(), node.directories(), node.cgroups()
            for pid in left[0]:
                os.kill(pid, signal.SIGKILL)
            for path in left[3]:
                wait_until(lambda path=path: not (path / "cgroup.procs").read_text(), 5, "the end of what was left")
                path.rmdir()
            assert not any(left), left


class ProcessNode(Node):
    def start(self, environment=None, before=(), **config):
        for path in (self.directory, *list(self.directory.parents)[:2]):
            path.chmod(0o711)  # the workers' directories are below
        if config or not self.config_path.exists():
            self.write_config(**config)
        self.daemon = Daemon(self.program, [*before, "-c", self.config_path], self.log_path,
                             {"TMPDIR": str(self.directory / "tmp"), **(environment or {})})
        return self

    def as_user(self, user):
        """From now on the agent runs as that user, in place of root."""
        self.write_config()
        for path in (self.config_path, self.directory):
            os.chown(path, user, user)
        before = [f"--reuid={user}", f"--regid={user}", "--clear-groups", shutil.copy(self.program, self.directory)]
        self.program = "setpriv"
        return before

    def records(self):
        return list((self.directory / "state").glob(f"workers-{self.id}/*"))

    def directories(self):
        return list((self.directory / "tmp").glob("idm-work-*"))

    def cgroups(self):
        return [path for path in cgroups() if path.parent.name == f"idm-{self.id}"]

    def all_workers(self):
        """Processes of any worker of this node, grandchildren too: who works in our directory, or was born there."""
        mark = f"NODE_ID={self.id}\0".encode()
        return {pid for pid in processes() if mark in read(f"/proc/{pid}/environ")}

    def workers(self, task=None):
        """{instance: pid} of those that the agent itself started and that have become the task's program."""
        found = {}
        for pid in processes():
            environment = dict(entry.split("=", 1) for entry in read(f"/proc/{pid}/environ").decode().split("\0")
                               if "=" in entry)
            if environment.get("NODE_ID") == self.id and stat(pid)[3] == str(self.daemon.pid) and \
                    (task is None or environment["TASK_NAME"] == task):
                found[int(environment["INSTANCE_ID"])] = pid
        return found

    def wait_for_workers(self, count=2, task=None):
        def look():
            found = self.workers(task)
            return found if len(found) == count else None
        return wait_until(look, 20, f"{count} workers", 0.05) if count else \
            wait_until(lambda: not self.all_workers(), 20, "the workers' end", 0.05)


def read(path):
    try:
        return pathlib.Path(path).read_bytes()
    except OSError:
        return b""


def processes():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def stat(pid):
    """The fields of /proc/PID/stat, counted from 0 at the process number; the name is one field."""
    text = read(f"/proc/{pid}/stat").decode()
    return [str(pid), "", *text.rpartition(")")[2].split()] if text else [""] * 30


def status(pid, field):
    return re.search(rf"^{field}:\s*(.*)$", read(f"/proc/{pid}/status").decode(), re.MULTILINE).group(1)


def cgroups():
    """os.walk passes over what goes meanwhile: others' containers, for example."""
    return [pathlib.Path(at) / name for at, names, _ in os.walk("/sys/fs/cgroup") for name in names
            if name.startswith("idm-work-") and os.path.basename(at).startswith("idm-")]


def add_process_task(hub, redis, name, command, delivery="direct", **fields):
    """Its workers talk to Redis themselves, as in the seed."""
    return hub.add(name, image=None, command=list(map(str, command)), delivery=delivery, input_redis=redis.url("127.0.0.1"),
                   input_queue=f"{name}:in", output_queue=f"{name}:out", **fields)
