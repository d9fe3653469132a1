"""Drives the scripts as the protocol's model does: nodes that crash, requests that are lost, late or repeated, replies that
get lost, reaps of the living, a dead hub's blocking move; all by a seeded random plan, and after it a calm in which everything
has to come to its end. It asserts what must hold after each step, and at the end. It knows the rules only as a node does."""
import random

from broker import LEAVE, Broker

HAVE, COMMIT, FAIL, RETURN = "have", "commit", "fail", "return"
POISON = b"poison"
BAD = b"bad"  # its write is refused, always
GHOST = b"ghost"  # the write cannot be made where the output is elsewhere

SNAPSHOT = """
local base, out = {}, {}
for _, n in ipairs({'arrived', 'retry'}) do out[#out + 1] = redis.call('LRANGE', KEYS[2] .. n, 0, -1) end
out[#out + 1] = redis.call('LRANGE', KEYS[1], 0, -1)
out[#out + 1] = redis.call('HGETALL', KEYS[2] .. 'items')
out[#out + 1] = redis.call('HGETALL', KEYS[2] .. 'dead')
local held = {}
for _, k in ipairs(redis.call('KEYS', '*:idm:held:*')) do held[#held + 1] = k; held[#held + 1] = redis.call('HGETALL', k) end
out[#out + 1] = held
out[#out + 1] = redis.call('ZRANGE', KEYS[2] .. 'holders', 0, -1)
out[#out + 1] = redis.call('HVALS', KEYS[2] .. 'outbox_items')
out[#out + 1] = redis.call('HGETALL', KEYS[2] .. 'attempts')
local flat = {}
for _, packed in ipairs(out[8]) do for i, v in ipairs(cmsgpack.unpack(packed)) do if i % 2 == 0 then flat[#flat + 1] = v end end end
out[8] = flat
return out
"""


class Node:
    def __init__(self, name):
        self.name, self.epoch, self.up = name, 0, False

    def start(self):
        self.up, self.epoch, self.n = True, self.epoch + 1, 1
        self.items = {}  # id -> [state, number, payload, opened, reaped]
        self.owes_inventory = False
        self.seq = 0

    @property
    def holder(self):
        return f"{self.name}:{self.epoch}"


class Simulation:
    def __init__(self, client, seed, texts=None, items=40, other=None, faults=True):
        self.random = random.Random(seed)
        self.broker = Broker(client, texts=texts, other=other)
        self.broker.max_losses, self.broker.max_attempts = 5, self.random.choice([1, 2, 3])
        self.broker.destination = "task" if other is not None else ""
        self.broker.two_nodes = self.random.randrange(2)
        self.broker.avoid_ms = self.random.choice([0, 2])
        self.broker.alone_ms = self.random.choice([0, 60000])
        self.nodes = [Node(name) for name in ("a", "b-1", "c.x")]
        self.payloads = [b"item-%d" % i for i in range(items)] + [POISON, BAD] + ([GHOST] if other is not None else [])
        self.random.shuffle(self.payloads)
        self.late = []  # requests whose senders have given them up
        self.calm = not faults
        self.failures = {}  # id -> real failures of workers
        self.crashes = 0  # by the poison
        self.landed_loose = 0
        self.snapshot = client.register_script(SNAPSHOT)
        client.lpush(self.broker.queue, *self.payloads)
        if other is not None:
            other.delete(self.broker.output)
            other.set(self.broker.output + ":ghost", "a string")
        for node in self.nodes:
            node.start()
        self.broker.reap(start=1)

    def chance(self, probability):
        return not self.calm and self.random.random() < probability

    # --- the network: a request is executed now, later, twice or never; its reply may be lost ---

    def send(self, name, *arguments):
        """The reply, or None where it, or the request, got lost."""
        if self.chance(0.15):
            self.late.append((name, arguments))
            return None
        reply = getattr(self.broker, name)(*arguments)
        if self.chance(0.2):
            self.late.append((name, arguments))
        return None if self.chance(0.1) else reply

    def step_late(self):
        if self.late:
            at = self.random.randrange(len(self.late))
            name, arguments = self.late[at]
            getattr(self.broker, name)(*arguments)
            if self.calm or self.random.random() < 0.5:
                self.late.pop(at)

    # --- what a node does ---

    def step_take(self, node):
        if self.broker.destination and self.random.random() < 0.3:
            return
        lease = self.send("take", node.name, node.epoch, node.n, self.random.randrange(1, 5),
                          self.random.choice([1, 10, 1000]))
        if lease is None:
            return
        assert lease.status in ("executed", "empty"), f"a live node's take is {lease.status}"
        if lease.status == "empty":
            return
        for item, (payload, _, _) in lease.items():
            mine = node.items.get(item)
            if mine and mine[0] in (HAVE, COMMIT):
                mine[1] = node.n
                if mine[0] == COMMIT and payload == BAD:  # refused once already, its answer lost: it is refused again
                    self.failures[item] += 1
            else:
                node.items[item] = [HAVE, node.n, payload, False, False]
            node.items[item][4] = False
        node.n += 1

    def step_work(self, node):
        ready = [item for item, mine in node.items.items() if mine[0] == HAVE]
        if not ready:
            return
        item = self.random.choice(ready)
        mine = node.items[item]
        mine[3] = True
        if mine[2] == POISON:
            self.crashes += 1
            self.crash(node)
        elif self.chance(0.1):
            mine[0] = RETURN
        elif mine[2] not in (BAD, GHOST) and self.chance(0.2):
            mine[0] = FAIL
            self.failures[item] = self.failures.get(item, 0) + 1
        else:
            mine[0] = COMMIT
            if mine[2] == BAD:
                self.failures[item] = self.failures.get(item, 0) + 1

    def write_of(self, payload):
        if payload == BAD:
            return ["HSET", self.broker.output, "one argument"]
        if payload == GHOST:
            return ["LPUSH", self.broker.output + ":ghost", payload]
        return [self.random.choice(["LPUSH", "RPUSH"]), self.broker.output, payload]

    def step_tell(self, node):
        """Sends some of what is closed; what is acknowledged is forgotten."""
        state = self.random.choice([COMMIT, COMMIT, FAIL, RETURN])
        items = [item for item, mine in node.items.items() if mine[0] == state]
        items = items[:self.random.randrange(1, 4)]
        if not items:
            return
        pairs = [(item, node.items[item][1]) for item in items]
        if state == COMMIT:
            good = [p for p in pairs if node.items[p[0]][2] not in (BAD, GHOST)]
            sets = [([p], [self.write_of(node.items[p[0]][2])]) for p in pairs if p not in good]
            if self.random.random() < 0.3 and good:  # several items closed together
                sets.append((good, [self.write_of(node.items[p[0]][2]) for p in good]))
            else:
                sets += [([p], [self.write_of(node.items[p[0]][2])]) for p in good]
            answer = self.send("commit", node.holder, *sets)
        elif state == FAIL:
            answer = self.send("fail", node.holder, *[(*pair, '{"error": "x"}', len(pairs) > 1) for pair in pairs])
        else:
            answer = self.send("give_back", node.holder, *pairs)
        if answer is not None:
            for item in items:
                del node.items[item]

    def pairs_of(self, node):
        return [(item, mine[1]) for item, mine in node.items.items()]

    def step_inventory(self, node):
        if self.chance(0.3):  # gives up its outstanding take
            self.late.append(("take", (node.name, node.epoch, node.n, 2)))
            node.n += 1
            node.owes_inventory = True
        # An audit needs no fault: it runs in the calm too.
        answer = self.send("inventory", node.name, node.epoch, node.n - 1, self.pairs_of(node))
        if answer:
            assert answer[0] == "executed", "a live node is superseded"
            node.owes_inventory = False

    def step_renew(self, node):
        unopened = [item for item, mine in node.items.items() if mine[0] == HAVE and not mine[3]]
        answer = self.send("renew", node.name, node.epoch, unopened)
        assert not answer or answer[0] == "executed", "a live node is superseded"

    def crash(self, node):
        for item, mine in node.items.items():  # what was on its way
            pair = (item, mine[1])
            if mine[0] == COMMIT and not self.calm:
                self.late.append(("commit", (node.holder, ([pair], [self.write_of(mine[2])]))))
            elif mine[0] == FAIL and not self.calm:
                self.late.append(("fail", (node.holder, pair)))
        if not self.calm:
            self.late.append(("take", (node.name, node.epoch, node.n, 2)))
        node.up, node.items = False, {}

    def leave(self, node):
        self.send("inventory", node.name, node.epoch, LEAVE)
        node.up, node.items = False, {}

    # --- the hubs ---

    def step_reap(self, only_gone=False):
        holders = [h.decode() for h in self.broker.redis.zrange(self.broker.key("holders"), 0, -1)]
        living = {node.holder for node in self.nodes if node.up}
        holders = [h for h in holders if not (only_gone and h in living)]
        if not holders:
            return
        some = self.random.sample(holders, self.random.randrange(1, len(holders) + 1))
        self.broker.reap()
        self.broker.expire(*some)
        for name in self.broker.reap()["names"]:
            for node in self.nodes:
                if node.up and node.holder == name:
                    for mine in node.items.values():
                        mine[4] = True

    def step_move(self):
        self.broker.redis.lmove(self.broker.queue, self.broker.key("arrived"), "RIGHT", "LEFT")

    def step_outbox(self):
        if not self.broker.destination:
            return
        source, entries = self.broker.outbox(self.random.randrange(1, 5))
        if entries and not self.chance(0.1):
            answers = self.send("outbox_apply", source, entries)
            if answers:
                self.send("outbox_done", entries, answers)

    # --- what must hold ---

    def results(self):
        return self.broker.other.lrange(self.broker.output, 0, -1)

    def check(self):
        arrived, retry, inputs, items, dead, held, holders, decided, attempts = self.snapshot(
            keys=[self.broker.queue, self.broker.base])
        items = dict(zip(items[::2], items[1::2]))
        held = {held[i].rpartition(b":held:")[2]: dict(zip(held[i + 1][::2], held[i + 1][1::2]))
                for i in range(0, len(held), 2)}
        for item in items:
            places = retry.count(item) + sum(item in one for one in held.values())
            assert places == 1, f"{item} is on the books and in {places} places"
        assert set(holders) == set(held), "holders are not those that hold"
        results = self.results()
        assert len(results) == len(set(results)), "a result came twice"
        places = arrived + inputs + list(items.values()) + dead[1::2] + [p for p in results if p not in decided] + decided
        assert sorted(places) == sorted(self.payloads), "an item was lost, or is in two places"
        for item, times in zip(attempts[::2], attempts[1::2]):
            real = self.failures.get(item.decode(), 0)
            assert int(times) <= real, f"{item} was charged {int(times)} times for {real} failures"
        for node in self.nodes if not self.late else ():
            for item, mine in node.items.items() if node.up else ():
                if mine[0] == HAVE and item.encode() in items and not mine[4]:
                    number = held.get(node.holder.encode(), {}).get(item.encode())
                    assert number == b"%d" % mine[1], f"{node.holder} works on {item} without a lease"
        return len(dead) // 2 + len([p for p in results if p not in decided]) == len(self.payloads)

    def run(self, steps):
        # Weights; the faults come only while it is not calm.
        acts = [(self.step_take, 6), (self.step_work, 8), (self.step_tell, 6), (self.step_renew, 1), (self.step_inventory, 1)]
        for _ in range(steps):
            node = self.random.choice(self.nodes)
            kind = self.random.random()
            if not node.up:
                node.start()
            elif kind < 0.1:
                self.step_late()
            elif kind < 0.13:
                self.step_move()
            elif kind < 0.14:
                self.step_reap()
            elif kind < 0.155:
                (self.crash if self.random.random() < 0.8 else self.leave)(node)
            elif kind < 0.25:
                self.step_outbox()
            else:
                self.random.choices([a for a, _ in acts], [w for _, w in acts])[0](node)
            self.check()
        return self.finish()

    def finish(self):
        self.calm = True
        for _ in range(120):
            for node in self.nodes:
                if not node.up:
                    node.start()
                for step in (self.step_take, self.step_work, self.step_work, self.step_tell, self.step_tell):
                    if node.up:
                        step(node)
                self.step_late()
                if node.up and self.random.random() < 0.2:
                    self.step_inventory(node)
            self.step_reap(only_gone=True)
            self.step_outbox()
            if self.check() and not self.late:
                self.check_end()
                return
        raise AssertionError("it never comes to its end")

    def check_end(self):
        dead = [letter[1] for letter in self.broker.dead()[2]]
        assert POISON in dead and BAD in dead, "what can never be done is no dead letter"
        assert not self.broker.destination or GHOST in dead
        assert self.crashes <= 10 * self.broker.max_losses, "an item went on killing machines"
        progress = self.broker.progress()
        assert progress["done"] == len(self.results()) and progress["dead"] == len(dead)
        assert progress["waiting"] == progress["leased"] == progress["outbox"] == 0
