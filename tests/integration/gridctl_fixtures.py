"""gridctl as a person runs it: with a home of its own, against a hub of the test's own."""
import fcntl
import json
import os
import pty
import struct
import subprocess
import termios
import time

import pytest

from processes import SANITIZER, SECRETS, TOKEN, daemon_environment

ADMIN, VIEWER = "hunter2-of-the-admin", "hunter2-of-the-viewer"


class Gridctl:
    """Runs of the program; what it says is (exit status, standard output, standard error)."""

    def __init__(self, program, home, hub=None, token=TOKEN):
        self.program, self.home, self.hub = program, home, hub
        self.environment = {"HOME": str(home), "LC_ALL": "C.UTF-8", **({"IDM_GRIDCORE_TOKEN": token} if token else {})}

    @property
    def arguments(self):
        return ["--hub", self.hub.url] if self.hub else []

    def start(self, *arguments, environment=None, **how):
        how = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **how}
        return subprocess.Popen([str(self.program), *self.arguments, *map(str, arguments)],
                                env=daemon_environment({**self.environment, **(environment or {})}), cwd=self.home, **how)

    def __call__(self, *arguments, stdin=None, environment=None, timeout=30):
        process = self.start(*arguments, environment=environment, stdin=subprocess.PIPE)
        out, err = process.communicate(stdin.encode() if isinstance(stdin, str) else stdin, timeout)
        out, err = out.decode(), err.decode()
        self.check(out + err)
        return process.returncode, out, err

    @staticmethod
    def check(text):
        assert not SANITIZER.search(text), text
        for secret in SECRETS:
            assert secret not in text, text

    def good(self, *arguments, **how):
        """Standard output and standard error of what has to go well."""
        code, out, err = self(*arguments, **how)
        assert code == 0, (code, out, err)
        return out, err

    def json(self, *arguments, **how):
        out, err = self.good(*arguments, "--json", **how)
        assert err == "" and out.count("\n") == 1, (out, err)
        return json.loads(out)

    def rows(self, *arguments, **how):
        """A table's rows, as lists of words; the titles are the first one."""
        return [line.split() for line in self.good(*arguments, **how)[0].splitlines()]

    def in_terminal(self, *arguments, columns=80, typed=(), environment=None, timeout=30):
        """(exit status, what the terminal was shown). `typed`: (text to wait for, what is then typed)."""
        pid, fd = pty.fork()
        if pid == 0:
            os.chdir(self.home)
            os.execve(self.program, [str(self.program), *self.arguments, *map(str, arguments)],
                      daemon_environment({**self.environment, "TERM": "xterm", **(environment or {})}))
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 25, columns, 0, 0))
        shown, typed, deadline = b"", list(typed), time.monotonic() + timeout
        while time.monotonic() < deadline:
            try:
                piece = os.read(fd, 65536)
            except OSError:  # its last user has closed it
                break
            if not piece:
                break
            shown += piece
            if typed and typed[0][0].encode() in shown:
                os.write(fd, typed.pop(0)[1].encode())
        os.close(fd)
        status = os.waitpid(pid, 0)[1]
        text = shown.decode()
        self.check(text)
        return os.waitstatus_to_exitcode(status), text


@pytest.fixture
def gridctl(build, directory):
    """Without a hub and without a token."""
    home = directory / "home"
    home.mkdir()
    return Gridctl(build / "src" / "gridctl", home, token=None)


@pytest.fixture
def make_ctl(build, directory):
    def make(hub, token=TOKEN):
        home = directory / "home"
        home.mkdir(exist_ok=True)
        return Gridctl(build / "src" / "gridctl", home, hub, token)
    return make
