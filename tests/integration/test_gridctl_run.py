"""gridctl run and its kin as people use them: real hub, Redis and nodes; what dies in between is killed for good."""
import json
import os
import random
import re
import signal
import subprocess
import time

import pytest

from gridctl_fixtures import make_ctl  # noqa: F401
from node_fixtures import make_node  # noqa: F401
from test_exec_docker import tools_image  # noqa: F401
from lease_fixtures import Leasing, make_redis, store  # noqa: F401
from process_fixtures import make_process_node  # noqa: F401
from processes import daemon_environment, wait_until

SQUARE = ["awk", '{printf "%.0f\\n", $1*$1}']
CTRL_C = "\x03"


class Grid:
    """A hub with its Redis, nodes of two slots each, and gridctl."""

    def __init__(self, hub, store, make_node, ctl):  # noqa: F811
        self.hub, self.store, self.make_node, self.ctl = hub, store, make_node, ctl
        self.leasing = Leasing(hub, store)
        self.nodes = []

    def add_node(self, **config):
        self.nodes.append(self.make_node(self.hub, **config).start())
        return self.nodes[-1]

    def run(self, *arguments, stdin="", timeout=120, **how):
        """(exit status, standard output, standard error)"""
        return self.ctl("run", *arguments, stdin=stdin, timeout=timeout, **how)

    def begin(self, *arguments, **how):
        return self.ctl.start(*arguments, **how)

    def statuses(self):
        return {task["name"]: task["status"] for task in self.hub.tasks()["tasks"]}

    def dead(self, name):
        return self.hub.get(f"/api/tasks/{name}/dead").json["dead"]

    def left_in_redis(self, name):
        """Results and items that nobody took."""
        return [key.decode() for key in self.store.client.keys(f"{name}*") if re.search(r":(in|out)$", key.decode())]


@pytest.fixture
def grid(make_hub, store, make_process_node, make_ctl):  # noqa: F811
    hub = make_hub().start(redis_url=store.url)
    grid = Grid(hub, store, make_process_node, make_ctl(hub))
    yield grid
    grid.leasing.close()


@pytest.fixture
def working(grid):
    """With one node."""
    grid.add_node()
    return grid


def numbers(count):
    return "".join(f"{n}\n" for n in range(1, count + 1))


def squares(count):
    return [n * n for n in range(1, count + 1)]


def gate(directory, name="gate"):
    """A file that commands wait for, and the shell's words for it; every user may see it."""
    for path in (directory, *list(directory.parents)[:1]):
        path.chmod(0o755)
    return directory / name


# ---- what comes out ----

def test_the_results_of_all_items_come_once_while_a_node_dies(grid):
    """The first one of what has to be shown: a node is killed in the middle, and started again."""
    count = 20000
    first, _ = grid.add_node(), grid.add_node()
    process = grid.begin("run", "--name", "squares", "--batch", "1000", "--", "sh", "-c",
                         "sleep 0.1; exec awk '{printf \"%.0f\\n\", $1*$1}'", stdin=subprocess.PIPE)
    process.stdin.write(numbers(count).encode())
    process.stdin.close()
    process.stdin = None
    wait_until(lambda: grid.leasing.progress("squares").get("done", 0) >= 2000, 60, "some results")
    first.kill()
    time.sleep(1)
    first.start()
    out, err = process.communicate(timeout=180)
    assert process.returncode == 0, err
    assert sorted(map(int, out.split())) == squares(count)
    assert grid.statuses() == {"squares": "completed"}
    assert grid.left_in_redis("squares") == []


def test_results_come_while_items_are_still_read(working):
    process = working.begin("run", "--", "cat", stdin=subprocess.PIPE)
    for word in (b"one\n", b"two\n"):
        process.stdin.write(word)
        process.stdin.flush()
        assert process.stdout.readline() == word
    process.stdin.close()
    process.stdin = None
    assert process.communicate(timeout=30)[0] == b"" and process.returncode == 0


def test_keep_order_gives_results_in_the_order_of_the_items(grid):
    grid.add_node(parallelism=4)
    code, out, err = grid.run("-k", "--", "sh", "-c", "sleep 0.$((({} * 7) % 4)); echo {}", stdin=numbers(40))
    assert code == 0, err
    assert [int(line) for line in out.split()] == list(range(1, 41))


def test_keep_order_of_batches_is_that_of_their_lines(grid):
    for _ in range(2):
        grid.add_node()
    code, out, _ = grid.run("-k", "--batch", "50", "--", *SQUARE, stdin=numbers(5000))
    assert code == 0 and [int(line) for line in out.split()] == squares(5000)


def test_tag_and_json_carry_the_item(working):
    code, out, _ = working.run("-k", "--tag", "--", "printf", "%s\\n%s\\n", "{1}", "{2}", ":::", "a", "b", ":::", "x")
    assert (code, out) == (0, "a\tx\ta\na\tx\tx\nb\tx\tb\nb\tx\tx\n")
    code, out, _ = working.run("--json", "--", "cat", stdin="one\ntwo\n")
    results = {result["seq"]: result for result in map(json.loads, out.splitlines())}
    assert code == 0 and {seq: (r["item"], r["result"], r["exit"], r["attempt"]) for seq, r in results.items()} == \
        {1: ("one", "one\n", 0, 1), 2: ("two", "two\n", 0, 1)}
    assert all(result["node"] == working.nodes[0].id and result["seconds"] >= 0 for result in results.values())


def test_arguments_without_a_place_come_behind_the_command(working):
    code, out, _ = working.run("-k", "--", "echo", "<", ":::", "a b", "c", ":::", "1", "2")
    assert (code, out) == (0, "< a b 1\n< a b 2\n< c 1\n< c 2\n")


def test_items_that_end_with_nul_are_any_bytes(working):
    items = [b"a\nb", b"", b"\xff\xfe\t\r\n", bytes(range(1, 256))]
    process = working.begin("run", "-0", "-k", "--", "od", "-An", "-v", "-tx1", stdin=subprocess.PIPE)
    out, err = process.communicate(b"".join(item + b"\0" for item in items), 60)
    assert process.returncode == 0, err
    assert bytes.fromhex(out.decode()) == b"".join(item + b"\0" for item in items)


def test_an_item_that_cannot_be_an_argument_fails_alone(working):
    process = working.begin("run", "-k", "--retries", "1", "--", "echo", "<{}>", stdin=subprocess.PIPE)
    out, err = process.communicate(b"a\nb\0c\nd\n", 60)
    assert (process.returncode, out) == (1, b"<a>\n<d>\n") and b"item 2" in err and b"NUL" in err


def test_no_items_are_no_task(working):
    assert working.run("--", "cat")[0] == 0
    assert working.statuses() == {}


def test_items_of_a_directory_have_results_of_the_same_names(working):
    source, results = working.ctl.home / "in", working.ctl.home / "out"
    contents = {f"{d}/{n}.bin": random.Random(n).randbytes(n * 1000) for n in range(1, 20) for d in ("a", "b/c")}
    for name, content in contents.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(content)
    code, out, err = working.run("--dir", source, "--results", results, "--", "od", "-An", "-v", "-tx1")
    assert (code, out) == (0, ""), err
    found = {str(path.relative_to(results)): bytes.fromhex(path.read_text()) for path in results.rglob("*") if path.is_file()}
    assert found == contents


def test_results_lie_in_files_as_parallel_lays_them(working):
    code, out, _ = working.run("-k", "--retries", "1", "--results", "res", "--", "sh", "-c", "echo {1}-{2}; test {2} != 2 || { echo oh >&2; exit 9; }",
                               ":::", "a/b", "c", ":::", "1", "2")
    assert (code, out) == (2, "a/b-1\nc-1\n")
    home = working.ctl.home / "res" / "1"
    assert sorted(path.name for path in home.iterdir()) == ["a\\_b", "c"]
    assert {name: (home / "c" / "2" / "1" / name).read_text() for name in ("stdout", "stderr", "seq")} == \
        {"stdout": "c-1\n", "stderr": "", "seq": "3\n"}
    assert ((home / "c" / "2" / "2" / "stdout").read_text(), (home / "c" / "2" / "2" / "stderr").read_text()) == ("", "oh\n")
    code, _, _ = working.run("--results", "lines", "--", "cat", stdin="x\ny\n")
    assert code == 0 and [(working.ctl.home / "lines" / n / "stdout").read_text() for n in "12"] == ["x\n", "y\n"]


def test_dry_run_prints_what_a_shell_would_do(grid):
    grid.hub.stop()  # nobody is asked
    code, out, _ = grid.run("--dry-run", "--", "printf", "<%s>", "{}", "{#}", "{/.}", ":::", "a b/c.d", "it's", "x\ty")
    assert code == 0
    assert subprocess.run(["bash", "-c", out], capture_output=True, check=True).stdout == b"<a b/c.d><1><c><it's><2><it's><x\ty><3><x\ty>"
    code, out, _ = grid.run("--dry-run", "--batch", "2", "--", "cat", stdin="1\n2\n3\n")
    assert out.splitlines() == ["printf '%s\\n' 1 2 | cat", "printf '%s\\n' 3 | cat"]


@pytest.mark.docker
def test_any_image_with_the_command_in_it_will_do(make_hub, store, make_node, make_ctl, tools_image):  # noqa: F811
    hub = make_hub().start(redis_url=store.url)
    for _ in range(2):
        make_node(hub).start()
    code, out, err = make_ctl(hub)("run", "--image", tools_image, "--batch", "100", "-k", "--", *SQUARE, stdin=numbers(2000), timeout=100)
    assert code == 0, err
    assert [int(line) for line in out.split()] == squares(2000)


# ---- what fails ----

def test_an_item_that_fails_is_told_kept_and_may_be_tried_again(working):
    """The second one of what has to be shown."""
    fixed = gate(working.ctl.home)
    command = ["sh", "-c", f'test "$1" != 3 -o -e {fixed} || {{ echo "no such $1" >&2; exit 7; }}; echo "got $1"', "-", "{}"]
    code, out, err = working.run("-k", "--no-finish", "--retries", "2", "--name", "mend", "--", *command, stdin=numbers(5))
    assert (code, out) == (1, "got 1\ngot 2\ngot 4\ngot 5\n")
    assert "item 3 (3): exit status 7: no such 3" in err and "gridctl dead list mend" in err
    shown = working.ctl.good("dead", "show", "mend")[0]
    assert "no such 3" in shown and re.search(r"Exit status:\s+7", shown)
    fixed.touch()
    working.ctl.good("dead", "retry", "mend")
    code, out, _ = working.ctl("attach", "mend", timeout=60)
    assert (code, out) == (0, "got 3\n") and working.statuses() == {"mend": "completed"}


def test_the_exit_status_counts_failures_up_to_a_hundred(working):
    for count, status in ((100, 100), (101, 101), (130, 101)):  # one fails, one does not: a node that only fails is given less
        code, _, err = working.run("--retries", "1", "-q", "--", "sh", "-c", "exit $(({} % 2))", stdin=numbers(2 * count))
        assert code == status and f"{count - 20} more" in err


def test_retries_are_attempts(working):
    code, out, _ = working.run("--retries", "4", "--name", "tries", "--", "false", stdin="x\n")
    assert (code, out) == (1, "") and working.dead("tries")[0]["attempts"] == 4


def test_a_command_that_takes_too_long_is_killed(working):
    begun = time.monotonic()
    code, out, err = working.run("--timeout", "1", "--retries", "1", "-k", "--", "sh", "-c", "sleep {}; echo {}", ":::", "0.1", "60")
    assert (code, out) == (1, "0.1\n") and "timed out after 1 s" in err and time.monotonic() - begun < 30


def test_halt_gives_up(working):
    log = working.ctl.home / "log"
    code, _, err = working.run("--halt", "now,fail=2", "--retries", "1", "--name", "now", "--joblog", log, "--", "sh", "-c",
                               "sleep 0.05; test {} -gt 100", stdin=numbers(1000))
    assert 2 <= code < 100 and "--halt" in err and working.statuses()["now"] == "cancelled"
    code, out, err = working.run("--halt", "soon,fail=1", "--retries", "1", "--name", "soon", "-k", "--", "sh", "-c",
                                 "test {} = 1 && exit 1; sleep 2; echo {}", stdin=numbers(1000))
    assert code == 1 and 1 <= len(out.split()) < 20, (code, out, err)  # what ran has ended, and its result is here
    assert working.statuses()["soon"] == "cancelled"


# ---- the job log ----

def rows(path):
    return [line.split("\t") for line in path.read_text().splitlines()]


def test_a_job_log_has_parallels_columns_and_a_run_resumes_by_it(working):
    log, fixed = working.ctl.home / "log", gate(working.ctl.home)
    run = ["--joblog", log, "--retries", "1", "-k", "--", "sh", "-c", f"test {{}} != 2 -o -e {fixed} || exit 3; echo r{{}}"]
    code, out, _ = working.run(*run, stdin=numbers(4))
    assert (code, out) == (1, "r1\nr3\nr4\n")
    titles, *lines = rows(log)
    assert titles == ["Seq", "Host", "Starttime", "JobRuntime", "Send", "Receive", "Exitval", "Signal", "Command"]
    assert {line[0]: line[6:8] for line in lines} == {"1": ["0", "0"], "2": ["3", "0"], "3": ["0", "0"], "4": ["0", "0"]}
    known = {os.uname().nodename, *(node["id"] for node in working.leasing.hub.get("/api/nodes").json)}  # its id, until the list is here
    assert all(line[1] in known for line in lines if line[0] != "2"), lines
    assert abs(float(lines[0][2]) - time.time()) < 60 and (lines[0][4], lines[0][5]) == ("1", "3")
    assert "echo r1" in [line[8] for line in lines if line[0] == "1"][0]
    code, out, _ = working.run("--resume", *run, stdin=numbers(6))
    assert (code, out) == (0, "r5\nr6\n")  # the failed one counts as done
    fixed.touch()
    code, out, _ = working.run("--resume-failed", *run, stdin=numbers(7))
    assert (code, out) == (0, "r2\nr7\n")
    code, out, err = working.run("--resume-failed", *run, stdin=numbers(7))
    assert (code, out) == (0, "") and "nothing is left" in err


# ---- leaving and coming back ----

def slow(opened, before=10):
    """A command that computes some items at once, and the others when the gate is open."""
    return ["sh", "-c", f"test {{}} -le {before} || while ! test -e {opened}; do sleep 0.1; done; echo {{}}"]


def test_sigterm_keeps_the_run_and_attach_brings_the_rest(working):
    opened = gate(working.ctl.home)
    items = working.ctl.home / "items"
    items.write_text(numbers(200))
    process = working.begin("run", "-k", "--name", "left", "-a", items, "--", *slow(opened))
    out = b"".join(process.stdout.readline() for _ in range(10))
    process.send_signal(signal.SIGTERM)
    rest, err = process.communicate(timeout=30)
    assert process.returncode == 130 and b"gridctl attach left" in err, err
    assert working.statuses() == {"left": "running"}
    opened.touch()
    code, later, err = working.ctl("attach", "left", timeout=60)
    assert code == 0, err
    assert [int(line) for line in (out + rest).decode().split() + later.split()] == list(range(1, 201))
    assert working.statuses() == {"left": "completed"} and working.left_in_redis("left") == []


def test_a_run_that_was_killed_is_taken_up_with_its_input(working):
    """The rest of a file is pushed, and nothing twice."""
    opened = gate(working.ctl.home)
    items = working.ctl.home / "items"
    items.write_text("".join(f"{n} {'x' * 2000}\n" for n in range(1, 5001)))  # several pieces
    command = ["sh", "-c", f"while ! test -e {opened}; do sleep 0.1; done; cut -d' ' -f1"]
    process = working.begin("run", "--batch", "100", "--name", "cut", "-a", items, "--", *command)
    wait_until(lambda: working.leasing.progress("cut").get("total", 0) > 0, 30, "the first items")
    process.kill()
    out, _ = process.communicate(timeout=30)
    opened.touch()
    code, later, err = working.ctl("attach", "cut", timeout=120)
    assert code == 0, err
    assert sorted(map(int, out.decode().split() + later.split())) == list(range(1, 5001))


def test_ctrl_c_asks_and_keeps(working):
    opened = gate(working.ctl.home)
    code, text = working.ctl.in_terminal("run", "--name", "asked", "--", *slow(opened, 1), ":::", "1", "2", "3",
                                         typed=[("1\r\n", CTRL_C), ("ancel it", "k\n")])
    assert code == 130 and "gridctl attach asked" in text, text
    opened.touch()
    code, out, err = working.ctl("attach", "asked", timeout=60)
    assert (code, sorted(out.split())) == (0, ["2", "3"]), err


def test_ctrl_c_asks_and_goes_on(working):
    opened = gate(working.ctl.home)
    timer = subprocess.Popen(["sh", "-c", f"sleep 5; touch {opened}"])
    code, text = working.ctl.in_terminal("run", "--name", "on", "--", *slow(opened, 1), ":::", "1", "2",
                                         typed=[("1\r\n", CTRL_C), ("ancel it", "g\n")])
    timer.wait(10)
    assert code == 0 and "2\r\n" in text.split("watching?")[1], text
    assert working.statuses() == {"on": "completed"}


def test_ctrl_c_asks_and_cancels(working):
    opened = gate(working.ctl.home)
    code, text = working.ctl.in_terminal("run", "--name", "dropped", "--", *slow(opened, 1), ":::", "1", "2", "3",
                                         typed=[("1\r\n", CTRL_C), ("ancel it", "c\n")])
    assert code == 130 and "is cancelled" in text, text
    assert working.statuses() == {"dropped": "cancelled"}


def test_a_second_ctrl_c_keeps(working):
    opened = gate(working.ctl.home)
    code, text = working.ctl.in_terminal("run", "--name", "twice", "--", *slow(opened, 1), ":::", "1", "2",
                                         typed=[("1\r\n", CTRL_C), ("ancel it", CTRL_C)])
    assert code == 130 and "gridctl attach twice" in text and working.statuses() == {"twice": "running"}


def test_the_hub_may_be_killed_and_come_back_in_the_middle(working):
    process = working.begin("run", "--name", "long", "--", "sh", "-c", "sleep 0.05; echo {}", stdin=subprocess.PIPE)
    process.stdin.write(numbers(300).encode())
    process.stdin.flush()
    wait_until(lambda: working.leasing.progress("long").get("done", 0) >= 20, 30, "some results")
    working.hub.kill()
    time.sleep(2)
    working.hub.start()
    out, err = process.communicate(b"301\n", timeout=120)
    assert process.returncode == 0, err
    assert sorted(map(int, out.split())) == list(range(1, 302))
    assert b"does not answer" in err and b"answers again" in err


def test_a_task_behind_others_says_so(working):
    working.hub.add("first", image=None, command=["sleep", "60"])
    process = working.begin("run", "--bar", "--name", "second", "--", "echo", "{}", ":::", "x")
    line = wait_until(lambda: next(iter(re.findall(rb"waits behind \w+", process.stderr.readline())), None), 20, "the line")
    assert line == b"waits behind first"
    working.hub.finish()
    assert process.communicate(timeout=60)[0] == b"x\n" and process.returncode == 0


def test_a_task_that_somebody_else_ends_ends_the_run(working):
    opened = gate(working.ctl.home)
    process = working.begin("run", "--name", "ended", "--", *slow(opened, 1), ":::", "1", "2", "3")
    assert process.stdout.readline() == b"1\n"
    working.ctl.good("cancel", "ended")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 2 and out == b"" and b"the task has ended" in err, err


def test_a_reader_that_goes_away_leaves_the_task(working):
    script = f'"$0" --hub {working.hub.url} run --name head -- sh -c "sleep 0.05; echo {{}}" | head -n 2'
    environment = daemon_environment(working.ctl.environment)
    result = subprocess.run(["bash", "-c", script, working.ctl.program], input=numbers(100), capture_output=True, text=True,
                            timeout=60, env=environment, check=False)
    assert len(result.stdout.split()) == 2 and "gridctl attach head" in result.stderr, result.stderr
    assert "nobody reads standard output any more" in result.stderr, result.stderr
    code, out, _ = working.ctl("attach", "head", timeout=60)
    assert code == 0 and len(set(out.split())) >= 90


@pytest.mark.parametrize("how", [["--joblog", "/nonexistent/x"], ["--joblog", "/dev/full"], ["--results", "/dev/full"]])
def test_a_place_that_cannot_be_written_to_leaves_no_task(working, how):
    code, out, err = working.run("--name", "nowhere", *how, "--", "echo", "{}", ":::", "1", timeout=30)
    assert (code, out) == (1, "") and how[1] in err and "attach" not in err.replace("come back to it: gridctl attach", "")
    assert working.statuses().get("nowhere") in (None, "cancelled")


@pytest.mark.parametrize("how, before, where, why", [
    ([], "true", ">/dev/full", "No space left"),
    (["-k"], "true", ">/dev/full", "No space left"),
    (["--joblog", "log"], "trap '' XFSZ; ulimit -f 1", "", "File too large"),
])
def test_a_last_result_that_cannot_be_written_stays_at_the_hub(working, how, before, where, why):
    script = f'cd "$2"; {before}; "$0" --hub "$1" run -q --name full "${{@:3}}" -- echo {{}} {where}'
    environment = daemon_environment(working.ctl.environment)
    item = "x" * 2000 + "\n"
    result = subprocess.run(["bash", "-c", script, working.ctl.program, working.hub.url, working.ctl.home, *how], input=item,
                            capture_output=True, text=True, timeout=60, env=environment, check=False)
    assert result.returncode == 1 and why in result.stderr and "gridctl attach full" in result.stderr, result.stderr
    assert working.statuses()["full"] not in ("finished", "cancelled")
    assert working.ctl("attach", "full", timeout=60)[:2] == (0, item)


def test_a_name_that_is_taken_is_told(working):
    opened = gate(working.ctl.home)
    process = working.begin("run", "--name", "mine", "--", *slow(opened, 0), ":::", "1")
    wait_until(lambda: "mine" in working.statuses(), 20)
    code, _, err = working.run("--name", "mine", "--", "cat", stdin="x\n")
    assert code == 1 and "gridctl attach mine" in err
    opened.touch()
    assert process.communicate(timeout=30)[0] == b"1\n"
    # and when it is free again, what it had before is nobody's
    assert working.run("--name", "mine", "--", "cat", stdin="x\n")[:2] == (0, "x\n")


def test_results_that_wait_for_their_turn_take_little_memory(grid):
    """-k, and the first item is the last to end: 60 MB wait meanwhile, and the rest of them on the disk."""
    opened = gate(grid.ctl.home)
    grid.add_node(parallelism=3)
    process = grid.begin("run", "-k", "--name", "wide", "--", "sh", "-c",
                         f"if test {{}} = 1; then while ! test -e {opened}; do sleep 0.1; done; else head -c 1000000 /dev/zero; fi; echo {{}}",
                         stdin=subprocess.PIPE)
    process.stdin.write(numbers(61).encode())
    process.stdin.close()
    process.stdin = None
    wait_until(lambda: grid.leasing.progress("wide").get("done", 0) == 60, 120, "all but the first")
    time.sleep(1)
    with open(f"/proc/{process.pid}/status", encoding="ascii") as file:
        resident = int(re.search(r"VmRSS:\s+(\d+) kB", file.read()).group(1))
    opened.touch()
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert [int(line) for line in out.replace(b"\0", b"").split()] == list(range(1, 62))
    if b"libasan" not in subprocess.run(["ldd", grid.ctl.program], capture_output=True, check=True).stdout:
        assert resident < 60 * 1024


# ---- push, results, submit, wait, watch ----

def submit(grid, name, *command, **how):
    return grid.ctl.good("submit", "--name", name, *how.pop("options", ()), "--", *(command or ("cat",)), **how)[0]


def test_a_push_that_was_cut_goes_on_where_it_stood(grid):
    assert submit(grid, "pushed") == "pushed\n"
    items = [f"{n} {'y' * 500}" for n in range(20000)]  # some pieces of a megabyte
    process = grid.begin("push", "pushed", "--push", "mine", stdin=subprocess.PIPE)
    process.stdin.write("\n".join(items[:15000]).encode())
    process.stdin.flush()
    wait_until(lambda: grid.store.client.llen("pushed:in") > 2000, 30, "the first pieces")
    process.kill()
    process.communicate(timeout=30)
    out, err = grid.ctl.good("push", "pushed", "--push", "mine", stdin="\n".join(items), timeout=60)
    assert "passed over" in err
    assert grid.store.list("pushed:in") == [item.encode() for item in items]
    assert "0 items pushed" in grid.ctl.good("push", "pushed", "--push", "mine", stdin="\n".join(items), timeout=60)[1]


def test_push_takes_files_lines_and_bytes(grid):
    submit(grid, "kinds")
    home = grid.ctl.home
    (home / "one").write_bytes(b"a\nb\n")
    (home / "two").write_bytes(b"c\0d")
    grid.ctl.good("push", "kinds", "one", "-", stdin="e\n\nf")
    grid.ctl.good("push", "kinds", "--whole", "one", "two")
    grid.ctl.good("push", "kinds", "-0", "two")
    assert grid.store.list("kinds:in") == [b"a", b"b", b"e", b"", b"f", b"a\nb\n", b"c\0d", b"c", b"d"]


def test_push_waits_for_a_full_redis(grid):
    submit(grid, "full")
    grid.store.client.config_set("maxmemory", "4mb")
    items = [f"{n} {'z' * 1000}" for n in range(8000)]
    code, _, err = grid.ctl("push", "full", "--no-wait", "--push", "a", stdin="\n".join(items), timeout=60)
    assert code == 75 and "full" in err, err
    (grid.ctl.home / "items").write_text("\n".join(items))
    process = grid.begin("push", "full", "items", "--push", "a")
    assert b"Redis is full" in wait_until(lambda: next((line for line in process.stderr if b"full" in line), None), 30)
    grid.store.client.config_set("maxmemory", "0")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0 and b"again" in err
    assert grid.store.list("full:in") == [item.encode() for item in items]


def test_results_are_read_again_taken_and_followed(working):
    submit(working, "squares", *SQUARE)
    ctl = working.ctl
    follower = working.begin("results", "squares", "--follow")
    ctl.good("push", "squares", stdin=numbers(50))
    assert ctl("wait", "squares", timeout=60)[0] == 0
    first = ctl.good("results", "squares")[0].split()
    assert sorted(map(int, first)) == squares(50) and ctl.good("results", "squares")[0].split() == first
    assert ctl.good("results", "squares", "-n", "3", "--cursor", "10")[0].split() == first[10:13]
    # a cursor in a file: each result once, however often it is called
    pieces = [ctl.good("results", "squares", "--cursor-file", "at", "-n", n)[0].split() for n in ("20", "1", "100")]
    assert sum(pieces, []) == first and [len(piece) for piece in pieces] == [20, 1, 29]
    assert ctl.good("results", "squares", "--take", "-n", "45")[0].split() == first[:45]
    assert ctl.good("results", "squares", "--take")[0].split() == first[45:]
    assert ctl.good("results", "squares")[0] == "" and working.store.client.llen("squares:out") == 0
    ctl.good("push", "squares", stdin="60\n")
    assert ctl("wait", "squares", timeout=60)[0] == 0
    assert ctl.good("results", "squares", "--cursor-file", "at")[0] == "3600\n"
    assert json.loads(ctl.good("results", "squares", "--json")[0]) == {"number": 50, "result": "3600\n"}
    assert ctl.good("results", "squares", "-0")[0] == "3600\n\0"
    ctl.good("finish", "squares")
    out, err = follower.communicate(timeout=30)
    assert follower.returncode == 0 and sorted(map(int, out.split())) == squares(50) + [3600], err


def test_submit_takes_a_file_or_options(grid):
    home = grid.ctl.home
    (home / "task.json").write_text(json.dumps({"name": "filed", "command": ["true"], "input_queue": "q"}))
    assert grid.ctl.good("submit", "--file", "task.json")[0] == "filed\n"
    out, _ = grid.ctl.good("submit", "--json", "--name", "optioned", "--image", "linux/arm64=a/b:1", "--image", "c:2", "--env", "A=b c",
                         "--env", "HOME", "--memory", "100M", "--retries", "5", "--timeout", "90", "--network", "--batch", "7",
                         "--", "prog", "-x")
    task = json.loads(out)
    wanted = {"name": "optioned", "image": "c:2", "images": {"linux/arm64": "a/b:1"}, "env": {"A": "b c", "HOME": str(home)},
              "memory_mb": 100, "max_attempts": 5, "item_timeout": 90, "network": "outbound", "batch": 7, "exec": ["prog", "-x"],
              "input_queue": "optioned:in", "output_queue": "optioned:out", "status": "pending"}
    assert {field: task.get(field) for field in wanted} == wanted
    assert grid.ctl("submit", "--file", "task.json")[0] == 1  # the name is taken
    assert grid.ctl("submit", "--env", "NO_SUCH_VARIABLE_HERE", "--", "x")[0] == 1


def test_wait_ends_with_the_number_of_failures(working):
    submit(working, "mixed", "sh", "-c", "test $(cat) -le 3", options=["--retries", "1"])
    working.ctl.good("push", "mixed", stdin=numbers(5))
    code, _, err = working.ctl("wait", "mixed", timeout=60)
    assert code == 2 and "dead list mixed" in err
    assert working.ctl("wait", "mixed", "--ended", "--timeout", "1")[0] == 1
    working.ctl.good("finish", "mixed")
    assert working.ctl("wait", "mixed", "--ended", timeout=30)[0] == 2


def test_watch_draws_in_place_on_a_terminal_and_says_lines_in_a_pipe(working):
    opened = gate(working.ctl.home)
    process = working.begin("run", "-q", "--name", "seen", "--", *slow(opened, 20), stdin=subprocess.PIPE)
    process.stdin.write(numbers(40).encode())
    process.stdin.close()
    process.stdin = None
    wait_until(lambda: working.leasing.progress("seen").get("done", 0) == 20, 30, "the first half")
    pipe = working.begin("watch")
    wait_until(lambda: b"20 of 40 done" in (pipe.stdout.readline()), 20, "a line")
    timer = subprocess.Popen(["sh", "-c", f"sleep 3; touch {opened}"])
    code, text = working.ctl.in_terminal("watch", "seen", columns=60, timeout=60)
    timer.wait(10)
    assert code == 0 and "20/40" in text and "40/40" in text and re.search(r"\x1b\[\d+A", text), text
    for line in re.split(r"\r?\n", text):
        shown = re.sub(r"\x1b\[[0-9;]*[A-Za-z]|\r", "", line)
        assert len(shown) < 60, line
    out, _ = pipe.communicate(timeout=30)
    assert pipe.returncode == 0 and b"40 of 40 done" in out and b"\x1b" not in out
    process.communicate(timeout=30)


def test_progress_of_a_run_is_plain_in_a_pipe_and_drawn_on_a_terminal(working):
    opened = gate(working.ctl.home)
    timer = subprocess.Popen(["sh", "-c", f"sleep 4; touch {opened}"])
    code, text = working.ctl.in_terminal("run", "--name", "drawn", "-k", "--", *slow(opened, 2), ":::", *range(1, 6), timeout=60)
    timer.wait(10)
    assert code == 0 and re.search(r"drawn  \[#+\.+\]  40%  2/5", text), text
    process = working.begin("run", "--bar", "--name", "piped", "--", "sh", "-c", "sleep 1; echo {}", ":::", *range(1, 9))
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0 and len(out.split()) == 8
    assert re.search(rb"^piped: \d of 8 done", err, re.MULTILINE) and b"\x1b" not in err and b"\r" not in err
