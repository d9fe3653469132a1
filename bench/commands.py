"""gridctl run beside what people have: a command of a millisecond for each item, and many tiny items to one command."""
import os
import shutil
import statistics
import subprocess
import time

from node import Node
from place import Hub, say
from redis_server import RedisServer
from table import spread, table

SLOTS = 2
BATCH = 1000
SQUARE = ["awk", '{ printf "%.0f\\n", $1 * $1 }']


class Ways:
    """The same items through each of the programs; every one of them is checked to have done them all."""

    def __init__(self, place, hub):
        self.place, self.hub = place, hub
        self.millisecond = self.place.directory / "millisecond"
        shutil.copy(self.place.program("millisecond"), self.millisecond)
        self.millisecond.chmod(0o755)

    def items(self, count):
        path = self.place.directory / f"items-{count}"
        path.write_text("".join(f"{number}\n" for number in range(1, count + 1)))
        return path

    def gridctl(self, *arguments):
        return [self.place.program("gridctl"), "--hub", self.hub.url, "--quiet", "run", *map(str, arguments)]

    def seconds(self, command, items, expected):
        """How long it took, from its start to its end."""
        environment = {**self.place.environment(), "HOME": str(self.place.directory)}
        output = self.place.directory / "output"
        with open(items, "rb") as source, open(output, "wb") as sink:
            begun = time.monotonic()
            subprocess.run(list(map(str, command)), stdin=source, stdout=sink, env=environment, check=True)
            took = time.monotonic() - begun
        if sorted(map(int, output.read_text().split())) != expected:
            raise SystemExit(f"bench/run: {command[0]} did not do all items once")
        return took

    def compare(self, ways, items, expected, rounds):
        took = {name: [] for name in ways}
        for number in range(rounds):
            names = list(ways)
            for name in names if number % 2 == 0 else names[::-1]:
                took[name].append(self.seconds(ways[name], items, expected))
            say("  " + ", ".join(f"{name} {took[name][-1]:.2f} s" for name in names))
        return took


def singles(ways, count, rounds):
    """A process per item, in each of them."""
    expected = list(range(1, count + 1))
    took = ways.compare({
        "gridctl run": ways.gridctl("--", ways.millisecond, "{}"),
        "xargs -n1 -P2": ["xargs", "-n1", f"-P{SLOTS}", ways.millisecond],
        "parallel -j2": ["parallel", f"-j{SLOTS}", ways.millisecond],
    }, ways.items(count), expected, rounds)
    rows = []
    for name, seconds in took.items():
        overhead = [1e6 * SLOTS * s / count - 1000 for s in seconds]
        rows.append([name, spread([count / s for s in seconds]), spread(overhead),
                     f"{statistics.median(s / g for s, g in zip(seconds, took['gridctl run'])):.2f}"])
    return rows


def batches(ways, count, rounds):
    """A thousand items to each process."""
    expected = [number * number for number in range(1, count + 1)]
    took = ways.compare({
        "gridctl run --batch 1000": ways.gridctl("--batch", BATCH, "--", *SQUARE),
        "parallel --pipe -N1000 -j2": ["parallel", "--pipe", f"-N{BATCH}", f"-j{SLOTS}", *quoted(SQUARE)],
    }, ways.items(count), expected, rounds)
    return [[name, spread([count / s for s in seconds]),
             f"{statistics.median(s / g for s, g in zip(seconds, took['gridctl run --batch 1000'])):.2f}"]
            for name, seconds in took.items()]


def quoted(command):
    """parallel hands its arguments to a shell."""
    return [command[0], "'" + command[1] + "'"]


def measure(place):
    if not shutil.which("parallel"):
        return "commands: not measured here, GNU parallel is not installed"
    redis = RedisServer(place)
    hub = Hub(place, "commands", pinned=False, redis_url=redis.url())
    user = {"process_user": "nobody"} if os.geteuid() == 0 else {"process_same_user": True}
    agent = Node(place, "commands", hub, SLOTS, runtime="process", **user)
    place.directory.chmod(0o711)
    ways = Ways(place, hub)
    single_rows = singles(ways, place.pick(5_000, 500), place.pick(5, 1))
    batch_rows = batches(ways, place.pick(1_000_000, 20_000), place.pick(5, 1))
    agent.end()
    hub.end()
    redis.end()
    return "\n\n".join([
        table(["a millisecond an item, two at once", "items/s", "µs an item beyond its millisecond", "time, gridctl = 1"], single_rows),
        table(["a thousand items to a command", "items/s", "time, gridctl = 1"], batch_rows),
    ])
