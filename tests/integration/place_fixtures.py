"""The Docker runtime in a test's hands (place_probe.c), and the image of a program that tries what it can reach."""
import json
import os
import pathlib
import queue
import shutil
import subprocess
import threading

import pytest

from processes import SANITIZER, daemon_environment

HERE = pathlib.Path(__file__).resolve().parent
REACH = "idm-test/reach:1"


class Probe:
    """A run of place_probe. `expect` waits for its events, in their order."""

    def __init__(self, program, engine, node, log_path, user=None, groups=(), environment=None, gateway=None,
                 prefix=()):
        self.node = node
        self.log_path = log_path
        self.events = queue.Queue()
        become = ["setpriv", f"--reuid={user}", f"--regid={user}", f"--groups={','.join(map(str, groups))}"] if user else []
        with open(log_path, "ab") as log:
            self.process = subprocess.Popen([*become, *prefix, str(program), engine.socket, node,
                                             *([gateway] if gateway else [])], stdin=subprocess.PIPE,
                                            stdout=subprocess.PIPE, stderr=log, text=True,
                                            env=daemon_environment(environment))
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.events.put(json.loads(line))

    def say(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()

    def expect(self, event, which=0, timeout=30):
        """The next event, which must be this one; greetings are passed over unless they are waited for."""
        while True:
            try:
                got = self.events.get(timeout=timeout)
            except queue.Empty:
                raise AssertionError(f"no {event} in {timeout} s\n{self.log[-4000:]}") from None
            if got["event"] == "greeted" and event != "greeted":
                continue
            assert (got["event"], got["which"]) == (event, which), (event, which, got, self.log[-4000:])
            return got

    def ready(self):
        self.expect("ready")
        return self

    def open(self, place, *how):
        self.say("open", place, *how)
        event = self.expect("listening", place)
        assert event["err"] == "", event
        return event

    def run(self, worker, place, *words, image=REACH):
        self.say("run", worker, place, image, "/reach", *words)
        event = self.expect("started", worker)
        assert event["err"] == "", event

    def exited(self, worker, timeout=60):
        return self.expect("exited", worker, timeout)

    def tried(self, worker, place, *addresses):
        """What a worker in that place reaches: {address: (whether, what it heard)}, and its interfaces."""
        self.run(worker, place, "try", *addresses)
        lines = [line.split(" ") for line in self.exited(worker)["tail"].splitlines()]
        self.remove(worker)
        return ({words[0]: (words[1] == "yes", " ".join(words[2:]).strip()) for words in lines if words[0] != "interface"},
                sorted(words[1] for words in lines if words[0] == "interface"))

    def remove(self, worker):
        self.say("remove", worker)
        assert self.expect("removed", worker)["err"] == ""

    def close(self, place):
        self.say("close", place)
        assert self.expect("closed", place)["err"] == ""

    @property
    def log(self):
        return self.log_path.read_text(errors="replace")

    def quit(self):
        if self.process.poll() is None:
            self.process.stdin.close()
            assert self.process.wait(20) == 0, self.log[-4000:]
        assert not SANITIZER.search(self.log), self.log

    def kill(self):
        self.process.kill()
        self.process.wait(10)


@pytest.fixture(scope="session")
def reach_program(session_dir):
    program = session_dir / "reach"
    subprocess.run(["gcc", "-O1", "-static", "-w", "-o", program, HERE / "reach.c"], check=True, timeout=120)
    return program


def import_reach(engine, program):
    return engine.import_image(REACH, {"reach": program})


@pytest.fixture(scope="session")
def reach_image(engine, reach_program):
    return import_reach(engine, reach_program)


@pytest.fixture
def make_probe(build, directory):
    """Makes probes, each a node of its own unless told otherwise; removes what they leave."""
    made = []

    def make(engine, node=None, **how):
        number = len(made)
        log_path = directory / f"probe-{number}.log"
        log_path.touch(mode=0o666)
        program = build / "tests" / "integration" / "place_probe"
        if how.get("user"):
            program = shutil.copy(program, directory)  # that user may not see the build directory
        probe = Probe(program, engine, node or f"p{os.getpid()}-{directory.name}-{number}".lower(), log_path, **how)
        made.append((engine, probe))
        return probe
    yield make
    for engine, probe in made:
        try:
            probe.quit()
        finally:
            if engine.answers():
                for container in engine.containers(node=probe.node):
                    engine.call("DELETE", f"/containers/{container['Id']}?force=1&v=1")
