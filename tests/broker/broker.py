"""Calls the broker's scripts as the hub does: the files with common.lua in front, by EVALSHA, arguments as docs/protocol.md
lists them. It knows nothing of what they do."""
import os
import pathlib

import redis

SCRIPTS = pathlib.Path(os.environ.get("IDM_BROKER_SCRIPTS", pathlib.Path(__file__).parents[2] / "src" / "hub" / "broker")).resolve()
LEAVE = 9007199254740991


def read_scripts(edits=()):
    """name -> text; edits are (file, old, new), to break a rule."""
    texts = {path.stem: path.read_text() for path in SCRIPTS.glob("*.lua")}
    for name, old, new in edits:
        assert old in texts[name], f"{name}.lua has no {old!r}"
        texts[name] = texts[name].replace(old, new)
    common = texts.pop("common")
    return {name: common + text for name, text in texts.items()}


def base_of(queue):
    tag = queue.partition("{")[2].partition("}")
    return (queue if tag[0] and tag[1] else "{" + queue + "}") + ":idm:"


class Lease(dict):
    """id -> (payload, attempts, flags), in the order given."""

    def __init__(self, reply):
        super().__init__()
        self.status = reply[0].decode()
        self.waiting, self.next_ms, self.back, self.died = reply[1:5]
        flat = reply[5]
        for i in range(0, len(flat), 4):
            self[flat[i].decode()] = (flat[i + 1], flat[i + 2], flat[i + 3])

    @property
    def ids(self):
        return list(self)

    @property
    def payloads(self):
        return [payload for payload, _, _ in self.values()]


class Broker:
    def __init__(self, client, queue="jobs", output="results", texts=None, other=None):
        self.redis, self.queue, self.output = client, queue, output
        self.other = other if other is not None else client
        self.base = base_of(queue)
        self.texts = texts or read_scripts()
        self.shas = {}
        self.seed = 0
        # what the hub decides; tests change it
        self.lease_ms, self.max_losses, self.max_attempts = 60000, 10, 3
        self.two_nodes, self.avoid_ms, self.alone_ms = 0, 0, 60000
        self.pop, self.mind_avoid, self.require_result, self.destination = "right", 1, 0, ""

    def key(self, name):
        return self.base + name

    def call(self, name, keys, arguments, client=None):
        client = client if client is not None else self.redis
        if name not in self.shas:
            self.shas[name] = self.redis.script_load(self.texts[name])
        try:
            return client.evalsha(self.shas[name], len(keys), *keys, *arguments)
        except redis.exceptions.NoScriptError:
            return client.eval(self.texts[name], len(keys), *keys, *arguments)

    def run(self, name, *arguments):
        return self.call(name, [self.queue, self.base], arguments)

    def new_seed(self):
        self.seed += 1
        return f"seed-of-a-test-{self.seed}"

    def take(self, node="a", epoch=1, n=1, most=10, max_bytes=1 << 30):
        return Lease(self.run("take", node, epoch, n, most, max_bytes, self.lease_ms, self.pop, self.new_seed(),
                              self.max_losses, self.mind_avoid))

    def commit(self, holder, *sets):
        """A set is (pairs, writes), or (seq, writes) for writes that belong to no item."""
        flat = []
        for pairs, writes in sets:
            if isinstance(pairs, int):
                flat += [0, pairs]
            else:
                flat += [len(pairs)] + [word for pair in pairs for word in pair]
            flat.append(len(writes))
            for write in writes:
                flat += [len(write), *write]
        back, died, texts, partly, self.glimpses = self.call("commit", [self.queue, self.base, self.output], [
            holder, self.max_attempts, self.two_nodes, self.avoid_ms, self.require_result, self.destination,
            self.new_seed(), len(sets), *flat])
        assert partly == b""
        self.back, self.died = back, died
        return [text.decode() for text in texts]

    def done(self, holder, pair, result=b"result"):
        return self.commit(holder, ([pair], [["LPUSH", self.output, result]]))[0]

    def fail(self, holder, *failures):
        """A failure is (id, number[, error[, together]])."""
        flat = []
        for failure in failures:
            flat += [*failure, "{}", 0][:3] + [int(failure[3]) if len(failure) > 3 else 0]
        back, died, texts, self.glimpses = self.run("fail", holder, self.max_attempts, self.two_nodes, self.avoid_ms, self.alone_ms,
                                     len(failures), *flat)
        self.back, self.died = back, died
        return [text.decode() for text in texts]

    def give_back(self, holder, *pairs):
        _, texts = self.run("return", holder, len(pairs), *[word for pair in pairs for word in pair])
        return [text.decode() for text in texts]

    def inventory(self, node, epoch, r, pairs=()):
        reply = self.run("inventory", node, epoch, r, self.max_losses, len(pairs), *[w for pair in pairs for w in pair])
        return (reply[0].decode(), *reply[1:])

    def renew(self, node, epoch, unopened=()):
        reply = self.run("renew", node, epoch, self.lease_ms, self.max_losses, len(unopened), *unopened)
        return (reply[0].decode(), *reply[1:])

    def reap(self, start=0, period_ms=60000):
        reply = self.run("reap", period_ms, start, self.max_losses)
        return dict(zip(("reaped", "back", "died", "more", "left"), reply[:5]), names=[n.decode() for n in reply[5]])

    def expire(self, *holders):
        """As if their deadlines had passed."""
        for holder in holders:
            self.redis.zadd(self.key("holders"), {holder: 1}, xx=True)

    def reap_now(self, *holders):
        self.reap()  # not the first after a pause
        self.expire(*holders)
        return self.reap()

    def settle(self):
        return self.run("settle", self.pop)

    def purge(self, cursor=0):
        """[holders, next cursor, items, dead letters, results]"""
        return self.call("purge", [self.queue, self.base, self.output], [cursor])

    def dead(self, cursor=0, count=100):
        next_cursor, total, flat = self.run("dead_list", cursor, count)
        return next_cursor, total, [tuple(flat[i:i + 6]) for i in range(0, len(flat), 6)]

    def progress(self):
        flat = self.run("progress")
        return {flat[i].decode(): flat[i + 1] for i in range(0, len(flat), 2)}

    def outbox(self, count=100):
        source, flat = self.run("outbox_next", count, 1 << 30)
        return source, [tuple(flat[i:i + 3]) for i in range(0, len(flat), 3)]

    def outbox_apply(self, source, entries):
        keys = [self.output, self.output + ":idm:applied", self.output + ":idm:refused"]
        texts, partly = self.call("outbox_apply", keys, [source, len(entries), *[w for e in entries for w in (e[0], e[2])]],
                                  self.other)
        assert partly == b""
        return [text.decode() for text in texts]

    def outbox_done(self, entries, answers):
        return self.run("outbox_done", len(entries),
                        *[w for e, text in zip(entries, answers) for w in (e[0], "" if text == "ok" else text)])

    def push(self, name, first, *items, kept_s=3600):
        """(how many of the push are in, how many came in now, whether there is a gap)"""
        return tuple(self.run("push", self.pop, name, kept_s, first, len(items), *items))

    def results_page(self, cursor=0, most=100, max_bytes=1 << 30, writer="left"):
        """(first ever to be read, total, number of the page's first, [result…])"""
        return tuple(self.call("results_read", [self.output, self.output + ":idm:taken"], [writer, cursor, most, max_bytes], self.other))

    def results_take(self, upto, most=1000, writer="left"):
        """(taken, whether there is more)"""
        return tuple(self.call("results_take", [self.output, self.output + ":idm:taken"], [writer, upto, most], self.other))

    def books(self):
        """The books as they stand, read by other means than the scripts'."""
        items = {k.decode(): v for k, v in self.redis.hgetall(self.key("items")).items()}
        retry = [i.decode() for i in self.redis.lrange(self.key("retry"), 0, -1)]
        held = {}
        for name in self.redis.scan_iter(match=self.key("held:*").replace("[", "\\["), count=1000):
            holder = name.decode()[len(self.key("held:")):]
            held[holder] = {k.decode(): int(v) for k, v in self.redis.hgetall(name).items()}
        return items, retry, held

    def check_books(self):
        """R1, the model's BOOKSINV; and holders are exactly those that hold."""
        items, retry, held = self.books()
        for item in items:
            places = retry.count(item) + sum(item in h for h in held.values())
            assert places == 1, f"{item} is on the books and in {places} places"
        holders = {h.decode() for h in self.redis.zrange(self.key("holders"), 0, -1)}
        assert holders == set(held), "holders are not those that hold"
        return items, retry, held
