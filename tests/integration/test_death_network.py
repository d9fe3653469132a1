"""The network dies: connections that are half-open in either direction, found out by each side alone."""
import socket
import time

import pytest
from node_fixtures import add_task, make_node, wait_for_containers, worker_image, worker_program  # noqa: F401
from processes import wait_until
from tcp_proxy import TcpProxy


@pytest.fixture
def make_proxy():
    proxies = []

    def make(port):
        proxies.append(TcpProxy(port))
        return proxies[-1]
    yield make
    for proxy in proxies:
        proxy.close()


@pytest.mark.docker
@pytest.mark.usefixtures("worker_image")
def test_a_link_that_dies_silently_is_noticed_by_both_ends(make_hub, make_node, make_proxy, redis_server, engine):
    """Nothing is closed anywhere: the node finds out by its own timeouts, the hub by the limits of waiting."""
    hub = make_hub().start(request_timeout=2, offline_after=10)
    proxy = make_proxy(hub.port)
    node = make_node(hub, server_url=proxy.url).start()
    node.wait_for_id()
    add_task(hub, redis_server, "work", ["sleep"])
    before = wait_for_containers(engine, node)
    time.sleep(1)
    node_descriptors, hub_descriptors = node.daemon.descriptors(), hub.daemon.descriptors()

    proxy.stall()
    wait_until(lambda: hub.node(node.id)["status"] == "Offline", 30, "Offline at the hub")
    node.daemon.wait_for_log(r"warn .*does not answer", 40)
    time.sleep(5)  # calls into the void go on
    assert proxy.accepted >= 1
    assert node.daemon.descriptors() <= node_descriptors + 2
    assert engine.running_pids(node=node.id) == before

    proxy.heal()
    node.daemon.wait_for_log("the hub answers again", 60)
    wait_until(lambda: hub.node(node.id)["status"] == "Online", 10, "Online again")
    assert engine.running_pids(node=node.id) == before
    add_task(hub, redis_server, "later", ["sleep"])
    hub.next()
    wait_for_containers(engine, node, task="later")
    wait_until(lambda: hub.daemon.descriptors() <= hub_descriptors, 40, "the dead calls' descriptors come back")


def test_a_dead_nodes_held_call_is_shed(make_hub, make_proxy):
    """The far ends take the answers, and are never seen again."""
    hub = make_hub().start(request_timeout=1)
    proxy = make_proxy(hub.port)
    version = hub.version()
    time.sleep(0.3)
    before = hub.daemon.descriptors()
    hub.port, port = proxy.port, hub.port
    held = [hub.hold(version, wait=3) for _ in range(100)]
    hub.port = port
    wait_until(lambda: hub.daemon.descriptors() >= before + 100, 10, "100 are held")
    proxy.stall()
    wait_until(lambda: hub.daemon.descriptors() <= before, 10, "their descriptors come back, though nobody closes")
    for call in held:
        call.close()


def test_a_node_that_dies_in_the_middle_of_a_request_is_shed(make_hub, make_proxy):
    hub = make_hub().start(request_timeout=1)
    proxy = make_proxy(hub.port)
    before = hub.daemon.descriptors()
    halves = [socket.create_connection(("127.0.0.1", proxy.port)) for _ in range(50)]
    for half in halves:
        half.sendall(b"POST /gridnode/heartbeat HTTP/1.1\r\nHost: hub\r\nContent-Length: 100\r\n\r\n{\"node_id\"")
    wait_until(lambda: hub.daemon.descriptors() >= before + 50, 10, "50 halves are there")
    proxy.stall()
    wait_until(lambda: hub.daemon.descriptors() <= before, 10, "their descriptors come back")
    for half in halves:
        half.close()
