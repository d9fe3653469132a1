"""`gridctl up` and `gridctl down`: a whole system on one machine, which survives its terminal, is repaired by a second `up`, and is
ended in order by `down`, that and nobody else."""
import fcntl
import os
import pty
import re
import signal
import socket
import stat
import subprocess
import time

import pytest
from conftest import ROOT, free_port
from processes import Daemon, daemon_environment, wait_until
from up_fixtures import alive, gridctl, local  # noqa: F401


def port_of(text):
    return int(re.search(r"hub http://[\d.]+:(\d+)", text).group(1))


def up(local, *arguments, **more):
    """On a port of its own: others may want 8080."""
    return local.type("up", "--port", str(free_port()), *arguments, **more)


def names(local):
    return sorted(local.pids())


def test_up_starts_everything_and_says_what_to_do_next(local):
    said = up(local)
    assert re.search(r"up: hub http://127\.0\.0\.1:\d+, 1 node \(plain processes, \d+ CPUs?\)", said), said
    assert "try: seq 10 | gridctl run -- awk" in said and "gridctl down" in said and str(local.place) in said
    assert "no containers here: no container engine at /nonexistent/docker.sock" in said
    assert names(local) == ["hub", "node-1", "redis"] and all(map(alive, local.pids().values()))
    (node,) = local.ask("nodes")  # gridctl finds hub and token by itself
    assert node["status"] == "Online" and node["runtime"] == "process"


def test_all_of_it_is_private(local):
    up(local)
    assert stat.S_IMODE(local.place.stat().st_mode) == 0o700
    for path in local.place.rglob("*"):
        if path.suffix in (".toml", ".conf", ".sock", ".log"):
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    tokens = dict(re.findall(r'^(\w+_token) = "([^"]+)"$', (local.place / "computehub.toml").read_text(), re.M))
    assert len(set(tokens.values())) == 3 and all(len(token) >= 40 for token in tokens.values())
    for token in tokens.values():
        assert token not in local.logs()
    pid = local.pids()["redis"]
    inodes = {os.readlink(f"/proc/{pid}/fd/{fd}")[8:-1] for fd in os.listdir(f"/proc/{pid}/fd")
              if os.readlink(f"/proc/{pid}/fd/{fd}").startswith("socket:")}
    for table in ("tcp", "tcp6"):  # Redis listens at its socket in the private folder, and nowhere else
        with open(f"/proc/{pid}/net/{table}", encoding="ascii") as rows:
            assert not [row for row in rows if row.split()[9] in inodes]


def test_up_twice_says_that_it_is_up(local):
    up(local)
    before = local.pids()
    said = local.type("up")
    assert "is up already: hub http://" in said and "1 node;" in said
    assert local.pids() == before
    assert "it is up with 1 node: first `gridctl down`" in local.type("up", "--nodes", "2", expect=1)
    assert "listens on 127.0.0.1:" in local.type("up", "--port", "1", expect=1)
    assert local.pids() == before


def test_down_ends_all_and_keeps_the_data(local):
    up(local)
    before = local.pids()
    (node,) = local.ask("nodes")
    token = re.search(r'^admin_token = "(.+)"$', (local.place / "computehub.toml").read_text(), re.M).group(1)
    said = local.type("down")
    assert "down: 1 node, the hub and Redis have ended" in said and "--purge" in said
    assert not any(map(alive, before.values())) and names(local) == []
    assert "nothing is up" in local.type("down")
    said = local.type("up")  # where it was, with whom it was
    (again,) = local.ask("nodes")
    assert again["id"] == node["id"] and token in (local.place / "computehub.toml").read_text()
    logs = (local.place / "logs")
    assert (logs / "hub.log.1").exists() and (logs / "hub.log").exists()


def test_down_with_purge_leaves_nothing_but_what_others_put_there(local):
    up(local)
    (local.place / "mine.txt").write_text("of the person\n")
    local.type("down", "--purge")
    assert [path.name for path in local.place.iterdir()] == ["mine.txt"]
    (local.place / "mine.txt").unlink()
    up(local)
    assert "removed" in local.type("down", "--purge") and not local.place.exists()
    assert not (local.place.parent / "current").exists() and not (local.place.parent / "current").is_symlink()
    assert "nothing is up" in local.type("down")


@pytest.mark.parametrize("victim", ["redis", "hub", "node-1"])
def test_what_died_is_started_again_by_up_and_the_rest_stays(local, victim):
    up(local)
    before = local.pids()
    local.kill(victim)
    said = local.type("up")
    assert f"{victim} had died; starting it again" in said
    after = local.pids()
    assert {name for name in before if before[name] != after[name]} == {victim}
    wait_until(lambda: local.ask("nodes")[0]["status"] == "Online", 30, "the node")


def test_down_after_a_crash_of_all(local):
    up(local)
    for name in names(local):
        local.kill(name)
    assert "of its programs 3 had died before" in local.type("down")
    assert names(local) == []


def test_down_never_ends_a_stranger_with_the_same_number(local):
    up(local)
    local.kill("hub")
    stranger = subprocess.Popen(["sleep", "600"])
    try:
        record = local.place / "run" / "hub"
        _, start, boot = record.read_text().split()
        record.write_text(f"{stranger.pid} {start} {boot}\n")
        local.seen.pop(stranger.pid, None)
        local.type("down")
        assert stranger.poll() is None
        local.seen.pop(stranger.pid, None)
    finally:
        stranger.kill()
        stranger.wait(10)


def test_two_nodes_have_disjoint_cpus_and_names_of_their_own(local):
    cpus = sorted(os.sched_getaffinity(0))
    said = up(local, "--nodes", "2")
    assert "2 nodes" in said and "each" in said
    pids = local.pids()
    shares = [os.sched_getaffinity(pids[f"node-{i}"]) for i in (1, 2)]
    if len(cpus) > 1:
        assert not shares[0] & shares[1] and shares[0] | shares[1] == set(cpus)
    else:
        assert shares[0] == shares[1] == set(cpus)
    hosts = sorted(node["hostname"] for node in local.ask("nodes"))
    assert hosts == [f"{socket.gethostname().split('.')[0]}-{i}" for i in (1, 2)]
    assert "down: 2 nodes" in local.type("down")


def test_it_outlives_its_terminal(local):
    port = free_port()
    child, terminal = pty.fork()
    if child == 0:
        os.execve(local.gridctl, ["gridctl", "up", "--port", str(port)], daemon_environment({**local.environment, "ASAN_OPTIONS": "detect_leaks=0"}))  # a hangup in its midst hangs it
    said = b""
    try:
        while b"end it with" not in said:
            said += os.read(terminal, 4096)
    finally:
        os.close(terminal)  # everything in its session gets SIGHUP
    os.waitpid(child, 0)
    time.sleep(0.5)
    pids = local.pids()
    assert len(pids) == 3 and all(map(alive, pids.values()))
    assert all(os.getsid(pid) == pid for pid in pids.values())
    assert local.ask("nodes")[0]["status"] == "Online"


def test_a_port_that_is_taken_is_told_and_nothing_stays(local):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        said = local.type("up", "--port", str(taken.getsockname()[1]), expect=1)
    assert "hub ended at once" in said and "in use" in said
    assert names(local) == [] and not any(map(alive, local.seen))
    assert not (local.place.parent / "current").is_symlink()


def test_without_redis_the_package_is_named(local, directory):
    said = local.type("up", expect=1, PATH=str(directory))
    assert "redis-server is not installed: apt install redis-server" in said
    assert names(local) == []


def test_a_directory_of_something_else_is_left_alone(local, directory):
    other = directory / "other"
    other.mkdir(mode=0o755)
    (other / "thesis.tex").write_text("…")
    said = local.type("up", "--directory", str(other), expect=77)
    assert "holds something else" in said
    assert [path.name for path in other.iterdir()] == ["thesis.tex"] and stat.S_IMODE(other.stat().st_mode) == 0o755
    assert "there is no system" in local.type("down", "--purge", "--directory", str(other), expect=1)
    assert (other / "thesis.tex").exists()


def test_a_path_too_long_for_a_socket_is_told(local, directory):
    said = local.type("up", "--directory", str(directory / ("x" * 100)), expect=1)
    assert "too long for Redis' socket" in said and "--directory" in said


def test_another_directory_is_the_present_one_as_long_as_it_is_up(local, directory):
    local.place = directory / "elsewhere"
    up(local, "--directory", str(local.place))
    assert local.ask("nodes")[0]["status"] == "Online"
    assert "is up already" in local.type("up")
    assert str(local.place) in local.type("down")
    assert names(local) == []


def test_a_persons_own_settings_stay(local):
    up(local)
    local.type("down")
    config = local.place / "node-1.toml"
    config.write_text("container_memory = 77 # mine\n" + config.read_text())
    port = free_port()
    said = local.type("up", "--port", str(port))
    assert port_of(said) == port and f'server_url = "http://127.0.0.1:{port}"' in config.read_text()
    assert "container_memory = 77 # mine\n" in config.read_text()
    assert port_of(local.type("up")) == port


def test_gridctls_own_token_is_not_the_systems(local):
    """$IDM_GRIDCORE_TOKEN of the person who types means another hub; the daemons would take it for theirs."""
    up(local, IDM_GRIDCORE_TOKEN="integration-test-token-of-another-hub")
    assert local.ask("nodes")[0]["status"] == "Online"
    for pid in local.pids().values():
        with open(f"/proc/{pid}/environ", "rb") as environment:
            assert b"IDM_GRIDCORE_TOKEN" not in environment.read()


def foreground(local, directory):
    daemon = Daemon(local.gridctl, ["up", "--foreground", "--port", str(free_port())], directory / "log", local.environment)
    daemon.wait_for_log("end it with", 60)
    return daemon


def test_in_the_foreground_it_ends_with_its_supervisors_signal(local, directory):
    daemon = foreground(local, directory)
    pids = local.pids()
    assert len(pids) == 3 and all(map(alive, pids.values()))
    assert re.search(r"computehub|listening on", daemon.log) and "registered at" in daemon.log  # their logs are its own
    daemon.stop(signal.SIGTERM)
    assert not any(map(alive, pids.values())) and names(local) == []


def test_in_the_foreground_one_death_ends_all(local, directory):
    daemon = foreground(local, directory)
    pids = local.pids()
    local.kill("hub")
    assert daemon.wait(90) == 1 and "hub has ended; ending the rest" in daemon.log
    assert not any(map(alive, pids.values()))


def test_in_the_foreground_down_from_elsewhere_is_an_end_in_order(local, directory):
    daemon = foreground(local, directory)
    assert "down: 1 node" in local.type("down")
    assert daemon.wait(60) == 0 and "has ended" not in daemon.log


@pytest.mark.docker
def test_where_there_is_an_engine_the_node_runs_containers(local, engine):
    local.environment["DOCKER_HOST"] = engine.url
    said = up(local)
    assert "(containers, " in said and "try: seq 10 | gridctl run --image busybox -- awk" in said
    (node,) = local.ask("nodes")
    assert node["runtime"] == "docker"
    said = local.type("down")
    assert not engine.containers(node=node["id"])


def test_the_messages_that_troubleshooting_names_are_said(local, directory):
    """Those of `gridctl up`, in both languages; each is provoked by a test above too."""
    for page in ("TROUBLESHOOTING.md", "TROUBLESHOOTING.zh-CN.md"):
        text = (ROOT / page).read_text().partition("## `gridctl up`")[2].partition("\n## ")[0]
        assert len(re.findall(r"^\| `", text, re.M)) == 5
        for message in ("no containers here: …", "… ended at once; its log is in …", "… had died; starting it again",
                        "the path … is too long for Redis' socket in it …",
                        "another gridctl is starting or ending the system in …"):
            assert f"| `{message}` |" in text, (page, message)
    up(local)
    with open(local.place / ".gridctl-up", "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert f"another gridctl is starting or ending the system in {local.place}" in local.type("down", expect=1)
    assert len(names(local)) == 3


def test_it_computes(local):
    """The one line that `up` tells to try: items through the hub, its Redis at the socket, and two nodes."""
    said = up(local, "--nodes", "2")
    line = re.search(r"try: (seq 10 \| gridctl run -- .*)", said).group(1)
    result = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60, check=False,
                            env=daemon_environment({**local.environment, "PATH": f"{local.gridctl.parent}:{os.environ['PATH']}"}))
    assert result.returncode == 0, result.stderr
    assert sorted(map(int, result.stdout.split())) == [n * n for n in range(1, 11)]


def test_no_task_may_name_a_socket(hub):
    """The hub's own configuration alone may."""
    for field in ("input_redis", "output_redis"):
        fields = {"input_redis": "redis://127.0.0.1:1", field: "unix:///run/redis.sock"}
        answer = hub.post("/api/tasks", {"name": "t", "image": "i", "input_queue": "a", "output_queue": "b", **fields})
        assert answer.status == 400 and field in answer.json["error"]["message"], answer
