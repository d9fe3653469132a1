"""How a node begins: its configuration, its token, its engine."""
import os
import shutil

import pytest
from node_fixtures import add_task, make_node, wait_for_containers, worker_image, worker_program  # noqa: F401
from processes import Daemon, run, wait_until

pytestmark = [pytest.mark.docker]


def test_a_first_run_writes_a_configuration_and_says_what_to_do(gridnode, directory):
    path = directory / "new" / "gridnode.toml"
    code, _, err = run(gridnode, ["-c", path])
    assert code == 78
    file, step = err.splitlines()  # two lines: what was written where, and what to do next
    assert str(path) in file and "server_url" in file and "token" in file
    assert "next: set both in it" in step and "gridctl join-command" in step and "gridnode again" in step
    assert path.stat().st_mode & 0o777 == 0o600
    text = path.read_text()
    assert 'server_url = ""' in text and 'token = ""' in text and "# node_id" in text
    code, _, err = run(gridnode, ["-c", path])
    assert code == 78 and "server_url is not set" in err and "token is not set" in err and "next: " not in err
    assert path.read_text() == text


def test_a_filled_in_first_configuration_is_good(gridnode, directory):
    path = directory / "gridnode.toml"
    run(gridnode, ["-c", path])
    path.write_text(path.read_text().replace('server_url = ""', 'server_url = "http://127.0.0.1:1"'))
    code, out, err = run(gridnode, ["-c", path, "--check-config"], {"IDM_GRIDCORE_TOKEN": "from-the-environment"})
    assert (code, err) == (0, "") and "ok" in out


def test_every_mistake_is_named_with_its_line(gridnode, directory):
    path = directory / "gridnode.toml"
    path.write_text('server_url = "ftp://x"\ntoken = "integration-test-token"\nparallelism = "four"\n'
                    'colour = "red"\nstop_timeout = -1\n')
    code, _, err = run(gridnode, ["-c", path, "--check-config"])
    assert code == 78
    for text in (f"{path}:1: server_url", f"{path}:3: parallelism", f"{path}:4: unknown key", f"{path}:5: stop_timeout"):
        assert text in err, err
    assert "integration-test-token" not in err


def test_a_configuration_cut_in_half_is_refused(gridnode, directory):
    path = directory / "gridnode.toml"
    path.write_text('server_url = "http://127.0.0.1:1"\ntoken = "integration-test-tok')
    code, _, err = run(gridnode, ["-c", path])
    assert code == 78 and "line 2" in err and "integration" not in err


def test_help_and_version(gridnode):
    code, out, _ = run(gridnode, ["--help"])
    assert code == 0 and "allow_images" in out and "stop_timeout" in out
    code, out, _ = run(gridnode, ["--version"])
    assert code == 0 and out.startswith("gridnode ")
    assert run(gridnode, ["--no-such-option"])[0] == 2


def test_a_wrong_token_says_where_to_set_it(hub, make_node):
    node = make_node(hub, token="wrong-token").start()
    node.daemon.wait_for_log(rf"refuses our token: {node.config_path} must have the hub's join_token")
    assert node.daemon.running()
    node.stop()
    assert "wrong-token" not in node.daemon.log and "wrong-token" not in hub.daemon.log


def test_the_tokens_place_is_named_when_it_is_the_environment(hub, make_node):
    node = make_node(hub).start(environment={"IDM_GRIDCORE_TOKEN": "wrong-token"})
    node.daemon.wait_for_log(r"refuses our token: \$IDM_GRIDCORE_TOKEN")


def test_no_engine_is_said_and_told_to_the_hub(hub, make_node, directory):
    node = make_node(hub, docker_host=f"unix://{directory}/nothing.sock").start()
    node.daemon.wait_for_log(r"error .*nothing\.sock")
    entry = wait_until(lambda: (lambda n: n and n["runtime_status"] == "Error" and n)(hub.node(node.id)), 15, "Error")
    assert "nothing.sock" in entry["error"]
    node.stop()


def test_no_permission_says_what_to_do(hub, make_node, gridnode, engine):
    """As a user who is not in the engine's group."""
    node = make_node(hub)
    node.write_config()
    os.chmod(node.directory, 0o777)
    for parent in list(node.directory.parents)[:2]:
        os.chmod(parent, 0o755)
    os.chmod(engine.directory, 0o755)
    os.chown(node.config_path, 65534, 65534)
    program = shutil.copy(gridnode, node.directory)  # that user may not see the build directory
    node.daemon = Daemon("setpriv", ["--reuid=65534", "--regid=65534", "--clear-groups", program, "-c",
                                     node.config_path], node.log_path)
    node.daemon.wait_for_log(r"error .*permission denied.*docker")
    node.stop()


def test_without_a_configured_engine_the_environment_is_asked(hub, make_node, engine, redis_server, worker_image):
    node = make_node(hub, docker_host="").start(environment={"DOCKER_HOST": engine.url})
    node.wait_for_id()
    add_task(hub, redis_server, "found", ["sleep"])
    wait_for_containers(engine, node)
