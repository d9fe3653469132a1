"""Makes the plan's events come true at their time, and undoes what has to be undone. Runs in the thread that calls step()."""
import heapq
import os
import signal
import time

from plan import describe

RESTART_S = 40.0   # for a program that was asked to end


class Storm:
    def __init__(self, world, plan, items, say):
        self.world, self.items, self.say = world, items, say
        self.to_come = list(plan)
        self.undo = []        # (when, sequence, target, what to do)
        self.history = []     # (when, text)
        self.sequence = 0
        self.done_kills = 0
        self.last_s = time.monotonic()

    def over(self):
        return not self.to_come and not self.undo

    def ceiling(self):
        """No item from here on may be pushed yet."""
        dry = next((event for event in self.to_come if event.dry and not event.burst), None)
        return max(1, int(dry.after * self.items.count)) if dry else self.items.count

    def step(self, done):
        """`done`: how many results there are. Never waits longer than a program takes to die."""
        now = time.monotonic()
        while self.undo and self.undo[0][0] <= now:
            _, _, target, what, text = heapq.heappop(self.undo)
            what()
            if text:
                self.note(f"    {text}")
        if not self.to_come:
            return
        event = self.to_come[0]
        due = event.burst or done >= min(int(event.after * self.items.count), self.ceiling())
        if due and now >= self.last_s + event.pause_s and self.begin(event):
            self.to_come.pop(0)
            self.done_kills += event.what == "kill"
            self.last_s = time.monotonic()

    def note(self, text):
        self.history.append((time.monotonic(), text))
        self.say(text)

    def later(self, hold_s, target, what, text):
        self.sequence += 1
        heapq.heappush(self.undo, (time.monotonic() + hold_s, self.sequence, target, what, text))

    def busy(self, *targets):
        return any(entry[2] in targets for entry in self.undo)

    def begin(self, event):
        """False: not yet, since its target is not there to be hit."""
        kind = event.target[0]
        if kind == "worker":
            return self.hit_worker(event)
        if self.busy(event.target):
            return False
        if kind in ("link", "redis_link"):
            self.disturb(event, self.world.nodes[event.target[1]].link if kind == "link" else self.world.redis_link)
        else:
            program = {"hub": self.world.computehub, "redis": self.world.redis}.get(kind)
            self.strike(event, program or self.world.nodes[event.target[1]].agent)
        return True

    def hit_worker(self, event):
        """The slot that the plan names, or another of that node while it has no worker."""
        _, node, slot = event.target
        if self.busy(("agent", node), event.target):
            return False
        workers = self.world.nodes[node].workers()
        if not workers:
            return False
        pid = workers.get(slot) or next(iter(workers.values()))
        return self.signal_worker(event, pid)

    def signal_worker(self, event, pid):
        try:
            os.kill(pid, signal.SIGKILL if event.what == "kill" else signal.SIGSTOP)
        except ProcessLookupError:
            return False
        self.note(f"{describe(event)} (process {pid})")
        if event.what == "pause":
            def resume():
                try:
                    os.kill(pid, signal.SIGCONT)
                except ProcessLookupError:
                    pass  # its agent has died meanwhile, and it with it
            self.later(event.hold_s, event.target, resume, f"process {pid} goes on")
        return True

    def strike(self, event, program):
        self.note(describe(event))
        if event.what == "kill":
            program.kill()
            self.later(event.hold_s, event.target, program.start, f"{program.name} starts")
        elif event.what == "pause":
            program.send(signal.SIGSTOP)
            self.later(event.hold_s, event.target, lambda: program.send(signal.SIGCONT), f"{program.name} goes on")
        else:
            program.away = True
            program.send(signal.SIGTERM)
            self.start_when_ended(event, program, time.monotonic())

    def start_when_ended(self, event, program, since):
        status = program.process.poll()
        if status is None:
            if time.monotonic() > since + RESTART_S:
                raise AssertionError(f"{program.name} did not end within {RESTART_S:.0f} s of SIGTERM")
            self.later(0.05, event.target, lambda: self.start_when_ended(event, program, since), None)
        elif status not in (0, -signal.SIGTERM):  # the second: it had only just begun, and minds no signals yet
            raise AssertionError(f"{program.name} ended with status {status} at SIGTERM")
        else:
            program.start()
            self.note(f"    {program.name} has ended, and starts")

    def disturb(self, event, link):
        self.note(describe(event))
        if event.what == "lose":
            link.lose_answers(1 + event.number % 3)
            return
        {"cut": link.cut, "stall": link.stall, "delay": lambda: link.delay(0.02 + event.number % 5 * 0.05)}[event.what]()
        self.later(event.hold_s, event.target, link.heal, f"{' '.join(map(str, event.target))} is well again")

    def around(self, when, seconds=6.0):
        return [f"{at:.3f} {text}" for at, text in self.history if when - seconds <= at <= when + 1]
