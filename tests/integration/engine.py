"""A Docker Engine of the tests' own, and calls to its API over its socket."""
import hashlib
import http.client
import io
import json
import os
import pathlib
import signal
import socket
import subprocess
import tarfile
import urllib.parse

from processes import wait_until

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "engine.sh"


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout=30):
        super().__init__("engine", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class EngineUnavailable(Exception):
    pass


class Engine:
    """dockerd with its own bridge, subnet, data and socket, started by scripts/engine.sh."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        result = subprocess.run([SCRIPT, "start", self.directory], stdin=subprocess.DEVNULL, capture_output=True,
                                text=True, timeout=120, check=False)
        if result.returncode:
            raise EngineUnavailable(result.stderr.strip())
        self.url, self.gateway = result.stdout.split()
        self.socket = self.url.removeprefix("unix://")

    def stop(self):
        subprocess.run([SCRIPT, "stop", self.directory], stdin=subprocess.DEVNULL, capture_output=True, timeout=120,
                       check=False)

    # ---- under the tests' hands: the engine's own process ----

    @property
    def pid(self):
        return int((self.directory / "dockerd.pid").read_text())

    def kill_process(self, number=signal.SIGKILL):
        """Ends dockerd and keeps its data; `start_process` brings it back."""
        pid = self.pid
        command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1]
        os.kill(pid, number)
        wait_until(lambda: not self.alive(pid), 30, "dockerd's end")
        self.end_containerd()
        return command

    @staticmethod
    def signal(pid, number):
        os.kill(pid, number)

    def end_containerd(self):
        """dockerd's death ends it too, but a dockerd that starts while its process is still to be seen, be it as a zombie,
        waits for it in vain."""
        pid_file = self.directory / "exec" / "containerd" / "containerd.pid"
        try:
            pid = int(pid_file.read_text())
            os.kill(pid, signal.SIGKILL)
        except (FileNotFoundError, ProcessLookupError):
            return
        wait_until(lambda: not self.alive(pid), 30, "containerd's end")
        pid_file.unlink()

    @staticmethod
    def alive(pid):
        try:
            return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
        except FileNotFoundError:
            return False

    def start_process(self, command):
        pid_file = self.directory / "dockerd.pid"
        if pid_file.exists():
            pid_file.unlink()
        with open(self.directory / "dockerd.log", "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            start_new_session=True)
        try:
            wait_until(self.answers, 60, "dockerd's return")
        except AssertionError:
            raise AssertionError((self.directory / "dockerd.log").read_text()[-4000:]) from None

    def answers(self):
        try:
            return self.call("GET", "/_ping")[0] == 200
        except OSError:
            return False

    # ---- its API ----

    def call(self, method, path, body=None, headers=None, timeout=60):
        connection = UnixConnection(self.socket, timeout)
        headers = dict(headers or {})
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def ask(self, path):
        status, body = self.call("GET", path)
        assert status == 200, (path, status, body)
        return json.loads(body)

    def import_image(self, name, files, changes=(), platform=None):
        """An image of the given files (name to local path)."""
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for inside, local in files.items():
                tar.add(local, arcname=inside)
        repository, _, tag = name.rpartition(":")
        query = [("fromSrc", "-"), ("repo", repository), ("tag", tag)] + [("changes", c) for c in changes]
        if platform:
            query.append(("platform", platform))
        status, body = self.call("POST", "/images/create?" + urllib.parse.urlencode(query), archive.getvalue(),
                                 {"Content-Type": "application/x-tar"})
        assert status == 200 and b'"error"' not in body, body
        return name

    def load_image(self, name, files, entrypoint, architecture, **config):
        """An image that says of itself which architecture it is for: import ignores that, load does not."""
        layer, archive = io.BytesIO(), io.BytesIO()
        with tarfile.open(fileobj=layer, mode="w") as tar:
            for inside, local in files.items():
                tar.add(local, arcname=inside)
        diff_id = "sha256:" + hashlib.sha256(layer.getvalue()).hexdigest()
        config = {"architecture": architecture, "os": "linux", "config": {"Entrypoint": entrypoint, **config},
                  "rootfs": {"type": "layers", "diff_ids": [diff_id]}}
        manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for inside, content in (("manifest.json", json.dumps(manifest).encode()), ("layer.tar", layer.getvalue()),
                                    ("config.json", json.dumps(config).encode())):
                entry = tarfile.TarInfo(inside)
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
        status, body = self.call("POST", "/images/load", archive.getvalue(), {"Content-Type": "application/x-tar"})
        assert status == 200 and b'"error"' not in body, body
        assert self.ask(f"/images/{name}/json")["Architecture"] == architecture
        return name

    def remove_image(self, name):
        self.call("DELETE", f"/images/{name}?force=1")

    def has_image(self, name):
        return self.call("GET", f"/images/{name}/json")[0] == 200

    def containers(self, everything=True, **labels):
        """Ours by label: containers(node="…")."""
        filters = {"label": [f"idm-gridcore.{key}={value}" for key, value in labels.items()] or ["idm-gridcore.node"]}
        query = urllib.parse.urlencode({"all": int(everything), "filters": json.dumps(filters)})
        return self.ask(f"/containers/json?{query}")

    def inspect(self, container_id):
        return self.ask(f"/containers/{container_id}/json")

    def running_pids(self, **labels):
        """{instance: pid} of the workers that run now; their places are left out."""
        pids = {}
        for entry in self.containers(**labels):
            if "idm-gridcore.place" in entry["Labels"]:
                continue
            status, body = self.call("GET", f"/containers/{entry['Id']}/json")
            if status != 200:
                continue
            details = json.loads(body)
            if details["State"]["Running"]:
                pids[int(entry["Labels"]["idm-gridcore.instance"])] = details["State"]["Pid"]
        return pids
