"""The job's items: what is pushed, what has to come out, and the comparison. Knows nothing of what goes wrong meanwhile."""
import redis

LUMP = 2000          # so many in a push
AHEAD = 20_000       # so many at most in the input list
READ = 20_000


class Items:
    """Ids 0 … count-1, and probes' after them. Item "id" or "id:MS", result "id:id*id". A push and the note how far it came are
    one transaction, since Redis may die in the middle of it."""

    PUSHED = "chaos:pushed"

    def __init__(self, count, input_queue, output_queue):
        self.count = count
        self.probes = 0
        self.input, self.output = input_queue, output_queue

    @property
    def total(self):
        return self.count + self.probes

    # ---- in ----

    def push_more(self, client, ceiling):
        """What there is room for, up to id `ceiling`. Raises RedisError; then it is called again. Returns how many are in."""
        pushed = int(client.get(self.PUSHED) or 0)
        room = AHEAD - client.llen(self.input)
        upto = min(pushed + LUMP, ceiling, self.count)
        if upto > pushed and room >= LUMP:
            with client.pipeline() as transaction:
                transaction.lpush(self.input, *range(pushed, upto))
                transaction.set(self.PUSHED, upto)
                transaction.execute()
            pushed = upto
        return pushed

    def push_probe(self, client, work_ms):
        """One more item, with a time of its own; its id. For calm times."""
        return self.push_probes(client, work_ms, 1)

    def push_probes(self, client, work_ms, many):
        """So many at once; the first one's id."""
        first = self.count + self.probes
        self.probes += many
        client.lpush(self.input, *(f"{probe}:{work_ms}" for probe in range(first, first + many)))
        return first

    # ---- out ----

    def compare(self, client):
        """(lost, repeated, strange): ids without a result; {id: times}; results that nobody should have made."""
        times = bytearray(self.total)
        strange = []
        for first in range(0, client.llen(self.output), READ):
            for result in client.lrange(self.output, first, first + READ - 1):
                number, _, square = result.partition(b":")
                if not number.isdigit() or int(number) >= self.total or square != b"%d" % (int(number) ** 2):
                    strange.append(result)
                else:
                    times[int(number)] = min(times[int(number)] + 1, 255)
        lost = [number for number, n in enumerate(times) if n == 0]
        return lost, {number: n for number, n in enumerate(times) if n > 1}, strange
