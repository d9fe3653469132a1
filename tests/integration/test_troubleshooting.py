"""What TROUBLESHOOTING.md says that our programs say, they say: each message is provoked, and looked for in the page of each
language by its text."""
import http.server
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import threading
import time

import pytest
from conftest import ROOT
from engine import Engine, EngineUnavailable
from node_fixtures import add_task, make_node, worker_image, worker_program  # noqa: F401
from processes import Daemon, run, toml_text, wait_until
from test_node_secret import wait_for_secret
from tls_fixtures import authority, make_idle_node, make_tls_hub, tls_hub  # noqa: F401

pytestmark = pytest.mark.docker
PAGES = ("TROUBLESHOOTING.md", "TROUBLESHOOTING.zh-CN.md")


def documented(page):
    """The messages in the first columns of the page's tables."""
    text = (ROOT / page).read_text()
    return [message for row in re.findall(r"^\| (`.*?) \|", text, re.MULTILINE) for message in re.findall(r"`([^`]+)`", row)]


def pattern(message):
    for page in PAGES:
        assert message in documented(page) or f"`{message}`" in (ROOT / page).read_text(), f"not in {page}: {message}"
    return re.escape(message).replace("…", ".*")


def says(daemon, message, timeout=20):
    daemon.wait_for_log(pattern(message), timeout)


def shown(hub, node, message, field="error", timeout=30):
    """At the hub, where people look first."""
    regex = re.compile(pattern(message), re.DOTALL)

    def look():
        entry = hub.node(node.id)
        return entry and regex.search(entry[field] or "")
    try:
        wait_until(look, timeout, f"{message} at the hub", pause=0.1)
    except AssertionError as error:
        raise AssertionError(f"{error}: {hub.node(node.id)}") from None


def test_both_languages_tell_the_same_messages():
    assert documented(PAGES[0]) == documented(PAGES[1]) and len(documented(PAGES[0])) > 20


# ---- Docker ----

def in_namespace(node, setup):
    """Starts the node in a mount namespace of its own, prepared by this shell text."""
    node.write_config()
    node.daemon = Daemon("unshare", ["--mount", "sh", "-c", setup + ' && exec "$@"', "sh", node.program, "-c",
                                     node.config_path], node.log_path)
    return node


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@needs_root
def test_no_engine(hub, make_node):
    node = in_namespace(make_node(hub, docker_host=""), "export HOME=/nonexistent && mount -t tmpfs tmpfs /run")
    says(node.daemon, "no container engine: …")
    node.wait_for_id()
    shown(hub, node, "no container engine: …")


def test_an_engine_that_is_not_there_or_does_not_run(hub, make_node, directory):
    node = make_node(hub, docker_host=f"unix://{directory}/no.sock").start()
    says(node.daemon, "no container engine at …")
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(directory / "docker.sock"))
        node = make_node(hub, docker_host=f"unix://{directory}/docker.sock").start()
        says(node.daemon, "…docker.sock: …: the engine does not run: …")


@needs_root
def test_no_permission(hub, make_node, gridnode, engine):
    node = make_node(hub)
    node.write_config()
    os.chmod(node.directory, 0o777)
    for parent in [*list(node.directory.parents)[:2], engine.directory]:
        os.chmod(parent, 0o755)
    os.chown(node.config_path, 65534, 65534)
    program = shutil.copy(gridnode, node.directory)
    node.daemon = Daemon("setpriv", ["--reuid=65534", "--regid=65534", "--clear-groups", program, "-c",
                                     node.config_path], node.log_path)
    says(node.daemon, "…docker.sock: permission denied: …")


@pytest.mark.usefixtures("worker_image")
def test_images_and_networks(hub, make_node, engine, worker_program, redis_server, directory):
    node = make_node(hub).start()
    node.wait_for_id()
    hub.add("nowhere", image="127.0.0.1:9/no/such:1")
    shown(hub, node, "image …: …")
    says(node.daemon, "image …: …")
    engine.load_image("127.0.0.1:9/arm:1", {"worker": worker_program}, ["/worker"], "arm64")
    hub.add("arm", image="127.0.0.1:9/arm:1")
    hub.next()
    shown(hub, node, "image … is linux/arm64, this machine wants linux/amd64…")
    engine.remove_image("127.0.0.1:9/arm:1")
    foreign = directory / "worker"
    code = bytearray(worker_program.read_bytes())
    code[18:20] = b"\x34\x12"  # e_machine: none that exists, since for others this machine may have an emulator
    foreign.write_bytes(code)
    foreign.chmod(0o755)
    engine.import_image("idm-test/foreign:1", {"worker": foreign}, ['ENTRYPOINT ["/worker"]'])
    hub.add("foreign", image="idm-test/foreign:1")
    hub.next()
    shown(hub, node, "exit status 127; its last output: [FATAL tini …] exec … failed: …")
    # With a shell in the image, that is asked to read the program as a script.
    libraries = re.findall(r"(/\S+)", subprocess.run(["ldd", "/bin/sh"], capture_output=True, text=True, check=True).stdout)
    files = {path.lstrip("/"): os.path.realpath(path) for path in ["/bin/sh", *libraries]}
    engine.import_image("idm-test/foreign:2", {"worker": foreign, **files}, ['ENTRYPOINT ["/worker"]'])
    hub.add("foreign2", image="idm-test/foreign:2")
    hub.next()
    shown(hub, node, "exit status …; its last output: … Syntax error: …")
    hub.add("other", image=None, images={"linux/arm64": "i"})
    hub.next()
    wait_until(lambda: "has no image for linux/amd64" in (hub.node(node.id)["idle_reason"] or ""), 10, "idle_reason")
    add_task(hub, redis_server, "fails", ["exit", 3, "why"])
    hub.next()
    wait_until(lambda: "exit status 3; its last output: why" in (hub.node(node.id)["error"] or ""), 20, "its last words")
    add_task(hub, redis_server, "greedy", ["eat"], memory_mb=16)
    hub.next()
    shown(hub, node, "out of memory")
    node.stop()
    lost = make_node(hub, network="no-such-network", allow_images=["idm-test/*"], container_memory_max=64).start()
    lost.wait_for_id()
    shown(hub, lost, "network … not found")
    hub.add("theirs", image="theirs/tool:1")
    hub.next()
    shown(hub, lost, "this machine's owner does not allow the image …")
    add_task(hub, redis_server, "large", ["sleep"], memory_mb=65)
    hub.next()
    shown(hub, lost, "the task wants … MB")


@needs_root
def test_an_engine_whose_disk_is_full(hub, make_node, session_dir, worker_program, directory):
    place = session_dir / "f"  # short, for the socket
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", place], capture_output=True, check=False).returncode:
        pytest.skip("cannot mount a small file system")
    try:
        engine = Engine(place)
    except EngineUnavailable as error:
        subprocess.run(["umount", "-l", place], check=False)
        pytest.skip(f"no Docker Engine: {error}")
    try:
        engine.import_image("idm-test/worker:1", {"worker": worker_program}, ['ENTRYPOINT ["/worker"]'])
        with open(place / "data" / "filler", "wb", buffering=0) as file, pytest.raises(OSError):
            while True:
                file.write(b"x" * 4096)
        node = make_node(hub, docker_host=engine.url).start()
        node.wait_for_id()
        hub.add("work", image="idm-test/worker:1", command=["/worker", "sleep"])
        shown(hub, node, "… no space left on device: …")
        (place / "data" / "filler").unlink()
        wait_until(lambda: hub.node(node.id)["runtime_status"] == "Running", 60, "recovery")
        node.stop()
    finally:
        engine.stop()
        subprocess.run(["umount", "-l", place], check=False)


# ---- registration ----

class Stranger(http.server.BaseHTTPRequestHandler):
    def do_POST(self):  # pylint: disable=invalid-name
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(b"<html>hello</html>")

    def log_message(self, *_):  # pylint: disable=arguments-differ
        pass


@pytest.fixture
def stranger():
    """Something that answers, and is no hub."""
    server = http.server.HTTPServer(("127.0.0.1", 0), Stranger)
    server.status = 200
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_hub_that_is_none(make_node, stranger):
    url = f"http://127.0.0.1:{stranger.server_port}"
    says(make_node(None, server_url=url).start().daemon, "what answers at … is not a hub: …")
    stranger.status = 502
    says(make_node(None, server_url=url).start().daemon, "the hub at … answered 502 …")
    says(make_node(None).start().daemon, "the hub at … does not answer: …")


# ---- TLS ----

def test_certificates(tls_hub, make_tls_hub, make_idle_node, authority, computehub):
    trusted = {"tls_ca": authority.certificate}
    says(make_idle_node(tls_hub.url).daemon,
         "… is not trusted: … no authority that is trusted here has signed its certificate; …")
    says(make_idle_node(tls_hub.url, tls_pin="sha256//" + "A" * 43 + "=").daemon,
         "… the hub has another key than tls_pin says; …")
    says(make_idle_node(tls_hub.url.replace("https:", "http:")).daemon,
         "… Empty reply from server; with TLS, server_url begins with https://")
    misnamed = make_tls_hub(authority.sign("DNS:hub.example.org"))
    says(make_idle_node(misnamed.url, **trusted).daemon, "… its certificate is for another name; …")
    expired = make_tls_hub(authority.sign(days=-1))
    says(make_idle_node(expired.url, **trusted).daemon, "… certificate has expired: renew the hub's certificate …")

    mismatch = "tls_key: the key in … does not fit the certificate in …"
    tls_hub.config_path.write_text(toml_text({**tls_hub.config, "tls_key": misnamed.config["tls_key"]}))
    code, _, err = run(computehub, ["-c", tls_hub.config_path])
    assert code != 0 and re.search(pattern(mismatch), err), err
    shutil.copy(misnamed.config["tls_key"], tls_hub.config["tls_key"])
    tls_hub.daemon.send(signal.SIGHUP)
    says(tls_hub.daemon, "SIGHUP: the old certificate stays: …")


def test_no_tls_there(hub, make_idle_node):
    says(make_idle_node(hub.url.replace("http:", "https:")).daemon, "… no TLS is spoken on this port; …")


def test_token_id_and_configuration(hub, make_node, gridnode, directory):
    says(make_node(hub, token="wrong-token").start().daemon, "the hub at … refuses our token")
    says(hub.daemon, "refused … from …: wrong token …")
    code, _, err = run(gridnode, ["-c", directory / "new.toml"])
    code, _, err = run(gridnode, ["-c", directory / "new.toml"])
    assert code == 78 and re.search(pattern("server_url is not set"), err)
    code, _, err = run(gridnode, ["-c", "/proc/nowhere/new.toml"])
    assert code == 78 and re.search(
        pattern("there is no configuration yet, and a first one could not be written: …"), err), err

    node = make_node(hub).start()
    node_id = node.wait_for_id()
    twin = make_node(hub, node_id=node_id)
    twin.write_config()
    code, _, err = run(gridnode, ["-c", twin.config_path])
    assert code == 1 and re.search(pattern("another gridnode with the id … runs on this machine"), err), err

    # The other machine, with a copy of the secret: it asks whenever it was answered, as an agent does.
    secret = wait_for_secret(node)
    end = time.monotonic() + 30
    while "another agent" not in node.daemon.log and time.monotonic() < end:
        held = hub.hold(node_id=node_id, token=secret)
        time.sleep(0.05)
        held.close()
        time.sleep(0.05)
    says(node.daemon, "another agent seems to use this node's id", 1)

    hub.stop()
    with sqlite3.connect(hub.state_dir / "computehub.db") as db:
        db.execute("DELETE FROM nodes")
    hub.start()
    says(node.daemon, "the hub at … does not take this node's secret", 60)


@needs_root
def test_an_id_that_cannot_be_saved(hub, make_node):
    node = make_node(hub)
    in_namespace(node, f"mount --bind {node.directory} {node.directory} && mount -o remount,ro,bind {node.directory}")
    says(node.daemon, "the id could not be saved: …")


# ---- the hub ----

def test_a_hub_that_cannot_start(hub, computehub, directory):
    path = directory / "second.toml"
    path.write_text(toml_text({**hub.config, "bind": "127.0.0.1:0"}))
    code, _, err = run(computehub, ["-c", path])
    assert code == 1 and re.search(pattern("another computehub uses …"), err), err
    path.write_text(toml_text({**hub.config, "state_dir": str(directory / "other")}))
    code, _, err = run(computehub, ["-c", path])
    assert code == 1 and re.search(pattern("cannot listen on …: …"), err), err
    hub.stop()
    with sqlite3.connect(hub.state_dir / "computehub.db") as db:
        db.execute("PRAGMA user_version = 1000")
    code, _, err = run(computehub, ["-c", hub.config_path])
    assert code == 1 and re.search(pattern("… was written by a newer computehub …"), err), err


@needs_root
def test_a_full_disk(make_hub, directory):
    small = directory / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", small], capture_output=True,
                      check=False).returncode:
        pytest.skip("cannot mount a small file system")
    hub = make_hub().start(state_dir=str(small / "state"))
    try:
        with open(small / "filler", "wb", buffering=0) as file, pytest.raises(OSError):
            while True:
                file.write(b"x" * 4096)
        statuses = [hub.post("/api/tasks", {"name": f"t{i}", "image": "i", "env": {"X": "y" * 9000}}).status
                    for i in range(60)]
        assert statuses[-1] == 503
        says(hub.daemon, "refused …: … disk is full")
    finally:
        hub.stop()
        subprocess.run(["umount", small], check=False)
