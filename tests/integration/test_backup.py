"""Backup and restore of the hub's state, by the commands of docs/operations.md."""
import os
import re
import shutil
import subprocess
import threading
import time

import pytest
from documented import documented
from processes import wait_until

pytestmark = pytest.mark.skipif(not shutil.which("sqlite3"), reason="needs sqlite3")


def shell(name, state, **replaced):
    """Runs the page's commands as root would, in other places and without the service manager."""
    text = documented(name).replace("/var/lib/idm-gridcore", str(state)).replace("sudo ", "")
    text = re.sub(r"^systemctl .*$", "true", text, flags=re.MULTILINE)
    for here, there in replaced.items():
        assert here in text, (here, text)
        text = text.replace(here, str(there))
    subprocess.run(["bash", "-euc", text], check=True, timeout=60, capture_output=True)


class Load:
    """Registers tasks and nodes as fast as the hub answers, and keeps what was answered."""

    def __init__(self, hub):
        self.hub, self.tasks, self.nodes, self.errors, self.over = hub, [], [], [], False
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        number = 0
        try:
            while not self.over:
                self.tasks.append(self.hub.add(f"t{number}", env={"X": "y" * 2000})["name"])
                self.nodes.append(self.hub.register(hostname=f"n{number}")["node_id"])
                number += 1
        except Exception as error:  # pylint: disable=broad-except # told by the test
            self.errors.append(error)

    def end(self):
        self.over = True
        self.thread.join(20)
        assert not self.errors, self.errors


def test_a_backup_under_load_has_everything_that_was_answered_before(hub, make_hub, directory):
    load = Load(hub)
    wait_until(lambda: len(load.nodes) > 100, 60, "some load")
    tasks, nodes = list(load.tasks), list(load.nodes)
    backup = directory / "backup"
    shell("backup", hub.state_dir, **{"/var/backups/computehub": backup})
    time.sleep(0.3)
    load.end()
    assert len(load.tasks) > len(tasks)
    [file] = backup.iterdir()
    assert backup.stat().st_mode & 0o077 == 0

    restored = make_hub("restored")
    restored.state_dir.mkdir(mode=0o700)
    # What a hub that was killed leaves there must not be mixed with the backup.
    for name in ("computehub.db", "computehub.db-wal", "computehub.db-shm"):
        shutil.copy(hub.state_dir / name, restored.state_dir)
    shell("restore", restored.state_dir, **{"/var/backups/computehub/DATE.db": file, "-o computehub -g computehub ": ""})
    assert not (restored.state_dir / "computehub.db-wal").exists()
    restored.start()
    current, pending, completed = restored.queue()
    found = [current, *pending, *completed]
    assert found[:len(tasks)] == tasks and found == load.tasks[:len(found)]
    ids = {node["id"] for node in restored.nodes()}
    assert set(nodes) <= ids <= set(load.nodes)
    restored.next()
    assert restored.queue()[0] == "t1"


def test_a_node_that_is_newer_than_the_backup_registers_anew(hub, directory):
    """It keeps running, with another id; one that the backup knows keeps its own."""
    old = hub.register(hostname="old")["node_id"]
    shell("backup", hub.state_dir, **{"/var/backups/computehub": directory / "backup"})
    new = hub.register(hostname="new")["node_id"]
    hub.stop()
    [file] = (directory / "backup").iterdir()
    shell("restore", hub.state_dir, **{"/var/backups/computehub/DATE.db": file, "-o computehub -g computehub ": ""})
    hub.start()
    assert hub.beat(old).status == 200 and hub.beat(new).status == 404
    again = hub.register(new, hostname="new")["node_id"]
    assert again != new and hub.register(old, hostname="old")["node_id"] == old
    assert {node["id"] for node in hub.nodes()} == {old, again}


def test_a_copy_of_the_bare_file_is_not_a_backup(hub, directory):
    """Why the page says so: what was answered last is in the -wal file."""
    hub.add("only-in-the-wal")
    shutil.copy(hub.state_dir / "computehub.db", directory / "copy.db")
    out = subprocess.run(["sqlite3", directory / "copy.db", "SELECT name FROM tasks"], capture_output=True, text=True,
                         check=False).stdout
    assert "only-in-the-wal" not in out and os.path.getsize(hub.state_dir / "computehub.db-wal") > 0
