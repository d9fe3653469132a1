"""Whether all is as it should be at the end, and, where not, what can be said about it: which items, who had them, what went wrong
around then."""
import redis

TELL = 10   # so many items


class Verdict:
    def __init__(self, world, items, journal):
        self.world, self.items, self.journal = world, items, journal
        self.storm = None
        self.wrong = []

    def judge(self, client):
        lost, repeated, strange = self.items.compare(client)
        if strange:
            self.wrong.append(f"{len(strange)} results that nobody should have made: {strange[:TELL]}")
        for name, found in (("lost", lost), ("repeated", list(repeated))):
            if found:
                self.wrong.append(f"{len(found)} {name}: {found[:50]}")
                for item in found[:TELL]:
                    self.tell(item, client)
        progress = self.world.progress() or {}
        wanted = {"total": self.items.total, "done": self.items.total, "waiting": 0, "leased": 0, "dead": 0, "empty": 0}
        if any(progress.get(name) != number for name, number in wanted.items()):
            self.wrong.append(f"the hub counts {progress}, where {wanted} is true")
        self.look_at_books(client)

    def look_at_books(self, client):
        """Nothing may be left on them."""
        for name, size in (("in", client.llen), ("{in}:idm:items", client.hlen), ("{in}:idm:arrived", client.llen),
                           ("{in}:idm:dead", client.hlen), ("{in}:idm:attempts", client.hlen), ("{in}:idm:losses", client.hlen)):
            if size(name):
                self.wrong.append(f"{name} still has {size(name)} entries")
        held = client.keys("{in}:idm:held:*")
        if held:
            self.wrong.append(f"still held: {held}")
        if client.hget("{in}:idm:stats", "done") != b"%d" % self.items.total:
            self.wrong.append(f"stats: {client.hgetall('{in}:idm:stats')}")

    def tell(self, item, client):
        """One item's story."""
        self.wrong.append(f"item {item} (result {item}:{item * item}):")
        for key in ("{in}:idm:items", "{in}:idm:dead"):
            found = [lease for lease, payload in client.hscan_iter(key) if payload.split(b":")[0] == b"%d" % item]
            self.wrong += [f"    {lease.decode()} is in {key}: {client.hget('{in}:idm:errors', lease)}" for lease in found]
        if self.journal is None:
            return
        for seen in self.journal.records({item}):
            self.wrong.append(f"    {seen.at_s:.3f} {seen.kind} by process {seen.pid}, slot {seen.instance} of node {seen.node}")
            if self.storm:
                self.wrong += [f"        {text}" for text in self.storm.around(seen.at_s)]

    def describe_state(self):
        """When the run itself broke off: what can still be asked."""
        try:
            client = self.world.client()
            self.wrong.append(f"Redis: {client.hgetall('{in}:idm:stats')}, in {client.llen('in')}, out {client.llen('out')}, "
                              f"items {client.hlen('{in}:idm:items')}, dead {client.hlen('{in}:idm:dead')}, "
                              f"retry {client.llen('{in}:idm:retry')}, "
                              f"holders {client.zrange('{in}:idm:holders', 0, -1, withscores=True)}, time {client.time()}")
            for lease, payload in client.hgetall("{in}:idm:dead").items():
                self.wrong.append(f"dead: {payload} {client.hget('{in}:idm:errors', lease)}")
        except redis.exceptions.RedisError as error:
            self.wrong.append(f"Redis: {error}")
        self.wrong.append(f"hub: {self.world.progress()}")
