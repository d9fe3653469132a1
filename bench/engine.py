"""A container engine to measure with: that of $DOCKER_HOST, or one of our own by scripts/engine.sh."""
import http.client
import io
import json
import os
import pathlib
import socket
import subprocess
import tarfile
import threading
import urllib.parse

SCRIPT = pathlib.Path(__file__).resolve().parents[1] / "scripts" / "engine.sh"
IMAGE = "idm-bench/idle:1"


class NoEngine(Exception):
    pass


class Connection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("engine", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Engine:
    def __init__(self, place):
        self.url = os.environ.get("DOCKER_HOST")
        if not self.url:
            directory = place.directory / "engine"
            place.at_end.append(lambda: subprocess.run([SCRIPT, "stop", directory], check=False, capture_output=True))
            begun = subprocess.run([SCRIPT, "start", directory], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                   check=False, start_new_session=True)
            if begun.returncode:
                raise NoEngine(begun.stderr.strip())
            self.url = begun.stdout.split()[0]
        if not self.url.startswith("unix://"):
            raise NoEngine(f"{self.url} is no Unix socket")
        self.socket = self.url.removeprefix("unix://")
        self.import_idle(place.program("idle"))
        place.at_end.append(self.remove_image)

    def call(self, method, path, body=None, **headers):
        connection = Connection(self.socket, 60)
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        if answer.status >= 300 or '"error"' in text:
            raise NoEngine(f"{method} {path}: {answer.status} {text[:300]}")
        return text

    def import_idle(self, program):
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            tar.add(program, "idle")
        repository, tag = IMAGE.split(":")
        query = urllib.parse.urlencode({"fromSrc": "-", "repo": repository, "tag": tag,
                                        "changes": 'ENTRYPOINT ["/idle"]'})
        self.call("POST", f"/images/create?{query}", packed.getvalue(), **{"Content-Type": "application/x-tar"})

    def remove_image(self):
        try:
            self.call("DELETE", f"/images/{IMAGE}?force=1")
        except (NoEngine, OSError):
            pass  # an engine of our own goes with all that it has

    def describe(self):
        version = json.loads(self.call("GET", "/version"))
        return f"Docker Engine {version['Version']}, {json.loads(self.call('GET', '/info'))['Driver']}"


class Events:
    """The engine's own notes of when containers started and were removed, from now on."""

    def __init__(self, engine):
        self.seen = []  # (action, name, nanoseconds since 1970)
        self.changed = threading.Condition()
        self.connection = Connection(engine.socket, None)
        filters = urllib.parse.quote(json.dumps({"type": ["container"], "event": ["start", "destroy"]}))
        self.connection.request("GET", f"/events?filters={filters}")
        self.answer = self.connection.getresponse()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        try:
            for line in self.answer:
                event = json.loads(line)
                with self.changed:
                    self.seen.append((event["Action"], event["Actor"]["Attributes"]["name"], event["timeNano"]))
                    self.changed.notify()
        except (OSError, ValueError):
            pass  # the engine ended

    def last(self, action, since_ns, part_of_name, count, seconds=120):
        """When the last of so many containers was started or removed."""
        def found():
            times = [ns for what, name, ns in self.seen if what == action and part_of_name in name and ns >= since_ns]
            return max(times) if len(times) >= count else None
        with self.changed:
            value = self.changed.wait_for(found, seconds)
        if not value:
            raise SystemExit(f"bench/run: not within {seconds} s: {count} times {action}")
        return value


def of(place):
    """The one engine of this run."""
    if not place.engine:
        place.engine = Engine(place)
    return place.engine
