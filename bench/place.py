"""Where measurements happen: a directory, the built programs, and the daemons that run; all of it gone at the end."""
import json
import os
import pathlib
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request


def say(text):
    print(f"  {text}", file=sys.stderr, flush=True)


def wait_until(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise SystemExit(f"bench/run: not within {seconds} s: {what}")
        time.sleep(0.02)


def free_port():
    """Another program may take it before the caller does: look whether the server came up."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def memory(pid):
    """(resident, private dirty) in bytes."""
    fields = {}
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        name, _, rest = line.partition(":")
        fields[name] = rest.split()
    return tuple(int(fields[name][0]) * 1024 for name in ("Rss", "Private_Dirty"))


class Place:
    def __init__(self, build, small):
        self.build = build
        self.small = small
        self.token = secrets.token_hex(16)
        self.children = []
        self.at_end = []
        self.engine = None  # a part that needs one sets it
        cpus = sorted(os.sched_getaffinity(0))
        # What is measured and what loads it, each on a CPU of its own; on one CPU they have to share.
        self.server_cpus, self.load_cpus = ({cpus[0]}, {cpus[1]}) if len(cpus) > 1 else (None, None)

    def __enter__(self):
        # Short: an engine's socket below it has to fit 108 bytes.
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="idm-bench-"))
        return self

    def __exit__(self, *_):
        # A second Ctrl-C would leave behind what the first began to end.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        for child in reversed(self.children):
            self.end(child, 40)
        for action in reversed(self.at_end):
            action()
        shutil.rmtree(self.directory, ignore_errors=True)

    def pick(self, usual, small):
        return small if self.small else usual

    # ---- programs ----

    def program(self, name):
        return self.build / ("src" if name in ("computehub", "gridnode", "gridctl") else "bench") / name

    def knows(self, program, *words):
        """Whether a daemon's configuration has all these keys."""
        text = subprocess.run([self.program(program), "--help"], capture_output=True, text=True, check=True).stdout
        return all(word in text.split() for word in words)

    def environment(self):
        kept = {name: value for name, value in os.environ.items() if name == "IDM_CHECK_RUN"
                or not name.startswith(("IDM_", "XDG_")) and not name.lower().endswith("_proxy")}
        return {**kept, "IDM_GRIDCORE_TOKEN": self.token}

    def spawn(self, name, *arguments, cpus=None, **how):
        return self.spawn_command([self.program(name), *map(str, arguments)], cpus, **how)

    def spawn_command(self, command, cpus=None, **how):
        """In a session of its own, so that a Ctrl-C is for us alone: we end it."""
        child = subprocess.Popen(command, start_new_session=True, env=self.environment(),
                                 **{"stdin": subprocess.DEVNULL, **how})
        self.children.append(child)
        if cpus:
            os.sched_setaffinity(child.pid, cpus)
        return child

    def end(self, child, seconds=20):
        if child.poll() is None:
            child.terminate()
            try:
                child.wait(seconds)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        for stream in (child.stdin, child.stdout):
            if stream:
                stream.close()
        if child in self.children:
            self.children.remove(child)

    def ask(self, name, *arguments, cpus=None, seconds=600):
        """Runs a measuring program to its end, and returns what it printed."""
        child = self.spawn(name, *arguments, cpus=cpus, stdout=subprocess.PIPE)
        text, _ = child.communicate(timeout=seconds)
        self.end(child)
        if child.returncode:
            raise SystemExit(f"bench/run: {name} {arguments[0]} failed")
        return text.decode()

    # ---- files ----

    def write_config(self, name, **keys):
        path = self.directory / f"{name}.toml"
        path.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items()))
        path.chmod(0o600)
        return path

    def certificate(self):
        """(certificate, key) as files, for 127.0.0.1, signed by itself."""
        certificate, key = self.directory / "cert.pem", self.directory / "key.pem"
        if not certificate.exists():
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                            "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
                            "-keyout", key, "-out", certificate], check=True, capture_output=True)
        return certificate, key

    def hub_knows_tls(self):
        return self.knows("computehub", "tls_cert", "tls_key")


class Hub:
    """computehub with a configuration and a state of its own."""

    def __init__(self, place, name, tls=False, pinned=True, **more):
        self.place = place
        state = place.directory / f"{name}-state"
        keys = {"bind": "127.0.0.1:0", "token": place.token, "state_dir": str(state), "request_timeout": 3600,
                "offline_after": 3600, **more}
        if tls:
            keys["tls_cert"], keys["tls_key"] = map(str, place.certificate())
        config = place.write_config(name, **keys)
        log_path = place.directory / f"{name}.log"
        with open(log_path, "wb") as log:
            self.process = place.spawn("computehub", "-c", config, stderr=log, cpus=place.server_cpus if pinned else None)
        self.pid = self.process.pid
        port = wait_until(lambda: self.read_port(log_path), 20, f"{name} listening, see its log")
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"

    def read_port(self, log_path):
        text = log_path.read_text()
        if self.process.poll() is not None:
            raise SystemExit(f"bench/run: computehub ended: {text[-2000:]}")
        for line in text.splitlines():
            if " listening on " in line:
                return line.split(" listening on ")[1].split(",")[0].rsplit(":", 1)[1].split()[0]
        return None

    def call(self, method, path, body=None):
        # The certificate was made here a moment ago; what it is good for is tested elsewhere.
        context = ssl._create_unverified_context()
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}),
                                             urllib.request.HTTPSHandler(context=context))
        request = urllib.request.Request(self.url + path, method=method,
                                         data=None if body is None else json.dumps(body).encode(),
                                         headers={"Authorization": f"Bearer {self.place.token}",
                                                  "Content-Type": "application/json"})
        with opener.open(request, timeout=60) as answer:
            return json.loads(answer.read())

    def register(self, count):
        """Registers nodes, and returns the file with their ids."""
        path = self.place.directory / f"ids-{self.pid}"
        path.write_text(self.place.ask("load", "register", "--target", self.url, "--count", count))
        return path

    def end(self):
        self.place.end(self.process)
