"""A hub of a test's own, and calls to it as a user makes them."""
import http.client
import json
import select
import time

from processes import TOKEN, Daemon, SECRETS, toml_text


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()
        self.time = time.time()
        for secret in SECRETS:
            # The one place where a password belongs: a direct task on its way to a node.
            assert secret.encode() not in self.body or b'"task_name"' in self.body, self.body

    @property
    def json(self):
        assert self.headers["Content-Type"] == "application/json", self.headers
        return json.loads(self.body)

    @property
    def error(self):
        """(code, message) of an error, whose form it checks."""
        body = self.json
        assert set(body) == {"error"} and set(body["error"]) == {"code", "message"}, body
        assert body["error"]["message"]
        return body["error"]["code"], body["error"]["message"]


def expect(answer, status, code=None, text=None):
    assert answer.status == status, (answer.status, answer.body)
    if code:
        assert answer.error[0] == code, answer.body
    if text:
        assert text in answer.error[1], answer.body
    return answer


class Held:
    """A call that the hub may hold."""

    def __init__(self, connection):
        self.connection = connection
        self.begun = time.monotonic()

    def waiting(self):
        return not select.select([self.connection.sock], [], [], 0)[0]

    def answer(self, timeout=10.0):
        self.connection.sock.settimeout(timeout)
        response = self.connection.getresponse()
        answer = Answer(response)
        self.took = time.monotonic() - self.begun
        self.connection.close()
        return answer

    def close(self):
        self.connection.close()


class Hub:
    """computehub with a configuration and a state directory of its own; may be started again and again."""

    def __init__(self, program, directory):
        self.program = program
        self.directory = directory
        self.config_path = directory / "computehub.toml"
        self.state_dir = directory / "state"
        self.log_path = directory / "computehub.log"
        self.config = {"bind": "127.0.0.1:0", "token": TOKEN, "state_dir": str(self.state_dir), "log_level": "debug"}
        self.daemon = None
        self.port = None
        self.tls = None  # an ssl.SSLContext where the hub has a certificate

    def start(self, environment=None, **config):
        self.config.update(config)
        self.config_path.write_text(toml_text(self.config))
        self.daemon = Daemon(self.program, ["-c", self.config_path], self.log_path, environment)
        match = self.daemon.wait_for_log(r"listening on \S*:(\d+)")
        self.port = int(match.group(1))
        self.config["bind"] = f"127.0.0.1:{self.port}"  # a restart comes back to the same place
        return self

    def stop(self, **how):
        self.daemon.stop(**how)

    def kill(self):
        self.daemon.kill()

    def restart(self, **config):
        if self.daemon.running():
            self.stop()
        return self.start(**config)

    @property
    def url(self):
        return f"https://localhost:{self.port}" if self.tls else f"http://127.0.0.1:{self.port}"

    def connect(self, timeout=10.0):
        if self.tls:
            return http.client.HTTPSConnection("localhost", self.port, timeout=timeout, context=self.tls)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    @staticmethod
    def headers(token=TOKEN):
        return {"Authorization": f"Bearer {token}"} if token is not None else {}

    def call(self, method, path, body=None, token=TOKEN, headers=None, raw=None, timeout=10.0):
        connection = self.connect(timeout)
        headers = {**self.headers(token), **(headers or {})}
        if body is not None:
            raw = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        try:
            connection.request(method, path, raw, headers)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, path, **more):
        return self.call("GET", path, **more)

    def post(self, path, body=None, **more):
        return self.call("POST", path, body, **more)

    # ---- users ----

    def add(self, name, image="some/image:1", **fields):
        return expect(self.post("/api/tasks", {"name": name, "image": image, **fields}), 201).json

    def tasks(self):
        return expect(self.get("/api/tasks"), 200).json

    def queue(self):
        """(current, pending, completed)"""
        tasks = self.tasks()
        return tasks["current"], tasks["pending"], tasks["completed"]

    def next(self):
        return expect(self.post("/api/tasks/next"), 200).json

    def finish(self):
        return expect(self.post("/api/tasks/finish"), 200).json

    def nodes(self):
        return expect(self.get("/api/nodes"), 200).json

    def node(self, node_id):
        return next((node for node in self.nodes() if node["id"] == node_id), None)

    def stop_node(self, node_id):
        return expect(self.post(f"/api/nodes/{node_id}/stop"), 200)

    # ---- nodes ----

    def register(self, node_id=None, **fields):
        body = {"hostname": "test-host", "architecture": "x86_64", "cpu_count": 2, **fields}
        if node_id is not None:
            body["node_id"] = node_id
        return expect(self.post("/gridnode/register", body), 200).json

    def beat(self, node_id, status="Idle", active=0, **fields):
        return self.post("/gridnode/heartbeat",
                         {"node_id": node_id, "status": status, "active_containers": active, **fields})

    def version(self):
        return expect(self.get("/gridnode/task?version=0&wait=0"), 200).json["version"]

    def hold(self, version=None, wait=30, node_id=None, platform="linux/amd64", token=TOKEN):
        version = self.version() if version is None else version
        path = f"/gridnode/task?platform={platform}&version={version}&wait={wait}"
        if node_id:
            path += f"&node_id={node_id}"
        connection = self.connect()
        connection.request("GET", path, headers=self.headers(token))
        return Held(connection)
