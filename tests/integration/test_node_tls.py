"""A node and a hub with a certificate: whom the node trusts, what it says when it does not, and that work gets through."""
import re

import pytest
from hub_client import expect
from node_fixtures import add_task, make_node, worker_image, worker_program  # noqa: F401
from processes import TOKEN, run, wait_until
from tls_fixtures import (authority, make_idle_node, make_tls_hub, openssl, stranger, tls_hub,  # noqa: F401
                          Pair, EC_KEY, RSA_KEY)

WRONG_PIN = "sha256//" + "A" * 43 + "="


def refused(node, text):
    """The node says why, in one line that does not come again and again, and is still there to try again."""
    line = node.daemon.wait_for_log(r"the hub at (https?://\S+) .*").group(0)
    assert re.search(text, line), line
    assert node.daemon.running() and not node.id
    return line


def online(hub, node):
    node_id = node.wait_for_id()
    wait_until(lambda: hub.node(node_id)["status"] == "Online", 10, "the node's heartbeats")


# ---- whom it trusts ----

def test_an_authority_by_file(tls_hub, make_idle_node, authority):
    online(tls_hub, make_idle_node(tls_hub.url, tls_ca=authority.certificate))


def test_another_authority_is_refused(tls_hub, make_idle_node, stranger):
    line = refused(make_idle_node(tls_hub.url, tls_ca=stranger.certificate), "is not trusted: .*name the authority's file")
    assert "tls_ca" in line and "tls_pin" in line


def test_the_systems_authorities_do_not_know_ours(tls_hub, make_idle_node):
    refused(make_idle_node(tls_hub.url), "is not trusted: .*no authority that is trusted here has signed")


def test_a_name_that_the_certificate_does_not_have(make_tls_hub, make_idle_node, authority):
    hub = make_tls_hub(authority.sign("DNS:hub.example.org"))
    refused(make_idle_node(hub.url, tls_ca=authority.certificate), "is not trusted: .*for another name; put one of")


def test_an_address_that_the_certificate_has(tls_hub, make_idle_node, authority):
    node = make_idle_node(tls_hub.url.replace("localhost", "127.0.0.1"), tls_ca=authority.certificate)
    online(tls_hub, node)


def test_an_expired_certificate(make_tls_hub, make_idle_node, authority):
    hub = make_tls_hub(authority.sign(days=-1))
    refused(make_idle_node(hub.url, tls_ca=authority.certificate), "is not trusted: .*expired: renew the hub's certificate")


# ---- pins ----

@pytest.fixture
def self_signed(directory):
    pair = Pair(directory / "self.pem", directory / "self.key")
    openssl("req", "-x509", *RSA_KEY, "-keyout", pair.key, "-out", pair.certificate, "-days", 30, "-subj", "/CN=anything")
    return pair


def test_a_pin_alone_will_do_for_a_self_signed_certificate(make_tls_hub, make_idle_node, self_signed):
    hub = make_tls_hub(self_signed, trusted=self_signed)
    hub.tls.check_hostname = False
    online(hub, make_idle_node(hub.url, tls_pin=self_signed.pin))
    # One of several, as while a key is changed.
    online(hub, make_idle_node(hub.url, tls_pin=f"{WRONG_PIN};{self_signed.pin}"))


def test_the_pin_that_the_hub_logs(make_tls_hub, make_idle_node, self_signed):
    hub = make_tls_hub(self_signed, trusted=self_signed)
    hub.tls.check_hostname = False
    pin = hub.daemon.wait_for_log(r'tls_pin = "(\S+)"').group(1)
    online(hub, make_idle_node(hub.url, tls_pin=pin))


def test_a_wrong_pin_is_refused(make_tls_hub, make_idle_node, self_signed):
    hub = make_tls_hub(self_signed, trusted=self_signed)
    refused(make_idle_node(hub.url, tls_pin=WRONG_PIN), "is not trusted: .*another key than tls_pin says")


def test_pin_and_authority_must_both_fit(tls_hub, make_idle_node, authority, stranger):
    pin = tls_hub.daemon.wait_for_log(r'tls_pin = "(\S+)"').group(1)
    refused(make_idle_node(tls_hub.url, tls_ca=stranger.certificate, tls_pin=pin), "is not trusted: .*no authority")
    refused(make_idle_node(tls_hub.url, tls_ca=authority.certificate, tls_pin=WRONG_PIN), "another key than tls_pin")
    online(tls_hub, make_idle_node(tls_hub.url, tls_ca=authority.certificate, tls_pin=pin))


# ---- the wrong port ----

def test_tls_to_a_plain_hub(hub, make_idle_node):
    line = refused(make_idle_node(hub.url.replace("http:", "https:"), tls_pin=WRONG_PIN), "no TLS is spoken on this port")
    assert "http://" in line
    expect(hub.get("/health"), 200)


def test_plain_to_a_tls_hub(tls_hub, make_idle_node):
    refused(make_idle_node(tls_hub.url.replace("https:", "http:")), "does not answer: .*server_url begins with https://")
    expect(tls_hub.get("/health"), 200)


# ---- configuration ----

def test_what_is_wrong_with_keys_is_named(gridnode, directory, authority):
    path, text = directory / "check.toml", directory / "text.pem"
    text.write_text("no PEM\n")
    for line, message in ((f'tls_ca = "{text}"', f"check.toml:3: tls_ca: {text} holds no certificate in PEM form"),
                          ('tls_ca = "/nowhere.pem"', "check.toml:3: tls_ca: cannot read /nowhere.pem: No such file"),
                          ('tls_pin = "sha256//abc"', "check.toml:3: tls_pin: must be sha256// and 44 characters"),
                          (f'tls_pin = "{WRONG_PIN};"', "check.toml:3: tls_pin: must be")):
        path.write_text(f'server_url = "https://h"\ntoken = "{TOKEN}"\n{line}\n')
        code, _, err = run(gridnode, ["-c", path, "--check-config"])
        assert code == 78 and message in err, (line, err)
    for line in (f'tls_ca = "{authority.certificate}"', f'tls_pin = "{WRONG_PIN}"', f'tls_pin = "{WRONG_PIN};{WRONG_PIN}"'):
        path.write_text(f'server_url = "https://h"\ntoken = "{TOKEN}"\n{line}\n')
        assert run(gridnode, ["-c", path, "--check-config"])[0] == 0
        path.write_text(f'server_url = "http://h"\ntoken = "{TOKEN}"\n{line}\n')
        code, _, err = run(gridnode, ["-c", path, "--check-config"])
        assert code == 78 and f"{line[:line.index(' ')]} is set, but server_url begins with http://" in err


# ---- a hub that changes ----

def test_a_node_stays_through_new_certificates_and_restarts(make_tls_hub, make_idle_node, authority):
    pair = authority.sign()
    hub = make_tls_hub(pair)
    node = make_idle_node(hub.url, tls_ca=authority.certificate)
    online(hub, node)
    pair.replace(authority.sign(new_key=RSA_KEY))
    hub.restart()
    online(hub, node)
    node.daemon.wait_for_log("the hub answers again")


# ---- work ----

@pytest.mark.docker
@pytest.mark.usefixtures("worker_image")
def test_a_whole_task_over_https(tls_hub, make_node, redis_server, authority):
    node = make_node(tls_hub, tls_ca=authority.certificate).start()
    node.wait_for_id()
    numbers = range(1, 101)
    redis_server.client.lpush("squares:in", *numbers)
    add_task(tls_hub, redis_server, "squares")
    wait_until(lambda: redis_server.client.llen("squares:out") == 100, 30, "100 results")
    assert sorted(map(int, redis_server.client.lrange("squares:out", 0, -1))) == [n * n for n in numbers]
    wait_until(lambda: tls_hub.node(node.id)["runtime_status"] == "Running", 10, "status Running")
    redis_server.client.lpush("more:in", 5)
    add_task(tls_hub, redis_server, "more")
    tls_hub.next()
    wait_until(lambda: redis_server.client.lrange("more:out", 0, -1) == ["25"], 20, "the next task's result")
    tls_hub.stop_node(node.id)
    assert node.daemon.wait(30) == 0
