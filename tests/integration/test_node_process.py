"""Workers as plain processes: the same life as containers have, each on its CPU, as another user, within limits."""
import os
import pwd
import re
import signal
import subprocess
import time

import pytest
from node_fixtures import minds_sigterm, worker_program  # noqa: F401
from process_fixtures import (USER, add_process_task, loopback_redis, make_process_node, public_worker,  # noqa: F401
                              read, stat, status)
from processes import run, wait_until


@pytest.fixture
def node(make_process_node, hub):
    started = make_process_node(hub).start()
    started.wait_for_id()
    return started


def wait_for_error(hub, node, pattern):
    def look():
        entry = hub.node(node.id)
        return entry and entry["error"] and re.search(pattern, entry["error"]) and entry
    return wait_until(look, 20, f"{pattern!r} at the hub")


def test_every_item_is_computed_once(hub, node, loopback_redis, public_worker):
    numbers = range(1, 301)
    loopback_redis.client.lpush("squares:in", *numbers)
    add_process_task(hub, loopback_redis, "squares", [public_worker])
    wait_until(lambda: loopback_redis.client.llen("squares:out") == 300, 30, "300 results")
    assert sorted(map(int, loopback_redis.client.lrange("squares:out", 0, -1))) == [n * n for n in numbers]
    entry = wait_until(lambda: (lambda n: n["active_containers"] == 2 and n)(hub.node(node.id)), 10, "both running")
    assert (entry["runtime_status"], entry["task"], entry["error"], entry["runtime"]) == ("Running", "squares", None, "process")


def test_each_worker_has_its_own_cpu_user_session_and_limits(hub, node, loopback_redis):
    add_process_task(hub, loopback_redis, "limits", ["sleep", "1000"])
    pids = node.wait_for_workers()
    cpus = [status(pid, "Cpus_allowed_list") for pid in pids.values()]
    assert all(cpu.isdigit() for cpu in cpus) and len(set(cpus)) == 2, cpus
    user = pwd.getpwnam(USER)
    for pid in pids.values():
        assert status(pid, "Uid").split() == [str(user.pw_uid)] * 4
        assert status(pid, "Gid").split() == [str(user.pw_gid)] * 4
        assert set(status(pid, "Groups").split()) == {str(group) for group in os.getgrouplist(USER, user.pw_gid)}
        assert int(status(pid, "CapEff"), 16) == 0
        assert status(pid, "NoNewPrivs") == "1"
        assert stat(pid)[4] == stat(pid)[5] == str(pid)  # group and session
        limits = read(f"/proc/{pid}/limits").decode()
        assert re.search(r"^Max core file size\s+0\s+0\s", limits, re.MULTILINE)
        assert re.search(r"^Max processes\s+2048\s+2048\s", limits, re.MULTILINE)  # container_pids of two slots
        assert re.search(r"^Max address space\s+unlimited\s", limits, re.MULTILINE)
        assert int(read(f"/proc/{pid}/oom_score_adj")) == 500


@pytest.mark.parametrize("delivery", ["direct", "leased"])
def test_a_worker_sees_neither_the_agents_environment_nor_its_descriptors(hub, make_process_node, loopback_redis, delivery):
    node = make_process_node(hub, token="not-this-one")
    node.program, real = "sh", node.program
    node.start({"IDM_GRIDCORE_TOKEN": "integration-test-token", "COLOUR": "red"},
               before=["-c", 'exec 9</etc/passwd "$0" "$@"', real])  # an open file, as some parents leave them
    node.wait_for_id()
    assert os.readlink(f"/proc/{node.daemon.pid}/fd/9") == "/etc/passwd"
    add_process_task(hub, loopback_redis, "env", ["sleep", "1000"], delivery=delivery,
                     env={"MODE": "fast", "NODE_ID": "forged", "LANG": "C"})
    for instance, pid in node.wait_for_workers().items():
        environment = dict(entry.split("=", 1) for entry in read(f"/proc/{pid}/environ").decode().split("\0") if entry)
        directory = os.readlink(f"/proc/{pid}/cwd")
        url = loopback_redis.url("127.0.0.1")
        if delivery == "leased":  # the gateway's, with a password of this worker's own
            assert environment["INPUT_REDIS_URL"] != url
            url = re.fullmatch(r"redis://:[\w-]{43}@127\.0\.0\.1:\d+/0", environment["INPUT_REDIS_URL"])[0]
        assert environment == {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": directory, "LANG": "C",
            "TMPDIR": directory, "TASK_NAME": "env", "NODE_ID": node.id, "INSTANCE_ID": str(instance),
            "INPUT_REDIS_URL": url, "OUTPUT_REDIS_URL": url, "INPUT_QUEUE": "env:in", "OUTPUT_QUEUE": "env:out",
            "MODE": "fast"}
        targets = {int(fd): os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
        assert set(targets) == {0, 1, 2} and targets[0] == "/dev/null" and targets[1].startswith("pipe:"), targets
        assert os.stat(directory).st_uid == pwd.getpwnam(USER).pw_uid and os.stat(directory).st_mode & 0o777 == 0o700
    assert len(node.directories()) == 2


def test_a_loader_that_obeys_the_tasks_environment_does_so_as_the_worker(hub, node, loopback_redis, directory):
    """The launcher still runs as root: what the task wants of its environment must not reach it."""
    log = directory / "ld.log"
    add_process_task(hub, loopback_redis, "ld", ["sleep", "1000"], env={"LD_DEBUG": "files", "LD_DEBUG_OUTPUT": str(log)})
    node.wait_for_workers()
    assert not list(directory.glob("ld.log*")), "root wrote it: that user cannot"


def test_the_limit_of_memory_ends_a_worker_and_says_so(hub, make_process_node, loopback_redis, public_worker):
    node = make_process_node(hub, parallelism=1, container_memory=32).start()
    node.wait_for_id()
    add_process_task(hub, loopback_redis, "eat", [public_worker, "eat"])
    node.daemon.wait_for_log("memory limited by control groups")
    entry = wait_for_error(hub, node, "out of memory")
    assert entry["runtime_status"] == "Error" and "container_memory" in entry["error"]


def test_a_switch_ends_the_old_workers_with_sigterm_and_starts_the_new(hub, node, loopback_redis, public_worker):
    add_process_task(hub, loopback_redis, "one", [public_worker])
    add_process_task(hub, loopback_redis, "two", ["sleep", "1000"])
    old = node.wait_for_workers(task="one")
    wait_until(lambda: all(map(minds_sigterm, old.values())), 10, "the workers' handlers")
    begun = time.monotonic()
    hub.next()
    node.wait_for_workers(task="two")
    assert time.monotonic() - begun < 5
    assert loopback_redis.client.llen("one:out:terms") == 2
    assert not node.workers("one")
    hub.finish()
    node.wait_for_workers(0)


def test_status_0_is_started_again_and_what_it_left_is_removed(hub, make_process_node, loopback_redis):
    node = make_process_node(hub, parallelism=1).start()
    node.wait_for_id()
    add_process_task(hub, loopback_redis, "short",
                     ["sh", "-c", "mkdir -p a/b/c && ln -s / a/root && touch a/b/c/file && chmod 0 a/b && echo out"])
    wait_until(lambda: node.daemon.log.count("ended with status 0") >= 3, 15, "three ends")
    assert hub.node(node.id)["error"] is None
    hub.finish()
    wait_until(lambda: not node.directories(), 5, "the removal of the directories")
    assert os.path.isdir("/usr")  # nobody followed the link


def test_status_1_is_told_with_the_end_of_the_output(hub, make_process_node, loopback_redis):
    node = make_process_node(hub, parallelism=1).start()
    node.wait_for_id()
    add_process_task(hub, loopback_redis, "fails", ["sh", "-c", "seq 100000; echo to stderr >&2; exit 3"])
    entry = wait_for_error(hub, node, "exit status 3")
    assert entry["error"].endswith("99999\n100000\nto stderr"), entry["error"][-100:]
    assert entry["runtime_status"] == "Error"


def test_a_command_that_is_not_there_is_a_clean_error(hub, node, loopback_redis):
    add_process_task(hub, loopback_redis, "absent", ["no-such-program", "x"])
    entry = wait_for_error(hub, node, r'cannot run "no-such-program": No such file or directory')
    assert entry["active_containers"] == 0
    hub.finish()
    add_process_task(hub, loopback_redis, "denied", ["/etc/passwd"])
    wait_for_error(hub, node, r'cannot run "/etc/passwd": Permission denied')


def test_a_task_without_a_command_says_why_it_does_not_run(hub, node):
    hub.add("image-only", image="some/image:1")
    wait_for_error(hub, node, 'no command.*runtime = "process"')
    assert "no command" in hub.node(node.id)["idle_reason"]


def test_a_worker_that_ignores_sigterm_is_killed_in_time(hub, make_process_node, loopback_redis, public_worker):
    node = make_process_node(hub, stop_timeout=2).start()
    node.wait_for_id()
    add_process_task(hub, loopback_redis, "deaf", [public_worker, "stubborn"])
    pids = node.wait_for_workers()
    wait_until(lambda: all(map(minds_sigterm, pids.values())), 10, "the workers' handlers")
    begun = time.monotonic()
    node.stop()
    assert 1.9 < time.monotonic() - begun < 8
    assert not node.all_workers()


def test_an_agent_that_ends_at_once_kills_what_runs_and_the_next_clears_up(hub, make_process_node, loopback_redis,
                                                                            public_worker):
    node = make_process_node(hub, stop_timeout=60).start()
    node.wait_for_id()
    add_process_task(hub, loopback_redis, "deaf", [public_worker, "stubborn"])
    pids = node.wait_for_workers()
    hub_pid = hub.daemon.pid
    os.kill(hub_pid, signal.SIGSTOP)  # its goodbye is not answered: the agent can be caught while it waits
    try:
        node.daemon.send(signal.SIGTERM)
        node.daemon.wait_for_log("stopping containers")
        os.kill(node.daemon.pid, signal.SIGSTOP)  # two signals of one kind would be one
        node.daemon.send(signal.SIGINT)
        node.daemon.send(signal.SIGTERM)
        os.kill(node.daemon.pid, signal.SIGCONT)
        assert node.daemon.wait(10) == 0
    finally:
        os.kill(hub_pid, signal.SIGCONT)
    wait_until(lambda: not set(pids.values()) & node.all_workers(), 5, "the workers' end")
    hub.finish()
    node.start()
    node.daemon.wait_for_log("workers run on")
    assert not node.records() and not node.directories() and not node.cgroups()


# A child that is deaf to SIGTERM, in the worker's group or in a session of its own; the worker itself goes at once.
FAMILY = "trap 'exit 0' TERM; ({}sh -c 'trap \"\" TERM; while :; do sleep 1; done') & while :; do sleep 0.1; done"


def test_grandchildren_are_killed_too(hub, node, loopback_redis):
    add_process_task(hub, loopback_redis, "family", ["sh", "-c", FAMILY.format("")])
    node.wait_for_workers()
    wait_until(lambda: len(node.all_workers()) >= 6, 10, "the families")
    hub.finish()
    node.wait_for_workers(0)


def test_grandchildren_of_a_session_of_their_own_are_killed_by_their_control_group(hub, node, loopback_redis):
    add_process_task(hub, loopback_redis, "family", ["sh", "-c", FAMILY.format("exec setsid ")])
    node.wait_for_workers()
    wait_until(lambda: len(node.all_workers()) >= 6, 10, "the families")
    assert len(node.cgroups()) == 2
    hub.finish()
    node.wait_for_workers(0)


@pytest.mark.parametrize("session", ["", "exec setsid "])
def test_what_a_killed_agent_left_is_removed_at_its_next_start(hub, node, loopback_redis, session):
    add_process_task(hub, loopback_redis, "orphans", ["sh", "-c", "touch file; " + FAMILY.format(session)])
    direct = set(node.wait_for_workers().values())
    wait_until(lambda: len(node.all_workers()) >= 6, 10, "the families")
    node.kill()
    hub.finish()
    wait_until(lambda: not direct & node.all_workers(), 5, "the direct children's death with their parent")
    assert node.all_workers() and len(node.records()) == len(node.directories()) == 2
    node.start()
    node.daemon.wait_for_log("cleared up after 2 workers")
    assert not node.all_workers() and not node.records() and not node.directories() and not node.cgroups()


def test_a_group_that_only_has_the_number_of_a_recorded_one_is_spared(hub, node, loopback_redis):
    """The number was given to somebody else meanwhile: the time of the start tells."""
    node.stop()
    with subprocess.Popen(["sleep", "1000"], start_new_session=True) as other:
        try:
            boot = read("/proc/sys/kernel/random/boot_id").decode().strip()
            started = int(stat(other.pid)[21])
            records = node.directory / "state" / f"workers-{node.id}"
            for name, start, its_boot in (("a", started - 1, boot), ("b", started, boot[::-1])):
                (records / name).write_text(f"directory /nonexistent/idm\ncgroup \ngroup {other.pid} {start} {its_boot}\n")
            node.start()
            node.daemon.wait_for_log("cleared up after 2 workers")
            assert other.poll() is None
        finally:
            other.kill()


def test_a_process_that_somebody_kills_is_started_again(hub, node, loopback_redis):
    add_process_task(hub, loopback_redis, "killed", ["sleep", "1000"])
    before = node.wait_for_workers()
    os.kill(before[0], signal.SIGKILL)
    node.daemon.wait_for_log("ended by signal 9")
    wait_until(lambda: node.workers().get(0, before[0]) != before[0], 10, "the next one")
    assert node.workers()[1] == before[1]


def test_where_no_control_group_can_be_had_one_warning_says_so(hub, make_process_node, loopback_redis):
    """An agent without root, on a machine that delegates nothing to it."""
    node = make_process_node(hub, process_user="", process_same_user=True)
    before = node.as_user(65534)
    node.start(before=before)
    node.wait_for_id()
    add_process_task(hub, loopback_redis, "same", ["sleep", "1000"])
    for pid in node.wait_for_workers().values():
        assert status(pid, "Uid").split() == ["65534"] * 4
    assert len(re.findall(r"warn .*no limit of memory", node.daemon.log)) == 1, node.daemon.log


@pytest.mark.parametrize("how", ["finish", "kill -9"])
def test_without_control_groups_the_group_is_killed(hub, make_process_node, loopback_redis, how):
    node = make_process_node(hub, process_user="", process_same_user=True)
    before = node.as_user(65534)
    node.start(before=before)
    node.wait_for_id()
    add_process_task(hub, loopback_redis, "family", ["sh", "-c", FAMILY.format("")])
    node.wait_for_workers()
    wait_until(lambda: len(node.all_workers()) >= 6, 10, "the families")
    assert not node.cgroups()
    if how == "finish":
        hub.finish()
    else:
        node.kill()
        hub.finish()
        assert node.all_workers()
        node.start(before=before)
        node.daemon.wait_for_log("cleared up after 2 workers")
    node.wait_for_workers(0)


REFUSED = [
    ({"process_user": ""}, None, "must not run as root.*useradd.*process_user"),
    ({"process_user": "root"}, None, "process_user must not be root"),
    ({"process_user": "nosuchuser"}, None, 'no user "nosuchuser".*useradd'),
    ({"process_user": "", "process_same_user": True}, None, "process_same_user is not for root"),
    ({"process_user": ""}, 65534, "process_same_user = true"),
    ({"process_user": USER}, 65534, "process_user needs a gridnode that runs as root"),
    ({"runtime": "podman"}, None, 'runtime: must be "docker" or "process"'),
]


@pytest.mark.parametrize("config, user, message", REFUSED)
def test_a_configuration_that_would_endanger_the_machine_is_refused(make_process_node, config, user, message):
    node = make_process_node(None, **config)
    node.write_config()
    before = node.as_user(user) if user else []
    for path in (node.directory, *list(node.directory.parents)[:2]):
        path.chmod(0o711)
    for more in ([], ["--check-config"]):
        code, _, err = run(node.program, [*before, "-c", node.config_path, *more])
        assert code == 78 and re.search(message, err), err
        assert str(node.config_path) in err


def test_the_launcher_alone_does_nothing(gridnode):
    code, out, err = run(gridnode, ["launch-worker"])
    assert (code, out, err) == (127, "", "")
