"""What is to go wrong, and when: drawn from a seed before anything starts, so that a seed means the same plan again. Knows
nothing of processes."""
import random
from collections import namedtuple

# It comes when the share `after` of all items is done, or only `pause_s` after the one before where `burst`. `dry`: until it has
# come, no item beyond that share is pushed, so the queue runs empty. `target`: ("agent", node), ("worker", node, slot), ("hub",) …
Event = namedtuple("Event", "number after burst dry pause_s what target hold_s")

# weight, and for how long the fault lasts: (lowest, highest) seconds, or shares of the holder's deadline
KILLS = {"worker": (40, (0, 0)), "agent": (28, (0, 1.5)), "hub": (18, (0, 1.5)), "redis": (14, (0, 1.5))}
FAULTS = {
    ("pause", "agent"): 3, ("pause", "worker"): 2, ("pause", "hub"): 2, ("pause", "redis"): 2,
    ("cut", "link"): 3, ("stall", "link"): 3, ("delay", "link"): 3, ("lose", "link"): 6,
    ("cut", "redis_link"): 1, ("delay", "redis_link"): 1, ("lose", "redis_link"): 4,
    ("restart", "agent"): 2, ("restart", "hub"): 2,
}
BURST = 0.35         # of all events come soon after the one before
DRY = 0.25
LONG_PAUSE = 0.4     # of the pauses and stalls outlast the holder's deadline
LONG_ABSENCE = 0.1   # of the killed agents stay away for longer than it


def pick(draw, weights):
    return draw.choices(list(weights), list(weights.values()))[0]


def fault_time(draw, what, lease_timeout):
    if what in ("pause", "stall"):
        long = draw.random() < LONG_PAUSE
        return draw.uniform(1.1, 1.5) * lease_timeout if long else draw.uniform(0.1, 2)
    if what == "delay":
        return draw.uniform(1, 4)
    return draw.uniform(0.1, 2) if what == "cut" else 0.0


def draw_plan(seed, kills, nodes, slots, lease_timeout):
    """`kills` kill -9, and half as many other faults among them."""
    draw = random.Random(seed)
    kinds = ["kill"] * kills + ["fault"] * (kills // 2)
    draw.shuffle(kinds)
    shares = sorted(draw.uniform(0.01, 0.97) for _ in kinds)
    events = []
    for number, (kind, share) in enumerate(zip(kinds, shares)):
        if kind == "kill":
            what, target = "kill", pick(draw, {name: weight for name, (weight, _) in KILLS.items()})
            hold_s = draw.uniform(*KILLS[target][1])
            if target == "agent" and draw.random() < LONG_ABSENCE:
                hold_s = draw.uniform(1.0, 1.6) * lease_timeout
        else:
            what, target = pick(draw, FAULTS)
            hold_s = fault_time(draw, what, lease_timeout)
        which = draw.randrange(nodes)
        slot = draw.randrange(slots)
        whom = {"worker": (target, which, slot), "agent": (target, which), "link": (target, which)}.get(target, (target,))
        burst = number > 0 and draw.random() < BURST
        dry = draw.random() < DRY
        events.append(Event(number, share, burst, dry, draw.uniform(0, 0.4), what, whom, round(hold_s, 3)))
    return events


def describe(event):
    whom = " ".join(map(str, event.target))
    return f"#{event.number} {event.what} {whom}" + (f" for {event.hold_s:.2f} s" if event.hold_s else "")
