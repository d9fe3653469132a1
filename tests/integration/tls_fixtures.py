"""Certificates of a test's own, made by openssl, and hubs that have one."""
import base64
import hashlib
import pathlib
import ssl
import subprocess
import tempfile

import pytest

from node_fixtures import Node
from processes import TOKEN

EC_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
RSA_KEY = ("-newkey", "rsa:2048", "-nodes")


def openssl(*arguments, stdin=None):
    return subprocess.run(["openssl", *map(str, arguments)], input=stdin, capture_output=True, check=True,
                          timeout=60).stdout


class Pair:
    """A certificate and its key, in two files."""

    def __init__(self, certificate, key):
        self.certificate = certificate
        self.key = key

    @property
    def config(self):
        return {"tls_cert": str(self.certificate), "tls_key": str(self.key)}

    @property
    def pin(self):
        """Computed here, apart from the program's own way."""
        public = openssl("pkey", "-pubin", "-outform", "DER",
                         stdin=openssl("x509", "-in", self.certificate, "-pubkey", "-noout"))
        return "sha256//" + base64.b64encode(hashlib.sha256(public).digest()).decode()

    @property
    def fingerprint(self):
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(first_certificate(self.certificate))).hexdigest()

    def replace(self, other):
        """Puts another pair's content into these files."""
        self.certificate.write_bytes(other.certificate.read_bytes())
        self.key.write_bytes(other.key.read_bytes())


def first_certificate(path):
    return path.read_text().split("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----\n"


class Authority:
    """An authority and what it signs."""

    def __init__(self, directory, name="ca"):
        self.directory = directory
        self.name = name
        self.certificate = directory / f"{name}.pem"
        self.key = directory / f"{name}.key"
        self.count = 0
        openssl("req", "-x509", *EC_KEY, "-keyout", self.key, "-out", self.certificate, "-days", 30, "-subj",
                f"/CN=test authority {name}")

    def sign(self, names="DNS:localhost,IP:127.0.0.1", days=30, new_key=EC_KEY):
        self.count += 1
        stem = self.directory / f"{self.name}-{self.count}"
        request, extensions = stem.with_suffix(".csr"), stem.with_suffix(".ext")
        pair = Pair(stem.with_suffix(".pem"), stem.with_suffix(".key"))
        extensions.write_text(f"subjectAltName={names}\n")
        openssl("req", "-new", *new_key, "-keyout", pair.key, "-out", request, "-subj", f"/CN={stem.name}")
        openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial",
                "-days", days, "-extfile", extensions, "-out", pair.certificate)
        return pair


# A folder of its own each time: a fixture that several modules import is made once for each of them.
@pytest.fixture(scope="session")
def authority(session_dir):
    return Authority(pathlib.Path(tempfile.mkdtemp(dir=session_dir)))


@pytest.fixture(scope="session")
def stranger(session_dir):
    """An authority that nobody trusts."""
    return Authority(pathlib.Path(tempfile.mkdtemp(dir=session_dir)), "stranger")


@pytest.fixture
def make_tls_hub(make_hub, authority):
    """Makes and starts a hub with this pair; its calls check the certificate against `trusted`."""
    def make(pair, trusted=authority, **config):
        hub = make_hub()
        hub.tls = ssl.create_default_context(cafile=trusted.certificate)
        return hub.start(**pair.config, **config)
    return make


@pytest.fixture
def tls_hub(make_tls_hub, authority):
    return make_tls_hub(authority.sign())


@pytest.fixture
def make_idle_node(gridnode, directory):
    """Nodes that need no container engine: they register, and say that they have none."""
    nodes = []

    def make(server_url, **config):
        path = directory / f"idle-node-{len(nodes)}"
        path.mkdir()
        nodes.append(Node(gridnode, path, server_url=server_url, token=TOKEN, parallelism=1, heartbeat_interval=1,
                          docker_host=f"unix://{path}/no-engine.sock", log_level="debug",
                          **{"state_dir": str(path / "state"), **config}))
        return nodes[-1].start()
    yield make
    for node in nodes:
        if node.daemon.running():
            node.stop()
