"""gridexec itself, the very file that gridnode carries, with real commands: what it says to a gateway, and what it lets a
command see."""
import json
import os
import shutil
import signal
import subprocess
import time

import pytest

from exec_gateway import PASSWORD, ExecGateway, wait_gone
from processes import Daemon, wait_until

SCRIPT = "/bin/sh"


@pytest.fixture
def gridexec(build):
    return build / "src" / "gridexec"


@pytest.fixture
def start(gridexec, directory):
    """Starts a gateway and gridexec with it; both are gone at the end."""
    started = []

    def start_one(*command, program=None, arguments=(), environment=None, url=None, **work):
        gateway = ExecGateway({"exec": list(command), **work})
        url = url or gateway.url
        process = Daemon(program or gridexec, arguments, directory / f"exec-{len(started)}.log", cwd=directory, environment={
            "INPUT_REDIS_URL": url, "OUTPUT_REDIS_URL": url, "INPUT_QUEUE": "in",
            "OUTPUT_QUEUE": "out", "NODE_ID": "node-1", "INSTANCE_ID": "2", **(environment or {})})
        started.append((gateway, process))
        return gateway, process

    yield start_one
    for gateway, process in started:
        process.kill()
        gateway.close()
        process.check_log()


def first_line(path):
    """The first line of a file that a command writes at some time."""
    return wait_until(lambda: path.exists() and path.read_text().endswith("\n") and path.read_text().split()[0], 10, path)


def test_items_become_results(start):
    gateway, _ = start("wc", "-c")
    assert gateway.result("12345") == b"6\n"
    assert gateway.result("") == b"1\n"
    assert gateway.result(b"\0" * 300000) == b"300001\n"
    wait_until(lambda: gateway.asked == [1, 1, 1, 1])
    # A result and the wish for more travel together.
    assert gateway.packets[:3] == [[b"AUTH"], [b"EXEC"], [b"NEXT"]]
    assert [b"LPUSH", b"NEXT"] in gateway.packets and [b"LPUSH"] not in gateway.packets


def test_items_become_arguments_and_no_shell_sees_them(start, directory):
    gateway, _ = start("printf", "%s|", "{}", "in={.}", "{//}")
    item = "a dir/$(touch seen); `id` *\n.txt"
    assert gateway.result(item) == f"{item}|in={item[:-4]}|a dir|".encode()
    assert not (directory / "seen").exists()


def test_standard_input_is_empty_when_the_item_is_an_argument(start):
    gateway, _ = start(SCRIPT, "-c", "wc -c; readlink /proc/self/fd/0; echo $1", "sh", "{}")
    assert gateway.result("x") == b"0\n/dev/null\nx\n"


def test_result_is_what_was_written_to_the_byte(start):
    gateway, _ = start("cat", item_end="none", max_result=1 << 20)
    everything = bytes(range(256)) * 4096
    assert gateway.result(everything) == everything
    assert gateway.result("") == b""


def test_failures_tell_why(start):
    gateway, process = start(SCRIPT, "-c", "read line; eval \"$line\"")
    assert gateway.failure("echo lost; echo why >&2; exit 3") == ("exit status 3", 3, b"why\n")
    assert gateway.failure("kill -9 $$") == ("killed by signal 9", 137, b"")
    assert gateway.failure("echo $(seq 100000) >&2; echo the end >&2; exit 1")[2].endswith(b" 99999 100000\nthe end\n")
    assert gateway.result("echo well again") == b"well again\n"
    assert [b"FAIL", b"NEXT"] in gateway.packets
    assert process.running()


def test_command_that_cannot_run_is_a_failure(start, directory):
    gateway, process = start("./simulate", "{}")
    assert gateway.failure("x") == ("cannot run ./simulate: No such file or directory", -1, b"")
    (directory / "simulate").write_text("echo no\n")
    assert gateway.failure("x") == ("cannot run ./simulate: Permission denied", -1, b"")
    (directory / "simulate").chmod(0o755)
    assert gateway.failure("x") == ("cannot run ./simulate: Exec format error", -1, b"")
    (directory / "simulate").write_text("#!/bin/sh\necho $1\n")
    assert gateway.result("x") == b"x\n"
    assert gateway.failure(b"a\0b") == ("the item contains NUL: it cannot be an argument", -1, b"")
    assert gateway.failure("x" * 200000) == ("the item is too long for an argument", -1, b"")
    assert gateway.result("x" * 100000) == b"x" * 100000 + b"\n"
    assert process.running()


def test_timeout_ends_everything_that_was_started(start, directory):
    gateway, _ = start(SCRIPT, "-c", "echo $$ >pid; echo hangs >&2; sleep 60 | sleep 60", item_timeout=1)
    begin = time.monotonic()
    assert gateway.failure("x") == ("timed out after 1 s", -1, b"hangs\n")
    assert time.monotonic() - begin < 5
    wait_gone(first_line(directory / "pid"))


def test_too_much_output_is_a_failure(start):
    gateway, _ = start("yes", max_result=1000)
    assert gateway.failure("x") == ("more than 1000 bytes of output", -1, b"")


@pytest.mark.parametrize("end,expected", [("newline", b"a\nb\nc\n"), ("nul", b"a\0b\0c\0")])
def test_batch_is_given_to_one_command(start, end, expected):
    gateway, _ = start("cat", batch=1000, item_end=end)
    assert gateway.result("a", "b", "c") == expected
    lines = [str(n) for n in range(1000)]
    assert gateway.result(*lines) == "".join(line + expected[1:2].decode() for line in lines).encode()
    wait_until(lambda: gateway.asked == [1000] * 3)


def test_json_says_everything(start):
    gateway, _ = start("sed", "s/^/got /", result_format="json", item_format="numbered", batch=10)
    before = time.time()
    result = json.loads(gateway.result("7\tabc", failures=2))
    assert before - 1 <= result.pop("started") <= time.time()
    assert 0 < result.pop("seconds") < 10
    assert result == {"seq": 7, "item": "abc", "result": "got abc\n", "exit": 0, "node": "node-1", "instance": 2, "attempt": 3}
    result = json.loads(gateway.result("8\ta", "11\tb"))
    assert (result["seqs"], result["items"], result["result"]) == ([8, 11], 2, "got a\ngot b\n")
    assert "seq" not in result and "item" not in result
    result = json.loads(gateway.result(b"9\t\xff"))
    assert result["item_base64"] == "/w==" and "item" not in result
    assert result["result_base64"] == "Z290IP8K"


def test_numbers_come_with_the_items(start):
    gateway, _ = start("echo", "{#}", "{2}", item_format="numbered", result_format="tag")
    assert gateway.result("41\ta\tb") == b"a\tb\t41 b\n"
    reason, status, _ = gateway.failure("no number")
    assert "numbered" in reason and status == -1
    assert gateway.result("42\t") == b"\t42 \n"


def test_asked_to_end_while_idle(start):
    gateway, process = start("cat")
    gateway.result("x")
    process.stop(signal.SIGTERM, timeout=5, expect=0)


def test_asked_to_end_while_a_command_runs(start, directory):
    gateway, process = start(SCRIPT, "-c", "trap 'echo soft >end; exit 0' TERM; echo $$ >pid; while :; do sleep 0.05; done")
    gateway.give("x")
    pid = first_line(directory / "pid")
    process.stop(signal.SIGTERM, timeout=5, expect=143)
    assert first_line(directory / "end") == "soft"
    wait_gone(pid)
    assert gateway.outcomes.empty()


def test_asked_to_end_by_one_that_does_not_listen(start, directory):
    gateway, process = start(SCRIPT, "-c", "trap '' TERM; echo $$ >pid; while :; do sleep 0.05; done")
    gateway.give("x")
    pid = first_line(directory / "pid")
    begin = time.monotonic()
    process.stop(signal.SIGTERM, timeout=8, expect=143)
    assert time.monotonic() - begin >= 1.9
    wait_gone(pid)
    assert gateway.outcomes.empty()


def test_asked_to_end_before_a_result_is_told(start, directory):
    gateway, process = start(SCRIPT, "-c", "head -c 8388608 /dev/zero; echo $$ >pid", max_result=8 << 20)
    gateway.result("x")
    gateway.reading.clear()
    (directory / "pid").unlink()
    gateway.give("y")
    wait_gone(first_line(directory / "pid"))
    wait_until(lambda: not open(f"/proc/{process.pid}/task/{process.pid}/children").read())
    time.sleep(0.2)  # the result is on its way
    process.stop(signal.SIGTERM, timeout=5, expect=143)
    assert gateway.outcomes.empty()


def test_lost_gateway_ends_it_while_idle(start):
    gateway, process = start("cat")
    gateway.result("x")
    gateway.close_connection()
    assert process.wait(5) == 1
    assert "the connection to the gateway is lost" in process.log


def test_lost_gateway_ends_the_command_too(start, directory):
    gateway, process = start(SCRIPT, "-c", "echo $$ >pid; exec sleep 60")
    gateway.give("x")
    pid = first_line(directory / "pid")
    gateway.close_connection()
    assert process.wait(5) == 1
    wait_gone(pid)


def test_killed_gridexec_leaves_no_command(start, directory):
    gateway, process = start(SCRIPT, "-c", "echo $$ >pid; exec sleep 60")
    gateway.give("x")
    pid = first_line(directory / "pid")
    process.kill()
    wait_gone(pid)


def test_refusals_end_it_and_name_no_password(start, gridexec, directory):
    for url, message in ((f"redis://:{PASSWORD}@127.0.0.1:1/0", "connecting to the gateway: Connection refused"),
                         (f"redis://:{PASSWORD}@some-name:6379/0", "INPUT_REDIS_URL must be")):
        _, process = start("cat", url=url)
        assert process.wait(5) == 1 and message in process.log
    _, process = start("cat", result_format="of the future")
    assert process.wait(5) == 1 and "result_format" in process.log
    gateway = ExecGateway({"exec": ["cat"]}, password="another")
    _, process = start("cat", url=gateway.url.replace("another", PASSWORD))
    assert process.wait(5) == 1 and "refuses AUTH" in process.log
    gateway.close()
    alone = Daemon(gridexec, [], directory / "alone.log")
    assert alone.wait(5) == 1 and "gridnode" in alone.log


def test_result_that_is_refused_does_not_go_unnoticed(start):
    gateway, process = start("cat")
    gateway.refusal = b"-ERR no more room\r\n"
    gateway.give("x")
    assert process.wait(5) == 1
    assert "refuses a result or a failure: ERR no more room" in process.log


def test_environment_shows_nothing(start, directory):
    gateway, process = start(SCRIPT, "-c", "env; echo $$ >pid; read line; sleep 0.3", environment={"OTHER": "kept"})
    gateway.give("x")
    pid = first_line(directory / "pid")
    own = open(f"/proc/{process.pid}/environ", "rb").read()
    child = open(f"/proc/{pid}/environ", "rb").read()
    told = gateway.outcome()[1]
    for text in (own, child, told):
        assert b"REDIS_URL" not in text and PASSWORD.encode() not in text and b"redis:" not in text
        assert b"OTHER=kept" in text and b"INPUT_QUEUE=in" in text and b"NODE_ID=node-1" in text


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to become somebody else")
def test_command_cannot_look_into_gridexec(start, gridexec, directory):
    """The same user, without a right more: as it is in containers and for process workers."""
    directory.chmod(0o755)
    directory.parent.chmod(0o755)
    program = directory / "gridexec-copy"
    shutil.copy(gridexec, program)
    program.chmod(0o755)
    gateway, _ = start(SCRIPT, "-c", "for what in environ mem maps; do cat /proc/$PPID/$what >/dev/null && echo $what; done; "
                       "cat /proc/$$/environ >/dev/null && echo myself",
                       program=shutil.which("setpriv"),
                       arguments=["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", program])
    assert gateway.result("x") == b"myself\n"


def test_descriptors_of_the_command_are_three(start, gridexec, directory):
    gateway, _ = start(SCRIPT, "-c", "ls /proc/$$/fd; exit 0", program=SCRIPT,
                       arguments=["-c", f"exec 5</dev/null 9>&1; exec {gridexec}"])
    assert gateway.result("x") == b"0\n1\n2\n"
    gateway, _ = start(SCRIPT, "-c", "ls /proc/$$/fd; exit 0", program=SCRIPT,
                       arguments=["-c", f"exec <&- >&-; exec {gridexec}"])
    assert gateway.result("x") == b"0\n1\n2\n"


def test_what_a_command_leaves_behind_goes(start, directory):
    gateway, process = start(SCRIPT, "-c", "setsid sh -c 'echo $$ >pid; exec sleep 60' & "
                             "while ! [ -s pid ]; do sleep 0.01; done; rm -f pid2; mv pid pid2; echo done")
    for _ in range(3):
        assert gateway.result("x") == b"done\n"
        wait_gone(first_line(directory / "pid2"))
    # Neither running nor as a zombie.
    assert not open(f"/proc/{process.pid}/task/{process.pid}/children").read()


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, for a process namespace")
def test_first_process_reaps_and_hears(start, gridexec):
    gateway, process = start(SCRIPT, "-c", "(sleep 0.05 & ) ; setsid sleep 60 & echo done", program=shutil.which("unshare"),
                             arguments=["--pid", "--fork", "--kill-child", "--mount-proc", gridexec])
    for _ in range(3):
        assert gateway.result("x") == b"done\n"
    inner = int(open(f"/proc/{process.pid}/task/{process.pid}/children").read())
    wait_until(lambda: not open(f"/proc/{inner}/task/{inner}/children").read())
    os.kill(inner, signal.SIGTERM)
    assert process.wait(5) == 0


def test_many_items_leave_no_trace(start):
    gateway, process = start("cat", "/dev/null")
    gateway.result("x")
    before = process.descriptors()
    for _ in range(500):
        gateway.give("x")
    for _ in range(500):
        assert gateway.outcome() == ("result", b"")
    assert process.descriptors() == before


def test_it_is_static_and_needs_nothing(gridexec):
    text = subprocess.run(["readelf", "-ld", gridexec], capture_output=True, text=True, check=True).stdout
    assert "INTERP" not in text and "NEEDED" not in text
    assert gridexec.stat().st_size < 1 << 20
