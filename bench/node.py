"""gridnode with a configuration of its own."""
import json

from place import wait_until

# The file with the certificates that the agent trusts, and the key that it trusts.
CA_KEY = "tls_ca"
PIN_KEY = "tls_pin"


def knows_tls(place):
    return place.knows("gridnode", CA_KEY)


class Node:
    def __init__(self, place, name, hub, slots, before=(), **keys):
        self.place = place
        self.hub = hub
        self.name = name
        usual = {"server_url": hub.url, "token": place.token, "parallelism": slots, "hostname": name,
                 "heartbeat_interval": 1, "stop_timeout": 20, "container_memory": 64, "state_dir": str(place.directory / f"{name}-state")}
        config = place.write_config(name, **{**usual, **keys})
        self.log_path = place.directory / f"{name}.log"
        with open(self.log_path, "wb") as log:
            self.process = place.spawn_command([*before, place.program("gridnode"), "-c", config], stderr=log)
        self.pid = self.process.pid
        wait_until(self.entry, 20, f"{name} at the hub")

    def entry(self):
        if self.process.poll() is not None:
            raise SystemExit(f"bench/run: gridnode ended: {self.log_path.read_text()[-2000:]}")
        return next((node for node in self.hub.call("GET", "/api/nodes") if node["hostname"] == self.name), None)

    def wait_for_active(self, count):
        def look():
            entry = self.entry()
            if entry["error"]:
                raise SystemExit(f"bench/run: gridnode: {json.dumps(entry['error'])}")
            return entry["active_containers"] == count
        wait_until(look, 120, f"{count} workers of {self.name}")

    def end(self):
        self.place.end(self.process, 60)
