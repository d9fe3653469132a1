"""Looks at the hub's progress all the while, in a thread of its own, and notes what may not be: a count that goes back, or that
does not add up."""
import threading
import time

PAUSE_S = 0.2
FIELDS = ("total", "waiting", "leased", "done", "failed", "empty", "dead", "duplicates", "rate")
NEVER_BACK = ("done", "failed", "empty", "duplicates")


class Watch:
    def __init__(self, world, items):
        self.world, self.items = world, items
        self.last = {}       # the last progress that had numbers
        self.looks = 0
        self.wrong = []
        self.ended = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.ended:
            try:
                progress = self.world.progress()
            except Exception as error:  # pylint: disable=broad-except
                self.note(f"the hub's answer: {error!r}")
                progress = None
            if progress and "done" in progress:
                self.judge(progress)
            time.sleep(PAUSE_S)

    def judge(self, now):
        self.looks += 1
        for field in NEVER_BACK:
            if now[field] < self.last.get(field, 0):
                self.note(f"{field} went back: {self.text(self.last)} -> {self.text(now)}")
        if now["done"] > self.items.total:
            self.note(f"more done than there are items: {self.text(now)}")
        if now["total"] != now["waiting"] + now["leased"] + now["done"] + now["dead"]:
            self.note(f"does not add up: {self.text(now)}")
        self.last = now

    def note(self, text):
        if len(self.wrong) < 50:
            self.wrong.append(f"{time.monotonic():.3f} {text}")

    @staticmethod
    def text(progress):
        return " ".join(f"{name}={progress.get(name)}" for name in FIELDS)

    def close(self):
        self.ended = True
        self.thread.join(10)
