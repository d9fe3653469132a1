"""Whole systems of `gridctl up`, each in a home of its own, and ended at the end whatever a test did to them."""
import json
import os
import pathlib
import signal
import tempfile

import pytest

from processes import SANITIZER, run, wait_until


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


class Local:
    """gridctl as its user types it, in a home of its own."""

    def __init__(self, gridctl, home):
        self.gridctl = gridctl
        self.home = home
        self.place = home / ".local/state/idm-gridcore/local"
        self.seen = {}
        # Where no container engine is: what this machine has is nothing to these tests.
        self.environment = {"HOME": str(home), "DOCKER_HOST": "unix:///nonexistent/docker.sock"}

    def type(self, *arguments, expect=0, timeout=120, **environment):
        """What it says, on both outputs."""
        code, out, err = run(self.gridctl, arguments, {**self.environment, **environment}, timeout)
        self.pids()
        assert code == expect, (arguments, code, out, err)
        return out + err

    def ask(self, *arguments):
        code, out, err = run(self.gridctl, [*arguments, "--json"], self.environment, 60)
        assert code == 0, (arguments, code, out, err)
        return json.loads(out)

    def pids(self):
        """{name: pid} of what run/ names."""
        found = {path.name: int(path.read_text().split()[0]) for path in self.place.glob("run/*") if path.name[0] != "."}
        for name, pid in found.items():
            self.seen[pid] = name
        return found

    def logs(self):
        return "".join(path.read_text(errors="replace") for path in sorted(self.place.glob("logs/*")))

    def kill(self, name):
        pid = self.pids()[name]
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not alive(pid), 10, f"the end of {name}")
        return pid

    def end(self):
        self.pids()
        if self.place.exists():
            run(self.gridctl, ["down", "--directory", self.place], self.environment, 180)
        left = {name: pid for pid, name in self.seen.items() if alive(pid)}
        for pid in left.values():
            os.kill(pid, signal.SIGKILL)
        assert not left, f"not ended by `gridctl down`: {left}"
        assert not SANITIZER.search(self.logs()), self.logs()


@pytest.fixture(scope="session")
def gridctl(build):
    return build / "src" / "gridctl"


@pytest.fixture
def local(gridctl, directory):
    system = Local(gridctl, pathlib.Path(tempfile.mkdtemp(dir=directory)))
    yield system
    system.end()
