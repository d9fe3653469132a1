"""Tasks with exec on nodes with a container engine: any image, and nothing needed in it but the command."""
import os
import re
import signal
import subprocess
import time

import pytest

from conftest import ROOT
from exec_fixtures import AWK, ExecTask, error_of, squares
from lease_fixtures import leasing, make_redis, store  # noqa: F401
from node_fixtures import make_node  # noqa: F401
from processes import wait_until

pytestmark = [pytest.mark.docker]
HERE = ROOT / "tests" / "integration"
TOOLS = "idm-test/exec-tools:1"      # sh and awk, and what they are linked with
SCRATCH = "idm-test/exec-scratch:1"  # one static program, another user


def linked_with(program):
    """The program and its libraries: name inside to path outside."""
    output = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    return {path.lstrip("/"): os.path.realpath(path) for path in re.findall(r"(/\S+)", output)}


@pytest.fixture(scope="session")
def tools_image(engine):
    files = {"bin/sh": os.path.realpath("/bin/sh"), "bin/awk": os.path.realpath("/usr/bin/mawk"),
             "bin/sleep": os.path.realpath("/bin/sleep"), **linked_with("/bin/sh"), **linked_with("/usr/bin/mawk"), **linked_with("/bin/sleep")}
    return engine.import_image(TOOLS, files, ['ENTRYPOINT ["/not/there"]', 'CMD ["neither"]', "ENV PATH=/bin"])


@pytest.fixture(scope="session")
def scratch_image(engine, session_dir):
    program = session_dir / "exec_spy"
    subprocess.run(["gcc", "-O1", "-static", "-w", "-o", program, HERE / "exec_spy.c"], check=True, timeout=120)
    return engine.import_image(SCRATCH, {"spy": program}, ["USER 4711:4712"])


@pytest.fixture
def exec_task(leasing, make_node):
    def run(image, command, items, name="exec", nodes=1, node=None, **fields):
        task = ExecTask(leasing, name, command, items, image=image, **fields)
        task.make_node = make_node
        task.nodes = [make_node(leasing.hub, **(node or {})).start() for _ in range(nodes)]
        return task
    return run


def started(node):
    return node.daemon.log.count("container started")


def test_batches_over_two_nodes_are_right_and_once(exec_task, tools_image):
    task = exec_task(tools_image, ["awk", AWK], range(1, 20001), nodes=2, batch=1000)
    task.wait(120)
    assert sorted(map(int, task.lines())) == squares(task.items)
    assert task.progress()["failed"] == 0
    assert max(len(result.splitlines()) for result in task.results()) == 1000


def test_an_agent_is_killed_in_between_and_each_result_comes_once(exec_task, tools_image):
    task = exec_task(tools_image, ["sh", "-c", f"sleep 0.2; exec awk '{AWK}'"], range(1, 20001), nodes=2,
                     node={"parallelism": 1}, batch=500)
    task.wait_for_result(60)
    task.nodes[0].kill()
    assert len(task.results()) < 38
    task.nodes[0].start()
    task.wait(120)
    assert sorted(map(int, task.lines())) == squares(task.items)


def test_a_scratch_image_of_another_user_and_what_its_command_can_find_out(exec_task, engine, leasing, scratch_image):
    """The password is in the engine's description of the container; a command that knows it still does not get in."""
    task = exec_task(scratch_image, ["/spy", "{}"], ["first"], node={"parallelism": 1})
    node = task.nodes[0]
    task.wait()
    assert task.results()[0].startswith("uid 4711\n")
    assert "FOUND" not in task.results()[0]
    assert re.search(r"^1 environ: ", task.results()[0], re.MULTILINE), "gridexec is process 1, and can be asked"
    (container,) = [entry for entry in engine.containers(node=node.id) if "idm-gridcore.place" not in entry["Labels"]]
    details = engine.inspect(container["Id"])
    (url,) = [entry.partition("=")[2] for entry in details["Config"]["Env"] if entry.startswith("INPUT_REDIS_URL=")]
    (mount,) = details["Mounts"]
    assert (mount["Destination"], mount["RW"], details["Config"]["Entrypoint"]) == ("/idm/gridexec", False, ["/idm/gridexec"])
    task.push_more(url)
    task.wait()
    assert re.search(r"^gateway: -WRONGPASS .*one connection", task.results()[1], re.MULTILINE), task.results()[1]


def test_a_failing_item_is_a_dead_letter_with_its_error_and_costs_no_container(exec_task, tools_image):
    command = ["sh", "-c", 'test "$0" != 13 && echo "$0" || { echo "no luck with $0" >&2; exit 3; }', "{}"]
    task = exec_task(tools_image, command, range(1, 51), max_attempts=2)
    task.wait(done=49, dead=1)
    error = error_of(task.dead()["13"])
    assert (error["reason"], error["exit_status"], error["log_tail"].strip()) == ("exit status 3", 3, "no luck with 13")
    assert started(task.nodes[0]) == 2


def test_one_poisoned_item_does_not_take_its_batch_along(exec_task, tools_image):
    task = exec_task(tools_image, ["awk", "$1 == 77 {exit 4} {print $1 * $1}"], range(1, 201), batch=100)
    task.wait(90, done=199, dead=1)
    assert sorted(map(int, task.lines())) == squares(item for item in task.items if item != "77")
    assert error_of(task.dead()["77"])["reason"] == "exit status 4"
    assert started(task.nodes[0]) == 2


def test_item_timeout_is_told_and_costs_no_container(exec_task, tools_image):
    task = exec_task(tools_image, ["sh", "-c", 'test "$0" = 2 && sleep 60; echo "$0"', "{}"], range(1, 6), item_timeout=1,
                     max_attempts=1)
    task.wait(done=4, dead=1)
    assert error_of(task.dead()["2"])["reason"] == "timed out after 1 s"
    assert started(task.nodes[0]) == 2


def test_a_switch_gives_a_running_item_back_uncharged(exec_task, leasing, tools_image, engine):
    task = exec_task(tools_image, ["sleep", "1000"], ["a", "b"], node={"stop_timeout": 1})
    task.wait(30, done=0, waiting=0, leased=2)
    wait_until(lambda: len(engine.running_pids(node=task.nodes[0].id)) == 2, 20, "two containers")
    leasing.hub.add("other", exec=["awk", "{print}"], image=tools_image, input_redis=leasing.store.url, input_queue="o:in",
                    output_queue="o:out")
    leasing.store.push(["x"], "o:in")
    begun = time.monotonic()
    leasing.hub.next()
    leasing.sees("other", 30, done=1)
    assert time.monotonic() - begun < 15
    progress = task.wait(done=0, waiting=2)
    assert (progress["failed"], progress["dead"], progress["lost"]) == (0, 0, 0), progress


def test_an_agent_keeps_its_program_whole_and_leaves_nothing_of_it(exec_task, tools_image, engine, directory):
    folder = directory / "run"
    folder.mkdir()
    task = exec_task(tools_image, ["awk", "{print}"], ["a"], nodes=0)
    node = task.make_node(task.leasing.hub, parallelism=1).start({"RUNTIME_DIRECTORY": str(folder)})
    task.wait()
    (program,) = folder.glob("idm-*/gridexec")
    assert program.stat().st_mode & 0o777 == 0o555
    program.unlink()
    program.write_bytes(b"what a full disk left of it")
    (pid,) = engine.running_pids(node=node.id).values()
    os.kill(pid, signal.SIGKILL)  # the next start finds it, and puts it right
    task.push_more("b")
    task.wait()
    assert program.stat().st_size > 1000 and program.stat().st_mode & 0o777 == 0o555
    node.stop()
    assert not list(folder.iterdir())


def test_an_engine_that_does_not_see_our_files_is_said(exec_task, tools_image, leasing, directory):
    """As if it were on another machine: the agent's folder is in a mount namespace of its own."""
    folder = directory / "hidden"
    folder.mkdir()
    task = exec_task(tools_image, ["awk", "{print}"], ["a"], nodes=0)
    node = task.make_node(leasing.hub, parallelism=1)
    script = node.directory / "start"
    script.write_text("#!/bin/sh\nexec unshare --mount sh -c 'mount -t tmpfs none \"$0\" && exec \"$@\"' "
                      f"{folder} {node.program} \"$@\"\n")
    script.chmod(0o755)
    node.program = script
    node.start({"TMPDIR": str(folder)})
    node.wait_for_id()

    def look():
        entry = leasing.hub.node(node.id)
        return entry and entry["error"] and "exec tasks" in entry["error"] and entry["error"]
    error = wait_until(look, 40, "the reason at the hub")
    assert "the engine does not see gridnode's files" in error and "same machine" in error and "gridexec" in error
    leasing.sees(task.name, 20, done=0, dead=0)
