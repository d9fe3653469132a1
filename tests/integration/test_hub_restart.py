"""What the hub answered outlives it: kill -9 and a restart keep tasks, their order, nodes and stop flags."""
import os
import signal
import sqlite3
import subprocess
import threading
import time

import pytest

from hub_client import expect
from processes import Daemon, run, toml_text


def test_kill_and_restart_keep_everything(hub):
    for name in "edcba":
        hub.add(name, input_redis="redis://:hunter2@h:6379", env={"A": "1"}, memory_mb=64)
    hub.next()
    hub.next()
    one = hub.register(hostname="one", run="r1")["node_id"]
    two = hub.register(hostname="two", architecture="aarch64", run="r2")["node_id"]
    hub.stop_node(one)
    tasks, version = hub.tasks(), hub.version()
    nodes = hub.nodes()
    hub.kill()
    hub.start()
    assert hub.tasks() == tasks and hub.version() == version
    after = hub.nodes()
    assert [node["id"] for node in after] == [one, two]
    for before, now in zip(nodes, after):
        for field in ("hostname", "architecture", "cpu_count", "stop_requested", "status", "last_seen"):
            assert now[field] == before[field]
    assert hub.beat(one).json["stop_requested"] and not hub.beat(two).json["stop_requested"]
    assert hub.next() == {"previous": "c", "current": "b"}


def test_what_was_answered_survives_a_kill_at_any_moment(hub):
    """Kills the hub in the middle of many registrations: each that was answered is there, in order."""
    for round_number in range(5):
        answered = []

        def register():
            try:
                connection = hub.connect()
                for i in range(10000):
                    name = f"r{round_number}-{i}"
                    connection.request("POST", "/api/tasks", f'{{"name": "{name}", "image": "i"}}', hub.headers())
                    response = connection.getresponse()
                    response.read()
                    assert response.status == 201
                    answered.append(name)
            except (OSError, ValueError, Exception):  # the hub died: whatever http.client makes of it
                pass
        thread = threading.Thread(target=register)
        thread.start()
        time.sleep(0.15 + 0.05 * round_number)
        hub.kill()
        thread.join(10)
        assert answered
        hub.start()
        current, pending, _ = hub.queue()
        names = [name for name in [current, *pending] if name.startswith(f"r{round_number}-")]
        assert names[:len(answered)] == answered
        assert len(names) <= len(answered) + 1  # one may have been written but not answered


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_it_in_order(hub, number):
    hub.add("a")
    hub.stop(number=number)
    assert hub.daemon.process.returncode == 0
    hub.start()
    assert hub.queue() == ("a", [], [])


def test_a_second_hub_on_the_same_state_is_refused(hub, make_hub, computehub):
    config = dict(hub.config, bind="127.0.0.1:0")
    path = hub.directory / "second.toml"
    path.write_text(toml_text(config))
    code, _, err = run(computehub, ["-c", path])
    assert code == 1 and "another computehub" in err and str(hub.state_dir) in err
    expect(hub.get("/health"), 200)


def test_a_port_in_use_is_told(hub, make_hub):
    other = make_hub("other")
    other.config["bind"] = hub.config["bind"]
    other.config_path.write_text(toml_text(other.config))
    code, _, err = run(other.program, ["-c", other.config_path])
    assert code == 1 and f"cannot listen on {hub.config['bind']}" in err and "in use" in err


def test_a_newer_state_is_refused(hub):
    hub.add("a")
    hub.stop()
    with sqlite3.connect(hub.state_dir / "computehub.db") as db:
        db.execute("PRAGMA user_version = 1000")
    code, _, err = run(hub.program, ["-c", hub.config_path])
    assert code == 1 and "newer computehub" in err


def test_a_damaged_state_is_told(hub):
    hub.add("a")
    hub.stop()
    with sqlite3.connect(hub.state_dir / "computehub.db") as db:
        db.execute("UPDATE tasks SET spec = '{\"name\": '")
    code, _, err = run(hub.program, ["-c", hub.config_path])
    assert code == 1 and "damaged" in err and str(hub.state_dir) in err
    (hub.state_dir / "computehub.db").write_bytes(b"not a database at all" * 100)
    code, _, err = run(hub.program, ["-c", hub.config_path])
    assert code == 1 and "computehub.db" in err


def test_the_state_is_for_its_owner_alone(hub):
    hub.add("a", input_redis="redis://:hunter2@h")
    for root, directories, files in os.walk(hub.state_dir):
        for name in [*directories, *files, "."]:
            assert os.stat(os.path.join(root, name)).st_mode & 0o077 == 0


def test_a_full_disk_refuses_and_changes_nothing(make_hub, directory):
    """A state on a file system that is full: calls are refused in words, and go on when there is room again."""
    small = directory / "small"
    small.mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", small],
                                      capture_output=True, check=False).returncode:
        pytest.skip("cannot mount a small file system (needs root)")
    try:
        hub = make_hub()
        hub.start(state_dir=str(small / "state"))
        hub.add("a")
        filler = small / "filler"
        with open(filler, "wb", buffering=0) as file, pytest.raises(OSError):
            while True:
                file.write(b"x" * 4096)
        refused = None
        for i in range(200):  # what SQLite has reserved already may still take a few
            answer = hub.post("/api/tasks", {"name": f"t{i}", "image": "i", "env": {"X": "y" * 4000}})
            if answer.status != 201:
                refused = answer
                break
        expect(refused, 503, "state_unavailable")
        before = hub.tasks()
        expect(hub.post("/api/tasks", {"name": "late", "image": "i", "env": {"X": "y" * 40000}}), 503)
        assert hub.tasks() == before
        expect(hub.get("/health"), 200)
        filler.unlink()
        hub.add("after")
        assert hub.tasks()["pending"][-1] == "after"
        hub.stop()
    finally:
        subprocess.run(["umount", small], check=False)


def test_an_unwritable_place_is_told(make_hub, computehub):
    hub = make_hub()
    (hub.directory / "file").write_text("")
    hub.config["state_dir"] = str(hub.directory / "file" / "state")
    hub.config_path.write_text(toml_text(hub.config))
    code, _, err = run(computehub, ["-c", hub.config_path])
    assert code == 1 and "state" in err


def test_it_can_end_while_it_starts(make_hub):
    """A signal right after the start: in order or by the signal itself, never hanging."""
    hub = make_hub()
    for delay in (0, 0.005, 0.02, 0.05, 0.1):
        hub.config_path.write_text(toml_text(hub.config))
        daemon = Daemon(hub.program, ["-c", hub.config_path], hub.log_path)
        time.sleep(delay)
        daemon.send(signal.SIGTERM)
        assert daemon.wait(10) in (0, -signal.SIGTERM)
