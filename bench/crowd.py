"""A hub with as many nodes as one process may have connections: its memory for each, and how long a task switch takes."""
import json
import resource

from place import Hub, memory, say
from table import spread, table


def add_tasks(hub, count):
    for number in range(count):
        hub.call("POST", "/api/tasks", {"name": f"task-{number}", "image": "example.org/worker:1",
                                        "input_redis": "redis://:password@redis.example.org:6379", "input_queue": "in",
                                        "output_queue": "out", "env": {"SEED": "1"}})


def one(place, nodes, tls):
    switches = place.pick(5, 2)
    hub = Hub(place, "crowd-tls" if tls else "crowd", tls)
    add_tasks(hub, switches + 1)
    fresh = memory(hub.pid)
    ids = hub.register(nodes)
    registered = memory(hub.pid)
    result = json.loads(place.ask("load", "crowd", "--target", hub.url, "--count", nodes, "--ids", ids, "--switches",
                                  switches, "--pid", hub.pid, "--timeout", 500, cpus=place.load_cpus))
    hub.end()
    held = (result["resident"], result["private_dirty"])
    say(f"{nodes} nodes{' with TLS' if tls else ''}: held {(held[0] - fresh[0]) / nodes:,.0f} bytes each, "
        f"switches {result['switches_ms']} ms")
    return {"fresh": fresh, "result": result,
            "registered": [(after - before) / nodes for after, before in zip(registered, fresh)],
            "held": [(after - before) / nodes for after, before in zip(held, fresh)]}


def rows_of(nodes, tls, measured):
    name = "TLS" if tls else "plain"
    bytes_each = ["{:,.0f} / {:,.0f}".format(*measured[what]) for what in ("registered", "held")]
    fresh_mb = "{:.1f} / {:.1f}".format(*(part / 1e6 for part in measured["fresh"]))
    return [f"{nodes:,}", name, fresh_mb, *bytes_each, spread(measured["result"]["switches_ms"])]


def measure(place):
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    nodes = place.pick(min(15000, allowed - 500), 200)
    rows = [rows_of(nodes, False, one(place, nodes, False))]
    if place.hub_knows_tls():
        rows.append(rows_of(nodes, True, one(place, nodes, True)))
    return table(["nodes", "", "fresh hub, MB", "a registered node, bytes", "a registered and held node, bytes",
                  "a switch reaches the last, ms"], rows)
