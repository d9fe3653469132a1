"""The units of deploy/systemd: what systemd says of them, and what becomes of our programs under a real systemd."""
import os
import re
import resource
import shutil
import socket
import subprocess

import pytest
from conftest import ROOT, free_port
from documented import documented
from hub_client import Hub
from node_fixtures import IMAGE, worker_image, worker_program  # noqa: F401
from processes import TOKEN, toml_text, wait_until
from systemd_machine import Machine, MachineUnavailable

UNITS = ("computehub.service", "gridnode.service")
EXPOSURE = {"computehub.service": 20, "gridnode.service": 35}  # tenths of the ten points of systemd-analyze
# Of a build with sanitizers: the leak check traces its own process, which the sandbox forbids.
SANITIZED = "[Service]\nEnvironment=ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=halt_on_error=1\n"


def analyze(build, unit, *command):
    if not shutil.which("systemd-analyze"):
        pytest.skip("needs systemd-analyze")
    return subprocess.run(["systemd-analyze", *command, build / "deploy" / "systemd" / unit], capture_output=True,
                          text=True, timeout=60, check=False)


@pytest.mark.parametrize("unit", UNITS)
def test_systemd_understands_every_line(build, unit):
    result = analyze(build, unit, "verify", "--man=no")
    said = [line for line in result.stderr.splitlines() if unit in line and "is not executable" not in line]
    assert not said, result.stderr


@pytest.mark.parametrize("unit", UNITS)
def test_the_sandbox_stays_tight(build, unit):
    result = analyze(build, unit, "security", "--offline=true", "--no-pager", f"--threshold={EXPOSURE[unit]}")
    assert result.returncode == 0, result.stdout[-3000:]


# ---- under a real systemd ----

@pytest.fixture(scope="module")
def machine(build, session_dir, engine):
    path = session_dir / "systemd"
    path.mkdir()
    try:
        machine = Machine(build, path, engine.socket)
    except MachineUnavailable as error:
        if os.environ.get("IDM_NEED_SYSTEMD"):
            pytest.fail(f"no systemd: {error}")
        pytest.skip(f"no systemd: {error}")
    for unit in UNITS:
        drop_in = machine.root / f"etc/systemd/system/{unit}.d"
        drop_in.mkdir()
        (drop_in / "sanitized.conf").write_text(SANITIZED)
    machine.run("bash", "-euc", documented("install"), check=True)
    yield machine
    machine.stop()


class MachinesHub(Hub):
    """The hub of that machine, which shares our network."""

    def __init__(self, machine, port):  # pylint: disable=super-init-not-called
        self.machine, self.port, self.tls = machine, port, None

    def answers(self):
        try:
            return self.get("/health").status == 200
        except OSError:
            return False


def write_config(machine, name, text, mode=0o600):
    path = machine.root / "etc/idm-gridcore" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.fixture
def hub(machine):
    """computehub.service, begun as by somebody who has used the hub without systemd before: a file for root alone."""
    port = free_port()
    write_config(machine, "computehub.toml", toml_text({"bind": f"127.0.0.1:{port}", "token": TOKEN}))
    machine.systemctl("start", "computehub", check=True)
    hub = MachinesHub(machine, port)

    machine.wait_for_state("computehub", "active/running")
    wait_until(hub.answers, 20, "the hub's health", pause=0.1)
    yield hub
    machine.systemctl("stop", "gridnode", "computehub")
    machine.systemctl("reset-failed")


def start_node(machine, hub, **config):
    path = write_config(machine, "gridnode.toml", "# mine\n" + toml_text(
        {"server_url": hub.url, "token": TOKEN, "docker_host": "unix:///srv/docker.sock", "heartbeat_interval": 1,
         "parallelism": 1, **config}))
    machine.systemctl("start", "gridnode", check=True)

    def saved():
        match = re.search(r'^node_id = "(.+)"$', path.read_text(), re.MULTILINE)
        return match and match.group(1)
    try:
        node_id = wait_until(saved, 20, "the saved id")
    except AssertionError as error:
        raise AssertionError(f"{error}\n{machine.journal('gridnode')}") from None
    return path, node_id


def test_it_takes_over_what_a_run_as_root_left(machine, hub):
    """Configuration and state, as the README's quick start makes them."""
    machine.systemctl("stop", "computehub", check=True)
    state, config = machine.root / "var/lib/idm-gridcore", machine.root / "etc/idm-gridcore/computehub.toml"
    shutil.rmtree(state)
    config.chmod(0o600)
    os.chown(config, 0, 0)
    machine.run("timeout", "-s", "INT", "3", "env", "ASAN_OPTIONS=detect_leaks=0", "/usr/local/bin/computehub", "-c",
                "/etc/idm-gridcore/computehub.toml")
    assert (state / "computehub.db").stat().st_uid == 0
    machine.systemctl("start", "computehub", check=True)
    machine.wait_for_state("computehub", "active/running")
    wait_until(hub.answers, 20, "the hub's health", pause=0.1)
    hub.add("writes")
    assert (state / "computehub.db").stat().st_uid != 0
    assert config.stat().st_uid == 0 and config.stat().st_mode & 0o777 == 0o640


@pytest.mark.docker
@pytest.mark.usefixtures("worker_image")
def test_containers_run_and_end_with_the_unit(machine, hub, engine, redis_server):
    _, node_id = start_node(machine, hub, parallelism=2, stop_timeout=5)
    hub.add("work", image=IMAGE, command=["/worker", "sleep"], input_redis=redis_server.url("host.docker.internal"))
    hub.add("more", image=IMAGE, command=["/worker", "sleep"], input_redis=redis_server.url("host.docker.internal"))
    while hub.queue()[0] != "more":
        hub.next()
    wait_until(lambda: len(engine.running_pids(node=node_id, task="more")) == 2, 40, "two containers")
    assert hub.node(node_id)["error"] is None
    machine.systemctl("stop", "gridnode", check=True)
    machine.wait_for_state("gridnode", "inactive/dead/success")
    assert not engine.containers(node=node_id)


@pytest.fixture
def process_drop_in(machine):
    path = machine.root / "etc/systemd/system/gridnode.service.d/process.conf"
    shutil.copy(ROOT / "deploy/systemd/gridnode-process.conf.example", path)
    machine.systemctl("daemon-reload", check=True)
    yield
    machine.systemctl("stop", "gridnode")
    path.unlink()
    machine.systemctl("daemon-reload", check=True)


@pytest.mark.usefixtures("process_drop_in")
def test_plain_processes_run_and_end_with_the_unit(machine, hub):
    """Killed, it finds its records again where the unit lets it write them."""
    _, node_id = start_node(machine, hub, parallelism=2, runtime="process", process_user="nobody")
    hub.add("asleep", image=None, command=["/bin/sleep", "1000"])
    while hub.queue()[0] != "asleep":
        hub.next()
    records = machine.root / f"var/lib/idm-gridnode/workers-{node_id}"

    def sleepers():
        pids = machine.run("pgrep", "-u", "nobody", "-x", "sleep").stdout.split()
        return pids if len(pids) == 2 and len(list(records.iterdir())) == 2 else None
    try:
        before = wait_until(sleepers, 20, "two workers", pause=0.3)
    except AssertionError as error:
        raise AssertionError(f"{error}: {hub.node(node_id)}\n{machine.journal('gridnode')}") from None
    machine.systemctl("kill", "-s", "KILL", "gridnode", check=True)
    try:
        wait_until(lambda: (lambda now: now and not set(now) & set(before))(sleepers()), 30, "two new workers", pause=0.3)
    except AssertionError as error:
        raise AssertionError(f"{error}: {hub.node(node_id)}\n{machine.journal('gridnode')}") from None
    assert "that an earlier run had left" in machine.journal("gridnode")
    machine.systemctl("stop", "gridnode", check=True)
    machine.wait_for_state("gridnode", "inactive/dead/success")
    assert not machine.run("pgrep", "-u", "nobody", "-x", "sleep").stdout and not list(records.iterdir())


def test_a_port_below_1024_needs_the_capability_that_the_page_names(machine):
    port = next(port for port in range(1023, 600, -1) if can_bind(port))
    write_config(machine, "computehub.toml", toml_text({"bind": f"127.0.0.1:{port}", "token": TOKEN}))
    machine.systemctl("start", "computehub")
    wait_until(lambda: "cannot listen on" in machine.journal("computehub", "-p", "err"), 20, "the refusal")
    machine.systemctl("stop", "computehub", check=True)
    drop_in = machine.root / "etc/systemd/system/computehub.service.d/port.conf"
    drop_in.write_text("[Service]\nAmbientCapabilities=CAP_NET_BIND_SERVICE\nCapabilityBoundingSet=CAP_NET_BIND_SERVICE\n")
    try:
        machine.systemctl("daemon-reload", check=True)
        machine.systemctl("start", "computehub", check=True)
        wait_until(MachinesHub(machine, port).answers, 20, "the hub's health", pause=0.1)
        machine.systemctl("stop", "computehub", check=True)
    finally:
        drop_in.unlink()
        machine.systemctl("daemon-reload", check=True)


def can_bind(port):
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def test_a_reload_keeps_the_hub_running(machine, hub, computehub):
    if "tls_cert" not in subprocess.run([computehub, "--help"], capture_output=True, text=True, check=True).stdout:
        pytest.skip("this hub has no certificates to read anew")
    before = machine.show("computehub", "MainPID")
    machine.systemctl("reload", "computehub", check=True)
    assert hub.answers() and machine.show("computehub", "MainPID") == before


def test_the_hub_has_a_user_without_privileges_and_many_descriptors(machine, hub):
    pid = machine.show("computehub", "MainPID")
    status = machine.run("cat", f"/proc/{pid}/status", check=True).stdout
    assert re.search(r"^CapBnd:\s*0+$", status, re.MULTILINE) and not re.search(r"^Uid:\s*0\s", status, re.MULTILINE)
    limits = machine.run("cat", f"/proc/{pid}/limits", check=True).stdout
    # A machine that allows less gives what it has.
    allowed = min(65536, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    assert int(re.search(r"^Max open files\s+(\d+)", limits, re.MULTILINE).group(1)) >= allowed > 1024
    hub.add("kept")
    state = machine.root / "var/lib/idm-gridcore"
    assert (state / "computehub.db").exists() and state.stat().st_mode & 0o777 == 0o700


def test_the_journal_knows_priorities(machine, hub):
    assert "listening on" in machine.journal("computehub", "-p", "info")
    assert "listening on" not in machine.journal("computehub", "-p", "warning")
    assert "<6>" not in machine.journal("computehub")


def test_a_node_saves_its_id_reaches_docker_and_a_remote_stop_stays_stopped(machine, hub):
    path, node_id = start_node(machine, hub)
    assert path.read_text().startswith("# mine\n") and path.stat().st_mode & 0o777 == 0o600
    entry = wait_until(lambda: (lambda n: n and n["runtime_status"] and n)(hub.node(node_id)), 20, "its heartbeat")
    assert entry["status"] == "Online" and entry["runtime_status"] == "Idle" and entry["error"] is None, entry
    hub.stop_node(node_id)
    machine.wait_for_state("gridnode", "inactive/dead/success")
    with pytest.raises(AssertionError):
        machine.wait_for_state("gridnode", "activ", timeout=8)  # RestartSec is 5 s
    assert machine.show("gridnode", "NRestarts") == "0"


def test_the_node_sees_little_and_writes_nothing_else(machine, hub):
    start_node(machine, hub)
    pid = machine.show("gridnode", "MainPID")
    inside = ["nsenter", "-t", pid, "-m"]
    for place in ("/usr/local/bin/x", "/etc/passwd", "/var/lib/x", "/root/x"):
        assert "Read-only" in machine.run(*inside, "touch", place).stderr, place
    machine.run(*inside, "touch", "/etc/idm-gridcore/probe", check=True)
    machine.run("rm", "/etc/idm-gridcore/probe", check=True)
    # Where the engine is to see what is mounted into containers; it has no part in a private /tmp.
    assert "RUNTIME_DIRECTORY=/run/idm-gridnode\0" in machine.run("cat", f"/proc/{pid}/environ").stdout
    assert machine.run("stat", "-c", "%a", "/run/idm-gridnode").stdout.strip() == "700"


@pytest.mark.parametrize("unit", UNITS)
def test_kill_9_is_restarted(machine, hub, unit):
    _, node_id = start_node(machine, hub)
    hub.add(f"before-{unit}")
    before = machine.show(unit, "MainPID")
    machine.systemctl("kill", "-s", "KILL", unit, check=True)
    wait_until(lambda: machine.show(unit, "MainPID") not in ("0", before), 20, "a restart")
    machine.wait_for_state(unit, "active/running")

    def as_before():
        try:
            return hub.node(node_id)["status"] == "Online" and f"before-{unit}" in str(hub.queue())
        except OSError:
            return False
    wait_until(as_before, 20, "everything as before")


@pytest.mark.parametrize("unit, name", [("computehub", "computehub.toml"), ("gridnode", "gridnode.toml")])
def test_a_wrong_configuration_is_not_tried_again(machine, unit, name):
    path = write_config(machine, name, "colour = 1\n", 0o644)
    machine.systemctl("start", unit)
    machine.wait_for_state(unit, "failed/failed/exit-code")
    with pytest.raises(AssertionError):
        machine.wait_for_state(unit, "activ", timeout=8)
    assert machine.show(unit, "ExecMainStatus") == "78" and machine.show(unit, "NRestarts") == "0"
    assert "unknown key" in machine.journal(unit, "-p", "err")
    machine.systemctl("reset-failed")
    path.unlink()


def test_a_backup_is_restored_as_the_page_says(machine, hub):
    if not shutil.which("sqlite3"):
        pytest.skip("needs sqlite3")
    hub.add("restored")
    machine.run("bash", "-euc", documented("backup"), check=True)
    hub.add("later")
    machine.systemctl("kill", "-s", "KILL", "computehub", check=True)
    [file] = machine.run("ls", "/var/backups/computehub", check=True).stdout.split()
    machine.run("bash", "-euc", documented("restore").replace("DATE.db", file), check=True)
    machine.wait_for_state("computehub", "active/running")

    def names():
        try:
            return str(hub.queue())
        except OSError:
            return ""
    wait_until(names, 20, "the hub's return")
    assert "restored" in names() and "later" not in names()


def test_the_journal_is_bounded_as_the_page_says(machine):
    machine.run("bash", "-euc", documented("journal"), check=True)
    assert "take up" in machine.run("journalctl", "--disk-usage", check=True).stdout
    assert "SystemMaxUse=500M" in machine.run("systemd-analyze", "cat-config", "systemd/journald.conf", check=True).stdout
