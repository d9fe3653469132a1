"""The agent's memory while its slots are full, after heartbeats of a second each for a while."""
import base64
import hashlib
import os
import pathlib
import shutil
import subprocess
import time

import engine
import node
from place import Hub, memory, say, wait_until
from table import table

SYSTEM_CAS = pathlib.Path("/etc/ssl/certs")
# In a mount namespace of the agent's own the system's authorities are those and ours.
WITH_OURS = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'


def runtimes(place):
    """(name, keys of the agent's configuration, what the task says)"""
    found = []
    try:
        found.append(("containers", {"docker_host": engine.of(place).url}, {"image": engine.IMAGE}))
    except engine.NoEngine as why:
        say(f"without containers: {why}")
    if place.knows("gridnode", "runtime", "process_user", "process_same_user"):
        user = {"process_user": "nobody"} if os.geteuid() == 0 else {"process_same_user": True}
        keys = {"runtime": "process", "state_dir": str(place.directory / "agent-state"), **user}
        found.append(("processes", keys, {"command": [idle_for_everybody(place)]}))
    return found


def idle_for_everybody(place):
    """The program where every user may run it."""
    place.directory.chmod(0o711)
    copy = place.directory / "idle"
    shutil.copy(place.program("idle"), copy)
    copy.chmod(0o755)
    return str(copy)


def pin(certificate):
    public = subprocess.run(f"openssl x509 -in {certificate} -pubkey -noout | openssl pkey -pubin -outform DER", shell=True,
                            capture_output=True, check=True).stdout
    return "sha256//" + base64.b64encode(hashlib.sha256(public).digest()).decode()


def trusting_us(place):
    """The words before an agent's command that make our certificate one of the system's."""
    authorities, certificate = place.directory / "authorities", place.certificate()[0]
    shutil.copytree(SYSTEM_CAS, authorities, symlinks=True)
    name = subprocess.run(["openssl", "x509", "-in", certificate, "-hash", "-noout"], capture_output=True, text=True,
                          check=True).stdout.strip()
    shutil.copy(certificate, authorities / f"{name}.0")
    with open(authorities / "ca-certificates.crt", "ab") as bundle:
        bundle.write(certificate.read_bytes())
    return ["unshare", "--mount", "sh", "-euc", WITH_OURS, "sh", authorities, SYSTEM_CAS]


def ways_to_the_hub(place):
    """(name, hub, more for the agent)"""
    ways = [("HTTP", Hub(place, "agent-hub"), {})]
    if place.hub_knows_tls() and node.knows_tls(place):
        certificate = place.certificate()[0]
        hub = Hub(place, "agent-hub-tls", tls=True)
        ways.append(("HTTPS, `tls_ca`", hub, {node.CA_KEY: str(certificate)}))
        ways.append(("HTTPS, `tls_pin`", hub, {node.PIN_KEY: pin(certificate)}))
        if os.geteuid() == 0 and (SYSTEM_CAS / "ca-certificates.crt").exists():
            ways.append(("HTTPS, the system's authorities", hub, {"before": trusting_us(place)}))
    return ways


def one(place, slots, way, runtime):
    over, hub, hub_keys = way
    name, keys, task = runtime
    number = len(hub.call("GET", "/api/tasks")["tasks"])
    agent = node.Node(place, f"agent-{number}", hub, slots, **keys, **hub_keys)
    hub.call("POST", "/api/tasks", {"name": f"agent-{number}", **task})
    agent.wait_for_active(slots)
    time.sleep(place.pick(5, 1.5))
    resident, private_dirty = memory(agent.pid)
    hub.call("POST", "/api/tasks/finish")
    wait_until(lambda: agent.entry()["active_containers"] == 0, 60, "the workers' end")
    agent.end()
    say(f"{name}, {slots} slots, {over}: {resident / 1e6:.1f} MB, {private_dirty / 1e6:.2f} MB private dirty")
    return [name, slots, over, f"{resident / 1e6:.1f}", f"{private_dirty / 1e6:.2f}"]


def measure(place):
    ways = ways_to_the_hub(place)
    rows = [one(place, slots, way, runtime)
            for runtime in runtimes(place) for way in ways for slots in place.pick((2, 16), (2,))]
    if not rows:
        raise engine.NoEngine("no engine, and no other runtime")
    return table(["gridnode with", "slots", "to the hub over", "resident, MB", "private dirty, MB"], rows)
