"""A TCP proxy of the tests' own that can become a dead link: it stops forwarding and never closes, as a machine that lost its
power or a router that forgot a connection."""
import selectors
import socket
import threading


class TcpProxy:
    """Listens on a free port. stall(): what comes from either side, and whatever connects, is kept and never answered;
    heal(): new connections are forwarded again, those of before stay dead."""

    def __init__(self, port):
        self.target = ("127.0.0.1", port)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.dead = []      # kept open, and that is all
        self.stalled = False
        self.accepted = 0   # since the last stall() or heal()
        self.lock = threading.Lock()
        self.ended = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def accept(self):
        near, _ = self.listener.accept()
        self.accepted += 1
        if self.stalled:
            self.dead.append(near)
            return
        far = socket.create_connection(self.target)
        for one, other in ((near, far), (far, near)):
            self.selector.register(one, selectors.EVENT_READ, other)

    def forward(self, one, other):
        try:
            data = one.recv(65536)
            if data:
                other.sendall(data)
                return
        except OSError:
            pass
        for end in (one, other):
            self.selector.unregister(end)
            end.close()

    def run(self):
        while not self.ended:
            for key, _ in self.selector.select(0.05):
                with self.lock:
                    if key.fileobj is self.listener:
                        self.accept()
                    elif key.fileobj in self.selector.get_map():
                        self.forward(key.fileobj, key.data)

    def stall(self):
        with self.lock:
            self.stalled = True
            self.accepted = 0
            for key in list(self.selector.get_map().values()):
                if key.fileobj is not self.listener:
                    self.selector.unregister(key.fileobj)
                    self.dead.append(key.fileobj)

    def heal(self):
        with self.lock:
            self.stalled = False
            self.accepted = 0

    def close(self):
        self.ended = True
        self.thread.join(5)
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()
        for end in self.dead:
            end.close()
