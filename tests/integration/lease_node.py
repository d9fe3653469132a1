"""A node of a test's own, without containers: it says to the hub what docs/protocol.md describes, one call at a time, and gives
back what it was answered. Nothing is repeated behind a test's back; who wants patience takes Node.patiently."""
import http.client
import itertools
import json
import select
import time
from collections import namedtuple

from processes import TOKEN

Item = namedtuple("Item", "id payload failures flags n")
Lease = namedtuple("Lease", "status n version stop waiting items")
ALONE = 1
RUNS = itertools.count(1)


# ---- bodies in RESP ----

def encode(value):
    """Lists, bytes or text, and whole numbers."""
    if isinstance(value, (list, tuple)):
        return b"*%d\r\n" % len(value) + b"".join(map(encode, value))
    if isinstance(value, int):
        return b":%d\r\n" % value
    data = value.encode() if isinstance(value, str) else bytes(value)
    return b"$%d\r\n%s\r\n" % (len(data), data)


def decode(data):
    value, end = _decode(data, 0)
    assert end == len(data), f"{len(data) - end} bytes behind the value"
    return value


def _decode(data, at):
    end = data.index(b"\r\n", at)
    kind, number = data[at:at + 1], int(data[at + 1:end])
    at = end + 2
    if kind == b":":
        return number, at
    if kind == b"$":
        assert data[at + number:at + number + 2] == b"\r\n"
        return data[at:at + number], at + number + 2
    assert kind == b"*", data[at:at + 20]
    values = []
    for _ in range(number):
        value, at = _decode(data, at)
        values.append(value)
    return values, at


def read_lease(body):
    status, n, version, stop, waiting, items = decode(body)
    return Lease(status.decode(), n, version, bool(stop), waiting, [Item(*item, n) for item in items])


# ---- outcomes ----

def pairs(items):
    return [part for item in items for part in (item.id, item.n)]


def done(items, *writes):
    """Items that are done together, and their writes: lists of command and arguments."""
    return ["done", pairs(items if isinstance(items, list) else [items]), [list(write) for write in writes]]


def loose(number, *writes):
    return ["write", number, [list(write) for write in writes]]


def failed(items, reason="it failed", together=0, **error):
    items = items if isinstance(items, list) else [items]
    return ["fail", pairs(items), together, json.dumps({"reason": reason, **error})]


def returned(items):
    return ["return", pairs(items if isinstance(items, list) else [items])]


# ---- the node ----

class Refused(Exception):
    """An answer that is not 200."""

    def __init__(self, status, body):
        self.status = status
        try:
            self.code = json.loads(body)["error"]["code"]
        except (ValueError, KeyError):
            self.code = None
        super().__init__(f"{status}: {body[:300]}")


LOST = (OSError, http.client.HTTPException)  # no answer: the caller knows nothing


class HeldLease:
    """A lease call that the hub may hold."""

    def __init__(self, connection):
        self.connection = connection
        self.begun = time.monotonic()

    def waiting(self):
        poll = select.poll()  # select() knows no more than 1,024 descriptors
        poll.register(self.connection.sock, select.POLLIN)
        return not poll.poll(0)

    def answer(self, timeout=10.0):
        self.connection.sock.settimeout(timeout)
        response = self.connection.getresponse()
        body = response.read()
        self.took = time.monotonic() - self.begun
        self.connection.close()
        if response.status != 200:
            raise Refused(response.status, body)
        return read_lease(body)

    def close(self):
        self.connection.close()


class Node:
    """One run of an agent. `port` is asked for at each connection, since a hub may come back elsewhere."""

    def __init__(self, port, token=TOKEN, host="127.0.0.1", hostname="lease-node", timeout=20.0):
        self.port, self.token, self.host, self.hostname, self.timeout = port, token, host, hostname, timeout
        self.id = self.secret = self.epoch = None
        self.run = None
        self.numbers = {}   # task id -> number of the next lease call
        self.writes = itertools.count(1)
        self.version = -1
        self.connection = None

    # ---- calls ----

    def open(self):
        port = self.port() if callable(self.port) else self.port
        return http.client.HTTPConnection(self.host, port, timeout=self.timeout)

    def request(self, connection, method, path, body, content_type="application/json", token=None):
        headers = {"Authorization": f"Bearer {token or self.secret or self.token}", "Content-Type": content_type}
        connection.request(method, path, body, headers)

    def call(self, method, path, body=None, content_type="application/json", token=None):
        """The answer's body. Raises one of LOST, or Refused."""
        if self.connection is None:
            self.connection = self.open()
        try:
            self.request(self.connection, method, path, body, content_type, token)
            response = self.connection.getresponse()
            answer = response.read()
        except LOST:
            self.close()
            raise
        if response.status != 200:
            raise Refused(response.status, answer)
        return answer

    def post(self, path, fields, token=None):
        return json.loads(self.call("POST", path, json.dumps(fields), token=token))

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    @staticmethod
    def patiently(function, *arguments, seconds=60.0, pause=0.1, **named):
        """Repeats a call that was not answered, or with 5xx, as an agent does."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return function(*arguments, **named)
            except Refused as refused:
                if refused.status < 500 or time.monotonic() > deadline:
                    raise
            except LOST:
                if time.monotonic() > deadline:
                    raise
            time.sleep(pause)

    # ---- who it is ----

    def register(self, new_run=True, **fields):
        """As an agent's start; with its secret where it has one."""
        if new_run or self.run is None:
            self.run = f"run-{next(RUNS)}-{time.monotonic_ns()}"
            self.numbers, self.writes = {}, itertools.count(1)
        body = {"hostname": self.hostname, "architecture": "x86_64", "cpu_count": 2, "slots": 2, "run": self.run,
                "runtime": "process", "agent_version": "test", "leases": True, **fields}
        if self.id:
            body["node_id"] = self.id
        answer = self.post("/gridnode/register", body)
        if answer["node_id"] != self.id or "node_secret" in answer:
            self.secret = answer["node_secret"]
        self.id, self.epoch = answer["node_id"], answer["epoch"]
        return answer

    def beat(self, holding=None, status="Running", **fields):
        """holding: {task id: [ids of unopened items]}."""
        body = {"node_id": self.id, "status": status, "active_containers": 0, "epoch": self.epoch, **fields}
        if holding is not None:
            body["holding"] = [{"task_id": task, "unopened": [id.decode() for id in ids]} for task, ids in holding.items()]
        return self.post("/gridnode/heartbeat", body)

    def task(self, wait=0):
        path = f"/gridnode/task?platform=linux/amd64&node_id={self.id}&wait={wait}"
        answer = json.loads(self.call("GET", path + (f"&version={self.version}" if self.version >= 0 else "")))
        self.version = answer["version"]
        return answer["task"]

    # ---- leases ----

    def lease_fields(self, task, n=None, most=10, size=1 << 20, wait=0, **fields):
        return {"node_id": self.id, "epoch": self.epoch, "task_id": task, "n": n or self.numbers.get(task, 1), "max": most,
                "bytes": size, "wait": wait, "version": self.version, **fields}

    def lease(self, task, **how):
        """One call. An executed one uses its number up."""
        fields = self.lease_fields(task, **how)
        lease = read_lease(self.call("POST", "/gridnode/lease", json.dumps(fields)))
        self.note(task, lease)
        return lease

    def hold(self, task, wait=30, **how):
        """The same call without waiting for its answer, on a connection of its own."""
        connection = self.open()
        self.request(connection, "POST", "/gridnode/lease", json.dumps(self.lease_fields(task, wait=wait, **how)))
        return HeldLease(connection)

    def note(self, task, lease):
        if lease.status == "executed" and lease.n >= self.numbers.get(task, 1):
            self.numbers[task] = lease.n + 1

    def items(self, task, **how):
        lease = self.lease(task, **how)
        assert lease.status == "executed", lease
        return lease.items

    def take(self, task, count):
        """So many items, however many calls that takes."""
        items = []
        while len(items) < count:
            lease = self.lease(task, most=count - len(items))
            assert lease.status == "executed", (lease, items)
            items += lease.items
        return items

    def commit_bytes(self, task, body, epoch=None, token=None):
        path = f"/gridnode/commit?task_id={task}&epoch={epoch or self.epoch}"
        return json.loads(self.call("POST", path, body, "application/x-resp", token))

    def commit(self, task, *outcomes, **how):
        """[(outcome, message), …], one for each."""
        answer = self.commit_bytes(task, encode(list(outcomes)), **how)
        if "accepted" in answer:
            assert answer == {"accepted": len(outcomes)}, answer
            return [("accepted", None)] * len(outcomes)
        assert len(answer["results"]) == len(outcomes), answer
        return [(result["outcome"], result.get("message")) for result in answer["results"]]

    def inventory(self, task, r, items=(), leave=False):
        """How many items went back."""
        return self.post("/gridnode/inventory", {"node_id": self.id, "epoch": self.epoch, "task_id": task, "r": r,
                                                 "pairs": [[item.id.decode(), item.n] for item in items],
                                                 "leave": leave})["returned"]

    def leave(self, task):
        return self.inventory(task, 0, leave=True)
