"""A herd of nodes in one process, for test_death_hub.py: herd.py PORT COUNT TOKEN. Each registers, then holds a task call; when
its connection breaks it calls again after the pause that gridnode would make (HUB_BACKOFF in src/node/hub_client.h).

Prints "held PEAK" each time that all hold a call, PEAK being the most that came in 100 ms since they were lost; after a line
on its standard input, "knowing N": how many know the task "b"."""
import heapq
import random
import resource
import selectors
import socket
import sys
import time

PORT, COUNT, TOKEN = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
SPREAD_S, MAX_S = 4.0, 60.0


class Member:
    def __init__(self, node_id):
        self.node_id = node_id
        self.version = 0
        self.attempt = 0
        self.task = None
        self.sock = None
        self.answer = b""
        self.held = False

    def pause(self):
        longest = min(SPREAD_S * 2 ** max(0, self.attempt - 1), MAX_S)
        least = longest / (32 if self.attempt == 0 else 2)
        self.attempt += 1
        return random.uniform(least, longest)


def register():
    sock = socket.create_connection(("127.0.0.1", PORT))
    ids = []
    for number in range(COUNT):
        body = f'{{"hostname": "herd-{number}", "architecture": "x86_64", "cpu_count": 1, "run": "r"}}'
        sock.sendall(f"POST /gridnode/register HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer {TOKEN}\r\n"
                     f"Content-Length: {len(body)}\r\n\r\n{body}".encode())
        answer = b""
        while b"\r\n\r\n" not in answer or b"}" not in answer.partition(b"\r\n\r\n")[2].rstrip()[-1:]:
            answer += sock.recv(65536)
        ids.append(answer.partition(b'"node_id":')[2].split(b'"')[1].decode())
    sock.close()
    return ids


class Herd:
    def __init__(self, ids):
        self.selector = selectors.DefaultSelector()
        self.members = [Member(node_id) for node_id in ids]
        self.waiting = []  # (when, number) of those that pause
        self.arrivals = []
        self.all_held = False
        self.selector.register(sys.stdin, selectors.EVENT_READ)

    def ask(self, member):
        path = f"/gridnode/task?platform=linux/amd64&node_id={member.node_id}&wait=60&version={member.version}"
        member.sock.send(f"GET {path} HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode())
        member.held = True

    def connect(self, member):
        member.answer = b""
        member.sock = socket.socket()
        self.arrivals.append(time.monotonic())
        try:
            member.sock.connect(("127.0.0.1", PORT))
            member.sock.setblocking(False)
            self.ask(member)
            self.selector.register(member.sock, selectors.EVENT_READ, member)
        except OSError:
            self.lose(member)

    def lose(self, member):
        if member.sock in self.selector.get_map():
            self.selector.unregister(member.sock)
        member.sock.close()
        member.held = False
        if self.all_held:
            self.all_held, self.arrivals = False, []
        heapq.heappush(self.waiting, (time.monotonic() + member.pause(), id(member), member))

    def read(self, member):
        try:
            data = member.sock.recv(65536)
        except OSError:
            data = b""
        if not data:
            self.lose(member)
            return
        member.answer += data
        head, _, body = member.answer.partition(b"\r\n\r\n")
        if not body.rstrip().endswith(b"}"):
            return
        member.attempt = 0
        member.version = int(body.partition(b'"version":')[2].split(b",")[0])
        member.task = body.partition(b'"task_name":')[2].split(b'"')[1]
        member.answer = b""
        self.ask(member)

    def peak(self):
        best, first = 0, 0
        for last, moment in enumerate(self.arrivals):
            while moment - self.arrivals[first] > 0.1:
                first += 1
            best = max(best, last - first + 1)
        return best

    def run(self):
        for member in self.members:
            self.connect(member)
        quiet_since = time.monotonic()
        while True:
            for key, _ in self.selector.select(0.02):
                if key.fileobj is sys.stdin:
                    if not sys.stdin.readline():
                        return
                    print("knowing", sum(member.task == b"b" for member in self.members), flush=True)
                else:
                    quiet_since = time.monotonic()
                    self.read(key.data)
            while self.waiting and self.waiting[0][0] <= time.monotonic():
                self.connect(heapq.heappop(self.waiting)[2])
            if not self.all_held and not self.waiting and time.monotonic() - quiet_since > 0.5 and \
                    all(member.held for member in self.members):
                self.all_held = True
                print("held", self.peak(), flush=True)


resource.setrlimit(resource.RLIMIT_NOFILE, (min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 20000),) * 2)
Herd(register()).run()
