"""The agent's memory while its slots are full, after heartbeats of a second each for a while."""
import time

import engine
import node
from place import Hub, memory, say, wait_until
from table import table


def runtimes(place):
    """(name, keys of the agent's configuration, what the task says)"""
    program = str(place.program("idle"))
    found = []
    try:
        found.append(("containers", {"docker_host": engine.of(place).url}, {"image": engine.IMAGE}))
    except engine.NoEngine as why:
        say(f"without containers: {why}")
    if place.knows("gridnode", "runtime", "process_same_user"):
        found.append(("processes", {"runtime": "process", "process_same_user": True}, {"command": [program]}))
    return found


def one(place, hub, slots, name, keys, task):
    number = len(hub.call("GET", "/api/tasks")["tasks"])
    agent = node.Node(place, f"agent-{number}", hub, slots, **keys)
    hub.call("POST", "/api/tasks", {"name": f"agent-{number}", **task})
    agent.wait_for_active(slots)
    time.sleep(place.pick(5, 1.5))
    resident, private_dirty = memory(agent.pid)
    hub.call("POST", "/api/tasks/finish")
    wait_until(lambda: agent.entry()["active_containers"] == 0, 60, "the workers' end")
    agent.end()
    scheme = hub.url.split(":")[0].upper()
    say(f"{name}, {slots} slots, {scheme}: {resident / 1e6:.1f} MB, {private_dirty / 1e6:.2f} MB private dirty")
    return [name, slots, scheme, f"{resident / 1e6:.1f}", f"{private_dirty / 1e6:.2f}"]


def measure(place):
    hubs = [Hub(place, "agent-hub")]
    if place.hub_knows_tls() and node.knows_tls(place):
        hubs.append(Hub(place, "agent-hub-tls", tls=True))
    rows = [one(place, hub, slots, *runtime)
            for runtime in runtimes(place) for hub in hubs for slots in place.pick((2, 16), (2,))]
    for hub in hubs:
        hub.end()
    if not rows:
        raise engine.NoEngine("no engine, and no other runtime")
    return table(["gridnode with", "slots", "hub over", "resident, MB", "private dirty, MB"], rows)
