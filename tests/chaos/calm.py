"""What is measured before the storm, while nothing else goes wrong: how soon an item is with somebody else after its worker or its
node died, and that a hub's restart changes no count and stops no worker."""
import os
import signal
import statistics
import time

from processes import wait_until

WORK_MS = 1000
FAR_WORK_MS = 3000
RECOUNT_S = 2.0     # so often the hub counts the nodes that could take an item
WORKER_MAX_S = 1.0
AFTER_DEADLINE_S = 2.0


def popped(journal, probe, times):
    def look():
        pops = journal.pops(probe)
        return pops if len(pops) >= times else None
    return look


def wait_for_workers(world, nodes):
    wait_until(lambda: all(len(node.workers()) == world.slots for node in nodes), 60, "a worker in each slot")


def kill_workers(world, nodes, journal, items, client, times=3):
    """Seconds from the kill -9 of a worker to its item's next pop, and whether that was on the same node. Each item is done, and
    each slot has a worker again, before the next one comes, so that there is always an idle slot."""
    took = []
    for _ in range(times):
        wait_for_workers(world, nodes)
        probe = items.push_probe(client, WORK_MS)
        first = wait_until(popped(journal, probe, 1), 30, "a probe's first pop", 0.005)[0]
        begun = time.monotonic()
        os.kill(first.pid, signal.SIGKILL)
        second = wait_until(popped(journal, probe, 2), 30, "a probe's second pop", 0.005)[1]
        took.append((second.at_s - begun, second.node == first.node))
        wait_until(lambda: client.llen(items.output) == items.probes, 30, "a probe's result", 0.01)
    return took


def kill_workers_of_one_node(world, journal, items, client):
    """The same while there is no other node, and the hub has noticed."""
    for node in world.nodes[1:]:
        node.agent.stop()
    time.sleep(RECOUNT_S)
    took = kill_workers(world, world.nodes[:1], journal, items, client)
    for node in world.nodes[1:]:
        node.agent.start()
    assert all(same for _, same in took)
    wait_for_workers(world, world.nodes)
    return [seconds for seconds, _ in took]


def kill_node(world, journal, items, client):
    """Seconds from the kill -9 of an agent to its item's next pop elsewhere."""
    probe = items.push_probe(client, FAR_WORK_MS)
    first = wait_until(popped(journal, probe, 1), 30, "a probe's first pop", 0.005)[0]
    node = next(node for node in world.nodes if node.id == first.node)
    begun = time.monotonic()
    node.agent.kill()
    second = wait_until(popped(journal, probe, 2), world.lease_timeout + 30, "a probe's pop elsewhere", 0.005)[1]
    node.agent.start()
    assert second.node != first.node
    return second.at_s - begun


def restart_hub(world, items, client, batch=400):
    """kill -9 in the middle of a batch; what changed that should not, as texts."""
    wrong = []
    wait_for_workers(world, world.nodes)
    workers = [node.workers() for node in world.nodes]
    items.push_probes(client, 20, batch)  # at once: pushed one by one, some machines would be as fast as the workers are
    before = wait_until(lambda: (lambda p: p and p.get("waiting", 0) + p.get("leased", 0) > batch // 2 and p)(world.progress()), 20,
                        "the batch at the hub")
    world.computehub.kill()
    world.computehub.start()
    after = wait_until(lambda: (lambda p: p and "done" in p and "blocked" not in p and p)(world.progress()), 30, "the hub's return", 0.01)
    if after["total"] != before["total"] or after["done"] < before["done"] or after["dead"] != before["dead"]:
        wrong.append(f"counts before {before}, after {after}")
    wait_until(lambda: (lambda p: p and p.get("done") == items.probes)(world.progress()), 60, "the batch's end")
    now_workers = [node.workers() for node in world.nodes]
    if now_workers != workers:
        wrong.append(f"workers before {workers}, after {now_workers}")
    results = client.llen(items.output)
    if results != items.probes:
        wrong.append(f"{results} results of {items.probes}")
    return wrong


def measure(world, journal, items, client, say):
    """Says what was measured; returns what is not as promised, as texts."""
    wrong = []
    if journal:
        for where, took in (("the same node", kill_workers_of_one_node(world, journal, items, client)),
                            ("any node", [seconds for seconds, _ in kill_workers(world, world.nodes, journal, items, client)])):
            say(f"redelivery after a worker's kill -9, to {where}: median {statistics.median(took):.3f} s, most {max(took):.3f} s "
                f"of {len(took)}")
            if max(took) > WORKER_MAX_S:
                wrong.append(f"redelivery after a worker's kill -9 to {where} took {max(took):.3f} s")
        took = [kill_node(world, journal, items, client) for _ in range(2)]
        say(f"redelivery after a node's kill -9: {', '.join(f'{t:.3f}' for t in took)} s, the deadline is {world.lease_timeout} s")
        if max(took) > world.lease_timeout + AFTER_DEADLINE_S:
            wrong.append(f"redelivery after a node's kill -9 took {max(took):.3f} s")
    wait_until(lambda: client.llen(items.output) >= items.probes, 60, "the probes' results")
    wrong += restart_hub(world, items, client)
    say("hub killed in the middle of a batch: " + ("no count changed, no worker ended" if not wrong else "; ".join(wrong)))
    return wrong
