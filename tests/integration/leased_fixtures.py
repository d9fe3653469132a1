"""Whole leased delivery in a test's hands: hub, Redis and nodes, and workers as people write them (leased_workers/), who know
nothing of leases. They are plain processes of another user, but for those that a test puts into containers."""
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

from conftest import ROOT
from processes import wait_until

HERE = pathlib.Path(__file__).resolve().parent
WORKERS = HERE / "leased_workers"
NODE_CLIENTS = HERE / "node_clients"
PYTHON = "/usr/bin/python3"  # Debian's, which has python3-redis


@pytest.fixture(scope="session")
def workers():
    """A folder with all workers in it, where another user can run them."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="idm-it-workers-"))
    path.chmod(0o755)
    for script in [*WORKERS.iterdir(), ROOT / "examples" / "python-worker" / "worker.py"]:
        shutil.copy(script, path)
        (path / script.name).chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def node_workers(workers):
    """The same folder, with the clients of node_clients/ beside the workers; needs the npm registry once."""
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(NODE_CLIENTS / name, workers)
    result = subprocess.run(["npm", "ci"], cwd=workers, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stderr
    subprocess.run(["chmod", "-R", "a+rX", workers], check=True)
    return workers


class Job:
    """A leased task whose items are the numbers from 1 on, and whose results are their squares."""

    def __init__(self, leasing, name, command, count, **fields):
        self.leasing, self.name, self.count = leasing, name, count
        self.input, self.output = f"{name}:in", f"{name}:out"
        self.store = leasing.store
        self.store.push(range(1, count + 1), self.input)
        self.id = leasing.hub.add(name, command=[str(word) for word in command],
                                  input_queue=self.input, output_queue=self.output, **{"image": None, "input_redis": self.store.url, **fields})["id"]

    def progress(self):
        return self.leasing.progress(self.name)

    def results(self):
        return [int(result) for result in self.store.list(self.output)]

    def wait(self, timeout=60, **numbers):
        """Until every item is done (or as the numbers say)."""
        wanted = {"done": self.count, "leased": 0, "waiting": 0, **numbers}
        return self.leasing.sees(self.name, timeout, **wanted)

    def check_once(self):
        """Each item's result, once."""
        assert sorted(self.results()) == [n * n for n in range(1, self.count + 1)]

    def check_none_lost(self):
        """Each item's result, at least once. How many there are too many."""
        results = self.results()
        assert set(results) == {n * n for n in range(1, self.count + 1)}
        return len(results) - self.count


@pytest.fixture
def run_job(leasing, make_process_node):
    """Starts a task and a node of two slots that works on it."""
    def run(command, count=200, name="job", node=None, **fields):
        job = Job(leasing, name, command, count, **fields)
        job.node = make_process_node(leasing.hub, **(node or {})).start()
        return job
    return run
