"""The hub with a certificate: what it speaks, what it refuses, how it changes its certificate, and that held calls, limits and
deadlines are what they are without TLS."""
import hashlib
import re
import resource
import shutil
import signal
import socket
import ssl
import time

import pytest
from hub_client import expect
from processes import TOKEN, run, wait_until
from test_hub_held import assert_released
from tls_fixtures import (EC_KEY, RSA_KEY, authority, first_certificate, make_tls_hub, openssl, stranger,  # noqa: F401
                          tls_hub)


def dial(hub, timeout=10):
    return socket.create_connection(("127.0.0.1", hub.port), timeout)


def secure(hub, timeout=10, **how):
    return hub.tls.wrap_socket(dial(hub, timeout), server_hostname="localhost", **how)


def shown(connection):
    return hashlib.sha256(connection.getpeercert(binary_form=True)).hexdigest()


def check_config(computehub, directory, **config):
    path = directory / "check.toml"
    path.write_text(f'token = "{TOKEN}"\n' + "".join(f'{key} = "{value}"\n' for key, value in config.items()))
    return run(computehub, ["-c", path, "--check-config"])


# ---- configuration ----

def test_a_fitting_pair_is_ok(computehub, directory, authority):
    for new_key in (EC_KEY, RSA_KEY):
        code, out, err = check_config(computehub, directory, **authority.sign(new_key=new_key).config)
        assert (code, err) == (0, "") and out.endswith(": ok\n")


def test_what_is_wrong_with_a_pair_is_named(computehub, directory, authority):
    pair, other = authority.sign(), authority.sign()
    text, empty = directory / "text.pem", directory / "empty.pem"
    text.write_text("this is no PEM\n")
    empty.write_text("")
    locked = directory / "locked.key"
    openssl("pkey", "-in", pair.key, "-aes256", "-passout", "pass:hunter2-key", "-out", locked)
    cut = directory / "cut.key"
    cut.write_bytes(pair.key.read_bytes()[:100])
    good = pair.config
    for change, message in (
            ({"tls_key": ""}, "tls_cert is set and tls_key is not: set both, or none"),
            ({"tls_cert": ""}, "tls_key is set and tls_cert is not: set both, or none"),
            ({"tls_cert": "/nowhere.pem"}, "tls_cert: cannot read /nowhere.pem: No such file or directory"),
            ({"tls_key": "/nowhere.key"}, "tls_key: cannot read /nowhere.key: No such file or directory"),
            ({"tls_key": directory}, f"tls_key: cannot read {directory}: Is a directory"),
            ({"tls_cert": "/dev/zero"}, "tls_cert: cannot read /dev/zero: it is larger than 262144 bytes"),
            ({"tls_cert": text}, f"tls_cert: {text} holds no certificate in PEM form that can be read"),
            ({"tls_cert": empty}, f"tls_cert: {empty} holds no certificate in PEM form that can be read"),
            ({"tls_key": text}, f"tls_key: {text} holds no private key in PEM form that can be read"),
            ({"tls_key": cut}, f"tls_key: {cut} holds no private key in PEM form that can be read"),
            ({"tls_key": locked}, f"tls_key: the key in {locked} is locked with a password"),
            ({"tls_key": other.key}, f"the key in {other.key} does not fit the certificate in {pair.certificate}")):
        code, _, err = check_config(computehub, directory, **{**good, **change})
        assert code == 78 and message in err, (change, err)
        assert "hunter2" not in err


def test_an_expired_certificate_is_a_warning(computehub, directory, authority):
    code, out, err = check_config(computehub, directory, **authority.sign(days=-1).config)
    assert code == 0 and out.endswith(": ok\n")
    assert "the certificate of tls_cert expired on 20" in err


# ---- what it speaks ----

def test_calls_and_the_log_with_a_certificate(make_tls_hub, authority):
    for new_key in (EC_KEY, RSA_KEY):
        pair = authority.sign(new_key=new_key)
        hub = make_tls_hub(pair)
        assert expect(hub.get("/health", token=None), 200).body == b"OK"
        expect(hub.get("/api/tasks", token="wrong"), 401)
        hub.add("a")
        assert hub.queue() == ("a", [], [])
        assert pair.pin in hub.daemon.log  # as openssl would compute it


def test_the_whole_chain_is_sent_in_order(make_tls_hub, authority, directory):
    """An intermediate authority that clients do not know; its file in the wrong order, as people have them."""
    extensions = directory / "ca.ext"
    extensions.write_text("basicConstraints=critical,CA:TRUE\n")
    openssl("req", "-new", *EC_KEY, "-keyout", directory / "mid.key", "-out", directory / "mid.csr", "-subj", "/CN=mid")
    openssl("x509", "-req", "-in", directory / "mid.csr", "-CA", authority.certificate, "-CAkey", authority.key,
            "-CAcreateserial", "-days", 30, "-extfile", extensions, "-out", directory / "mid.pem")
    (directory / "leaf.ext").write_text("subjectAltName=DNS:localhost\n")
    leaf = authority.sign()
    openssl("req", "-new", "-key", leaf.key, "-subj", "/CN=leaf", "-out", directory / "leaf.csr")
    openssl("x509", "-req", "-in", directory / "leaf.csr", "-CA", directory / "mid.pem", "-CAkey", directory / "mid.key",
            "-CAcreateserial", "-days", 30, "-extfile", directory / "leaf.ext", "-out", leaf.certificate)
    leaf.certificate.write_bytes(leaf.certificate.read_bytes() + authority.certificate.read_bytes() +
                                 (directory / "mid.pem").read_bytes())
    expect(make_tls_hub(leaf).get("/health"), 200)


@pytest.mark.parametrize("version,works", [(ssl.TLSVersion.TLSv1, False), (ssl.TLSVersion.TLSv1_1, False),
                                           (ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_3, True)])
def test_tls_1_2_and_newer(tls_hub, version, works):
    tls_hub.tls.minimum_version = tls_hub.tls.maximum_version = version
    if version < ssl.TLSVersion.TLSv1_2:
        tls_hub.tls.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.raises(ssl.SSLError):
            secure(tls_hub)
    else:
        expect(tls_hub.get("/health"), 200)


def test_no_key_exchange_without_forward_secrecy(make_tls_hub, authority):
    hub = make_tls_hub(authority.sign(new_key=RSA_KEY))
    hub.tls.maximum_version = ssl.TLSVersion.TLSv1_2
    hub.tls.set_ciphers("kRSA:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError):
        secure(hub)
    hub.tls.set_ciphers("ECDHE")
    expect(hub.get("/health"), 200)


def test_bodies_of_every_size(tls_hub):
    cap = 256 * 1024
    body = b'{"name": "' + b"x" * (cap - 12) + b'"}'
    expect(tls_hub.call("POST", "/api/tasks", raw=body), 400, "bad_request")
    expect(tls_hub.call("POST", "/api/tasks", raw=body + b" "), 413, "too_large")
    expect(tls_hub.call("POST", "/api/tasks", raw=b" " * 10_000_000, timeout=30), 413, "too_large")
    command = ["/bin/true", "y" * 60_000]
    for n in range(20):
        tls_hub.add(f"t{n}", command=command)
    answer = expect(tls_hub.get("/api/tasks"), 200)
    assert len(answer.body) > 1_000_000 and len(answer.json["tasks"]) == 20


def test_requests_pipelined_in_one_record(tls_hub):
    """What GnuTLS has read ahead is announced by no descriptor, neither at once nor after a held call."""
    with secure(tls_hub) as connection:
        request = f"GET /api/tasks HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()
        connection.sendall(request * 50 + b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        data = b""
        while piece := connection.recv(65536):
            data += piece
        assert data.count(b"HTTP/1.1 200 OK") == 51 and data.endswith(b"OK")
    with secure(tls_hub) as connection:
        hold = (f"GET /gridnode/task?version={tls_hub.version()}&wait=30&platform=linux/amd64 HTTP/1.1\r\nHost: x\r\n"
                f"Authorization: Bearer {TOKEN}\r\n\r\n").encode()
        connection.sendall(hold + b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        time.sleep(0.3)
        tls_hub.add("a")
        data = b""
        while piece := connection.recv(65536):
            data += piece
        assert data.count(b"HTTP/1.1 200 OK") == 2 and b'"task_name"' in data and data.endswith(b"OK")


def test_a_request_split_into_many_records(tls_hub):
    with secure(tls_hub) as connection:
        for byte in b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n":
            connection.sendall(bytes([byte]))
        data = b""
        while piece := connection.recv(65536):
            data += piece
        assert data.startswith(b"HTTP/1.1 200") and data.endswith(b"OK")


# ---- held calls ----

def test_held_calls_are_released_within_a_second(tls_hub):
    node_id = tls_hub.register(run="r")["node_id"]
    held = tls_hub.hold(node_id=node_id)
    time.sleep(0.3)
    assert held.waiting()
    tls_hub.add("a")
    version = assert_released(held, "a")["version"]
    held = tls_hub.hold(version, node_id=node_id)
    time.sleep(0.2)
    tls_hub.stop_node(node_id)
    assert_released(held, "a", stop=True)
    held = tls_hub.hold(wait=1)
    expect(held.answer(), 200)
    assert 0.8 < held.took < 2.5


def test_a_client_that_goes_is_let_go(tls_hub):
    version = tls_hub.version()
    time.sleep(0.3)
    before = tls_hub.daemon.descriptors()
    held = [tls_hub.hold(version) for _ in range(30)]
    wait_until(lambda: tls_hub.daemon.descriptors() >= before + 30, 5, "30 are held")
    for call in held[::3]:
        call.connection.sock.settimeout(0.01)
        with pytest.raises(TimeoutError):
            call.connection.sock.unwrap()  # with a goodbye of TLS, whose answer is not waited for
        call.close()
    for call in held[1::3]:
        call.close()  # without one
    wait_until(lambda: tls_hub.daemon.descriptors() <= before + 10, 5, "20 descriptors come back")
    tls_hub.add("a")
    for call in held[2::3]:
        assert_released(call, "a")
    wait_until(lambda: tls_hub.daemon.descriptors() <= before, 5, "all descriptors come back")


@pytest.mark.alone
def test_five_hundred_at_once_are_released_within_a_second(tls_hub):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    version = tls_hub.version()
    held = [tls_hub.hold(version, 60) for _ in range(500)]
    time.sleep(0.5)
    assert all(call.waiting() for call in held)
    begun = time.monotonic()
    tls_hub.add("a")
    for call in held:
        assert call.answer().json["task"]["task_name"] == "a"
    assert time.monotonic() - begun < 1.0


def test_the_hub_ends_in_order_with_held_calls_and_half_handshakes(tls_hub):
    held = [tls_hub.hold(tls_hub.version(), 60) for _ in range(10)]
    half = [dial(tls_hub) for _ in range(5)]
    for connection in half:
        connection.sendall(b"\x16\x03\x01\x02\x00\x01")
    time.sleep(0.2)
    tls_hub.stop()
    for connection in (*held, *half):
        connection.close()


# ---- strangers ----

def test_slow_and_silent_handshakes_are_cut(make_tls_hub, authority):
    hub = make_tls_hub(authority.sign(), request_timeout=2)
    before = hub.daemon.descriptors()
    silent = [dial(hub) for _ in range(20)]
    begun = time.monotonic()
    slow = dial(hub)
    slow.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")  # the beginning of a greeting of 512 bytes
    with pytest.raises(OSError):
        while time.monotonic() - begun < 15:
            slow.sendall(b"x")
            time.sleep(0.25)
    assert 1.5 < time.monotonic() - begun < 6
    wait_until(lambda: hub.daemon.descriptors() <= before, 10, "descriptors come back")
    for connection in (*silent, slow):
        connection.close()
    expect(hub.get("/health"), 200)


def pauses(pid):
    """How often it went to sleep of its own will: who spins never does, on a busy machine or on an idle one."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)$", status.read(), re.MULTILINE).group(1))


def test_unfinished_handshakes_cost_little_and_hold_nobody_up(tls_hub):
    for n in range(20):
        tls_hub.add(f"t{n}", command=["/bin/true", "y" * 60_000])
    half = [dial(tls_hub) for _ in range(50)]
    for connection in half[::2]:
        connection.sendall(b"\x16\x03\x01\x02\x00\x01")
    time.sleep(0.2)
    before = pauses(tls_hub.daemon.pid)
    time.sleep(2)
    assert pauses(tls_hub.daemon.pid) - before > 20
    begun = time.monotonic()
    held = tls_hub.hold()
    assert len(expect(tls_hub.get("/api/tasks"), 200).body) > 1_000_000
    tls_hub.next()
    assert_released(held, "t1")
    assert time.monotonic() - begun < 5
    for connection in half:
        connection.close()


def test_a_handshake_and_then_nothing_is_cut(make_tls_hub, authority):
    hub = make_tls_hub(authority.sign(), request_timeout=2)
    with secure(hub) as connection:
        begun = time.monotonic()
        try:
            assert connection.recv(1) == b""
        except OSError:
            pass
        assert 1 < time.monotonic() - begun < 6


def test_what_is_no_tls_gets_no_further(make_tls_hub, authority):
    hub = make_tls_hub(authority.sign(), request_timeout=2)
    before = hub.daemon.descriptors()
    for garbage in (b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n", b"hello\r\n\r\n", b"\0" * 100, b"\x16\x03\x01\xff\xff" * 99,
                    b"\x15\x03\x03\x00\x02\x02\x28", b"\x80\x2e\x01\x00\x02" + b"\0" * 50, b"\x17\x03\x03\x00\x10" + b"x" * 16):
        connection = dial(hub)
        connection.sendall(garbage)
        data = b""
        try:
            while piece := connection.recv(65536):
                data += piece
        except ConnectionResetError:
            pass
        assert b"HTTP" not in data, garbage
        connection.close()
    wait_until(lambda: hub.daemon.descriptors() <= before, 10, "descriptors come back")
    expect(hub.get("/health"), 200)


# ---- a new certificate ----

def test_a_reload_under_held_calls(make_tls_hub, authority, directory):
    pair = authority.sign()
    hub = make_tls_hub(pair)
    old = pair.fingerprint
    version = hub.version()
    held = [hub.hold(version) for _ in range(20)]
    with secure(hub) as kept:
        assert shown(kept) == old
        pair.replace(authority.sign(new_key=RSA_KEY))
        hub.daemon.send(signal.SIGHUP)
        hub.daemon.wait_for_log("SIGHUP: new connections see the new certificate: .*" + pair.pin.replace("+", r"\+"))
        with secure(hub) as fresh:
            assert shown(fresh) == pair.fingerprint != old
        kept.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert kept.recv(65536).startswith(b"HTTP/1.1 200")
        assert shown(kept) == old
    assert all(call.waiting() for call in held)
    hub.add("a")
    for call in held:
        assert_released(call, "a")


def test_a_reload_between_the_flights_of_a_handshake(make_tls_hub, authority):
    pair = authority.sign()
    hub = make_tls_hub(pair)
    old = pair.fingerprint
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = hub.tls.wrap_bio(incoming, outgoing, server_hostname="localhost")
    connection = dial(hub)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    connection.sendall(outgoing.read())
    incoming.write(connection.recv(65536))  # the hub's flight: signed with the old key
    for _ in range(3):
        pair.replace(authority.sign())
        hub.daemon.log_start = hub.log_path.stat().st_size
        hub.daemon.send(signal.SIGHUP)
        hub.daemon.wait_for_log("SIGHUP: new connections")
    while True:
        try:
            client.do_handshake()
            break
        except ssl.SSLWantReadError:
            incoming.write(connection.recv(65536))
    client.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
    connection.sendall(outgoing.read())
    while True:
        incoming.write(connection.recv(65536))
        try:
            assert client.read().startswith(b"HTTP/1.1 200")
            break
        except ssl.SSLWantReadError:
            pass
    assert hashlib.sha256(client.getpeercert(binary_form=True)).hexdigest() == old
    connection.close()


def test_a_bad_new_pair_keeps_the_old_one(make_tls_hub, authority):
    pair, other = authority.sign(), authority.sign()
    hub = make_tls_hub(pair)
    old, good = pair.fingerprint, pair.key.read_bytes()
    for break_it, message in ((lambda: pair.key.write_bytes(other.key.read_bytes()), "does not fit the certificate"),
                              (lambda: pair.key.write_bytes(good[:80]), "holds no private key"),
                              (pair.key.unlink, "No such file or directory")):
        break_it()
        hub.daemon.send(signal.SIGHUP)
        hub.daemon.wait_for_log(f"SIGHUP: the old certificate stays: tls_key: .*{message}")
        with secure(hub) as fresh:
            assert shown(fresh) == old
        expect(hub.get("/health"), 200)
    pair.key.write_bytes(good)
    hub.daemon.send(signal.SIGHUP)
    hub.daemon.wait_for_log("SIGHUP: new connections see the new certificate")


def test_a_hangup_without_tls_changes_nothing(hub):
    held = hub.hold()
    hub.daemon.send(signal.SIGHUP)
    hub.daemon.wait_for_log("SIGHUP: nothing to read anew, tls_cert is not set")
    assert held.waiting()
    hub.add("a")
    assert_released(held, "a")


def test_many_reloads_leave_memory_and_descriptors_flat(make_tls_hub, authority, directory):
    pair, other = authority.sign(), authority.sign()
    hub = make_tls_hub(pair)
    spare = directory / "spare"
    spare.mkdir()
    shutil.copy(pair.certificate, spare / "c")
    shutil.copy(pair.key, spare / "k")
    before = hub.daemon.descriptors()
    for n in range(30):
        source = (other.certificate, other.key) if n % 2 == 0 else (spare / "c", spare / "k")
        shutil.copy(source[0], pair.certificate)
        shutil.copy(source[1], pair.key)
        hub.daemon.log_start = hub.log_path.stat().st_size
        hub.daemon.send(signal.SIGHUP)
        hub.daemon.wait_for_log("SIGHUP: new connections")
        expect(hub.get("/health"), 200)
    wait_until(lambda: hub.daemon.descriptors() <= before, 5, "no descriptor is left")
