"""Fixtures of the integration tests: the built programs, hubs, nodes, Redis servers and a Docker Engine, each of a test's
own, on loopback and a bridge of their own, and all gone at the end."""
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile

import pytest

from engine import Engine, EngineUnavailable
from hub_client import Hub
from processes import wait_until

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def pytest_configure():
    if not os.environ.get("IDM_BUILD"):
        raise pytest.UsageError("IDM_BUILD must name a build directory: IDM_BUILD=build/asan pytest tests/integration")


@pytest.fixture(scope="session")
def build():
    return (ROOT / os.environ["IDM_BUILD"]).resolve()


@pytest.fixture(scope="session")
def computehub(build):
    return build / "src" / "computehub"


@pytest.fixture(scope="session")
def gridnode(build):
    return build / "src" / "gridnode"


@pytest.fixture(scope="session")
def session_dir():
    # Short: Unix sockets below it have to fit 108 bytes.
    path = pathlib.Path(tempfile.mkdtemp(prefix="idm-it-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def directory(session_dir):
    path = pathlib.Path(tempfile.mkdtemp(dir=session_dir))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def make_hub(computehub, directory):
    """Makes hubs (not started yet); each that still runs at the end must end in order."""
    hubs = []

    def make(name="hub"):
        path = directory / f"{name}-{len(hubs)}"
        path.mkdir()
        hubs.append(Hub(computehub, path))
        return hubs[-1]
    yield make
    for hub in hubs:
        if hub.daemon and hub.daemon.running():
            hub.stop()
        elif hub.daemon:
            hub.daemon.check_log()


@pytest.fixture
def hub(make_hub):
    return make_hub().start()


@pytest.fixture(scope="session")
def engine(session_dir):
    """One Docker Engine for the session. Where none can be had, its tests are skipped, with the reason."""
    try:
        engine = Engine(session_dir / "e")
    except EngineUnavailable as error:
        if os.environ.get("IDM_NEED_DOCKER"):
            pytest.fail(f"no Docker Engine: {error}")
        pytest.skip(f"no Docker Engine: {error}")
    yield engine
    engine.stop()


@pytest.fixture
def own_engine(session_dir):
    """An engine that a test may kill."""
    path = tempfile.mkdtemp(dir=session_dir, prefix="o")
    try:
        engine = Engine(path)
    except EngineUnavailable as error:
        pytest.skip(f"no Docker Engine: {error}")
    yield engine
    engine.stop()


class RedisServer:
    """A real redis-server with a password, on loopback and, if given, on the containers' bridge."""

    PASSWORD = "hunter2-redis"

    def __init__(self, directory, gateway=None):
        self.port = free_port()
        self.gateway = gateway
        addresses = ["127.0.0.1"] + ([gateway] if gateway else [])
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", *addresses, "--save", "", "--appendonly", "no",
             "--dir", str(directory), "--logfile", "redis.log", "--protected-mode", "no", "--daemonize", "no",
             "--requirepass", self.PASSWORD],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        import redis
        self.client = redis.Redis(port=self.port, password=self.PASSWORD, decode_responses=True)
        wait_until(self.answers, 10, "redis-server's first answer")

    def answers(self):
        import redis
        try:
            return self.client.ping()
        except redis.exceptions.RedisError:
            assert self.process.poll() is None, "redis-server ended"
            return False

    def url(self, host=None):
        return f"redis://:{self.PASSWORD}@{host or self.gateway or '127.0.0.1'}:{self.port}/0"

    def stop(self):
        self.client.close()
        self.process.terminate()
        self.process.wait(10)


@pytest.fixture(scope="session")
def redis_session(engine, session_dir):
    path = session_dir / "redis"
    path.mkdir()
    server = RedisServer(path, engine.gateway)
    yield server
    server.stop()


@pytest.fixture
def redis_server(redis_session):
    redis_session.client.flushall()
    return redis_session
