"""A link that fails: a TCP proxy between a node and the hub, or the hub and Redis. It cuts, stalls, delays, and loses the answer
to what it has just carried over. It never changes a byte, nor their order."""
import asyncio
import socket
import threading

CHUNK = 1 << 16


class Link:
    """Listens on a free port for as long as it lives, also while what is behind it is away. Its connections live on a loop and a
    thread of its own; the faults may be called from any other."""

    def __init__(self, port):
        self.target = port
        self.loop = asyncio.new_event_loop()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self.listener.getsockname()[1]
        self.writers = set()      # of all that is carried
        self.delay_s = 0.0
        self.refusing = False
        self.to_lose = 0          # so many answers
        self.stall_over = None    # while stalled: an event
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    # ---- faults; each until heal() ----

    def cut(self):
        """All connections end, new ones are closed at once."""
        def now():
            self.refusing = True
            self.drop_all()
        self.loop.call_soon_threadsafe(now)

    def stall(self):
        """Nothing comes through any more, and nobody is told; what is connected now is dead for good."""
        def now():
            self.stall_over = self.stall_over or asyncio.Event()
        self.loop.call_soon_threadsafe(now)

    def delay(self, seconds):
        self.delay_s = seconds

    def lose_answers(self, count):
        """The next so many answers are not delivered: what asked for them has been done; the connection ends."""
        self.to_lose = count

    def heal(self):
        def now():
            self.refusing, self.delay_s, self.to_lose = False, 0.0, 0
            if self.stall_over:
                self.stall_over.set()
                self.stall_over = None
                self.drop_all()
        self.loop.call_soon_threadsafe(now)

    def close(self):
        async def end():
            self.drop_all()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            self.loop.call_soon(self.loop.stop)
        asyncio.run_coroutine_threadsafe(end(), self.loop)
        self.thread.join(5)
        self.listener.close()

    # ---- the carrying, all on the loop ----

    def run(self):
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(asyncio.start_server(self.carry, sock=self.listener))
        self.loop.run_forever()

    def drop_all(self):
        for writer in self.writers:
            writer.transport.abort()

    async def carry(self, near_reader, near):
        self.writers.add(near)
        far = None
        try:
            if self.stall_over:
                await self.stall_over.wait()
            elif not self.refusing:
                far_reader, far = await asyncio.open_connection("127.0.0.1", self.target)
                self.writers.add(far)
                ways = [asyncio.create_task(self.way(near_reader, far, False)), asyncio.create_task(self.way(far_reader, near, True))]
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)  # an end ends both: HTTP and Redis have no half
                for way in ways:
                    way.cancel()
        except OSError:
            pass
        finally:
            for writer in (near, far):
                if writer:
                    self.writers.discard(writer)
                    writer.transport.abort()

    async def way(self, reader, writer, answers):
        """One direction: what is read is given to a second task that waits out the delay."""
        queue = asyncio.Queue(maxsize=64)
        sending = asyncio.create_task(self.send(queue, writer))
        try:
            while data := await reader.read(CHUNK):
                if answers and self.to_lose:
                    self.to_lose -= 1
                    return
                if self.stall_over:
                    await self.stall_over.wait()
                    return
                await queue.put((self.loop.time() + self.delay_s, data))
            await queue.put((0, b""))
            await sending
        except OSError:
            pass
        finally:
            sending.cancel()

    async def send(self, queue, writer):
        try:
            while True:
                due, data = await queue.get()
                if not data:
                    return
                if due > self.loop.time():
                    await asyncio.sleep(due - self.loop.time())
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
