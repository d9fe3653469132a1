"""Fixtures of the broker's tests: a redis-server of their own on a Unix socket, which has ended when they end."""
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

import pytest
import redis

from broker import Broker

SERVER = os.environ.get("IDM_REDIS_SERVER", "redis-server")


class Server:
    def __init__(self, *options):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="idm-br-"))
        self.socket = str(self.directory / "s")
        self.process = subprocess.Popen(
            [SERVER, "--port", "0", "--unixsocket", self.socket, "--save", "", "--appendonly", "no",
             "--dir", str(self.directory), *options], stdout=(self.directory / "log").open("wb"), stderr=subprocess.STDOUT)
        deadline = time.monotonic() + 20
        while True:
            try:
                self.client().ping()
                return
            except redis.exceptions.ConnectionError:
                assert self.process.poll() is None and time.monotonic() < deadline, (self.directory / "log").read_text()
                time.sleep(0.02)

    def client(self, db=0):
        return redis.Redis(unix_socket_path=self.socket, db=db)

    def stop(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


@pytest.fixture(scope="session")
def server():
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def client(server):
    client = server.client()
    client.flushall()
    return client


@pytest.fixture
def broker(client):
    return Broker(client)


@pytest.fixture
def two_servers_broker(server, client):
    """Its output is elsewhere: another database, another connection."""
    broker = Broker(client, other=server.client(db=1))
    broker.destination = "task-1"
    return broker
