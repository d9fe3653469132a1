"""The hub as an HTTP server: who gets in, what is refused and how, and that nobody can hold it up."""
import json
import re
import socket
import time

import pytest

from hub_client import expect
from processes import TOKEN, wait_until

PATHS = [("GET", "/api/tasks"), ("POST", "/api/tasks"), ("POST", "/api/tasks/next"), ("POST", "/api/tasks/finish"),
         ("GET", "/api/tasks/x"), ("DELETE", "/api/tasks/x"), ("GET", "/api/nodes"), ("POST", "/api/nodes/x/stop"),
         ("POST", "/gridnode/register"), ("POST", "/gridnode/heartbeat"), ("GET", "/gridnode/task"),
         ("GET", "/unknown"), ("GET", "/"), ("PATCH", "/api/tasks"), ("GET", "/api/tasks/a/b"), ("OPTIONS", "/health")]


def dial(hub, timeout=10):
    connection = socket.create_connection(("127.0.0.1", hub.port), timeout)
    return connection


def read_to_end(connection):
    data = b""
    while True:
        try:
            piece = connection.recv(65536)
        except ConnectionResetError:
            return data
        if not piece:
            return data
        data += piece


def test_health_needs_no_token(hub):
    for token in (None, "wrong", TOKEN):
        answer = hub.get("/health", token=token)
        assert (answer.status, answer.body) == (200, b"OK")
    assert expect(hub.call("HEAD", "/health", token=None), 200).body == b""


@pytest.mark.parametrize("method,path", PATHS)
def test_everything_else_is_401_without_the_token(hub, method, path):
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer "}, {"Authorization": TOKEN},
                    {"Authorization": f"Basic {TOKEN}"}, {"Authorization": f"Bearer {TOKEN}x"},
                    {"Authorization": f"Bearer {TOKEN[:-1]}"}, {"Authorization": f"Bearer {TOKEN.upper()}"}):
        answer = hub.call(method, path, token=None, headers=headers)
        expect(answer, 401, "unauthorized")
        assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_the_scheme_is_read_in_either_case(hub):
    expect(hub.get("/api/tasks", token=None, headers={"Authorization": f"bearer {TOKEN}"}), 200)
    expect(hub.get("/api/tasks", token=None, headers={"Authorization": f"BEARER   {TOKEN}"}), 200)


def test_refused_tokens_are_logged_but_not_each(hub):
    for _ in range(50):
        hub.get("/api/tasks", token="wrong-token-of-a-stranger")
    lines = [line for line in hub.daemon.log.splitlines() if "refused" in line]
    assert len(lines) == 1 and "wrong token" in lines[0] and "127.0.0.1" in lines[0]
    assert "wrong-token-of-a-stranger" not in hub.daemon.log


@pytest.mark.parametrize("path", ["/unknown", "/", "/api", "/api/", "/api/tasks/", "/api/tasks/a/b", "/health/x",
                                  "/api/nodes/x", "/gridnode", "/API/TASKS", "/api//tasks"])
def test_unknown_paths_are_404(hub, path):
    expect(hub.get(path), 404, "not_found")


@pytest.mark.parametrize("method,path,allow", [
    ("POST", "/health", "GET"), ("PUT", "/api/tasks", "GET, POST"), ("DELETE", "/api/tasks", "GET, POST"),
    ("PUT", "/api/tasks/x", "GET, DELETE"), ("POST", "/api/nodes", "GET"), ("GET", "/api/nodes/x/stop", "POST"),
    ("GET", "/gridnode/register", "POST"), ("GET", "/gridnode/heartbeat", "POST"), ("POST", "/gridnode/task", "GET"),
    ("PATCH", "/api/tasks", "GET, POST"), ("OPTIONS", "/api/tasks", "GET, POST")])
def test_wrong_methods_are_405_with_allow(hub, method, path, allow):
    answer = expect(hub.call(method, path), 405, "method_not_allowed")
    assert answer.headers["Allow"] == allow


@pytest.mark.parametrize("path,cap", [("/api/tasks", 256 * 1024), ("/gridnode/register", 16 * 1024),
                                      ("/gridnode/heartbeat", 2 * 1024 * 1024)])
def test_bodies_over_the_cap_are_413(hub, path, cap):
    body = b'{"name": "' + b"x" * (cap - 12) + b'"}'
    assert len(body) == cap
    expect(hub.call("POST", path, raw=body), 400, "bad_request")  # read, and refused for what it says
    expect(hub.call("POST", path, raw=body + b" "), 413, "too_large", str(cap))
    expect(hub.call("POST", path, raw=b" " * 10_000_000, timeout=30), 413, "too_large")


def test_chunked_bodies_over_the_cap_are_413(hub):
    def chunks():
        for _ in range(1000):
            yield b"x" * 10_000
    connection = hub.connect(30)
    connection.request("POST", "/api/tasks", chunks(), hub.headers(), encode_chunked=True)
    response = connection.getresponse()
    assert response.status == 413 and json.load(response)["error"]["code"] == "too_large"
    connection.close()


def test_a_chunked_body_is_as_good_as_another(hub):
    def chunks():
        for byte in b'{"name": "chunked", "image": "i"}':
            yield bytes([byte])
    connection = hub.connect()
    connection.request("POST", "/api/tasks", chunks(), hub.headers(), encode_chunked=True)
    response = connection.getresponse()
    assert response.status == 201 and json.load(response)["name"] == "chunked"
    connection.close()


def test_an_endless_body_is_not_read_forever(hub):
    """Whoever is refused at the headers may send a while longer, but not without end."""
    connection = dial(hub, 20)
    connection.sendall(b"POST /api/tasks HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    sent = 0
    with pytest.raises(OSError):
        while sent < 200_000_000:
            connection.sendall(chunk)
            sent += len(chunk)
    assert sent < 100_000_000
    connection.close()
    expect(hub.get("/health"), 200)


def test_bodies_where_none_is_wanted_are_dropped(hub):
    hub.add("a")
    hub.add("b")
    expect(hub.call("POST", "/api/tasks/next", raw=b"this is not JSON"), 200)
    expect(hub.call("GET", "/api/tasks", raw=b"{}"), 200)


@pytest.mark.parametrize("raw,line,column", [
    (b"", 1, 0), (b"{", 1, 1), (b'{"name": "a",\n "image": }', 2, None), (b'{"name": "a"} x', 1, None),
    (b"name=a&image=b", 1, None), (b'{"name": "a", "name": "b"}', 1, None), (b'{"name": "\xff"}', 1, None),
    (b"[" * 100_000, 1, None)])
def test_malformed_json_has_a_position(hub, raw, line, column):
    answer = expect(hub.call("POST", "/api/tasks", raw=raw), 400, "bad_json")
    match = re.search(r"line (\d+), column (\d+)", answer.error[1])
    assert match and int(match[1]) == line
    if column is not None:
        assert int(match[2]) == column


def test_a_body_that_is_no_object_is_refused(hub):
    for raw in (b"[]", b"null", b"1", b'"x"'):
        expect(hub.call("POST", "/api/tasks", raw=raw), 400, "bad_json", "must be a JSON object")


def test_requests_on_one_connection_and_pipelined(hub):
    connection = dial(hub)
    request = f"GET /api/tasks HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()
    connection.sendall(request * 20 + b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    data = read_to_end(connection)
    assert data.count(b"HTTP/1.1 200 OK") == 21 and data.endswith(b"OK")


def test_what_is_no_http_gets_no_further(make_hub):
    hub = make_hub().start(request_timeout=2)
    for garbage in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", b"hello\r\n\r\n", b"GET\r\n\r\n", b"\0" * 100,
                    b"GET / HTTP/9.9\r\n\r\n", b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n",
                    b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 5000 + b"\r\n",
                    b"POST /api/tasks HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
                    b"POST /api/tasks HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n"):
        connection = dial(hub)
        try:
            connection.sendall(garbage)
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # refused already
        assert b" 200 " not in read_to_end(connection).split(b"\r\n")[0]
        connection.close()
    expect(hub.get("/health"), 200)


def test_a_byte_a_second_header_is_cut(make_hub):
    hub = make_hub().start(request_timeout=2)
    connection = dial(hub)
    connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nX: ")
    begun = time.monotonic()
    with pytest.raises(OSError):
        while time.monotonic() - begun < 15:
            connection.sendall(b"x")
            time.sleep(0.25)
    assert 1.5 < time.monotonic() - begun < 6


def test_silent_connections_are_cut_and_their_descriptors_come_back(make_hub):
    hub = make_hub().start(request_timeout=2)
    before = hub.daemon.descriptors()
    connections = [dial(hub) for _ in range(50)]
    assert hub.daemon.descriptors() >= before
    wait_until(lambda: hub.daemon.descriptors() <= before, 10, "descriptors come back")
    for connection in connections:
        assert connection.recv(1) == b""
        connection.close()


def test_the_limit_of_connections_holds_and_passes(make_hub):
    hub = make_hub().start(max_connections=20, request_timeout=30)
    connections = [dial(hub, 3) for _ in range(30)]
    time.sleep(0.3)
    for connection in connections:
        connection.close()
    wait_until(lambda: hub.get("/health").status == 200, 10, "the hub answers again")


def test_answers_forbid_caching_and_sniffing(hub):
    answer = hub.get("/api/tasks")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Type"] == "application/json"
    assert hub.get("/health").headers["Content-Type"].startswith("text/plain")
