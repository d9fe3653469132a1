"""The wall clock jumps, years forwards and back: nobody goes Offline or is forgotten, held calls wait as long as they asked, and
what comes later counts as later."""
import pathlib
import subprocess
import time

import pytest
from processes import wait_until

HERE = pathlib.Path(__file__).resolve().parent
YEAR_S = 365 * 24 * 3600


class WallClock:
    """The time of day of the programs that run with `environment`."""

    def __init__(self, directory):
        library = directory / "wall_clock.so"
        subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", library, HERE / "wall_clock.c"], check=True, timeout=60)
        self.path = directory / "offset"
        self.set(0)
        self.environment = {"LD_PRELOAD": str(library), "WALL_CLOCK_OFFSET": str(self.path),
                            "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:verify_asan_link_order=0"}

    def set(self, seconds):
        fresh = self.path.with_suffix(".new")
        fresh.write_text(str(seconds))
        fresh.rename(self.path)


@pytest.fixture
def wall_clock(directory):
    return WallClock(directory)


def year_of(entry):
    return int(entry["last_seen"][:4]) - time.gmtime().tm_year


@pytest.mark.parametrize("jump_s", [10 * YEAR_S, -10 * YEAR_S], ids=["forwards", "backwards"])
def test_a_jump_while_the_hub_runs_changes_nothing(make_hub, wall_clock, jump_s):
    hub = make_hub().start(environment=wall_clock.environment, offline_after=4, forget_after=6)
    quiet, busy = (hub.register(hostname=name, run="r")["node_id"] for name in ("quiet", "busy"))
    hub.add("a")
    hub.add("b")
    version = hub.version()
    held = hub.hold(version, wait=3, node_id=quiet)
    wall_clock.set(jump_s)
    hub.beat(busy)
    wait_until(lambda: abs(year_of(hub.node(busy))) >= 9, 5, "the hub believes in the new time")
    time.sleep(1.5)  # a tick and more
    assert held.waiting()
    assert [node["status"] for node in hub.nodes()] == ["Online", "Online"]
    assert held.answer().json["version"] == version and 2.5 < held.took < 5

    held = hub.hold(version, wait=10, node_id=quiet)
    assert hub.next() == {"previous": "a", "current": "b"}
    answer = held.answer(2).json
    assert answer["task"]["task_name"] == "b" and answer["version"] > version
    late = hub.register(hostname="late")["node_id"]
    assert [node["id"] for node in hub.nodes()] == [quiet, busy, late]
    wait_until(lambda: hub.node(quiet)["status"] == "Offline", 8, "silence is measured as ever", pause=0.2)


@pytest.mark.parametrize("jump_s", [10 * YEAR_S, -10 * YEAR_S], ids=["forwards", "backwards"])
def test_a_jump_while_the_hub_is_away_forgets_nobody(make_hub, wall_clock, jump_s):
    """A machine that starts with a wrong clock (a Raspberry Pi has none of its own) and is put right later."""
    hub = make_hub().start(environment=wall_clock.environment)
    first, second = (hub.register(hostname=name, run="r")["node_id"] for name in ("first", "second"))
    hub.add("a")
    hub.add("b")
    version = hub.version()
    hub.kill()
    wall_clock.set(jump_s)
    hub.start(environment=wall_clock.environment)
    time.sleep(1.5)
    assert [node["id"] for node in hub.nodes()] == [first, second]
    assert hub.beat(first).status == 200 and hub.node(first)["status"] == "Online"
    assert hub.version() == version  # the same task, and no container is started anew
    hub.next()
    assert hub.version() > version
    third = hub.register(hostname="third", run="r")["node_id"]
    hub.kill()
    wall_clock.set(0)
    hub.start(environment=wall_clock.environment)
    assert [node["id"] for node in hub.nodes()] == [first, second, third]
    assert hub.queue() == ("b", [], ["a"])
