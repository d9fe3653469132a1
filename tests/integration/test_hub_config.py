"""The hub's command line and configuration: everything that is wrong is named with its line, and the first run is safe."""
import itertools
import os
import re
import stat
import time

import pytest

from hub_client import Hub, expect
from processes import TOKEN, Daemon, run, toml_text

GOOD = f'bind = "127.0.0.1:0"\ntoken = "{TOKEN}"\n'


@pytest.fixture
def config(directory):
    return directory / "computehub.toml"


def check(program, path, environment=None):
    return run(program, ["-c", path, "--check-config"], environment)


def test_version_and_help(computehub):
    code, out, err = run(computehub, ["--version"])
    assert (code, out, err) == (0, "computehub 0.1.0\n", "")
    for option in ("--help", "-h"):
        code, out, err = run(computehub, [option])
        assert code == 0 and err == "" and out.startswith("Usage: computehub")
        for key in ("bind", "token", "tls_cert", "tls_key", "state_dir", "offline_after", "forget_after", "keep_completed", "max_connections",
                    "request_timeout", "log_level", "$IDM_GRIDCORE_TOKEN", "--check-config", "--log-level"):
            assert key in out


@pytest.mark.parametrize("arguments", [["--nonsense"], ["-x"], ["something"], ["-c"], ["--log-level", "loud"],
                                       ["--log-level"]])
def test_a_wrong_command_line_ends_with_2(computehub, arguments):
    code, _, err = run(computehub, arguments)
    assert code == 2 and err


def test_check_config_says_ok(computehub, config):
    config.write_text(GOOD)
    assert check(computehub, config) == (0, f"{config}: ok\n", "")


@pytest.mark.parametrize("line,text", [
    ("tokn = 1", 'unknown key "tokn"'),
    ("bind = 8080", "bind must be a string, not an integer"),
    ('bind = "localhost"', "bind: must be address:port"),
    ('bind = "0.0.0.0:99999"', "bind: the port must be 0 to 65535"),
    ('offline_after = "60"', "offline_after must be an integer, not a string"),
    ("offline_after = 0", "offline_after must be from 1 to 86400 seconds"),
    ("offline_after = 1.5", "offline_after must be an integer, not a number with a fraction"),
    ('log_level = "loud"', "log_level: must be error, warn, info or debug"),
    ("[server]", 'unknown key "server"'),
    ("keep_completed = true", "keep_completed must be an integer, not a boolean"),
])
def test_every_error_is_named_with_its_line(computehub, config, line, text):
    config.write_text(f'# a comment\n\ntoken = "{TOKEN}"\n{line}\n')
    code, out, err = check(computehub, config)
    assert code == 78 and out == "" and f"{config}:4: {text}" in err
    code, _, err = run(computehub, ["-c", config])
    assert code == 78 and f"{config}:4: {text}" in err


def test_all_errors_are_named_at_once(computehub, config):
    config.write_text('bind = 1\ntoken = "short"\nx = 1\nlog_level = true\n')
    code, _, err = check(computehub, config)
    assert code == 78
    for line in (1, 2, 3, 4):
        assert f"{config}:{line}: " in err
    assert "short" not in err


def test_broken_toml_has_a_position_and_shows_no_secret(computehub, config):
    config.write_text('bind = "127.0.0.1:0"\ntoken = "hunter2-unfinished\n')
    code, _, err = check(computehub, config)
    assert code == 78 and "line 2, column" in err and "hunter2" not in err


def test_a_missing_token_is_told(computehub, config):
    config.write_text("offline_after = 5\n")
    code, _, err = check(computehub, config)
    assert code == 78 and "neither admin_token nor token is set" in err
    assert "$IDM_GRIDCORE_TOKEN" in err and "$IDM_GRIDCORE_ADMIN_TOKEN" in err
    for alone in ("viewer_token", "join_token"):  # then nobody could ever run a task
        config.write_text(f'{alone} = "{TOKEN}"\n')
        assert "neither admin_token nor token is set" in check(computehub, config)[2]


@pytest.mark.parametrize("one,other", itertools.combinations(("token", "admin_token", "viewer_token", "join_token"), 2))
def test_one_token_for_two_roles_is_refused(computehub, config, one, other):
    values = {"token": "the-seeds-token", "admin_token": "the-admins-token", one: TOKEN, other: TOKEN}
    config.write_text(toml_text(values))
    code, _, err = check(computehub, config)
    assert code == 78 and f"{one} and {other} are the same" in err and TOKEN not in err
    config.write_text(config.read_text().replace(f'{other} = "{TOKEN}"', f'{other} = "{TOKEN}-2"'))
    assert check(computehub, config)[0] == 0


def test_each_token_may_come_from_the_environment(make_hub):
    hub = make_hub()
    hub.config.pop("token")
    names = ("TOKEN", "ADMIN_TOKEN", "VIEWER_TOKEN", "JOIN_TOKEN")
    hub.start(environment={f"IDM_GRIDCORE_{name}": f"from-the-environment-{name}" for name in names})
    for name in names:
        expect(hub.get("/api/tasks", token=f"from-the-environment-{name}"), 403 if name == "JOIN_TOKEN" else 200)
        assert f"from-the-environment-{name}" not in hub.daemon.log


def test_check_config_writes_nothing(computehub, config):
    code, out, err = check(computehub, config)
    assert code == 78 and str(config) in err and not config.exists()


def test_the_first_run_writes_a_file_with_strong_tokens(computehub, config):
    environment = {"STATE_DIRECTORY": str(config.parent / "state"), "IDM_GRIDCORE_CONFIG": str(config)}
    tokens = []
    for _ in range(2):
        if config.exists():
            config.unlink()
        daemon = Daemon(computehub, [], config.parent / "log", environment)
        daemon.wait_for_log("wrote a first configuration to " + re.escape(str(config)))
        daemon.wait_for_log(r"next: run what \"gridctl join-command\" prints .*: seq 10 \| gridctl run --image busybox -- ")
        daemon.process.kill()  # it would listen on the well-known port; the file is what matters here
        daemon.process.wait(10)
        text = config.read_text()
        assert stat.S_IMODE(config.stat().st_mode) == 0o600
        for role in ("admin_token", "viewer_token", "join_token"):
            token = re.search(rf'^{role} = "([^"]+)"$', text, re.M).group(1)
            assert len(token) >= 40 and token not in daemon.log
            tokens.append(token)
        assert re.search(r'^# token = ""$', text, re.M)  # nobody needs the one that may do everything
        assert re.search(r'^# bind = "0\.0\.0\.0:8080"$', text, re.M)
    assert len(set(tokens)) == 6
    assert check(computehub, config)[0] == 0


def test_the_first_runs_file_works(computehub, config):
    daemon = Daemon(computehub, ["-c", config], config.parent / "log", {"STATE_DIRECTORY": str(config.parent / "s")})
    daemon.wait_for_log("wrote a first configuration")
    daemon.process.kill()
    daemon.process.wait(10)
    config.write_text(config.read_text().replace('# bind = "0.0.0.0:8080"', 'bind = "127.0.0.1:0"'))
    hub = Hub(computehub, config.parent)
    hub.daemon = Daemon(computehub, ["-c", config], config.parent / "log2", {"STATE_DIRECTORY": str(config.parent / "s")})
    hub.port = int(hub.daemon.wait_for_log(r"listening on \S*:(\d+)").group(1))
    tokens = dict(re.findall(r'^(\w+_token) = "([^"]+)"$', config.read_text(), re.M))
    expect(hub.get("/api/tasks", token=tokens["admin_token"]), 200)
    expect(hub.get("/api/tasks", token=tokens["viewer_token"]), 200)
    expect(hub.get("/api/tasks", token=tokens["join_token"]), 403, "forbidden", "viewer_token or admin_token")
    expect(hub.get("/api/tasks", token="changeme"), 401)
    assert "`token` is good for everything" not in hub.daemon.log
    assert "first configuration" not in hub.daemon.log and "next: " not in hub.daemon.log  # said once
    hub.stop()


def test_a_first_file_that_cannot_be_written_is_told(computehub, directory):
    code, _, err = run(computehub, ["-c", "/proc/self/nobody-can-write-here.toml"])
    assert code == 78 and "could not be written" in err and "-c FILE" in err
    (directory / "file").write_text("")
    code, _, err = run(computehub, ["-c", directory / "file" / "x.toml"])
    assert code == 78 and "x.toml" in err


def test_the_token_may_come_from_the_environment(make_hub):
    hub = make_hub()
    hub.config.pop("token")
    hub.start(environment={"IDM_GRIDCORE_TOKEN": "from-the-environment"})
    expect(hub.get("/api/tasks", token="from-the-environment"), 200)
    expect(hub.get("/api/tasks"), 401)
    hub.stop()
    hub.config["token"] = TOKEN
    hub.start(environment={"IDM_GRIDCORE_TOKEN": "from-the-environment"})
    expect(hub.get("/api/tasks"), 401)  # the environment stands above the file
    assert b"from-the-environment" not in open(f"/proc/{hub.daemon.pid}/cmdline", "rb").read()


def test_the_configuration_is_searched_in_order(computehub, directory):
    home, xdg, given = directory / "home", directory / "xdg", directory / "given.toml"
    (home / ".config" / "idm-gridcore").mkdir(parents=True)
    (xdg / "idm-gridcore").mkdir(parents=True)
    places = [("in_home", home / ".config" / "idm-gridcore" / "computehub.toml"),
              ("in_xdg", xdg / "idm-gridcore" / "computehub.toml"), ("in_environment", directory / "env.toml"),
              ("given", given)]
    for name, path in places:
        path.write_text(f"{name} = 1\n")  # an unknown key says which file was read
    base = {"HOME": str(home)}
    if os.path.exists("/etc/idm-gridcore/computehub.toml"):
        pytest.skip("this machine has a configuration of its own")
    assert "in_home" in run(computehub, ["--check-config"], base)[2]
    assert "in_xdg" in run(computehub, ["--check-config"], {**base, "XDG_CONFIG_HOME": str(xdg)})[2]
    more = {**base, "XDG_CONFIG_HOME": str(xdg), "IDM_GRIDCORE_CONFIG": str(directory / "env.toml")}
    assert "in_environment" in run(computehub, ["--check-config"], more)[2]
    assert '"given"' in run(computehub, ["--check-config", "-c", given], more)[2]
    assert '"given"' in run(computehub, ["--check-config", f"--config={given}"], more)[2]


def test_log_levels_and_journald(make_hub):
    hub = make_hub()
    hub.config["log_level"] = "warn"
    hub.config_path.write_text(toml_text(hub.config))

    def start(level, environment=None):
        return Daemon(hub.program, ["-c", hub.config_path, "--log-level", level], hub.log_path, environment)
    loud = start("info")
    loud.wait_for_log(r"(?m)^\d{4}-\d\d-\d\dT[\d:.]+Z info  computehub \S+ listening on")
    loud.stop()
    journal = start("debug", {"JOURNAL_STREAM": "8:1"})
    journal.wait_for_log(r"(?m)^<6>computehub \S+ listening on")
    journal.stop()
    silent = start("error")
    time.sleep(0.5)
    silent.stop()
    assert silent.log == ""


def test_ipv6_and_every_address(make_hub):
    for bind in ("[::1]:0", ":0", "0.0.0.0:0"):
        hub = make_hub()
        hub.start(bind=bind)
        if bind != "[::1]:0":
            expect(hub.get("/health"), 200)
        hub.stop()
