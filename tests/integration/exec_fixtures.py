"""Tasks with exec: any command is the worker, and nothing in it knows of queues."""
import json
import urllib.parse

from processes import wait_until


class ExecTask:
    """A task whose items are on their way, and what became of them."""

    def __init__(self, leasing, name, command, items, **fields):
        self.leasing, self.name = leasing, name
        self.input, self.output = f"{name}:in", f"{name}:out"
        self.items = [str(item) for item in items]
        leasing.store.push(self.items, self.input)
        self.id = leasing.hub.add(name, exec=[str(word) for word in command], input_queue=self.input, output_queue=self.output,
                                  **{"image": None, "input_redis": leasing.store.url, **fields})["id"]

    def push_more(self, item):
        self.leasing.store.push([item], self.input)
        self.items.append(item)

    def wait(self, timeout=60, **numbers):
        wanted = {"done": len(self.items), "leased": 0, "waiting": 0, **numbers}
        return self.leasing.sees(self.name, timeout, **wanted)

    def progress(self):
        return self.leasing.progress(self.name)

    def results(self):
        """What the commands wrote, each of them, in no order."""
        return [result.decode() for result in self.leasing.store.list(self.output)]

    def lines(self):
        return [line for result in self.results() for line in result.splitlines()]

    def dead(self):
        answer = self.leasing.hub.get(f"/api/tasks/{urllib.parse.quote(self.name)}/dead?count=100").json
        return {letter["item"]: letter for letter in answer["dead"]}

    def wait_for_result(self, timeout=30):
        return wait_until(self.results, timeout, "a result")[0]


def squares(items):
    return sorted(int(item) ** 2 for item in items)


AWK = '{printf "%.0f\\n", $1 * $1}'


def error_of(letter):
    error = letter["error"]
    return json.loads(error) if isinstance(error, str) else error
