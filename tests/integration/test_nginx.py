"""deploy/nginx/computehub.conf, with other ports and places, in a real nginx before a real hub: what users and nodes need of
the hub works through it, over TLS."""
import http.client
import json
import os
import pathlib
import shutil
import ssl
import subprocess
import time

import pytest
from conftest import ROOT, free_port
from hub_client import Hub, expect
from node_fixtures import add_task, make_node, wait_for_containers, worker_image, worker_program  # noqa: F401
from processes import Daemon, wait_until

NGINX = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
pytestmark = [pytest.mark.once,
              pytest.mark.skipif(not NGINX or not shutil.which("openssl"), reason="needs nginx and openssl")]

MAIN = """{user} daemon off; pid {d}/pid; error_log stderr info; worker_processes 1;
events {{ worker_connections 512; }}
http {{ access_log off; client_body_temp_path {d}/body; proxy_temp_path {d}/proxy; fastcgi_temp_path {d}/f;
uwsgi_temp_path {d}/u; scgi_temp_path {d}/s; include {d}/computehub.conf; }}
"""


def certificate(directory):
    """One that names 127.0.0.1 and vouches for itself."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "2", "-subj", "/CN=hub.example.org", "-addext", "subjectAltName=IP:127.0.0.1",
                    "-keyout", directory / "key", "-out", directory / "cert"],
                   check=True, capture_output=True, timeout=30)


def our_configuration(directory, hub_port, tls_port, plain_port):
    text = (ROOT / "deploy" / "nginx" / "computehub.conf").read_text()
    for here, there in (("server 127.0.0.1:8080;", f"server 127.0.0.1:{hub_port};"), ("listen [::]:443 ssl;", ""),
                        ("listen [::]:80;", ""), ("listen 443 ssl;", f"listen 127.0.0.1:{tls_port} ssl;"),
                        ("listen 80;", f"listen 127.0.0.1:{plain_port};"),
                        ("/etc/ssl/certs/computehub.pem", f"{directory}/cert"),
                        ("/etc/ssl/private/computehub.key", f"{directory}/key")):
        assert text.count(here) == 1, here
        text = text.replace(here, there)
    return text


class ProxiedHub(Hub):
    """The hub as it is seen through nginx."""

    def __init__(self, hub, port, certificate_path):  # pylint: disable=super-init-not-called
        self.behind, self.port = hub, port
        self.trust = ssl.create_default_context(cafile=certificate_path)

    @property
    def url(self):
        return f"https://127.0.0.1:{self.port}"

    def connect(self, timeout=10.0):
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout, context=self.trust)


@pytest.fixture
def proxied(hub, directory):
    place = directory / "nginx"
    place.mkdir()
    certificate(place)
    tls_port, plain_port = free_port(), free_port()
    (place / "computehub.conf").write_text(our_configuration(place, hub.port, tls_port, plain_port))
    # Its worker shall see our private directory.
    (place / "nginx.conf").write_text(MAIN.format(d=place, user="user root;" if os.geteuid() == 0 else ""))
    daemon = Daemon(NGINX, ["-e", "stderr", "-p", place, "-c", place / "nginx.conf"], place / "log")
    through = ProxiedHub(hub, tls_port, place / "cert")
    through.plain_port, through.certificate, through.nginx = plain_port, place / "cert", daemon

    def answers():
        assert daemon.running(), daemon.log
        try:
            return through.get("/health").status == 200
        except OSError:
            return False
    wait_until(answers, 20, "nginx's first answer")
    yield through
    daemon.stop()


def descriptors_settle_at(hub, count):
    wait_until(lambda: hub.daemon.descriptors() <= count, 10, "the hub's end of the held call")


def test_health_token_and_errors_come_through(proxied):
    assert expect(proxied.get("/health", token=None), 200).body == b"OK"
    expect(proxied.get("/api/tasks", token=None), 401, "unauthorized")
    expect(proxied.get("/api/tasks"), 200)
    expect(proxied.post("/api/tasks", {}), 400, "bad_request", "name")


def test_nobody_talks_in_the_clear(proxied):
    connection = http.client.HTTPConnection("127.0.0.1", proxied.plain_port, timeout=10)
    connection.request("GET", "/health")
    response = connection.getresponse()
    assert response.status == 403 and b"https only" in response.read()


def test_a_held_call_is_released_within_a_second(proxied):
    proxied.add("a")
    proxied.add("b")
    held = proxied.hold(wait=60)
    time.sleep(1)
    begun = time.monotonic()
    proxied.next()
    answer = expect(held.answer(), 200).json
    assert answer["task"]["task_name"] == "b" and time.monotonic() - begun < 1


def test_a_call_is_held_for_its_whole_time(proxied):
    proxied.add("a")
    held = proxied.hold(wait=60)
    answer = expect(held.answer(75), 200).json
    assert held.took > 59 and answer["task"]["task_name"] == "a"


def test_a_client_that_goes_away_releases_the_hubs_held_call(proxied):
    hub = proxied.behind
    proxied.add("a")
    version = proxied.version()
    before = hub.daemon.descriptors()
    held = [proxied.hold(version, wait=60) for _ in range(20)]
    wait_until(lambda: hub.daemon.descriptors() >= before + 15, 10, "the held calls at the hub")
    for call in held:
        call.close()
    descriptors_settle_at(hub, before + 1)


def test_a_task_of_256_kib_is_taken_and_a_larger_one_refused_in_words(proxied):
    def task(name, size):
        spec = {"name": name, "image": "i", "env": {"X": "x" * 100000, "Y": "y" * 100000, "Z": ""}}
        spec["env"]["Z"] = "z" * (size - len(json.dumps(spec)))
        return json.dumps(spec).encode()
    expect(proxied.call("POST", "/api/tasks", raw=task("big", 256 * 1024)), 201)
    expect(proxied.call("POST", "/api/tasks", raw=task("big2", 256 * 1024 + 1)), 413, "too_large")


def test_a_hub_that_is_away_is_a_gateway_error_and_comes_back(proxied):
    hub = proxied.behind
    proxied.add("a")
    hub.kill()
    assert proxied.post("/api/tasks/next").status == 502
    hub.start()
    assert proxied.queue() == ("a", [], [])


# An agent that trusts this certificate as the machine's own authorities, in a mount namespace of its own.
TRUSTING = 'mount -t tmpfs tmpfs /etc/ssl/certs && cp "$1" /etc/ssl/certs/ca-certificates.crt && shift && exec "$@"'


@pytest.mark.docker
@pytest.mark.usefixtures("worker_image")
def test_a_node_works_through_it(proxied, make_node, redis_server, engine):
    if os.geteuid() or not pathlib.Path("/etc/ssl/certs").is_dir():
        pytest.skip("needs root and /etc/ssl/certs")
    node = make_node(proxied)
    node.write_config()
    node.daemon = Daemon("unshare", ["--mount", "sh", "-c", TRUSTING, "sh", proxied.certificate, node.program, "-c",
                                     node.config_path], node.log_path)
    node.wait_for_id()
    add_task(proxied, redis_server, "one", ["sleep"])
    wait_for_containers(engine, node, task="one")
    add_task(proxied, redis_server, "two", ["sleep"])
    proxied.next()
    wait_for_containers(engine, node, task="two")
    # The call behind a restart of the hub: 502 from nginx is a hub that is away, not a reason to stop anything.
    proxied.behind.kill()
    time.sleep(2)
    proxied.behind.start()
    wait_until(lambda: proxied.node(node.id)["status"] == "Online", 30, "the node's return")
    assert len(engine.running_pids(node=node.id, task="two")) == 2
    proxied.stop_node(node.id)
    assert node.daemon.wait(30) == 0
