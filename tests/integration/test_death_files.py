"""Files die: cut in half, overwritten with nonsense, or on a disk that is full. Each is said in words, and nothing is made
worse."""
import os
import pathlib
import subprocess

import pytest
from node_fixtures import Node
from processes import TOKEN, run, toml_text, wait_until


@pytest.fixture
def small_disk(directory):
    """A file system of 64 KiB."""
    path = directory / "small"
    path.mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", path], capture_output=True,
                                      check=False).returncode:
        pytest.skip("cannot mount a small file system (needs root)")
    yield path
    subprocess.run(["umount", "-l", path], check=True)


def fill(directory):
    filler = directory / "filler"
    with open(filler, "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass
    return filler


@pytest.fixture
def small_node(hub, gridnode, small_disk, directory):
    """A node whose configuration lies on the small disk, its log elsewhere."""
    node = Node(gridnode, small_disk, server_url=hub.url, token=TOKEN, docker_host=f"unix://{directory}/none.sock",
                heartbeat_interval=1)
    node.write_config()
    node.log_path = directory / "gridnode.log"
    yield node
    node.kill()


def test_a_node_whose_id_cannot_be_saved_says_so_and_works(hub, small_node, small_disk):
    """The configuration stays as it was, to the byte; with room again the next registration saves the id."""
    node = small_node
    filler = fill(small_disk)
    text = node.config_path.read_bytes()
    node.start()
    node.daemon.wait_for_log(r"warn .*the id could not be saved: cannot write \S*gridnode.toml: No space left")
    wait_until(lambda: hub.nodes() and hub.nodes()[0]["status"] == "Online", 10, "the node works")
    assert node.config_path.read_bytes() == text
    assert sorted(path.name for path in small_disk.iterdir()) == ["filler", "gridnode.toml"]  # no half of a file
    node.stop()
    filler.unlink()
    node.start()
    node_id = node.wait_for_id()
    assert node_id in [entry["id"] for entry in hub.nodes()]
    node.stop()


def cuts(text):
    """Places in the middle of a key, a string and a line; a file cut between two lines may be whole."""
    return [text.index(b"bind") + 2, text.index(b"integration-test") + 5, len(text) - 3]


def test_a_hubs_configuration_cut_in_half_is_refused(hub):
    hub.stop()
    whole = toml_text(hub.config).encode()
    for end in cuts(whole):
        hub.config_path.write_bytes(whole[:end])
        code, _, err = run(hub.program, ["-c", hub.config_path])
        assert code == 78 and str(hub.config_path) in err and "integration" not in err, (whole[:end], err)
        assert hub.config_path.read_bytes() == whole[:end]
    hub.config_path.write_bytes(b"")
    code, _, err = run(hub.program, ["-c", hub.config_path])
    assert code == 78 and "token" in err


def test_a_configuration_of_nonsense_is_refused(hub, computehub, gridnode, directory):
    for program in (computehub, gridnode):
        path = directory / f"{pathlib.Path(program).name}.toml"
        for content in (b"\0" * 4096, bytes(range(256)), b"\x7fELF" + b"\xff" * 100):
            path.write_bytes(content)
            code, _, err = run(program, ["-c", path])
            assert code == 78 and str(path) in err, err
            assert path.read_bytes() == content


def database(hub):
    return hub.state_dir / "computehub.db"


def fill_state(hub):
    """A database of many pages, all of them in the file itself."""
    for i in range(200):
        hub.add(f"task-{i}", env={"X": "y" * 1000})
    hub.stop()
    assert database(hub).stat().st_size > 100000


def refused(hub, text=None):
    code, _, err = run(hub.program, ["-c", hub.config_path])
    assert code == 1 and str(hub.state_dir) in err, (code, err)
    assert text is None or text in err, err


def test_a_state_that_is_damaged_is_refused_and_left_alone(hub):
    """Whoever is to repair it, or to restore a copy, finds it as it was."""
    fill_state(hub)
    whole = database(hub).read_bytes()
    damages = {
        "cut in half": whole[:len(whole) // 2 // 4096 * 4096],
        "cut in a page": whole[:len(whole) // 2 + 1000],
        "overwritten in the middle": whole[:20 * 4096] + os.urandom(20 * 4096) + whole[40 * 4096:],
        "without its beginning": b"\0" * 4096 + whole[4096:],
        "not a database": b"not a database at all " * 1000,
    }
    for name, content in damages.items():
        database(hub).write_bytes(content)
        refused(hub)
        assert database(hub).read_bytes() == content, name
    database(hub).write_bytes(whole)
    hub.start()
    assert len(hub.queue()[1]) == 199


def test_a_torn_end_of_the_log_loses_nothing_that_came_before(hub):
    """As a power cut leaves it: the last transaction is torn, the ones before it count."""
    for i in range(20):
        hub.add(f"task-{i}")
    hub.kill()
    log = hub.state_dir / "computehub.db-wal"
    torn = log.read_bytes()
    assert len(torn) > 30000
    log.write_bytes(torn[:-100] + os.urandom(100))
    hub.start()
    assert hub.queue()[1] == [f"task-{i}" for i in range(1, 19)]
    hub.kill()
    log.write_bytes(log.read_bytes() + os.urandom(5000))
    hub.start()
    assert hub.queue()[1] == [f"task-{i}" for i in range(1, 19)]
