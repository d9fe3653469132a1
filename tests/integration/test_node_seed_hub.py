"""Our agent against a hub that speaks only what the seed speaks."""
import http.server
import json
import threading
import urllib.parse

import pytest
from node_fixtures import IMAGE, make_node, wait_for_containers, worker_image, worker_program  # noqa: F401
from processes import TOKEN, wait_until

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("worker_image")]


class SeedHub:
    """Answers as the seed's README has it: a flat task or null, at once, whatever else is asked."""

    def __init__(self):
        self.task = None
        self.stop_requested = False
        self.calls = []
        hub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self, body):
                text = json.dumps(body).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def note(self):
                assert self.headers["Authorization"] == f"Bearer {TOKEN}"
                path = urllib.parse.urlsplit(self.path).path
                hub.calls.append(path)
                return path

            def do_GET(self):
                self.note()
                self.answer(hub.task)

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.note() == "/gridnode/register":
                    self.answer({"node_id": body.get("node_id") or "seed-given-id", "current_task": hub.task})
                else:
                    self.answer({"stop_requested": hub.stop_requested})

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def run(self, name, command):
        self.task = {"task_name": name, "image": IMAGE, "input_redis": "redis://:x@h:1", "output_redis": "redis://:x@h:1",
                     "input_queue": "in", "output_queue": "out", "command": command}


@pytest.fixture
def seed_hub():
    hub = SeedHub()
    yield hub
    hub.server.shutdown()
    hub.server.server_close()


def test_a_seed_hub_is_polled_and_obeyed(seed_hub, make_node, engine):
    node = make_node(seed_hub).start()
    assert node.wait_for_id() == "seed-given-id"
    seed_hub.run("first", ["/worker", "sleep"])
    wait_for_containers(engine, node, task="first")
    seed_hub.run("second", ["/worker", "sleep"])
    wait_for_containers(engine, node, task="second")
    polls = seed_hub.calls.count("/gridnode/task")
    assert polls < 20, f"{polls} calls: that is no polling, that is an attack"
    seed_hub.stop_requested = True
    assert node.daemon.wait(20) == 0
    assert not engine.containers(node=node.id)


def test_null_from_a_seed_hub_stops_containers(seed_hub, make_node, engine):
    node = make_node(seed_hub)
    seed_hub.run("only", ["/worker", "sleep"])
    node.start()
    node.wait_for_id()
    wait_for_containers(engine, node, task="only")
    seed_hub.task = None
    wait_until(lambda: not engine.containers(node=node.id), 20, "the containers' end")
    assert node.daemon.running()
