"""Heartbeats per second: computehub beside the bare server, one after the other, again and again."""
import json
import subprocess

from place import Hub, say
from table import ratios, spread, table


def start_bare(place):
    child = place.spawn("bare_server", cpus=place.server_cpus, stdout=subprocess.PIPE)
    return child, f"http://127.0.0.1:{int(child.stdout.readline())}"


def one(place, target, process, connections, ids):
    return json.loads(place.ask("load", "heartbeats", "--target", target, "--count", connections, "--ids", ids,
                                "--seconds", place.pick(5, 1), "--pid", process.pid, cpus=place.load_cpus))


def measure(place):
    rounds = place.pick(7, 1)
    sizes = place.pick((64, 1000), (8, 32))
    hub = Hub(place, "heartbeats")
    bare, bare_url = start_bare(place)
    ids = hub.register(max(sizes))
    rows = []
    for connections in sizes:
        ours, theirs = [], []
        for number in range(rounds):
            turns = [(ours, hub.url, hub.process), (theirs, bare_url, bare)]
            for results, target, process in turns if number % 2 == 0 else reversed(turns):
                results.append(one(place, target, process, connections, ids))
            say(f"{connections} connections: hub {ours[-1]['rate']:,.0f}/s, bare {theirs[-1]['rate']:,.0f}/s")
        rate, bare_rate = ([result["rate"] for result in results] for results in (ours, theirs))
        cpu, bare_cpu = ([result["server_cpu_us"] for result in results] for results in (ours, theirs))
        rows += [[connections, "computehub", spread(rate), spread(cpu, "{:.1f}")],
                 [connections, "bare libmicrohttpd", spread(bare_rate), spread(bare_cpu, "{:.1f}")],
                 [connections, "computehub / bare", spread(ratios(rate, bare_rate), "{:.2f}"),
                  spread(ratios(cpu, bare_cpu), "{:.2f}")]]
    place.end(bare)
    hub.end()
    return table(["connections", "server", "heartbeats/s", "server's CPU, µs each"], rows)
