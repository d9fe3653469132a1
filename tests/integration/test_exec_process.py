"""Tasks with exec on nodes that run plain processes: gridexec in the place of a worker, and any command of the machine's as its
child."""
import json
import os
import pathlib
import re
import signal
import time

import pytest

from exec_fixtures import AWK, ExecTask, error_of, squares
from lease_fixtures import leasing, make_redis, store  # noqa: F401
from node_fixtures import worker_program  # noqa: F401
from process_fixtures import make_process_node, read  # noqa: F401
from processes import wait_until


@pytest.fixture
def exec_task(leasing, make_process_node):
    """Starts a task and, unless told otherwise, a node of two slots."""
    def run(command, items, name="exec", nodes=1, node=None, **fields):
        task = ExecTask(leasing, name, command, items, **fields)
        task.nodes = [make_process_node(leasing.hub, **(node or {})).start() for _ in range(nodes)]
        return task
    return run


def test_batches_over_two_nodes_are_right_and_once(exec_task):
    task = exec_task(["awk", AWK], range(1, 20001), nodes=2, batch=1000)
    task.wait(90)
    assert sorted(map(int, task.lines())) == squares(task.items)
    assert task.progress()["failed"] == 0
    # Full ones, as long as there was enough: each is one result.
    sizes = sorted(len(result.splitlines()) for result in task.results())
    assert sizes[-1] == 1000 and len(sizes) <= 40, sizes


def test_an_agent_is_killed_in_between_and_each_result_comes_once(exec_task):
    """A batch takes its time, so that the agent dies in the middle of one: its items go to the other node."""
    task = exec_task(["sh", "-c", f"sleep 0.2; exec awk '{AWK}'"], range(1, 10001), nodes=2, node={"parallelism": 1}, batch=500)
    task.wait_for_result()
    task.nodes[0].kill()
    before = len(task.results())
    assert before < 15
    task.nodes[0].start()
    task.wait(120)
    assert sorted(map(int, task.lines())) == squares(task.items)


def test_placeholders_and_formats(exec_task):
    items = [f"{n}\tdir/file-{n}.txt\tx" for n in range(1, 31)]
    task = exec_task(["echo", "-n", "{#}", "{2}"], items, item_format="numbered", result_format="json")
    task.wait()
    found = {entry["seq"]: entry for entry in map(json.loads, task.lines())}
    assert set(found) == set(range(1, 31))
    entry = found[7]
    assert (entry["item"], entry["result"], entry["exit"], entry["attempt"]) == ("dir/file-7.txt\tx", "7 x", 0, 1)
    assert entry["node"] == task.nodes[0].id and entry["instance"] in (0, 1)


def test_a_failing_item_is_a_dead_letter_with_its_error_and_the_container_lives_on(exec_task):
    command = ["sh", "-c", 'test "$0" != 13 && echo "$0" || { echo "no luck with $0" >&2; exit 3; }', "{}"]
    task = exec_task(command, range(1, 101), max_attempts=2)
    task.wait(done=99, dead=1)
    assert sorted(map(int, task.lines())) == [n for n in range(1, 101) if n != 13]
    letter = task.dead()["13"]
    assert letter["attempts"] == 2
    error = error_of(letter)
    assert (error["reason"], error["exit_status"], error["out_of_memory"]) == ("exit status 3", 3, False)
    assert error["log_tail"].strip() == "no luck with 13"
    log = task.nodes[0].daemon.log
    assert log.count("process started") == 2, "a failing command must not cost a worker"


def test_a_node_that_fails_everything_is_held_back(exec_task, leasing):
    task = exec_task(["sh", "-c", "echo broken >&2; exit 9"], range(1, 21), max_attempts=1000)
    node = task.nodes[0]
    node.wait_for_id()

    def look():
        entry = leasing.hub.node(node.id)
        return entry and entry["error"] and "items failed here in a row" in entry["error"] and entry
    entry = wait_until(look, 30, "the guard")
    assert "exit status 9" in entry["error"]
    assert node.daemon.log.count("process started") == 2


def test_one_poisoned_item_does_not_take_its_batch_along(exec_task):
    task = exec_task(["awk", '$1 == 77 {print "poison" >"/dev/stderr"; exit 4} {print $1 * $1}'], range(1, 201), batch=100)
    task.wait(90, done=199, dead=1)
    assert sorted(map(int, task.lines())) == squares(item for item in task.items if item != "77")
    error = error_of(task.dead()["77"])
    assert (error["reason"], error["exit_status"], error["log_tail"].strip()) == ("exit status 4", 4, "poison")


def test_a_command_that_cannot_run_is_said(exec_task):
    task = exec_task(["no-such-program", "{}"], ["a"], max_attempts=1)
    task.wait(done=0, dead=1)
    assert "cannot run no-such-program" in error_of(task.dead()["a"])["reason"]


def test_item_timeout_is_told_and_the_others_go_on(exec_task):
    task = exec_task(["sh", "-c", 'test "$0" = 2 && sleep 60; echo "$0"', "{}"], range(1, 6), item_timeout=1, max_attempts=1)
    task.wait(done=4, dead=1)
    assert error_of(task.dead()["2"])["reason"] == "timed out after 1 s"
    assert sorted(task.lines()) == ["1", "3", "4", "5"]
    assert "for longer than" not in task.nodes[0].daemon.log, "that was the gateway's own"


SPY = r"""
import os, re, socket
found = []
for pid in ("self", str(os.getppid()), "1"):
    for name in ("environ", "cmdline"):
        try:
            text = open(f"/proc/{pid}/{name}", "rb").read()
        except OSError as error:
            text = str(error.errno).encode()
        found.append((pid, name, bool(re.search(rb"redis[:]//|REDIS[_]URL", text))))
print([entry for entry in found if entry[2]], sorted(os.listdir("/proc/self/fd")), "INPUT_QUEUE" in os.environ)
"""


def test_a_command_sees_neither_password_nor_connection(exec_task):
    task = exec_task(["/usr/bin/python3", "-c", SPY], ["a"])
    task.wait()
    # 3 is the listing itself.
    assert task.lines() == ["[] ['0', '1', '2', '3'] True"]


def test_a_switch_gives_a_running_item_back_uncharged(exec_task, leasing):
    """The command does not end in stop_timeout: TERM, and no attempt is counted."""
    task = exec_task(["sleep", "1000"], ["a", "b"], node={"stop_timeout": 1})
    node = task.nodes[0]
    wait_until(lambda: len(sleeping(node)) == 2, 20, "two commands")
    children = sleeping(node)
    leasing.hub.add("other", exec=["cat"], image=None, input_redis=leasing.store.url, input_queue="o:in", output_queue="o:out")
    leasing.store.push(["x"], "o:in")
    leasing.hub.next()
    leasing.sees("other", 30, done=1)
    wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in children), 10, "the commands' end")
    progress = task.wait(done=0, waiting=2)
    assert (progress["failed"], progress["dead"], progress["lost"]) == (0, 0, 0), progress
    assert sorted(leasing.store.list(task.input)) == [b"a", b"b"]


def sleeping(node):
    """Commands that run now: children of gridexec, which is a child of the agent."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        if read(path / "cmdline") != b"sleep\x001000\x00":
            continue
        parent = re.search(rb"^PPid:\s*(\d+)", read(path / "status"), re.MULTILINE)
        grand = parent and re.search(rb"^PPid:\s*(\d+)", read(f"/proc/{parent.group(1).decode()}/status"), re.MULTILINE)
        if grand and int(grand.group(1)) == node.daemon.pid:
            found.append(int(path.name))
    return found


def test_a_killed_agent_leaves_no_command_behind(exec_task):
    task = exec_task(["sleep", "1000"], ["a", "b"])
    node = task.nodes[0]
    wait_until(lambda: len(sleeping(node)) == 2, 20, "two commands")
    children = sleeping(node)
    node.kill()
    wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in children), 10, "the commands' end")
    node.start()
    wait_until(lambda: len(sleeping(node)) == 2, 20, "the same items again")


def test_a_killed_gridexec_fails_its_item_once_and_another_goes_on(exec_task):
    task = exec_task(["sh", "-c", "sleep 1; cat"], ["a"], node={"parallelism": 1})
    node = task.nodes[0]
    pid = wait_until(lambda: node.workers().get(0), 20, "gridexec")
    time.sleep(0.3)
    os.kill(pid, signal.SIGKILL)
    progress = task.wait()
    assert progress["failed"] <= 1, progress
    assert task.results() == ["a\n"]
