"""Who may what at the hub: its tokens' roles, and nodes' own secrets. No container runs here; nodes are calls of the tests'
own."""
import json
import sqlite3
import time
import uuid

import pytest

from hub_client import Held, expect
from processes import TOKEN, wait_until

ADMIN, VIEWER, JOINER = "the-admins-own-token", "the-viewers-own-token", "the-joiners-own-token"
TOKENS = {"admin_token": ADMIN, "viewer_token": VIEWER, "join_token": JOINER}
LEASES = {"run": "r1", "leases": True}


@pytest.fixture
def roles(make_hub):
    """A hub with a token for each role, and none for all."""
    hub = make_hub()
    hub.config.pop("token")
    return hub.start(**TOKENS)


def join(hub, token=JOINER, node_id=None, secret=None, **fields):
    """Registers as an agent of ours does; the answer as it is."""
    body = {"hostname": "test-host", "architecture": "x86_64", "cpu_count": 2, **LEASES, **fields}
    if node_id:
        body["node_id"] = node_id
    if secret:
        body["node_secret"] = secret
    return hub.post("/gridnode/register", body, token=token)


def joined(hub, **how):
    """(id, secret) of a new node."""
    answer = expect(join(hub, **how), 200).json
    return answer["node_id"], answer["node_secret"]


def beat(hub, node_id, token, **fields):
    return hub.post("/gridnode/heartbeat", {"node_id": node_id, "status": "Idle", "active_containers": 0, **fields},
                    token=token)


def state_of(hub, token=ADMIN):
    """All that a call could have changed."""
    tasks = expect(hub.get("/api/tasks", token=token), 200).json
    nodes = expect(hub.get("/api/nodes", token=token), 200).json
    return tasks, [{k: v for k, v in node.items() if k != "last_seen"} for node in nodes]


CHANGES = [("POST", "/api/tasks", {"name": "x", "image": "i"}), ("POST", "/api/tasks/next", None),
           ("POST", "/api/tasks/finish", None), ("DELETE", "/api/tasks/b", None), ("POST", "/api/nodes/{id}/stop", None),
           ("POST", "/api/nodes/{id}/revoke", None), ("POST", "/api/tasks/a/dead/retry", {"ids": ["x"]}),
           ("POST", "/api/tasks/a/dead/drop", {"ids": ["x"]}), ("POST", "/api/tasks/a/finish", None),
           ("POST", "/api/tasks/a/cancel", None), ("POST", "/api/tasks/a/pause", None), ("POST", "/api/tasks/a/resume", None),
           ("POST", "/api/nodes/{id}/drain", None), ("POST", "/api/nodes/{id}/undrain", None)]
READS = ["/api/tasks", "/api/tasks/a", "/api/tasks/a/dead", "/api/tasks/a/failures", "/api/nodes"]


def test_a_viewer_reads_and_changes_nothing(roles):
    for name in "ab":
        expect(roles.post("/api/tasks", {"name": name, "image": "i"}, token=ADMIN), 201)
    node_id, _ = joined(roles)
    before = state_of(roles)
    for path in READS:
        assert roles.get(path, token=VIEWER).status == roles.get(path, token=ADMIN).status not in (401, 403)
    for method, path, body in CHANGES:
        answer = roles.call(method, path.replace("{id}", node_id), body, token=VIEWER)
        expect(answer, 403, "forbidden", "needs the hub's admin_token")
    for path in ("/gridnode/task", f"/gridnode/task?node_id={node_id}"):
        expect(roles.get(path, token=VIEWER), 403, "forbidden", "a node's own secret")  # it would tell Redis' address
    expect(join(roles, VIEWER), 403, "forbidden", "join_token")
    assert state_of(roles) == before


def test_a_joiner_joins_and_that_is_all(roles):
    expect(roles.post("/api/tasks", {"name": "a", "image": "i"}, token=ADMIN), 201)
    node_id, _ = joined(roles)
    before = state_of(roles)
    for path in READS:
        expect(roles.get(path, token=JOINER), 403, "forbidden", "viewer_token or admin_token")
    for method, path, body in CHANGES:
        expect(roles.call(method, path.replace("{id}", node_id), body, token=JOINER), 403, "forbidden", "admin_token")
    expect(beat(roles, node_id, JOINER), 403, "forbidden", "a node's own secret")
    expect(roles.get("/gridnode/task", token=JOINER), 403, "forbidden")
    assert state_of(roles) == before


def test_strangers_learn_nothing(roles):
    for token in (None, "", "wrong", ADMIN[:-1], ADMIN + "x", VIEWER.upper()):
        for path in ("/api/tasks", "/api/no/such", "/", "/gridnode/lease", "/metrics"):
            answers = {(a.status, a.body) for a in (roles.get(path, token=token), roles.post(path, token=token))}
            assert len(answers) == 1 and answers.pop()[0] == 401
    expect(roles.get("/health", token=None), 200)
    expect(roles.get("/api/no/such", token=VIEWER), 404)


def test_a_node_may_not_what_the_admin_may(roles):
    for name in "ab":
        expect(roles.post("/api/tasks", {"name": name, "image": "i"}, token=ADMIN), 201)
    node_id, secret = joined(roles)
    before = state_of(roles)
    for method, path, body in CHANGES:
        expect(roles.call(method, path.replace("{id}", node_id), body, token=secret), 403, "forbidden", "admin_token")
    for path in READS:
        expect(roles.get(path, token=secret), 403, "forbidden")
    assert state_of(roles) == before


NODE_CALLS = [
    ("POST", "/gridnode/heartbeat", {"status": "Running", "active_containers": 7, "leaving": True}),
    ("POST", "/gridnode/lease", {"epoch": 1, "task_id": "t", "n": 1, "max": 1, "bytes": 1, "wait": 0, "version": 0}),
    ("POST", "/gridnode/inventory", {"epoch": 1, "task_id": "t", "r": 1, "pairs": [], "leave": True}),
    ("POST", "/gridnode/register", {"hostname": "evil", "architecture": "x86_64", "cpu_count": 2, **LEASES}),
]


def test_nobody_speaks_for_another_node(roles):
    mine, my_secret = joined(roles)
    other, _ = joined(roles, hostname="the-other")
    before = state_of(roles)
    for method, path, body in NODE_CALLS:
        for named in (other, str(uuid.uuid4())):  # nor learns whether there is such a node
            answer = roles.call(method, path, {"node_id": named, **body}, token=my_secret)
            expect(answer, 403, "forbidden", "another node's")
    for path in (f"/gridnode/task?node_id={other}", f"/gridnode/task?node_id={other}&version=0&wait=1"):
        expect(roles.get(path, token=my_secret), 403, "forbidden", "another node's")
    expect(roles.post(f"/gridnode/commit?task_id=t&epoch=1&node_id={other}", token=my_secret, raw=b"*0\r\n"), 403)
    assert state_of(roles) == before
    expect(beat(roles, mine, my_secret), 200)
    expect(roles.get("/gridnode/task", token=my_secret), 200)
    expect(roles.get(f"/gridnode/task?node_id={mine}", token=my_secret), 200)


def test_node_calls_need_a_nodes_secret(roles):
    """Not even the admin speaks for a node."""
    node_id, secret = joined(roles)
    for method, path, body in NODE_CALLS[:3]:
        expect(roles.call(method, path, {"node_id": node_id, **body}, token=ADMIN), 403, "forbidden", "own secret")
    expect(roles.post("/gridnode/commit?task_id=t&epoch=1", token=ADMIN, raw=b"*0\r\n"), 403, "forbidden", "own secret")
    for method, path, body in NODE_CALLS[1:3]:
        expect(roles.call(method, path, {"node_id": node_id, **body}, token=secret), 404, "unknown_task")


def test_a_stolen_id_is_not_taken_over(roles):
    node_id, secret = joined(roles)
    for token, brought in ((JOINER, None), (JOINER, "wrong-secret"), (ADMIN, None), (JOINER, JOINER)):
        answer = expect(join(roles, token, node_id, brought, hostname="thief"), 200).json
        assert answer["node_id"] != node_id and answer["node_secret"] not in (secret, brought)
        assert answer["epoch"] > 0
    roles.daemon.wait_for_log(rf"asked for the id {node_id}, which is another's")
    owner = next(node for node in expect(roles.get("/api/nodes", token=VIEWER), 200).json if node["id"] == node_id)
    assert owner["hostname"] == "test-host"
    expect(beat(roles, node_id, secret), 200)


def test_who_brings_the_secret_keeps_the_id(roles):
    node_id, secret = joined(roles)
    for token, brought in ((secret, None), (secret, secret), (JOINER, secret)):
        answer = expect(join(roles, token, node_id, brought), 200).json
        assert answer["node_id"] == node_id and "node_secret" not in answer
    assert expect(join(roles, secret), 200).json["node_id"] == node_id  # it need not even say who it is
    assert len(expect(roles.get("/api/nodes", token=VIEWER), 200).json) == 1


def test_of_a_cloned_disk_the_first_to_come_stays_the_node(roles):
    node_id, secret = joined(roles)
    expect(beat(roles, node_id, secret), 200)
    renewed = expect(join(roles, secret, node_id, secret, run="first"), 200).json
    assert renewed["node_id"] == node_id and renewed["node_secret"] != secret
    expect(beat(roles, node_id, renewed["node_secret"]), 200)
    expect(join(roles, secret, node_id, secret, run="second"), 401)
    answer = expect(join(roles, JOINER, node_id, run="second"), 200).json  # as its agent does then
    assert answer["node_id"] != node_id
    expect(beat(roles, answer["node_id"], answer["node_secret"]), 200)
    expect(beat(roles, node_id, renewed["node_secret"]), 200)


def test_epochs_grow_with_each_run(roles):
    before = time.time() * 1000
    first = expect(join(roles), 200).json
    node_id, secret = first["node_id"], first["node_secret"]
    assert before - 1 <= first["epoch"] <= time.time() * 1000 + 1
    assert expect(join(roles, secret, node_id), 200).json["epoch"] == first["epoch"]
    second = expect(join(roles, secret, node_id, run="r2"), 200).json["epoch"]
    assert second > first["epoch"]
    roles.restart()
    assert expect(join(roles, secret, node_id, run="r2"), 200).json["epoch"] == second
    assert expect(join(roles, secret, node_id, run="r3"), 200).json["epoch"] > second


def test_a_revoked_node_is_out(roles):
    node_id, secret = joined(roles)
    other_id, other_secret = joined(roles)
    version = expect(roles.get("/gridnode/task?version=0&wait=0", token=secret), 200).json["version"]
    connection = roles.connect()
    connection.request("GET", f"/gridnode/task?version={version}&wait=30", headers=roles.headers(secret))
    held = Held(connection)
    time.sleep(0.3)
    assert held.waiting()
    answer = expect(roles.post(f"/api/nodes/{node_id}/revoke", token=ADMIN), 200).json
    assert answer == {"node_id": node_id, "revoked": True}
    assert held.answer(2).status == 200
    for method, path, body in NODE_CALLS:
        expect(roles.call(method, path, {"node_id": node_id, **body}, token=secret), 401, "unauthorized")
    expect(roles.get("/gridnode/task", token=secret), 401)
    expect(roles.post("/gridnode/commit?task_id=t&epoch=1", token=secret, raw=b"*0\r\n"), 401)
    nodes = {node["id"]: node["status"] for node in expect(roles.get("/api/nodes", token=VIEWER), 200).json}
    assert nodes == {node_id: "Offline", other_id: "Online"}
    expect(roles.post(f"/api/nodes/{node_id}/revoke", token=ADMIN), 200)  # once more does no harm
    expect(roles.post(f"/api/nodes/{uuid.uuid4()}/revoke", token=ADMIN), 404, "not_found")
    roles.restart()
    expect(beat(roles, node_id, secret), 401)
    expect(beat(roles, other_id, other_secret), 200)
    answer = expect(join(roles, JOINER, node_id, secret), 200).json  # as its agent does then
    assert answer["node_id"] not in (node_id, other_id) and answer["node_secret"] != secret


def test_revoking_answers_a_held_lease_call(roles, redis_server):
    task = {"name": "a", "image": "i", "input_redis": redis_server.url("127.0.0.1"), "input_queue": "q", "output_queue": "o"}
    task_id = expect(roles.post("/api/tasks", task, token=ADMIN), 201).json["id"]
    answer = expect(join(roles), 200).json
    node_id, secret = answer["node_id"], answer["node_secret"]
    version = expect(roles.get("/gridnode/task?version=0&wait=0", token=secret), 200).json["version"]
    body = {"node_id": node_id, "epoch": answer["epoch"], "task_id": task_id, "n": 1, "max": 4, "bytes": 1000, "wait": 30,
            "version": version}

    def hold():
        connection = roles.connect()
        connection.request("POST", "/gridnode/lease", json.dumps(body), roles.headers(secret))
        held = Held(connection)
        time.sleep(0.5)
        if held.waiting():
            return held
        assert b"blocked" in held.answer().body  # until the hub has reached Redis
        return None
    held = wait_until(hold, 15, "a held lease call")
    expect(roles.post(f"/api/nodes/{node_id}/revoke", token=ADMIN), 200)
    assert b"empty" in held.answer(3).body
    redis_server.client.lpush("q", "item")
    expect(roles.post("/gridnode/lease", body, token=secret), 401)
    time.sleep(0.3)
    progress = expect(roles.get("/api/tasks/a", token=VIEWER), 200).json
    assert redis_server.client.llen("q") + redis_server.client.llen("{q}:idm:arrived") == 1, progress


def test_a_restart_keeps_secrets_and_shows_none(roles):
    node_id, secret = joined(roles)
    roles.kill()
    roles.start()
    expect(beat(roles, node_id, secret), 200)
    roles.stop()
    with sqlite3.connect(roles.state_dir / "computehub.db") as db:
        (kept,) = db.execute("SELECT secret_hash FROM nodes").fetchone()
    assert len(kept) == 64 and kept != secret
    for path in roles.state_dir.iterdir():
        assert secret.encode() not in path.read_bytes(), path
    for text in (*TOKENS.values(), secret):
        assert text not in roles.log_path.read_text()


def test_no_token_in_the_process_table(roles):
    joined(roles)
    with open(f"/proc/{roles.daemon.pid}/cmdline", "rb") as file:
        line = file.read().decode()
    assert str(roles.config_path) in line and not any(token in line for token in TOKENS.values())


# ---- the seed's single token ----

def test_the_single_token_is_all_of_them_and_the_log_warns(hub):
    hub.daemon.wait_for_log("`token` is good for everything, so whoever owns a node is an admin")
    hub.add("a")
    hub.add("b")
    hub.next()
    node_id = hub.register()["node_id"]
    expect(hub.beat(node_id), 200)
    hub.stop_node(node_id)


def test_a_seed_agent_keeps_its_id_and_gets_no_secret(hub):
    first = hub.register()
    assert "node_secret" not in first and "epoch" not in first
    assert hub.register(first["node_id"])["node_id"] == first["node_id"]
    expect(hub.beat(first["node_id"]), 200)
    expect(hub.get(f"/gridnode/task?node_id={first['node_id']}"), 200)
    # Only the seed's token keeps such an id: joiners get one of their own.
    hub.restart(join_token=JOINER)
    assert expect(join(hub, JOINER, first["node_id"], leases=False), 200).json["node_id"] != first["node_id"]
    expect(hub.post(f"/api/nodes/{first['node_id']}/revoke"), 400, "bad_state", "uses the hub's token")


def test_an_agent_that_is_brought_up_to_date_keeps_its_id_and_gets_a_secret(hub):
    old = hub.register(run="r0")["node_id"]
    answer = hub.register(old, **LEASES)
    assert answer["node_id"] == old and answer["node_secret"]
    expect(hub.beat(old), 403, "forbidden", "a secret of its own")  # from now on the shared token does not speak for it
    expect(hub.get(f"/gridnode/task?node_id={old}"), 403, "forbidden")
    expect(beat(hub, old, answer["node_secret"]), 200)
    assert hub.register(old)["node_id"] != old


def test_a_leased_task_for_a_seed_agent_is_direct_and_the_log_says_so_once(hub, redis_server):
    task = {"name": "a", "image": "i", "input_redis": redis_server.url("127.0.0.1"), "input_queue": "q", "delivery": "leased"}
    expect(hub.post("/api/tasks", task), 201)
    node_id = hub.register()["node_id"]
    for _ in range(3):
        config = expect(hub.get(f"/gridnode/task?node_id={node_id}"), 200).json
        assert config["delivery"] == "direct" and redis_server.PASSWORD in config["input_redis"]
    _, secret = joined(hub, token=TOKEN)
    for query in ("", "?version=0&wait=0"):
        answer = expect(hub.get(f"/gridnode/task{query}", token=secret), 200)
        assert redis_server.PASSWORD.encode() not in answer.body and b'"leased"' in answer.body
    lines = [line for line in hub.daemon.log.splitlines() if "knows no leases" in line]
    assert len(lines) == 1 and node_id in lines[0] and '"a"' in lines[0]
    hub.add("direct")
    hub.next()
    hub.register(node_id)
    assert len([line for line in hub.daemon.log.splitlines() if "knows no leases" in line]) == 1
