"""Tasks as users register, watch, switch, finish and delete them."""
import re
import urllib.parse

import pytest

from hub_client import expect

TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")

FIELDS = {"id", "name", "status", "image", "images", "input_redis", "output_redis", "input_queue", "output_queue",
          "delivery", "command", "env", "memory_mb", "cpus", "created_at", "started_at", "completed_at"}


def test_a_task_starts_at_once_where_nothing_runs(hub):
    task = hub.add("first", input_redis="redis://:hunter2@redis-host:6379", input_queue="in", output_queue="out",
                   delivery="direct")
    assert set(task) >= FIELDS
    assert task["status"] == "running" and task["delivery"] == "direct" and task["cpus"] == 1
    assert task["input_redis"] == "redis://:***@redis-host:6379" and task["output_redis"] is None
    assert TIME.match(task["created_at"]) and TIME.match(task["started_at"]) and task["completed_at"] is None
    second = hub.add("second")
    assert second["status"] == "pending" and second["started_at"] is None
    assert hub.queue() == ("first", ["second"], [])


def test_every_field_comes_back(hub):
    redis = {"input_redis": "redis://:hunter2@in:6379/1", "output_redis": "rediss://user:hunter2@out:6380/2"}
    fields = {"images": {"linux/arm64": "i:arm"}, "delivery": "direct",
              "command": ["/bin/x", "a b", ""], "env": {"A": "1", "ünï": "中文"}, "memory_mb": 64, "cpus": 2,
              "input_queue": "a:b", "output_queue": "c"}
    task = hub.add("full", "i:amd", **fields, **redis)
    shown = {"input_redis": "redis://:***@in:6379/1", "output_redis": "rediss://user:***@out:6380/2"}
    for name, value in {**fields, **shown}.items():
        assert task[name] == value
    assert expect(hub.get("/api/tasks/full"), 200).json == task
    assert hub.tasks()["tasks"] == [task]


def test_listing_order(hub):
    for name in "edcba":
        hub.add(name)
    hub.next()
    hub.next()
    tasks = hub.tasks()
    assert (tasks["current"], tasks["pending"], tasks["completed"]) == ("c", ["b", "a"], ["e", "d"])
    assert [task["name"] for task in tasks["tasks"]] == ["c", "b", "a", "e", "d"]
    assert [task["status"] for task in tasks["tasks"]] == ["running", "pending", "pending", "completed", "completed"]


def test_next_switches_and_refuses_without_a_waiting_one(hub):
    expect(hub.post("/api/tasks/next"), 400, "no_task_waiting", "no task is waiting")
    hub.add("a")
    before = hub.tasks()
    expect(hub.post("/api/tasks/next"), 400, "no_task_waiting", '"a" goes on')
    assert hub.tasks() == before
    hub.add("b")
    assert hub.next() == {"previous": "a", "current": "b"}
    assert hub.queue() == ("b", [], ["a"])


def test_next_starts_one_where_nothing_runs_any_more(hub):
    hub.add("a")
    hub.finish()
    assert hub.add("b")["status"] == "running"


def test_finish_starts_the_next_or_none(hub):
    expect(hub.post("/api/tasks/finish"), 400, "no_task_running")
    hub.add("a")
    hub.add("b")
    answer = hub.finish()
    assert (answer["completed"], answer["started"]) == ("a", "b") and answer["message"]
    answer = hub.finish()
    assert (answer["completed"], answer["started"]) == ("b", None) and answer["message"]
    before = hub.tasks()
    expect(hub.post("/api/tasks/finish"), 400, "no_task_running")
    assert hub.tasks() == before and hub.queue() == (None, [], ["a", "b"])


def test_duplicate_names_are_refused_among_running_and_waiting(hub):
    hub.add("a")
    hub.add("b")
    before = hub.tasks()
    for name in "ab":
        expect(hub.post("/api/tasks", {"name": name, "image": "other"}), 409, "conflict", name)
    assert hub.tasks() == before
    hub.next()
    again = hub.add("a", "other:2")
    assert hub.queue() == ("b", ["a"], ["a"])
    assert expect(hub.get("/api/tasks/a"), 200).json == again  # the waiting one, not the completed one


def test_names_of_every_kind(hub):
    for name in ("hea-calc", "高熵合金 计算", "a b", "100%", "x" * 128, "next", "a?b#c", "'\"<>&", "..", "."):
        hub.add(name)
        path = "/api/tasks/" + urllib.parse.quote(name, safe="")
        assert expect(hub.get(path), 200).json["name"] == name
    assert len(hub.tasks()["pending"]) == 9


@pytest.mark.parametrize("body,text", [
    ({}, '"name" is missing'),
    ({"image": "i"}, '"name" is missing'),
    ({"name": "n"}, '"image"'),
    ({"name": None, "image": "i"}, '"name" is missing'),
    ({"name": 1, "image": "i"}, '"name" must be a string'),
    ({"name": "", "image": "i"}, '"name" must not be empty'),
    ({"name": "  ", "image": "i"}, '"name" must not be empty'),
    ({"name": "a/b", "image": "i"}, '"name"'),
    ({"name": "a\nb", "image": "i"}, '"name"'),
    ({"name": "x" * 129, "image": "i"}, '"name" is longer than 128'),
    ({"name": "中" * 43, "image": "i"}, '"name" is longer than 128'),
    ({"name": "n", "image": 5}, '"image" must be a string'),
    ({"name": "n", "image": ""}, '"image"'),
    ({"name": "n", "image": "a b"}, '"image"'),
    ({"name": "n", "images": []}, '"images"'),
    ({"name": "n", "images": {}}, '"image"'),
    ({"name": "n", "images": {"linux/386": "i"}}, "unknown platform"),
    ({"name": "n", "images": {"linux/amd64": None}}, '"images"'),
    ({"name": "n", "image": "i", "input_redis": "redis-host:6379"}, '"input_redis"'),
    ({"name": "n", "image": "i", "input_redis": "http://:hunter2@h"}, '"input_redis": the URL must begin with redis://'),
    ({"name": "n", "image": "i", "output_redis": "redis://:hunter2@"}, '"output_redis"'),
    ({"name": "n", "image": "i", "output_redis": "redis://:hunter2@h:0"}, '"output_redis"'),
    ({"name": "n", "image": "i", "output_redis": "redis://:hunter2@h:65536"}, '"output_redis"'),
    ({"name": "n", "image": "i", "output_redis": "redis://:hunter2@h/db"}, '"output_redis"'),
    ({"name": "n", "image": "i", "output_redis": "redis:/:hunter2@h/0"}, '"output_redis"'),
    ({"name": "n", "image": "i", "output_redis": "redis:///:hunter2@h/0"}, '"output_redis"'),
    ({"name": "n", "image": "i", "output_redis": "redis://:hunter2@h\n"}, '"output_redis"'),
    ({"name": "n", "image": "i", "input_queue": 5}, '"input_queue" must be a string'),
    ({"name": "n", "image": "i", "delivery": "leased"}, '"input_queue" is needed for leased delivery'),
    ({"name": "n", "image": "i", "command": "ls"}, '"command" must be an array of strings'),
    ({"name": "n", "image": "i", "command": []}, '"command"'),
    ({"name": "n", "image": "i", "env": ["A=1"]}, '"env"'),
    ({"name": "n", "image": "i", "env": {"A": 1}}, '"env"'),
    ({"name": "n", "image": "i", "env": {"A=": "1"}}, '"env"'),
    ({"name": "n", "image": "i", "memory_mb": "64"}, '"memory_mb" must be an integer'),
    ({"name": "n", "image": "i", "memory_mb": 5}, '"memory_mb" must be from'),
    ({"name": "n", "image": "i", "cpus": 0}, '"cpus" must be from'),
    ({"name": "n", "image": "i", "cpus": 0.5}, '"cpus" must be an integer'),
    ({"name": "n", "image": "i", "input-redis": "x"}, 'unknown field "input-redis"'),
])
def test_wrong_tasks_are_refused_by_their_field(hub, body, text):
    expect(hub.post("/api/tasks", body), 400, "bad_request", text)
    assert hub.queue() == (None, [], [])


def test_delete_takes_only_a_waiting_one(hub):
    for name in ("a", "b", "c"):
        hub.add(name)
    hub.next()
    assert expect(hub.call("DELETE", "/api/tasks/c"), 200).json == {"deleted": "c"}
    before = hub.tasks()
    expect(hub.call("DELETE", "/api/tasks/a"), 409, "conflict", "completed")
    expect(hub.call("DELETE", "/api/tasks/b"), 409, "conflict", "running")
    expect(hub.call("DELETE", "/api/tasks/c"), 404, "not_found", '"c"')
    assert hub.tasks() == before


def test_an_unknown_task_is_404(hub):
    expect(hub.get("/api/tasks/nobody"), 404, "not_found", '"nobody"')
    expect(hub.get("/api/tasks/" + "x" * 2000), 404, "not_found")
    expect(hub.get("/api/tasks/%FF%FE"), 404, "not_found")


def test_only_the_last_completed_ones_stay_listed(make_hub):
    hub = make_hub().start(keep_completed=3)
    for i in range(8):
        hub.add(f"t{i}")
    for _ in range(6):
        hub.finish()
    assert hub.queue() == ("t6", ["t7"], ["t3", "t4", "t5"])
    hub.restart()
    assert hub.queue() == ("t6", ["t7"], ["t3", "t4", "t5"])


def test_a_thousand_waiting_tasks(hub):
    connection = hub.connect()
    for i in range(1000):
        connection.request("POST", "/api/tasks", f'{{"name": "t{i}", "image": "i"}}', hub.headers())
        response = connection.getresponse()
        response.read()
        assert response.status == 201
    connection.close()
    current, pending, completed = hub.queue()
    assert (current, len(pending), completed) == ("t0", 999, []) and pending[-1] == "t999"
