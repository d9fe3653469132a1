"""bench/run at its smallest: it works, prints its tables, and leaves nothing behind. What it measures is looked at by
people."""
import os
import pathlib
import signal
import subprocess
import tempfile

import pytest

from processes import wait_until

RUN = pathlib.Path(__file__).resolve().parents[2] / "bench" / "run"

LOAD = pathlib.Path(os.environ.get("IDM_BUILD", "")).resolve() / "bench" / "load"

pytestmark = [pytest.mark.once, pytest.mark.skipif(not LOAD.exists(), reason="this build is without -Dbench=true")]


def hear_ctrl_c():
    """A shell's background jobs ignore it, and so would what they start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def start(directory, build):
    """Starts it with a directory for temporary files that shows what is left."""
    temporary = pathlib.Path(tempfile.mkdtemp(dir=directory))
    for path in (temporary, *list(temporary.parents)[:2]):
        path.chmod(0o711)  # workers of another user are below
    begun = []

    def start(*parts, **environment):
        begun.append(subprocess.Popen([RUN, "--small", *parts], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                      preexec_fn=hear_ctrl_c,
                                      env={**os.environ, "IDM_BUILD": str(build), "TMPDIR": str(temporary), **environment}))
        return begun[-1]
    start.temporary = temporary
    yield start
    for process in begun:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=60)
    assert not processes_of(temporary), "it left processes behind"
    assert not list(temporary.iterdir()), "it left files behind"


def processes_of(temporary):
    """Processes that were started there: its daemons' configuration and its own environment name the directory."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if str(temporary).encode() in (path / "environ").read_bytes() + (path / "cmdline").read_bytes():
                found.append(int(path.name))
        except (OSError, ProcessLookupError):
            pass
    return found


def rows_of(text):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]


def test_heartbeats_and_a_crowd_are_measured(start):
    process = start("heartbeats", "crowd", "libraries")
    text, errors = process.communicate(timeout=100)
    assert process.returncode == 0, errors
    rows = rows_of(text)
    assert [row[1] for row in rows if row[0] == "8"] == ["computehub", "bare libmicrohttpd", "computehub / bare"]
    crowd = next(row for row in rows if row[0] == "200")
    assert crowd[1] == "plain" and int(crowd[4].split(" / ")[1].replace(",", "")) > 1000
    assert any(row[0].startswith("libcurl") and row[1] == "one HTTPS call" for row in rows)


@pytest.mark.docker
def test_containers_and_the_agent_are_measured(start, engine):
    process = start("agent", "containers", DOCKER_HOST=engine.url)
    text, errors = process.communicate(timeout=110)
    assert process.returncode == 0, errors
    rows = rows_of(text)
    assert ["start 2", "stop 2"] == [row[0] for row in rows if row[0].endswith(" 2")]
    assert any(row[:2] == ["containers", "2"] and float(row[3]) > 1 for row in rows)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to run workers as another user")
def test_leased_delivery_is_measured_beside_direct(start):
    process = start("leases")
    text, errors = process.communicate(timeout=110)
    assert process.returncode == 0, errors
    rows = rows_of(text)
    assert [row[:2] for row in rows if row[0] in ("C", "Python") and row[1] in "12"] == [["C", "2"], ["Python", "2"], ["C", "1"], ["Python", "1"]]
    assert [row[:2] for row in rows if row[1] in ("direct", "leased")] == [
        ["C", "direct"], ["C", "leased"], ["Python", "direct"], ["Python", "leased"]]
    assert [row[0] for row in rows[-2:]] == ["waits already", "has to be started"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to run workers as another user")
def test_commands_are_measured_beside_what_people_have(start):
    process = start("commands")
    text, errors = process.communicate(timeout=110)
    assert process.returncode == 0, errors
    assert [row[0] for row in rows_of(text)[2:] if row[0] != "---"] == [
        "gridctl run", "xargs -n1 -P2", "parallel -j2", "a thousand items to a command", "gridctl run --batch 1000",
        "parallel --pipe -N1000 -j2"]


def test_ctrl_c_ends_all_that_it_started(start):
    process = start("heartbeats")
    wait_until(lambda: len(processes_of(start.temporary)) >= 4, 30, "a hub, the bare server and a load")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
