"""How a worker's end is told: whether somebody ended it through the engine, or it failed by itself."""
import os
import signal
import time

import pytest

from place_fixtures import import_reach, make_probe, reach_image, reach_program  # noqa: F401


def container_of(engine, probe, worker=1):
    [entry] = [entry for entry in engine.containers(node=probe.node) if entry["Names"] == [f"/idm-probe-{probe.node}-{worker}"]]
    return entry["Id"]


def pid_of(engine, container):
    """The worker's own process: the engine's init is its parent."""
    init = engine.inspect(container)["State"]["Pid"]
    children = open(f"/proc/{init}/task/{init}/children", encoding="ascii").read().split()
    return int(children[0]) if children else init


@pytest.fixture
def probe(engine, reach_image, make_probe):
    return make_probe(engine).ready()


def ended(probe, what, how):
    probe.run(1, "-", what)
    time.sleep(0.3)  # until its signal handlers stand
    how()
    end = probe.exited(1)
    probe.remove(1)
    return end["status"], end["stopped"], end["oom"]


def own_architecture(engine):
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(engine.ask("/info")["Architecture"], "arm")


def post(engine, probe, action):
    return lambda: engine.call("POST", f"/containers/{container_of(engine, probe)}/{action}")


def test_docker_kill_is_somebody_elses(engine, probe):
    for _ in range(5):
        assert ended(probe, "sleep", post(engine, probe, "kill")) == (137, True, False)


def test_docker_stop_is_whatever_the_worker_makes_of_it(engine, probe):
    assert ended(probe, "sleep", post(engine, probe, "stop?t=5")) == (143, True, False)
    assert ended(probe, "polite", post(engine, probe, "stop?t=5")) == (0, True, False)


def test_docker_stop_with_the_images_own_signal(engine, reach_program, make_probe):
    image = engine.load_image("idm-test/usr2:1", {"reach": reach_program}, ["/reach"], own_architecture(engine),
                              StopSignal="SIGUSR2")
    probe = make_probe(engine).ready()
    probe.run(1, "-", "sleep", image=image)
    time.sleep(0.3)
    post(engine, probe, "stop?t=5")()
    end = probe.exited(1)
    assert (end["status"], end["stopped"]) == (140, True)


def test_docker_restart_and_removal_are_stops(engine, probe):
    assert ended(probe, "sleep", post(engine, probe, "restart?t=5"))[:2] == (143, True)
    end = ended(probe, "sleep", lambda: engine.call("DELETE", f"/containers/{container_of(engine, probe)}?force=1"))
    assert end[1], end


def test_a_signal_that_changes_nothing_is_no_stop(engine, probe):
    def nudge_then_crash():
        post(engine, probe, "kill?signal=USR1")()
        time.sleep(0.3)
        os.kill(pid_of(engine, container_of(engine, probe)), signal.SIGSEGV)
    assert ended(probe, "polite", nudge_then_crash) == (139, False, False)


def test_a_kill_by_process_id_is_a_failure(engine, probe):
    assert ended(probe, "sleep", lambda: os.kill(pid_of(engine, container_of(engine, probe)), signal.SIGKILL)) == \
        (137, False, False)


def test_an_exit_is_no_stop(probe):
    for status in (0, 1):
        probe.run(1, "-", "exit", status)
        end = probe.exited(1)
        assert (end["status"], end["stopped"]) == (status, False)
        probe.remove(1)


def test_out_of_memory_is_no_stop(probe):
    status, stopped, oom = ended(probe, "eat", lambda: None)
    assert (stopped, oom) == (False, True) and status in (137, 139)


def test_an_engine_that_shuts_down_stopped_its_workers(own_engine, reach_program, make_probe):
    import_reach(own_engine, reach_program)
    probe = make_probe(own_engine).ready()
    for worker, what in ((1, "sleep"), (2, "polite"), (3, "sleep")):
        probe.run(worker, "-", what)
    time.sleep(0.3)
    command = own_engine.kill_process(signal.SIGTERM)
    own_engine.start_process(command)
    ends = {}
    while len(ends) < 3:
        event = probe.events.get(timeout=60)
        if event["event"] == "exited":
            ends[event["which"]] = (event["status"], event["stopped"])
        else:
            assert event["event"] in ("lost", "ready"), event
    assert {stopped for _, stopped in ends.values()} == {True}, ends


def test_an_engine_that_is_killed_and_comes_back_stopped_its_workers(own_engine, reach_program, make_probe):
    """Without live restore it ends, as it starts, what it finds running."""
    import_reach(own_engine, reach_program)
    probe = make_probe(own_engine).ready()
    probe.run(1, "-", "sleep")
    command = own_engine.kill_process(signal.SIGKILL)
    own_engine.start_process(command)
    probe.expect("lost")
    probe.expect("ready", timeout=60)
    end = probe.exited(1)
    assert end["stopped"], end
