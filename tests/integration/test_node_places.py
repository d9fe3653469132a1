"""Places: the network that a slot's workers share, in which the gateway listens and nothing else is to be reached."""
import json
import os
import pathlib
import signal
import socket
import threading
import time

import pytest

from place_fixtures import REACH, import_reach, make_probe, reach_image, reach_program  # noqa: F401
from processes import wait_until

GATEWAY = "127.0.0.1:6379"


def place_containers(engine, probe):
    return [entry for entry in engine.containers(node=probe.node) if "idm-gridcore.place" in entry["Labels"]]


@pytest.fixture
def open_service():
    """A service of this machine on all its addresses; its port, as long as the test runs."""
    server = socket.create_server(("0.0.0.0", 0), backlog=8)

    def serve():
        while True:
            try:
                connection, _ = server.accept()
                connection.sendall(b"host\r\n")
                connection.close()
            except OSError:
                return
    threading.Thread(target=serve, daemon=True).start()
    yield server.getsockname()[1]
    server.shutdown(socket.SHUT_RDWR)
    server.close()


def host_addresses():
    """All of this machine's IPv4 addresses but loopback."""
    import subprocess
    text = subprocess.run(["ip", "-4", "-o", "addr"], capture_output=True, text=True, check=True).stdout
    addresses = [line.split()[3].split("/")[0] for line in text.splitlines()]
    return [address for address in addresses if not address.startswith("127.")]


def check_isolation(probe, engine, service):
    """From inside a place nothing answers but the gateway; the same program without a place shows that it can see."""
    probe.open(0)
    probe.run(9, "-", "serve", 7000)
    [peer] = [entry for entry in engine.containers(node=probe.node) if entry["Names"] == [f"/idm-probe-{probe.node}-9"]]
    peer_address = engine.inspect(peer["Id"])["NetworkSettings"]["IPAddress"]
    hosts = [f"{address}:{service}" for address in host_addresses()]
    assert f"{engine.gateway}:{service}" in hosts
    others = [*hosts, f"{peer_address}:7000", "1.1.1.1:53", f"127.0.0.1:{service}"]

    seen, interfaces = probe.tried(1, 0, GATEWAY, *others[:-1])
    assert seen.pop(GATEWAY) == (True, "+PONG")
    assert all(answer == (False, "") for answer in seen.values()), seen
    assert "eth0" not in interfaces and "lo" in interfaces, interfaces

    # The machine's own loopback is another one: a port of it is refused there.
    seen, _ = probe.tried(1, 0, others[-1])
    assert seen == {others[-1]: (True, "")}

    # What the test could not see if it were blind.
    seen, interfaces = probe.tried(2, "-", GATEWAY, f"{engine.gateway}:{service}", f"{peer_address}:7000")
    assert seen == {GATEWAY: (True, ""), f"{engine.gateway}:{service}": (True, "host"),
                    f"{peer_address}:7000": (True, "hello")}
    assert "eth0" in interfaces
    probe.remove(9)
    probe.close(0)
    assert engine.containers(node=probe.node) == []


def test_nothing_but_the_gateway_is_reachable(engine, reach_image, make_probe, open_service):
    check_isolation(make_probe(engine).ready(), engine, open_service)


def test_an_agent_in_the_dockers_group_needs_no_root(engine, reach_image, make_probe, open_service, directory):
    os.chmod(directory, 0o777)
    for parent in list(directory.parents)[:1]:
        os.chmod(parent, 0o755)
    os.chmod(engine.directory, 0o755)
    os.chown(engine.socket, 0, 4242)
    os.chmod(engine.socket, 0o660)
    probe = make_probe(engine, user=65533, groups=[4242])
    check_isolation(probe.ready(), engine, open_service)


def test_the_place_is_closed_to_everybody_else(engine, reach_image, make_probe):
    probe = make_probe(engine).ready()
    probe.open(0)
    [entry] = place_containers(engine, probe)
    details = engine.inspect(entry["Id"])
    host = details["HostConfig"]
    assert host["NetworkMode"] == "none" and host["ReadonlyRootfs"] and host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges"] and not host["Privileged"]
    assert details["Config"]["User"] == "65534:65534"
    status = pathlib.Path(f"/proc/{details['State']['Pid']}/status").read_text()
    assert "CapEff:\t0000000000000000" in status and "NoNewPrivs:\t1" in status and "Uid:\t65534" in status
    [mount] = details["Mounts"]
    assert not mount["RW"]
    folder = pathlib.Path(mount["Source"])
    assert folder.parent.stat().st_mode & 0o777 == 0o700, "other users come through to the socket"
    probe.close(0)
    probe.quit()
    assert not folder.parent.exists()


def test_a_place_outlives_its_workers(engine, reach_image, make_probe):
    probe = make_probe(engine).ready()
    probe.open(0)
    [first] = place_containers(engine, probe)
    for _ in range(3):
        seen, _ = probe.tried(1, 0, GATEWAY)
        assert seen == {GATEWAY: (True, "+PONG")}
    assert [entry["Id"] for entry in place_containers(engine, probe)] == [first["Id"]]


def test_a_killed_place_is_noticed_at_once_and_another_opened(engine, reach_image, make_probe):
    probe = make_probe(engine).ready()
    probe.open(0)
    probe.run(1, 0, "sleep")
    [entry] = place_containers(engine, probe)
    pid = engine.inspect(entry["Id"])["State"]["Pid"]
    os.kill(pid, signal.SIGKILL)
    begin = time.monotonic()
    assert "network" in probe.expect("gone")["err"]
    assert time.monotonic() - begin < 1
    probe.remove(1)
    probe.close(0)
    probe.open(0)
    seen, _ = probe.tried(1, 0, GATEWAY)
    assert seen == {GATEWAY: (True, "+PONG")}


def test_a_stopped_place_ends_at_once(engine, reach_image, make_probe):
    probe = make_probe(engine).ready()
    probe.open(0)
    [entry] = place_containers(engine, probe)
    begin = time.monotonic()
    assert engine.call("POST", f"/containers/{entry['Id']}/stop?t=20")[0] == 204
    assert time.monotonic() - begin < 10, "the pause program does not mind SIGTERM"
    assert engine.inspect(entry["Id"])["State"]["ExitCode"] == 0
    probe.expect("gone")


def test_many_places_open_at_once(engine, reach_image, make_probe):
    probe = make_probe(engine).ready()
    for place in range(24):
        probe.say("open", place)
    events = [probe.events.get(timeout=60) for _ in range(24)]
    assert {event["event"] for event in events} == {"listening"} and len({event["which"] for event in events}) == 24
    for worker in range(3):
        assert probe.tried(worker, 23 - worker, GATEWAY)[0] == {GATEWAY: (True, "+PONG")}
    for place in range(24):
        probe.say("close", place)
    events = [probe.events.get(timeout=60) for _ in range(24)]
    assert {(event["event"], event["err"]) for event in events} == {("closed", "")}


def test_no_worker_starts_in_a_place_that_is_gone(engine, reach_image, make_probe):
    probe = make_probe(engine).ready()
    probe.open(0)
    engine.call("POST", f"/containers/{place_containers(engine, probe)[0]['Id']}/kill")
    probe.expect("gone")
    probe.say("run", 1, 0, reach_image, "/reach", "sleep")
    assert "gone" in probe.expect("refused", 1)["err"]


def test_the_image_is_made_once_and_again_when_it_is_gone(engine, reach_image, make_probe):
    def pause_images():
        return [tag for image in engine.ask("/images/json") for tag in image["RepoTags"] or [] if "pause" in tag]
    for name in pause_images():
        engine.remove_image(name)
    probe = make_probe(engine).ready()
    for number in range(4):
        probe.say("open", number)
    got = {probe.events.get(timeout=30)["which"] for _ in range(4)}
    assert got == {0, 1, 2, 3}
    assert probe.log.count("makes the pause image") == 1
    [name] = pause_images()
    assert name.startswith("idm-gridcore/pause:")
    for number in range(4):
        probe.close(number)
    engine.remove_image(name)
    probe.open(0)
    assert pause_images() == [name]


def test_a_stranger_image_with_the_same_name_is_not_used(engine, reach_image, reach_program, make_probe):
    probe = make_probe(engine).ready()
    probe.open(0)
    name = place_containers(engine, probe)[0]["Image"]
    probe.close(0)
    probe.quit()
    engine.remove_image(name)
    engine.import_image(name, {"pause": reach_program})
    another = make_probe(engine).ready()
    another.open(0)
    seen, _ = another.tried(1, 0, GATEWAY)
    assert seen == {GATEWAY: (True, "+PONG")}


def test_two_agents_on_one_machine_keep_apart(engine, reach_image, make_probe):
    one, other = make_probe(engine).ready(), make_probe(engine).ready()
    one.open(0)
    other.open(0)
    for probe in (one, other):
        assert probe.tried(1, 0, GATEWAY)[0] == {GATEWAY: (True, "+PONG")}
    one.close(0)
    one.quit()
    assert other.tried(1, 0, GATEWAY)[0] == {GATEWAY: (True, "+PONG")}


def test_a_killed_agents_places_go_with_its_next_start(engine, reach_image, make_probe):
    probe = make_probe(engine).ready()
    probe.open(0)
    probe.run(1, 0, "sleep")
    folder = pathlib.Path(engine.inspect(place_containers(engine, probe)[0]["Id"])["Mounts"][0]["Source"])
    probe.kill()
    assert len(engine.containers(node=probe.node)) == 2 and folder.exists()
    again = make_probe(engine, node=probe.node).ready()
    assert engine.containers(node=probe.node) == []
    again.open(0)
    assert not folder.exists(), "an earlier run's directory was left"
    assert again.tried(1, 0, GATEWAY)[0] == {GATEWAY: (True, "+PONG")}


def test_an_agent_killed_at_any_moment_leaves_nothing_for_long(engine, reach_image, make_probe):
    probe = make_probe(engine).ready()
    for delay in (0.0, 0.02, 0.05, 0.1, 0.2, 0.3):
        probe.say("open", 0)
        time.sleep(delay)
        probe.kill()
        probe = make_probe(engine, node=probe.node).ready()
        wait_until(lambda: engine.containers(node=probe.node) == [], 10, "the orphans' removal")
    probe.open(0)


def test_the_engines_restart_loses_places_and_later_ones_work(own_engine, reach_program, make_probe):
    import_reach(own_engine, reach_program)
    probe = make_probe(own_engine).ready()
    probe.open(0)
    command = own_engine.kill_process(signal.SIGTERM)
    events = sorted(probe.events.get(timeout=30)["event"] for _ in range(2))
    assert events == ["gone", "lost"]
    probe.say("open", 1)
    assert probe.expect("gone", 1)["err"]
    own_engine.start_process(command)
    probe.expect("ready", timeout=60)
    probe.close(0)
    probe.close(1)
    probe.open(2)
    assert probe.tried(1, 2, GATEWAY)[0] == {GATEWAY: (True, "+PONG")}


def test_an_outbound_place_has_the_engines_network_and_the_gateway(engine, reach_image, make_probe, open_service):
    probe = make_probe(engine).ready()
    probe.open(0, "outbound")
    seen, interfaces = probe.tried(1, 0, GATEWAY, f"{engine.gateway}:{open_service}")
    assert seen == {GATEWAY: (True, "+PONG"), f"{engine.gateway}:{open_service}": (True, "host")}
    assert "eth0" in interfaces


def test_a_stranger_on_the_socket_is_dropped(engine, reach_image, make_probe, directory):
    """Also one that was there first, with a descriptor that is no listener."""
    probe = make_probe(engine, environment={"TMPDIR": str(directory)}).ready()
    stop = threading.Event()
    dropped = []

    def disturb():
        while not stop.is_set():
            for path in directory.glob("idm-*/*/s"):
                try:
                    with socket.socket(socket.AF_UNIX) as stranger:
                        stranger.settimeout(5)
                        stranger.connect(str(path))
                        socket.send_fds(stranger, [b"x"], [0])
                        dropped.append(stranger.recv(1) == b"")
                except OSError:
                    pass
    thread = threading.Thread(target=disturb, daemon=True)
    thread.start()
    try:
        probe.open(0)
    finally:
        stop.set()
        thread.join(10)
    assert any(dropped), "no stranger was heard"
    assert probe.tried(1, 0, GATEWAY)[0] == {GATEWAY: (True, "+PONG")}


def from_another_bridge(engine, address):
    """What a container on a network of its own hears at the address."""
    status, body = engine.call("POST", "/networks/create", {"Name": "idm-neighbour", "Driver": "bridge"})
    assert status == 201, body
    container = {"Image": REACH, "Entrypoint": ["/reach", "try", address],
                 "HostConfig": {"NetworkMode": "idm-neighbour"}}
    try:
        status, body = engine.call("POST", "/containers/create", container)
        assert status == 201, body
        identity = json.loads(body)["Id"]
        assert engine.call("POST", f"/containers/{identity}/start")[0] == 204
        engine.call("POST", f"/containers/{identity}/wait")
        log = engine.call("GET", f"/containers/{identity}/logs?stdout=1")[1]
        engine.call("DELETE", f"/containers/{identity}?force=1")
    finally:
        engine.call("DELETE", "/networks/idm-neighbour")
    return log[8:].split(b"\n")[0].decode()


def test_by_tcp_workers_find_the_gateway_on_their_ordinary_network(engine, reach_image, make_probe):
    probe = make_probe(engine, gateway="tcp").ready()
    address = probe.open(0)["address"]
    other = probe.open(1)["address"]
    assert address.split(":")[0] == other.split(":")[0] == engine.gateway and address != other
    assert place_containers(engine, probe) == []
    seen, interfaces = probe.tried(1, 0, address, other)
    assert seen == {address: (True, "+PONG"), other: (True, "+PONG")}
    assert "eth0" in interfaces
    # A neighbour on another bridge, which has a way to the address, is refused: it would hear "+PONG".
    assert from_another_bridge(engine, address) == f"{address} yes "
    probe.close(0)
    seen, _ = probe.tried(1, "-", address)
    assert seen == {address: (True, "")}


def hidden_folder(directory):
    """A directory that this process sees and the engine does not, as if the engine ran on another machine."""
    script = "mount -t tmpfs none \"$0\" && exec \"$@\""
    return ["unshare", "--mount", "sh", "-c", script, str(directory)]


def test_an_engine_that_cannot_reach_us_gets_tcp_where_the_owner_lets_it(engine, reach_image, make_probe, directory):
    folder = directory / "hidden"
    folder.mkdir()
    how = {"environment": {"TMPDIR": str(folder)}, "prefix": hidden_folder(folder)}
    strict = make_probe(engine, gateway="namespace", **how).ready()
    strict.say("open", 0)
    assert "bind source path does not exist" in strict.expect("gone")["err"]
    strict.close(0)

    probe = make_probe(engine, **how).ready()
    for place in (0, 1):
        address = probe.open(place)["address"]
        assert address.startswith(engine.gateway)
        assert probe.tried(1, place, address)[0] == {address: (True, "+PONG")}
        probe.close(place)
    assert len([line for line in probe.log.splitlines() if "gateway = \"tcp\"" in line]) == 1
    assert engine.containers(node=probe.node) == []
