"""Leased delivery beside direct: the same two workers on the same node, in turns; what an item costs whom; a long way between
node and hub; how soon an item whose worker was killed is with the next one."""
import collections
import os
import pathlib
import shutil
import signal
import socket
import statistics
import time

from node import Node
from place import Hub, say, wait_until
from redis_server import RedisServer
from table import ratios, spread, table

TICKS = os.sysconf("SC_CLK_TCK")
DELAY_MS = 25
SLOTS = 2

Sample = collections.namedtuple("Sample", "rate cost")  # items a second; {who: µs of CPU an item}


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def children_of(pid, task):
    """Those that have become the task's program."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if int((path / "stat").read_text().rpartition(")")[2].split()[1]) == pid and \
                    f"TASK_NAME={task}\0".encode() in (path / "environ").read_bytes():
                found.append(int(path.name))
        except (OSError, IndexError):
            pass
    return found


class Bench:
    """A hub, a Redis, and nodes with process slots that run one task after the other."""

    def __init__(self, place):
        self.place = place
        self.redis = RedisServer(place)
        self.hub = Hub(place, "leases", pinned=False)
        self.commands = {}
        self.count = 0
        place.directory.chmod(0o711)

    def command(self, name, *arguments):
        """The worker where every user may run it."""
        source = self.place.program("square") if name == "C" else pathlib.Path(__file__).with_name("square.py")
        copy = self.place.directory / source.name
        if not copy.exists():
            shutil.copy(source, copy)
            copy.chmod(0o755)
        return [str(copy), *map(str, arguments)]

    def node(self, name, slots, **keys):
        user = {"process_user": "nobody"} if os.geteuid() == 0 else {"process_same_user": True}
        return Node(self.place, name, self.hub, slots, runtime="process",
                    state_dir=str(self.place.directory / f"{name}-state"), **user, **keys)

    def delay(self, port):
        """The port where the same answers, DELAY_MS away."""
        link = self.place.spawn("delay", DELAY_MS, port, stdout=-1)
        return int(link.stdout.readline())

    def begin(self, agent, slots, command, delivery, redis_url):
        """Adds the task, and waits for its workers: (name, their pids)."""
        self.count += 1
        name = f"{delivery}-{self.count}"
        self.hub.call("POST", "/api/tasks", {"name": name, "command": command, "delivery": delivery,
                                             "input_redis": redis_url or self.redis.url(),
                                             "input_queue": f"{name}-in", "output_queue": f"{name}-out"})

        def look():
            pids = children_of(agent.pid, name)
            return pids if len(pids) == slots else None
        return name, wait_until(look, 30, f"{slots} workers of {name}")

    def finish(self, agent, name):
        self.hub.call("POST", "/api/tasks/finish")
        wait_until(lambda: agent.entry()["active_containers"] == 0, 60, "the workers' end")
        self.redis.drop(f"{name}-in", f"{name}-out")

    def run(self, agent, slots, language, delivery, seconds, items, redis_url=None):
        """One measurement: the rate, and what it cost, after it has got under way."""
        self.redis.fill(f"{delivery}-{self.count + 1}-in", items)
        name, workers = self.begin(agent, slots, self.command(language), delivery, redis_url)
        done = lambda: self.redis.client.llen(f"{name}-out")
        who = {"redis": [self.redis.pid], "hub": [self.hub.pid], "agent": [agent.pid], "workers": workers}
        wait_until(lambda: done() >= 5, 30, f"the first results of {name}")
        time.sleep(min(seconds, 1))
        begun, first = time.monotonic(), done()
        before = {part: sum(map(cpu_seconds, pids)) for part, pids in who.items()}
        time.sleep(seconds)
        took, count = time.monotonic() - begun, done() - first
        cost = {part: (sum(map(cpu_seconds, pids)) - before[part]) / max(count, 1) * 1e6 for part, pids in who.items()}
        if done() >= items or count == 0:
            raise SystemExit(f"bench/run: {name}: {count} of {items} items while it was measured")
        self.finish(agent, name)
        return Sample(count / took, cost)

    def pairs(self, agent, slots, language, count, seconds, items, direct_redis=None):
        """(direct, leased): as many samples of each, one after the other in turns."""
        samples = {"direct": [], "leased": []}
        for number in range(count):
            ways = ["direct", "leased"] if number % 2 == 0 else ["leased", "direct"]
            for way in ways:
                samples[way].append(self.run(agent, slots, language, way, seconds, items,
                                             direct_redis if way == "direct" else None))
            say("{}, {} workers: direct {:,.1f}, leased {:,.1f} items/s".format(
                language, slots, samples["direct"][-1].rate, samples["leased"][-1].rate))
        return samples["direct"], samples["leased"]

    def end(self):
        self.hub.end()
        self.redis.end()


# ---- an item whose worker is killed ----

class Reports:
    """What workers that hold their items tell."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(60)
        self.port = self.socket.getsockname()[1]

    def next(self):
        """(what it holds, its pid, where it waits for an answer)"""
        text, where = self.socket.recvfrom(256)
        item, pid = text.decode().split()
        return item, int(pid), where

    def next_item(self, item):
        """… and those that only begin may begin."""
        while True:
            told, pid, where = self.next()
            if told == item:
                return pid, where
            self.release(where)

    def release(self, where):
        self.socket.sendto(b"go on", where)


def redelivery(bench, agent, slots, rounds):
    """Milliseconds from kill -9 of the worker that holds an item until the next worker of the node has it."""
    reports = Reports()
    name, _ = bench.begin(agent, slots, bench.command("C", "hold", reports.port), "leased", None)
    took = []
    for number in range(rounds):
        begin = time.monotonic()
        while slots > 1 and len(children_of(agent.pid, name)) < slots and time.monotonic() - begin < 30:
            time.sleep(0.05)
        time.sleep(0.3)
        bench.redis.client.lpush(f"{name}-in", number)
        pid, _ = reports.next_item(str(number))
        if slots > 1:
            hear_of_the_other(reports)
        killed = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        _, where = reports.next_item(str(number))
        took.append((time.monotonic() - killed) * 1000)
        reports.release(where)
    bench.finish(agent, name)
    say(f"redelivery, {slots} slots: {statistics.median(took):.1f} ms")
    return took


def hear_of_the_other(reports):
    """The other worker says that it is ready, if it has not said so before; then it pops, and waits."""
    reports.socket.settimeout(0.5)
    try:
        reports.release(reports.next()[2])
        time.sleep(0.1)
    except TimeoutError:
        pass
    reports.socket.settimeout(60)


# ---- tables ----

def rates(name, slots, direct, leased):
    form = "{:,.0f}" if statistics.median(s.rate for s in direct) > 100 else "{:,.1f}"
    each = ratios([s.rate for s in leased], [s.rate for s in direct])
    return [name, slots, spread([s.rate for s in direct], form), spread([s.rate for s in leased]),
            spread(each, "{:.2f}" if max(each) < 100 else "{:,.0f}")]


def costs(name, way, samples):
    each = {who: statistics.median(s.cost[who] for s in samples) for who in samples[0].cost}
    return [name, way, *(f"{value:.1f}" for value in each.values()), f"{sum(each.values()):.1f}"]


def measure(place):
    bench = Bench(place)
    pairs, seconds = place.pick((9, 3), (1, 0.5))
    few = place.pick(3, 1)
    rate_rows, far_rows, cost_rows = [], [], []
    near = bench.node("near", SLOTS)
    for language, items in (("C", place.pick(400_000, 60_000)), ("Python", place.pick(200_000, 40_000))):
        direct, leased = bench.pairs(near, SLOTS, language, pairs, seconds, items)
        rate_rows.append(rates(language, SLOTS, direct, leased))
        cost_rows += [costs(language, "direct", direct), costs(language, "leased", leased)]
    waiting = redelivery(bench, near, SLOTS, place.pick(9, 2))
    near.end()
    alone = bench.node("alone", 1)
    restarted = redelivery(bench, alone, 1, place.pick(5, 1))
    alone.end()
    far = bench.node("far", 1, server_url=f"http://127.0.0.1:{bench.delay(int(bench.hub.url.rsplit(':', 1)[1]))}")
    far_redis = bench.redis.url(bench.delay(bench.redis.port))
    for language in ("C", "Python"):
        direct, leased = bench.pairs(far, 1, language, few, place.pick(5, 1), place.pick(200_000, 60_000), far_redis)
        far_rows.append(rates(language, 1, direct, leased))
    far.end()
    bench.end()
    head = ["worker", "slots", "direct, items/s", "leased, items/s", "leased / direct"]
    return "\n\n".join([
        table(head, rate_rows),
        f"{DELAY_MS} ms away, each way:",
        table(head, far_rows),
        "CPU time an item:",
        table(["worker", "delivery", "Redis, µs", "hub, µs", "agent, µs", "workers, µs", "all, µs"], cost_rows),
        "From kill -9 of the worker that holds an item until another one of the same node has it:",
        table(["the next worker", "ms"], [["waits already", spread(waiting)], ["has to be started", spread(restarted)]]),
    ])
