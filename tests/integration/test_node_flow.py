"""A task's whole way through containers, and how tasks follow each other."""
import re

import pytest
from node_fixtures import add_task, make_node, node, wait_for_containers, worker_image, worker_program  # noqa: F401
from processes import Daemon, wait_until

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("worker_image")]


def reports(redis_server, task, count):
    """The environments that `report` containers pushed, by instance."""
    key = f"{task}:out:reports"
    wait_until(lambda: redis_server.client.llen(key) >= count, 20, "the containers' reports")
    environments = [dict(line.split("=", 1) for line in text.splitlines())
                    for text in redis_server.client.lrange(key, 0, -1)]
    return {environment["INSTANCE_ID"]: environment for environment in environments}


def test_every_item_is_computed_once(hub, node, redis_server):
    numbers = range(1, 301)
    redis_server.client.lpush("squares:in", *numbers)
    add_task(hub, redis_server, "squares")
    wait_until(lambda: redis_server.client.llen("squares:out") == 300, 30, "300 results")
    results = sorted(map(int, redis_server.client.lrange("squares:out", 0, -1)))
    assert results == [n * n for n in numbers]
    entry = wait_until(lambda: (lambda n: n["active_containers"] == 2 and n)(hub.node(node.id)), 10, "both running")
    assert (entry["runtime_status"], entry["task"], entry["error"]) == ("Running", "squares", None)


def test_containers_get_the_seeds_environment(hub, node, redis_server):
    add_task(hub, redis_server, "env", ["report"], env={"MODE": "fast", "NODE_ID": "forged"})
    by_instance = reports(redis_server, "env", 2)
    assert set(by_instance) == {"0", "1"}
    for environment in by_instance.values():
        url = redis_server.url("host.docker.internal")
        expected = {"TASK_NAME": "env", "NODE_ID": node.id, "INPUT_REDIS_URL": url, "OUTPUT_REDIS_URL": url,
                    "INPUT_QUEUE": "env:in", "OUTPUT_QUEUE": "env:out", "MODE": "fast"}
        assert {key: environment.get(key) for key in expected} == expected


def allowed_cpus(pid):
    """As the kernel holds it, not as we asked for it."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return re.search(r"^Cpus_allowed_list:\s*(\S+)$", status.read(), re.MULTILINE).group(1)


def test_each_container_is_held_to_a_cpu_of_its_own(hub, node, redis_server, engine):
    add_task(hub, redis_server, "cpus", ["sleep"])
    pids = wait_for_containers(engine, node)
    cpus = [allowed_cpus(pid) for pid in pids.values()]
    assert all(cpu.isdigit() for cpu in cpus), cpus
    assert len(set(cpus)) == 2, cpus


def test_an_agent_uses_only_its_own_affinity(hub, make_node, redis_server, engine):
    one = make_node(hub, parallelism=0)
    one.write_config()
    one.daemon = Daemon("taskset", ["-c", "1", one.program, "-c", one.config_path], one.log_path)
    one.wait_for_id()
    add_task(hub, redis_server, "affine", ["sleep"])
    pids = wait_for_containers(engine, one, count=1)
    assert [allowed_cpus(pid) for pid in pids.values()] == ["1"]


def test_more_slots_than_cpus_share_them_with_a_warning(hub, make_node, redis_server, engine):
    crowded = make_node(hub, parallelism=4).start()
    crowded.wait_for_id()
    add_task(hub, redis_server, "crowd", ["sleep"])
    pids = wait_for_containers(engine, crowded, count=4)
    assert all(allowed_cpus(pid).isdigit() for pid in pids.values())
    crowded.daemon.wait_for_log(r"warn .*share them")


def test_limits_reach_the_engine(hub, node, redis_server, engine):
    add_task(hub, redis_server, "limits", ["sleep"], memory_mb=48)
    wait_for_containers(engine, node)
    for entry in engine.containers(node=node.id):
        host = engine.inspect(entry["Id"])["HostConfig"]
        assert host["Memory"] == host["MemorySwap"] == 48 << 20
        assert host["NanoCpus"] == 10**9
        assert host["PidsLimit"] == 1024
        assert host["CapDrop"] == ["ALL"]
        assert "no-new-privileges" in host["SecurityOpt"]
        name = entry["Names"][0].lstrip("/")
        assert name == f"idm-limits-{node.id}-{entry['Labels']['idm-gridcore.instance']}"


def test_a_task_may_have_more_cpus_per_container(hub, make_node, redis_server, engine):
    wide = make_node(hub, parallelism=1).start()
    wide.wait_for_id()
    add_task(hub, redis_server, "wide", ["sleep"], cpus=2)
    pids = wait_for_containers(engine, wide, count=1)
    assert [allowed_cpus(pid) for pid in pids.values()] in (["0-1"], ["0,1"])


@pytest.mark.alone
def test_next_asks_every_old_container_within_a_second(hub, node, redis_server, engine):
    add_task(hub, redis_server, "old")
    add_task(hub, redis_server, "new", ["sleep"])
    wait_for_containers(engine, node, task="old")
    asked = hub.post("/api/tasks/next")
    assert asked.status == 200
    wait_until(lambda: redis_server.client.llen("old:out:terms") == 2, 15, "SIGTERM in both old containers")
    for text in redis_server.client.lrange("old:out:terms", 0, -1):
        instance, moment = text.split()
        assert float(moment) - asked.time < 1.0, f"container {instance} was asked after {float(moment) - asked.time} s"
    wait_for_containers(engine, node, task="new")
    assert not engine.containers(node=node.id, task="old")


def test_finish_without_a_next_task_stops_containers(hub, node, redis_server, engine):
    add_task(hub, redis_server, "only")
    wait_for_containers(engine, node)
    hub.finish()
    wait_for_containers(engine, node, count=0)
    wait_until(lambda: hub.node(node.id)["runtime_status"] == "Idle", 10, "status Idle")
    assert node.daemon.running()


def test_a_hub_restart_is_not_noticed_by_containers(hub, node, redis_server, engine):
    add_task(hub, redis_server, "steady")
    before = wait_for_containers(engine, node)
    hub.kill()
    hub.start()
    wait_until(lambda: (hub.node(node.id) or {}).get("runtime_status") == "Running", 30, "the node's return")
    assert engine.running_pids(node=node.id) == before


def test_a_node_waits_for_a_hub_that_is_not_there_yet(make_hub, make_node, redis_server, engine):
    hub = make_hub().start()
    hub.stop()
    early = make_node(hub).start()
    early.daemon.wait_for_log(r"does not answer")
    hub.start()
    early.wait_for_id()
    add_task(hub, redis_server, "late", ["sleep"])
    wait_for_containers(engine, early)


def test_a_hub_that_has_forgotten_the_node_gets_a_registration(make_hub, make_node, redis_server, engine):
    first = make_hub("first").start()
    node = make_node(first).start()
    old_id = node.wait_for_id()
    add_task(first, redis_server, "kept", ["sleep"])
    wait_for_containers(engine, node)
    port = first.port
    first.stop()
    other = make_hub("other").start(bind=f"127.0.0.1:{port}")  # a hub with an empty state in the same place
    wait_until(lambda: node.id != old_id, 60, "a new id")
    assert other.node(node.id)["status"] == "Online"
    wait_until(lambda: not engine.containers(node=old_id), 20, "the end of the old containers")
    add_task(other, redis_server, "fresh", ["sleep"])
    wait_for_containers(engine, node, task="fresh")


def test_the_id_is_saved_without_disturbing_the_file(hub, make_node):
    tidy = make_node(hub)
    tidy.write_config()
    before = tidy.config_path.read_text()
    tidy.start().wait_for_id()
    after = tidy.config_path.read_text()
    lines = [line for line in after.splitlines() if not line.startswith("node_id = ")]
    assert lines == before.splitlines()
    assert tidy.config_path.stat().st_mode & 0o777 == 0o600
    tidy.stop()
    tidy.start()
    wait_until(lambda: len([n for n in hub.nodes() if n["status"] == "Online"]) == 1, 15, "the same node again")
    assert len(hub.nodes()) == 1


def test_two_nodes_share_a_queue(hub, make_node, redis_server, engine):
    nodes = [make_node(hub, parallelism=1).start() for _ in range(2)]
    for each in nodes:
        each.wait_for_id()
    redis_server.client.lpush("both:in", *range(200))
    add_task(hub, redis_server, "both")
    wait_until(lambda: redis_server.client.llen("both:out") == 200, 30, "200 results")
    assert sorted(map(int, redis_server.client.lrange("both:out", 0, -1))) == [n * n for n in range(200)]
