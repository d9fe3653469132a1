"""A gateway's side of what gridexec says, as docs/architecture.md describes it: for tests of the program alone. What a gateway
does with it is tested with the real one elsewhere."""
import json
import queue
import socket
import threading
import time

PASSWORD = "hunter2"


class Broken(Exception):
    pass


class ExecGateway:
    """Serves one connection. Batches of items are given out in the order in which they are put into it; results and failures
    are there to be waited for, in the order in which they came."""

    def __init__(self, work, password=PASSWORD):
        self.work = {"output_queue": "out", **work}
        self.password = password
        self.batches = queue.Queue()
        self.outcomes = queue.Queue()
        self.asked = []      # the maximum of every IDM NEXT
        self.packets = []    # the names of the commands that came in one read
        self.open = 0        # items given out and not reported
        self.refusal = None  # what a result is answered with, instead of being taken
        self.errors = []     # what gridexec said that it should not
        self.reading = threading.Event()  # cleared: it reads nothing more
        self.reading.set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        self.connection = None
        self.buffer = b""
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    @property
    def url(self):
        return f"redis://:{self.password}@127.0.0.1:{self.listener.getsockname()[1]}/0"

    def give(self, *items, failures=0):
        """One answer to an IDM NEXT."""
        self.batches.put([(item if isinstance(item, bytes) else item.encode(), failures) for item in items])

    def outcome(self, timeout=20):
        """("result", bytes) or ("failure", reason, exit status, log)."""
        try:
            return self.outcomes.get(timeout=timeout)
        except queue.Empty:
            raise AssertionError(f"no outcome within {timeout} s; {self.errors}") from None

    def run(self, *items, failures=0):
        self.give(*items, failures=failures)
        return self.outcome()

    def result(self, *items, **more):
        outcome = self.run(*items, **more)
        assert outcome[0] == "result", outcome
        return outcome[1]

    def failure(self, *items):
        outcome = self.run(*items)
        assert outcome[0] == "failure", outcome
        return outcome[1:]

    def close_connection(self):
        self.connection.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.reading.set()
        self.batches.put(None)
        for end in filter(None, (self.listener, self.connection)):
            try:
                end.shutdown(socket.SHUT_RDWR)  # wakes the thread, as a close does not
            except OSError:
                pass
        self.thread.join(10)
        self.listener.close()
        assert not self.thread.is_alive()
        assert not self.errors, self.errors

    # ---- the thread's own

    def serve(self):
        try:
            self.connection, _ = self.listener.accept()
            self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while True:
                command = self.read_command()
                if command is None:
                    return
                answer = self.answer(command)
                if answer is None:
                    return
                self.connection.sendall(answer)
        except OSError:
            pass
        except (Broken, ValueError, IndexError) as error:
            self.errors.append(repr(error))

    def more(self):
        self.reading.wait()
        data = self.connection.recv(1 << 20)
        self.buffer += data
        if data:
            self.packets.append([])
        return bool(data)

    def line(self):
        while b"\r\n" not in self.buffer:
            if not self.more():
                return None
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def read_command(self):
        head = self.line()
        if head is None:
            return None
        if head[:1] != b"*":
            raise Broken(head)
        words = []
        for _ in range(int(head[1:])):
            length = int(self.line()[1:])
            while len(self.buffer) < length + 2:
                if not self.more():
                    return None
            words.append(self.buffer[:length])
            if self.buffer[length:length + 2] != b"\r\n":
                raise Broken("a bulk string without its end")
            self.buffer = self.buffer[length + 2:]
        self.packets[-1].append(words[0] if words[0] != b"IDM" else words[1])
        return words

    def answer(self, words):
        if words[0] == b"AUTH":
            return b"+OK\r\n" if words == [b"AUTH", self.password.encode()] else b"-WRONGPASS no\r\n"
        if words == [b"IDM", b"EXEC"]:
            return bulk(json.dumps(self.work).encode())
        if words[0] == b"LPUSH" and words[1] == b"out" and len(words) == 3:
            if self.refusal:
                return self.refusal
            return self.report(("result", words[2]), b":1\r\n")
        if words[:2] == [b"IDM", b"FAIL"] and len(words) == 5:
            return self.report(("failure", words[2].decode(), int(words[3]), words[4]), b"+OK\r\n")
        if words[:2] == [b"IDM", b"NEXT"] and len(words) == 3:
            return self.next(int(words[2]))
        raise Broken(words[:2])

    def report(self, outcome, answer):
        if not self.open:
            raise Broken(f"{outcome[0]} while nothing is open")
        self.open = 0
        self.outcomes.put(outcome)
        return answer

    def next(self, maximum):
        self.asked.append(maximum)
        batch = self.batches.get()
        if batch is None:
            return None
        self.open = len(batch)
        return b"*%d\r\n" % (2 * len(batch)) + b"".join(bulk(item) + b":%d\r\n" % failures for item, failures in batch)


def bulk(data):
    return b"$%d\r\n%s\r\n" % (len(data), data)


def wait_gone(pid, timeout=5):
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        try:
            with open(f"/proc/{pid}/stat", encoding="latin-1") as file:
                if file.read().rsplit(")", 1)[1].split()[0] == "Z":
                    return
        except (FileNotFoundError, ProcessLookupError):
            return
        time.sleep(0.01)
    raise AssertionError(f"process {pid} is still there")
