"""Every call of the seed's README as it is written there, with its token, against our hub. Only the host's name and port are
replaced, and its placeholders filled in; `next`, which the README shows without the token, is called both ways."""
import json
import shlex
import subprocess

import pytest

TOKEN = "your-secret-token"

REGISTER = r"""
curl -X POST http://localhost:8080/api/tasks \
  -H "Content-Type: application/json" \
  -H "Authorization: Bearer your-secret-token" \
  -d '{
    "name": "hea-calc",
    "image": "your-registry/hea-calc:v1.0",
    "input_redis": "redis://:password@redis-host:6379",
    "output_redis": "redis://:password@redis-host:6379",
    "input_queue": "hea:input",
    "output_queue": "hea:output"
  }'
"""

REGISTER_PLATFORMS = r"""
curl -X POST http://localhost:8080/api/tasks \
  -H "Content-Type: application/json" \
  -H "Authorization: Bearer your-secret-token" \
  -d '{
    "name": "hea-calc",
    "images": {
      "linux/amd64": "your-registry/hea-calc:v1.0-amd64",
      "linux/arm64": "your-registry/hea-calc:v1.0-arm64"
    },
    "input_redis": "redis://:password@redis-host:6379",
    "input_queue": "hea:input",
    "output_queue": "hea:output"
  }'
"""

NEXT = "curl -X POST http://localhost:8080/api/tasks/next"

STOP = r"""
curl -X POST http://localhost:8080/api/nodes/{node_id}/stop \
  -H "Authorization: Bearer your-secret-token"
"""

WITH_TOKEN = ' -H "Authorization: Bearer your-secret-token"'


@pytest.fixture
def seed_hub(make_hub):
    return make_hub().start(token=TOKEN)


def type_in(hub, command):
    """(status, JSON) of a command as a user types it into a shell."""
    command = command.strip().replace("http://localhost:8080", hub.url).replace("\\\n", " ")
    words = shlex.split(command)
    assert words[0] == "curl"
    result = subprocess.run([words[0], "-sS", "--noproxy", "*", "-w", "\n%{http_code}", *words[1:]], timeout=20,
                            capture_output=True, text=True, check=True)
    body, _, status = result.stdout.rpartition("\n")
    return int(status), json.loads(body)


def call(hub, method, path, body=None):
    command = f"curl -X {method} 'http://localhost:8080{path}'" + WITH_TOKEN
    if body is not None:
        command += " -d " + shlex.quote(json.dumps(body))
    return type_in(hub, command)


def test_registering_a_task_with_one_image(seed_hub):
    status, task = type_in(seed_hub, REGISTER)
    assert status == 201 and task["name"] == "hea-calc" and task["image"] == "your-registry/hea-calc:v1.0"
    status, tasks = call(seed_hub, "GET", "/api/tasks")
    assert status == 200 and tasks["current"] == "hea-calc" and tasks["pending"] == tasks["completed"] == []


def test_registering_a_task_with_an_image_per_platform(seed_hub):
    status, _ = type_in(seed_hub, REGISTER_PLATFORMS)
    assert status == 201
    for platform, image in (("linux/amd64", "your-registry/hea-calc:v1.0-amd64"),
                            ("linux/arm64", "your-registry/hea-calc:v1.0-arm64")):
        status, task = call(seed_hub, "GET", f"/gridnode/task?platform={platform}")
        assert status == 200 and task["image"] == image
        assert task["output_redis"] == task["input_redis"] == "redis://:password@redis-host:6379"
    assert call(seed_hub, "GET", "/gridnode/task?platform=linux/arm/v7") == (200, None)


def test_switching_by_hand(seed_hub):
    assert type_in(seed_hub, NEXT)[0] == 401  # "all but /health want the token", says the README
    assert type_in(seed_hub, NEXT + WITH_TOKEN)[0] == 400
    type_in(seed_hub, REGISTER)
    type_in(seed_hub, REGISTER.replace("hea-calc", "hea-more"))
    assert type_in(seed_hub, NEXT + WITH_TOKEN) == (200, {"previous": "hea-calc", "current": "hea-more"})


def test_the_user_calls(seed_hub):
    assert call(seed_hub, "GET", "/api/tasks")[0] == 200
    assert call(seed_hub, "GET", "/api/nodes") == (200, [])
    result = subprocess.run(["curl", "-sS", "--noproxy", "*", f"{seed_hub.url}/health"], capture_output=True,
                            text=True, check=True, timeout=20)
    assert result.stdout == "OK"


def test_the_node_calls_and_the_remote_stop(seed_hub):
    """A seed agent's day: register, heartbeat, task, and the stop that its heartbeat tells."""
    type_in(seed_hub, REGISTER)
    status, answer = call(seed_hub, "POST", "/gridnode/register",
                          {"hostname": "raspberrypi", "architecture": "aarch64", "cpu_count": 4})
    assert status == 200 and answer["current_task"]["task_name"] == "hea-calc"
    node_id = answer["node_id"]
    beat = {"node_id": node_id, "status": "Running", "active_containers": 4}
    assert call(seed_hub, "POST", "/gridnode/heartbeat", beat) == (200, {"stop_requested": False})
    status, task = call(seed_hub, "GET", "/gridnode/task?platform=linux/arm64")
    assert status == 200 and {"task_name", "image", "input_redis", "output_redis", "input_queue",
                              "output_queue"} <= set(task)
    _, (node,) = call(seed_hub, "GET", "/api/nodes")
    assert (node["id"], node["hostname"], node["architecture"], node["cpu_count"]) == (node_id, "raspberrypi",
                                                                                     "aarch64", 4)
    assert (node["status"], node["runtime_status"], node["active_containers"]) == ("Online", "Running", 4)
    assert type_in(seed_hub, STOP.replace("{node_id}", node_id))[0] == 200
    assert call(seed_hub, "POST", "/gridnode/heartbeat", beat) == (200, {"stop_requested": True})


def test_the_readmes_configuration_is_taken(computehub, gridnode, directory):
    """The files as the README prints them, comments and all."""
    from processes import run
    hub = directory / "computehub.toml"
    hub.write_text('token = "your-secret-token"\n')
    node = directory / "gridnode.toml"
    node.write_text('# ComputeHub 服务端地址\nserver_url = "http://192.168.1.100:8080"\n\n'
                    '# 节点认证 Token（必须与 ComputeHub 配置的 token 相同）\ntoken = "your-secret-token"\n\n'
                    '# node_id = "xxx-xxx-xxx"\nparallelism = 4\nheartbeat_interval = 30\nstop_timeout = 30\n'
                    'container_memory = 1024\n')
    for program, path in ((computehub, hub), (gridnode, node)):
        assert run(program, ["-c", path, "--check-config"]) == (0, f"{path}: ok\n", "")
