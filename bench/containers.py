"""Starting and stopping all containers of a node, beside the Engine's own time for the same calls issued at once."""
import subprocess
import time

import engine
from node import Node
from place import Hub, say
from table import ratios, spread, table


def last_ms(events, action, begun_ns, name, count):
    return (events.last(action, begun_ns, name, count) - begun_ns) / 1e6


def by_driver(place, where, events, slots):
    driver = place.spawn("engine_calls", where.socket, engine.IMAGE, slots, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    begun_ns = int(driver.stdout.readline())
    started = last_ms(events, "start", begun_ns, "engine-calls", slots)
    if driver.stdout.readline() != b"started\n":
        raise SystemExit("bench/run: engine_calls failed")
    time.sleep(1)
    driver.stdin.write(b"\n")
    driver.stdin.flush()
    begun_ns = int(driver.stdout.readline())
    stopped = last_ms(events, "destroy", begun_ns, "engine-calls", slots)
    driver.wait(60)
    place.end(driver)
    return started, stopped


def by_gridnode(hub, agent, events, slots, task):
    begun_ns = time.time_ns()
    hub.call("POST", "/api/tasks", {"name": task, "image": engine.IMAGE})
    started = last_ms(events, "start", begun_ns, f"idm-{task}-", slots)
    agent.wait_for_active(slots)
    time.sleep(1)
    begun_ns = time.time_ns()
    hub.call("POST", "/api/tasks/finish")
    stopped = last_ms(events, "destroy", begun_ns, f"idm-{task}-", slots)
    agent.wait_for_active(0)
    return started, stopped


def measure(place):
    where = engine.of(place)
    rounds, slots = place.pick(7, 1), place.pick(16, 2)
    hub = Hub(place, "containers")
    agent = Node(place, "containers-node", hub, slots, docker_host=where.url)
    events = engine.Events(where)
    ours, theirs = [], []
    for number in range(rounds):
        turns = [lambda: ours.append(by_gridnode(hub, agent, events, slots, f"bench{number}")),
                 lambda: theirs.append(by_driver(place, where, events, slots))]
        for turn in turns if number % 2 == 0 else reversed(turns):
            turn()
            time.sleep(1)
        say("start {0[0]:,.0f} ms, the Engine alone {1[0]:,.0f}; stop {0[1]:,.0f} ms, the Engine alone {1[1]:,.0f}".format(
            ours[-1], theirs[-1]))
    agent.end()
    hub.end()
    rows = []
    for name, which in ((f"start {slots}", 0), (f"stop {slots}", 1)):
        mine, engines = ([pair[which] for pair in pairs] for pairs in (ours, theirs))
        rows.append([name, spread(mine), spread(engines), spread(ratios(mine, engines), "{:.2f}")])
    return table(["containers", "gridnode, ms", "the Engine alone, ms", "ratio"], rows) + f"\n\n{where.describe()}."
