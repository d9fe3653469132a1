"""gridctl against a real hub: what each command tells people and programs, its exit statuses, and what it says where something
is wrong."""
import http.server
import json
import os
import re
import signal
import stat
import subprocess
import threading
import time

import pytest

from conftest import ROOT
from gridctl_fixtures import ADMIN, VIEWER, Gridctl, gridctl, make_ctl  # noqa: F401
from lease_fixtures import leasing, make_redis, store  # noqa: F401
from lease_node import failed
from processes import TOKEN, wait_until
from tls_fixtures import authority, make_tls_hub  # noqa: F401


@pytest.fixture
def ctl(hub, make_ctl):  # noqa: F811
    return make_ctl(hub)


def config_of(ctl, text, mode=0o600):  # noqa: F811
    path = ctl.home / ".config" / "idm-gridcore" / "gridctl.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


# ---- the frame ----

def test_help_tells_the_commands(gridctl):  # noqa: F811
    code, out, err = gridctl()
    assert code == 2 and err == "" and "Tasks" in out and "node stop|drain|undrain" in out and "config [init]" in out
    out, _ = gridctl.good("--help")
    assert "dead retry TASK [ID...]" in out and "--token-file FILE" in out and "Exit status: 0 good" in out
    assert gridctl.good("help", "dead", "show")[0] == gridctl.good("dead", "show", "--help")[0]
    assert "Usage: gridctl dead show TASK [ID...]\n" in gridctl.good("help", "dead", "show")[0]
    assert gridctl.good("help", "node")[0].count("\n") == 3
    assert re.fullmatch(r"gridctl \d+\.\d+\.\d+\n", gridctl.good("--version")[0])


@pytest.mark.parametrize("arguments, says", [
    (("taks",), "unknown command 'taks'; did you mean 'gridctl tasks'?"),
    (("node", "stpo", "x"), "unknown command 'node stpo'; there are:"),
    (("dead",), "'dead' needs one more word:"),
    (("nonsense",), "unknown command 'nonsense'"),
    (("tasks", "--al"), "unknown option --al; did you mean --all?"),
    (("task",), "task: something is missing"),
    (("task", "a", "b"), "task: unexpected argument 'b'"),
    (("tasks", "--status", "odd"), "--status must be one of: running paused pending completed cancelled"),
    (("--hbu", "x", "tasks"), "unknown option --hbu; did you mean --hub?"),
    (("dead", "drop", "t"), "dead drop: which? Name their ids, or give --all"),
    (("completion", "fish"), "no such shell here: 'fish'"),
])
def test_a_wrong_command_line_is_named(gridctl, arguments, says):  # noqa: F811
    code, out, err = gridctl("--hub", "http://127.0.0.1:1", "--retry-for", 0, *arguments)
    assert (code, out) == (2, "") and says in err, err


def test_man_pages_are_good_troff(gridctl):  # noqa: F811
    for words in ((), ("tasks",), ("node", "stop"), ("config", "init")):
        page, _ = gridctl.good("man", *words)
        result = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z"], input=page, capture_output=True, text=True, check=True)
        assert result.stderr == "", (words, result.stderr)
    text = subprocess.run(["groff", "-man", "-Tascii", "-P-c"], input=gridctl.good("man", "logs")[0], capture_output=True, text=True,
                          check=True).stdout
    assert "gridctl-logs" in text and "--follow" in re.sub(".\b", "", text)


# ---- tasks ----

def test_tasks_are_listed(hub, ctl):
    assert ctl("tasks") == (0, "", "gridctl: no task yet\n")
    hub.add("first", delivery="direct")
    hub.add("第二个任务", delivery="direct")
    titles, first, second = ctl.rows("tasks")
    assert titles == ["NAME", "STATUS", "DONE", "TOTAL", "DEAD", "RATE", "LEFT", "SINCE"]
    assert first[:3] == ["first", "running", "-"] and second[:2] == ["第二个任务", "pending"]
    assert ctl.json("tasks") == hub.tasks()
    assert [row[0] for row in ctl.rows("tasks", "--status", "pending")[1:]] == ["第二个任务"]
    assert ctl("tasks", "-q", "--status", "completed") == (0, "", "")


def test_only_the_last_ended_tasks_are_listed_unless_all_are_wanted(hub, ctl):
    for i in range(13):
        hub.add(f"t{i:02}", delivery="direct")
        hub.finish()
    out, err = ctl.good("tasks")
    assert out.count("\n") == 11 and "t02" not in out and "t03" in out and "3 more that ended before: gridctl tasks --all" in err
    assert ctl.good("tasks", "--all")[0].count("\n") == 14


def test_numbers_of_a_leased_task(leasing, make_ctl):  # noqa: F811
    ctl = make_ctl(leasing.hub)
    task = leasing.add("sums", command=["/bin/my tool", "--x"], env={"A": "b c"}, max_attempts=1)
    node = leasing.node()
    leasing.store.push(["1", "2", "3", "4"])
    leasing.ready("sums")
    items = node.take(task, 2)
    node.commit(task, failed(items[0], "exit status 3", exit_status=3))
    leasing.sees("sums", dead=1, leased=1, waiting=2)
    assert ctl.rows("tasks")[1][:5] == ["sums", "running", "0", "4", "1"]
    out, _ = ctl.good("task", "sums")
    assert "Items:           0 of 4 done (0 %), 2 waiting, 1 with nodes\n" in out
    assert "Failures:        1 failed attempts, 1 dead letters, 0 lost with their nodes\n" in out
    assert "Command:         '/bin/my tool' --x\n" in out and "Environment:     A=b c\n" in out
    assert ctl.json("task", "sums")["name"] == "sums"
    assert ctl("task", "no such") == (1, "", 'gridctl: there is no task named "no such"\n')
    assert ctl("task", "no/such")[0] == 1 and "none has a '/' in it" in ctl("pause", "no/such")[2]


def test_next_and_finish(hub, ctl):
    assert ctl("next")[0] == 1 and ctl("finish")[0] == 1
    hub.add("a", delivery="direct")
    hub.add("b", delivery="direct")
    assert ctl.good("next") == ("", 'gridctl: "a" is completed; "b" has started\n')
    code, _, err = ctl("next")
    assert code == 1 and "waiting" in err
    assert hub.queue() == ("b", [], ["a"])
    assert ctl.json("finish")["completed"] == "b"
    assert hub.queue() == (None, [], ["a", "b"])


def knows(hub, path):
    """Whether the hub has this call; other than that nothing of the answer matters."""
    answer = hub.post(path)
    if answer.status == 404 and "no such path" in answer.error[1]:
        pytest.skip(f"this hub has no {path}")


def test_finish_by_name_finishes_no_other(hub, ctl):
    knows(hub, "/api/tasks/none/finish")
    hub.add("a", delivery="direct")
    hub.add("b", delivery="direct")
    code, _, err = ctl("finish", "b")
    assert code == 1 and "b" in err
    assert hub.queue() == ("a", ["b"], [])
    assert ctl.good("finish", "a")[0] == "" and hub.queue() == ("b", [], ["a"])


def test_pause_resume_and_cancel(leasing, make_ctl):  # noqa: F811
    hub, ctl = leasing.hub, make_ctl(leasing.hub)
    knows(hub, "/api/tasks/none/pause")
    leasing.add("t")
    leasing.store.push(["1", "2"])
    leasing.ready("t")
    assert ctl.good("pause", "t")[1] == 'gridctl: "t" is paused; nodes finish the items that they have begun\n'
    assert hub.get("/api/tasks/t").json["paused"] is True and ctl.rows("tasks")[1][1] == "paused"
    assert ctl.rows("tasks", "--status", "paused")[1][0] == "t"
    assert ctl.json("resume", "t")["paused"] is False
    code, _, err = ctl("cancel", "nothing", "t", "--purge")
    assert code == 1 and 'no task named "nothing"' in err
    assert '"t" is cancelled; its items, dead letters and results are dropped' in err
    assert ctl.rows("tasks")[1][:2] == ["t", "cancelled"]
    wait_until(lambda: leasing.store.list("in") == [], 10, "the purge")


# ---- nodes ----

def test_nodes_are_listed_and_named(hub, ctl):
    assert "join-command" in ctl.good("nodes")[1]
    ids = [hub.register(hostname=name)["node_id"] for name in ("alpha", "beta", "beta")]
    hub.beat(ids[0], "Error", error="no engine\nat all \x1b[31m")
    rows = ctl.good("nodes")[0].splitlines()
    assert rows[0].split() == ["ID", "HOST", "STATE", "BUSY", "PLATFORM", "TASK", "SEEN", "REMARK"]
    assert re.search(rf"^{ids[0][:8]} +alpha +Error +0/\d +linux/amd64 +(now|\d s ago) +no engine at all \?\[31m$", "\n".join(rows), re.M)
    assert {node["id"] for node in ctl.json("nodes")} == set(ids)
    assert ids[1] in ctl.good("nodes", "--full-ids")[0]

    code, _, err = ctl("node", "stop", "gamma")
    assert code == 1 and 'there is no node "gamma"' in err
    code, _, err = ctl("node", "stop", "beta")
    assert code == 1 and '"beta" is the host name of 2 nodes' in err and ids[1] in err and ids[2] in err
    assert not any(node["stop_requested"] for node in hub.nodes())
    assert "alpha" in ctl.good("node", "stop", "alpha")[1] and hub.node(ids[0])["stop_requested"]
    assert ctl.json("node", "stop", ids[1][:13]) == {"node_id": ids[1], "stop_requested": True}
    assert not hub.node(ids[2])["stop_requested"]


def test_drain_and_undrain(hub, ctl):
    knows(hub, "/api/nodes/none/drain")
    node = hub.register(hostname="alpha")["node_id"]
    assert "gets no more until 'gridctl node undrain'" in ctl.good("node", "drain", "alpha")[1]
    assert hub.node(node)["draining"] is True and ctl.rows("nodes")[1][2] == "Draining"
    assert ctl.json("node", "undrain", node[:6])["draining"] is False


def test_join_command_makes_a_configuration(hub, ctl, directory, make_idle_node_config):
    out, err = ctl.good("join-command", "--user")
    assert "# On the new machine" in out and TOKEN not in out
    home = directory / "new machine"
    home.mkdir()
    (home / "token file").write_text("the-join-token\n")
    commands = ctl.json("join-command", "-q", "--user", "--token-from", home / "token file")["commands"]
    subprocess.run(["sh", "-e"], input=commands, text=True, check=True, env={"HOME": str(home), "PATH": os.environ["PATH"]})
    path = home / ".config" / "idm-gridcore" / "gridnode.toml"
    assert re.fullmatch(r'server_url = "http://[\d.]+:%d"\ntoken = "the-join-token"\n' % hub.port, path.read_text())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    make_idle_node_config(path)
    # An existing one is left alone: it holds the node's id.
    path.write_text("mine")
    again = subprocess.run(["sh"], input=commands, text=True, capture_output=True, env={"HOME": str(home), "PATH": os.environ["PATH"]},
                           check=False)
    assert path.read_text() == "mine" and again.stderr


@pytest.fixture
def make_idle_node_config(gridnode):
    """The agent itself has to like the file."""
    def check(path):
        subprocess.run([gridnode, "-c", path, "--check-config"], check=True, timeout=20, capture_output=True)
    return check


# ---- failures ----

@pytest.fixture
def deaths(leasing):  # noqa: F811
    """A task with three dead letters."""
    task, node = leasing.add("t", max_attempts=1), leasing.node()
    leasing.store.push(["one", "two", b"\xffthree\x1b[2J"])
    leasing.ready("t")
    for i, item in enumerate(node.take(task, 3)):
        node.commit(task, failed(item, f"exit status {i}", exit_status=i, log_tail=f"first line\nit broke: {i}\n"))
    leasing.sees("t", dead=3)
    return leasing


def test_dead_letters_are_listed_and_shown(deaths, make_ctl):  # noqa: F811
    ctl = make_ctl(deaths.hub)
    letters = deaths.hub.get("/api/tasks/t/dead").json["dead"]
    rows = ctl.rows("dead", "list", "t")
    assert rows[0] == ["ID", "DIED", "ATTEMPTS", "EXIT", "ITEM", "REASON"]
    assert [row[0] for row in rows[1:]] == [letter["id"] for letter in letters]
    assert "0  one" in ctl.good("dead", "list", "t")[0] and "?three?[2J" in ctl.good("dead", "list", "t")[0]
    out, err = ctl.good("dead", "list", "t", "-n", 2)
    assert out.count("\n") == 3 and "1 more: --all" in err
    answer = ctl.json("dead", "list", "t", "-n", 2)
    assert answer == {"total": 3, "dead": letters[:2]}

    out, _ = ctl.good("dead", "show", "t", letters[1]["id"])
    assert "Item:            two\n" in out and "Exit status:     1\n" in out and "Reason:          exit status 1\n" in out
    assert out.endswith("Last output:\n  | first line\n  | it broke: 1\n")
    assert ctl.good("dead", "show", "t")[0].count("Dead letter:") == 3
    assert ctl.json("dead", "show", "t", letters[2]["id"]) == [letters[2]]
    code, out, err = ctl("dead", "show", "t", "nothing", letters[0]["id"])
    assert code == 1 and "it broke: 0" in out and '"t" has no dead letter nothing' in err
    assert ctl("dead", "list", "none")[0] == 1


def test_many_dead_letters_are_read_page_by_page(leasing, make_ctl):  # noqa: F811
    task, node = leasing.add("t", max_attempts=1), leasing.node()
    leasing.store.push([f"item-{i}" for i in range(1100)])
    leasing.ready("t")
    for items in [node.take(task, 550), node.take(task, 550)]:  # before any failed: who has failed gets no more at once
        node.commit(task, *map(failed, items))
    leasing.sees("t", dead=1100)
    ctl = make_ctl(leasing.hub)
    assert ctl.good("dead", "list", "t", "--all")[0].count("\n") == 1101
    last = ctl.json("dead", "list", "t", "--all")["dead"][-1]
    assert f"Item:            {last['item']}\n" in ctl.good("dead", "show", "t", last["id"])[0]


def test_dead_letters_are_retried_and_dropped(deaths, make_ctl):  # noqa: F811
    ctl = make_ctl(deaths.hub)
    ids = [letter["id"] for letter in deaths.hub.get("/api/tasks/t/dead").json["dead"]]
    assert ctl.good("dead", "retry", "t", ids[0])[1] == "gridctl: 1 dead letter tried again\n"
    deaths.sees("t", dead=2, waiting=1)
    code, _, err = ctl("dead", "retry", "t", ids[0], ids[1])
    assert code == 1 and "1 of the given ids are no dead letters" in err
    assert ctl.json("dead", "drop", "t", "--all") == {"dropped": 1}
    deaths.sees("t", dead=0, waiting=2)
    assert ctl.good("dead", "list", "t") == ("", 'gridctl: "t" has no dead letters\n')


def test_dead_letters_of_an_ended_task_are_not_thrown_away_by_a_retry(deaths, make_ctl):  # noqa: F811
    ctl = make_ctl(deaths.hub)
    deaths.hub.finish()
    code, _, err = ctl("dead", "retry", "t")
    assert code == 1 and "has ended" in err and "--resume-failed" in err
    assert deaths.hub.get("/api/tasks/t/dead").json["total"] == 3
    assert ctl.good("dead", "retry", "t", "--force")[1] == "gridctl: 3 dead letters tried again\n"


def test_an_output_that_takes_nothing_is_an_error(hub, ctl):
    add_tasks = [hub.add(f"task-{n}", image="x:1", delivery="direct") for n in range(3)]
    assert len(add_tasks) == 3
    with open("/dev/full", "wb") as full:
        process = ctl.start("tasks", stdout=full)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 1 and b"cannot write to standard output" in err, err
    for closed in (">&-", "<&- >&- 2>&-"):
        result = subprocess.run(["bash", "-c", f'"$0" "$@" {closed}', ctl.program, *ctl.arguments, "tasks"], capture_output=True, check=False,
                                env={**os.environ, **ctl.environment}, timeout=30)
        assert result.returncode == 1, result


def test_logs_show_and_follow_failures(leasing, make_ctl):  # noqa: F811
    answer = leasing.hub.get("/api/tasks/none/failures")
    if "no such path" in answer.error[1]:
        pytest.skip("this hub tells no failures")
    ctl, task, node = make_ctl(leasing.hub), leasing.add("t", max_attempts=2), leasing.node()
    leasing.store.push(["one"])
    leasing.ready("t")
    node.commit(task, failed(node.take(task, 1)[0], "exit status 7", exit_status=7, log_tail="first\nlast\n"))
    leasing.sees("t", failed=1)
    out, _ = ctl.good("logs", "t")
    assert re.fullmatch(r"[-\d]+ [:\d]+  \S+: exit status 7 \(attempt 1\)\n  item: one\n  \| first\n  \| last\n", out), out
    assert "first" not in ctl.good("logs", "t", "--brief")[0]

    following = ctl.start("logs", "t", "--follow", "--json")
    assert json.loads(following.stdout.readline())["attempts"] == 1
    node.commit(task, failed(node.take(task, 1)[0], "killed by signal 9"))
    second = json.loads(following.stdout.readline())
    assert second["reason"] == "killed by signal 9" and second["dead"] is True
    leasing.hub.finish()
    rest, err = following.communicate(timeout=20)
    assert following.returncode == 0 and rest == b"" and b'"t" has ended' in err


# ---- what is wrong ----

def test_tokens_are_refused_with_what_to_do(make_hub, make_ctl, directory):  # noqa: F811
    hub = make_hub()
    del hub.config["token"]
    hub.start(admin_token=ADMIN, viewer_token=VIEWER)
    code, out, err = make_ctl(hub, "wrong-token")("tasks")
    assert (code, out) == (77, "") and "refuses the token of $IDM_GRIDCORE_TOKEN: it must be the hub's admin_token" in err
    assert make_ctl(hub, VIEWER)("tasks")[0] == 0
    code, _, err = make_ctl(hub, VIEWER)("finish")
    assert code == 77 and "refuses the token of $IDM_GRIDCORE_TOKEN: this call needs the hub's admin_token" in err
    ctl = make_ctl(hub, None)
    # The home and /etc may hold a hub of this machine's; another address than loopback's is never given its token.
    code, _, err = ctl("tasks", environment={"XDG_CONFIG_HOME": str(directory)})
    if not os.path.exists("/etc/idm-gridcore/computehub.toml"):
        assert code == 77 and "wants a token" in err and "gridctl config init" in err
    path = directory / "token"
    path.write_text(ADMIN + "\n")
    path.chmod(0o644)
    code, _, err = ctl("tasks", "--token-file", path)
    assert code == 0 and f"others can read the token in {path} (mode 0644): chmod 600 {path}" in err
    path.chmod(0o600)
    assert ctl("tasks", "-q", "--token-file", path) == (0, "", "")


def test_a_user_of_the_hubs_machine_needs_no_token(make_hub, make_ctl):  # noqa: F811
    if os.path.exists("/etc/idm-gridcore/computehub.toml"):
        pytest.skip("this machine has a hub of its own")
    hub, ctl = make_hub().start(), make_ctl(None, None)
    config = ctl.home / ".config" / "idm-gridcore" / "computehub.toml"
    config.parent.mkdir(parents=True)
    config.write_text(f'bind = "127.0.0.1:{hub.port}"\nadmin_token = "{TOKEN}"\n')
    assert ctl.json("tasks") == hub.tasks()
    assert ctl.json("config")["hub"] == {"value": hub.url, "from": str(config)}


def test_an_unreachable_hub_is_tried_for_a_while(hub, ctl):
    hub.stop()
    begun = time.monotonic()
    code, out, err = ctl("tasks", "--retry-for", "1")
    assert (code, out) == (69, "") and 0.3 < time.monotonic() - begun < 10
    assert err.count("\n") == 2 and "trying again for 1 s" in err and "is it running there? --hub or 'gridctl config'" in err
    assert ctl("tasks", "--retry-for", "0")[2].count("\n") == 1
    waiting = ctl.start("tasks", "--retry-for", "20", "--json")
    assert b"trying again" in waiting.stderr.readline()
    hub.start()
    out, err = waiting.communicate(timeout=20)
    assert waiting.returncode == 0 and json.loads(out) == hub.tasks() and err == b"gridctl: the hub answers again\n"


class Answering(http.server.BaseHTTPRequestHandler):
    """Answers every call with what the server was given."""

    def do_GET(self):
        self.server.calls.append((self.command, self.path))
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, body = self.server.answer
        if status is None:
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_):
        pass


class Stranger:
    """What answers where a hub should be."""

    tls = None

    def __init__(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering)
        self.server.calls = []
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}"

    def says(self, status, body=b""):
        self.server.answer, self.server.calls[:] = (status, body), []
        return self.server.calls


@pytest.fixture
def stranger():
    stranger = Stranger()
    yield stranger
    stranger.server.shutdown()
    stranger.server.server_close()


def test_an_older_hub_is_named(stranger, make_ctl):  # noqa: F811
    ctl = make_ctl(stranger)
    stranger.says(404, b'{"error":{"code":"not_found","message":"there is no such path; the README lists the calls"}}')
    assert ctl("pause", "x") == (1, "", f"gridctl: the hub at {stranger.url} is too old for pausing tasks: update it\n")
    stranger.says(405, b'{"error":{"code":"method_not_allowed","message":"this path knows GET"}}')
    assert "is too old for finishing a task by its name" in ctl("finish", "x")[2]


def test_what_is_no_hub_is_named(stranger, make_ctl):  # noqa: F811
    ctl = make_ctl(stranger)
    for status, body, code, says in (
            (200, b"<html>", 1, "is not a hub: no JSON"),
            (404, b"<html>", 1, "is not a hub: it said 404, and no reason"),
            (502, b"<html>", 69, "a proxy before it says 502"),
            (503, b"", 69, "a proxy before it says 503")):
        stranger.says(status, body)
        got, out, err = ctl("tasks", "--retry-for", "0")
        assert (got, out) == (code, "") and says in err, err


def test_a_call_that_may_have_been_heard_is_not_repeated(stranger, make_ctl):  # noqa: F811
    ctl = make_ctl(stranger)
    calls = stranger.says(None)
    code, _, err = ctl("next", "--retry-for", "2")
    assert code == 69 and calls == [("POST", "/api/tasks/next")] and "whether it was done is not known" in err
    calls = stranger.says(None)
    assert ctl("tasks", "--retry-for", "1")[0] == 69 and len(calls) > 1


def test_names_are_encoded_in_paths(stranger, make_ctl):  # noqa: F811
    calls = stranger.says(200, b"{}")
    make_ctl(stranger).good("pause", "a b/ä%?#")
    assert calls == [("POST", "/api/tasks/a%20b%2F%C3%A4%25%3F%23/pause")]


def test_hub_with_a_certificate(make_tls_hub, authority, make_ctl, directory):  # noqa: F811
    pair = authority.sign()
    hub = make_tls_hub(pair)
    ctl = make_ctl(hub)
    code, out, err = ctl("tasks", "--retry-for", "5")
    assert (code, out) == (77, "") and err.count("\n") == 1 and "is not trusted: " in err and "with tls_pin" in err
    assert ctl.json("tasks", "--tls-ca", authority.certificate) == hub.tasks()
    assert ctl.json("tasks", "--tls-pin", pair.pin) == hub.tasks()
    other = authority.sign().pin
    code, _, err = ctl("tasks", "--tls-pin", other)
    assert code == 77 and "another key than tls_pin says" in err
    assert ctl("tasks", "--tls-pin", "sha256//short")[0] == 78
    out, _ = ctl.good("join-command", "--tls-pin", pair.pin)
    assert f"tls_pin = \"%s\"\\n' '{pair.pin}'" in out or f"' {pair.pin}" in out
    plain = make_ctl(None, TOKEN)
    code, _, err = plain("--hub", hub.url.replace("https", "http"), "--retry-for", 0, "tasks")
    assert code in (1, 69) and ("https://" in err or "not a hub" in err)


def test_troubleshooting_tells_what_gridctl_says(make_hub, stranger, make_ctl, directory):  # noqa: F811
    hub, file = make_hub().start(), directory / "token"
    file.write_text(TOKEN)
    file.chmod(0o644)
    nobody = {"XDG_CONFIG_HOME": str(directory)}
    said = [make_ctl(hub, "wrong")("tasks"), make_ctl(hub)("tasks", "--token-file", file),
            make_ctl(None)("--hub", "http://127.0.0.1:1", "--retry-for", 0, "tasks")]
    if not os.path.exists("/etc/idm-gridcore/computehub.toml"):
        said.append(make_ctl(hub, None)("tasks", environment=nobody))
    stranger.says(405, b'{"error":{"code":"method_not_allowed","message":"this path knows GET"}}')
    said.append(make_ctl(stranger)("pause", "x"))
    stranger.says(None)
    said.append(make_ctl(stranger)("next"))
    text = "".join(err for _, _, err in said)
    for page in ("TROUBLESHOOTING.md", "TROUBLESHOOTING.zh-CN.md"):
        section = re.search(r"^## gridctl\n(.*?)^## ", (ROOT / page).read_text(), re.M | re.S).group(1)
        messages = [message for row in re.findall(r"^\| (`.*?) \|", section, re.M) for message in re.findall(r"`([^`]+)`", row)]
        assert len(messages) == 6
        for message in messages:
            if "wants a token" not in message or len(said) == 6:
                assert re.search(re.escape(message).replace("…", ".*"), text), (message, text)


# ---- configuration ----

def test_config_shows_what_is_used(gridctl):  # noqa: F811
    path = config_of(gridctl, f'hub = "http://h:1"\ntoken = "{ADMIN}"\n')
    shown = gridctl.json("config", environment={"IDM_GRIDCORE_HUB": "http://e:2"})
    assert shown["hub"] == {"value": "http://e:2", "from": "$IDM_GRIDCORE_HUB"}
    assert shown["token"] == {"value": f"hun*** ({len(ADMIN)} characters)", "from": str(path)}
    assert shown["file"] == str(path) and shown["exists"] is True and shown["tls_pin"] == {"value": None, "from": None}
    assert ["hub", "http://h:1", str(path)] in gridctl.rows("config")


def test_a_bad_configuration_is_78(gridctl, directory):  # noqa: F811
    config_of(gridctl, f'hub = 5\ntoken = "{ADMIN} x"\n')
    for command in (("tasks",), ("config",)):
        code, out, err = gridctl(*command)
        assert (code, out) == (78, "") and "gridctl.toml:1: hub must be a string" in err and "gridctl.toml:2: token: " in err
    assert gridctl("tasks", "--config", "/nowhere.toml")[0] == 78
    assert gridctl("--version")[0] == 0 and gridctl("completion", "bash")[0] == 0


def test_config_init_from_standard_input(hub, gridctl):  # noqa: F811
    path = gridctl.home / ".config" / "idm-gridcore" / "gridctl.toml"
    _, err = gridctl.good("config", "init", "--hub", hub.url, stdin=TOKEN + "\n")
    assert f"{path} is written, and the hub at {hub.url} takes the token" in err
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert gridctl.json("tasks") == hub.tasks()
    code, _, err = gridctl("config", "init", stdin="x\n")
    assert code == 1 and "is there already" in err
    path.chmod(0o644)
    code, _, err = gridctl("config", "init", "--force", "--hub", hub.url, stdin="another\n")
    assert code == 77 and "is written, but: " in err and stat.S_IMODE(path.stat().st_mode) == 0o600
    assert gridctl("config", "init", "--force", "--hub", hub.url, stdin="")[0] == 1
    assert gridctl("config", "init", "--force", "--hub", "ftp://x", stdin="x\n")[0] == 1


def test_config_init_asks_on_a_terminal(hub, gridctl):  # noqa: F811
    code, shown = gridctl.in_terminal("config", "init", typed=[("Address of the hub", hub.url + "\n"), ("admin_token", TOKEN + "\n")])
    assert code == 0 and "takes the token" in shown, shown  # the token itself was not echoed: in_terminal looks
    assert gridctl.json("tasks") == hub.tasks()


# ---- terminals and pipes ----

def test_a_table_fits_the_terminal(hub, ctl):
    hub.add("a-task-whose-name-is-long-" * 4, delivery="direct")
    hub.register(hostname="任务任务任务任务任务任务任务任务任务任务")
    for columns in (80, 60):
        for command in ("tasks", "nodes"):
            code, shown = ctl.in_terminal(command, columns=columns)
            assert code == 0 and "\x1b[1m" in shown
            plain = re.sub("\x1b\\[[0-9;]*m", "", shown)
            for line in plain.splitlines():
                assert sum(2 if ord(c) > 0x2e80 else 1 for c in line) <= columns, line
            assert "…" in plain
    assert "\x1b" not in ctl.in_terminal("tasks", environment={"NO_COLOR": "1"})[1]
    assert "a-task-whose-name-is-long-" * 4 in ctl.good("tasks")[0]


def test_a_reader_that_goes_away_ends_it(hub, ctl):
    for i in range(50):
        hub.add("n" * 100 + str(i), delivery="direct")
    process = ctl.start("tasks")
    process.stdout.close()
    assert process.wait(20) == -signal.SIGPIPE and process.stderr.read() == b""
    with open("/dev/full", "wb") as full:
        process = ctl.start("tasks", stdout=full)
        assert process.wait(20) == 1 and b"cannot write to standard output: No space left" in process.stderr.read()


def test_an_interrupt_ends_it_with_130(hub, ctl):
    hub.stop()
    shell = subprocess.Popen(["bash", "-c", f"{ctl.program} --hub {hub.url} --retry-for 60 tasks; echo $?"], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, env={**os.environ, **ctl.environment}, start_new_session=True,
                             preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))  # ignored where a shell put us behind
    assert b"trying again" in shell.stderr.readline()
    [child] = [int(pid) for pid in open(f"/proc/{shell.pid}/task/{shell.pid}/children").read().split()]
    os.kill(child, signal.SIGINT)
    assert shell.stdout.readline() == b"130\n"
    shell.communicate(timeout=10)


COMPLETE = """
source <({program} completion bash)
gridctl() {{ {program} --hub {url} "$@"; }}
COMP_WORDS=({words}); COMP_CWORD={at}; COMPREPLY=()
compopt() {{ :; }}
_gridctl; printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def complete(ctl, *words):
    quoted = " ".join(f"'{word}'" for word in ("gridctl", *words))
    script = COMPLETE.format(program=ctl.program, url=ctl.hub.url, words=quoted, at=len(words))
    result = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, timeout=30, check=True,
                            env={**os.environ, **ctl.environment})
    assert result.stderr == "", result.stderr
    return [line for line in result.stdout.splitlines() if line]


def test_bash_completes(hub, ctl):
    hub.add("first task", delivery="direct")
    node = hub.register(hostname="alpha")["node_id"]
    assert "tasks" in complete(ctl, "") and "man" not in complete(ctl, "")
    assert complete(ctl, "joi") == ["join-command"]
    assert set(complete(ctl, "node", "")) >= {"stop", "drain", "undrain"}
    assert complete(ctl, "tasks", "--st") == ["--status"]
    assert complete(ctl, "tasks", "--status", "pa") == ["paused"]
    assert complete(ctl, "--hub", "http://x", "canc") == ["cancel"]
    assert complete(ctl, "cancel", "fi") == ["first\\ task"]
    assert complete(ctl, "node", "stop", "al") == ["alpha"] and complete(ctl, "node", "stop", node[:5]) == [node]
    assert complete(ctl, "completion", "z") == ["zsh"]
    assert complete(ctl, "config", "in") == ["init"]


ZSH = """
compdef() {{ :; }}; compadd() {{ print -l -- "${{@:2}}" }}; _files() {{ print FILES }}
source =({program} completion zsh)
gridctl() {{ {program} --hub {url} "$@" }}
words=({words}); CURRENT={at}
_gridctl
"""


def offered_by_zsh(ctl, *words):
    """All that zsh is offered; what fits to what was typed it finds itself."""
    quoted = " ".join(f"'{word}'" for word in ("gridctl", *words))
    result = subprocess.run(["zsh", "-f", "-c", ZSH.format(program=ctl.program, url=ctl.hub.url, words=quoted, at=len(words) + 1)],
                            capture_output=True, text=True, timeout=30, check=True, env={**os.environ, **ctl.environment})
    assert result.stderr == "", result.stderr
    return result.stdout.splitlines()


def test_zsh_completes(hub, ctl):
    hub.add("first task", delivery="direct")
    assert "tasks" in offered_by_zsh(ctl, "") and "man" not in offered_by_zsh(ctl, "")
    assert "--status" in offered_by_zsh(ctl, "tasks", "--s")
    assert offered_by_zsh(ctl, "tasks", "--status", "") == ["running", "paused", "pending", "completed", "cancelled"]
    assert offered_by_zsh(ctl, "cancel", "fi") == ["first task"]
    assert "drain" in offered_by_zsh(ctl, "node", "")
    assert offered_by_zsh(ctl, "tasks", "--token-file", "") == ["FILES"]
