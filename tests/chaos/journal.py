"""What the workers saw, by their own words: when each item was popped and when its result was answered for. Reads the files that
worker.c writes."""
import pathlib
import struct
from collections import namedtuple

RECORD = struct.Struct("<QQ")
KINDS = {1: "popped", 2: "pushed", 3: "begun"}
Seen = namedtuple("Seen", "at_s kind item node instance pid")


class Journal:
    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir()
        self.directory.chmod(0o777)  # the workers are another user

    def records(self, of_items=None, pid=None):
        """In the order of time."""
        found = []
        for path in self.directory.iterdir():
            node, instance, number = path.name.rsplit(".", 2)
            if pid is not None and int(number) != pid:
                continue
            data = path.read_bytes()
            for when, what in RECORD.iter_unpack(data[:len(data) // RECORD.size * RECORD.size]):
                item = what & ((1 << 56) - 1)
                if of_items is None or (item in of_items and what >> 56 != 3):
                    found.append(Seen(when / 1e9, KINDS[what >> 56], item, node, int(instance), int(number)))
        return sorted(found)

    def pops(self, item):
        return [seen for seen in self.records({item}) if seen.kind == "popped"]
