"""Two agents with one id and one secret on two machines, as after a disk was copied under a running agent: neither floods the
hub, and ours says what is wrong. Where one of them registers anew, it becomes a node of its own: test_node_secret."""
import re
import threading
import time

import pytest
from node_fixtures import make_node  # noqa: F401
from test_node_secret import wait_for_secret

pytestmark = [pytest.mark.docker]


class Twin:
    """The other machine's agent: it holds a call as the same node, with its secret, and holds it again whenever it is displaced."""

    def __init__(self, hub, node_id, secret):
        self.hub = hub
        self.node_id = node_id
        self.secret = secret
        self.displaced = 0
        self.ended = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        version = self.hub.version()
        while not self.ended:
            held = self.hub.hold(version, wait=30, node_id=self.node_id, token=self.secret)
            try:
                answer = held.answer(40).json
            except OSError:
                return
            self.displaced += answer["version"] == version
            version = answer["version"]

    def end(self):
        self.ended = True
        self.hub.add("the-end")  # which answers it
        self.thread.join(10)


def test_two_machines_with_one_id_do_not_fight(hub, make_node):
    node = make_node(hub, heartbeat_interval=5).start()
    secret = wait_for_secret(node)
    time.sleep(1)
    twin = Twin(hub, node.id, secret)
    try:
        node.daemon.wait_for_log(rf"warn .*another agent seems to use this node's id {node.id}; give each agent", 40)
        before = len(re.findall("GET /gridnode/task", hub.daemon.log))
        time.sleep(8)
        assert len(re.findall("GET /gridnode/task", hub.daemon.log)) - before < 12
        assert hub.node(node.id)["status"] == "Online"
    finally:
        twin.end()
    # Alone again it asks within its last pause, and holds its call as ever: a change reaches it at once.
    node.daemon.wait_for_log("the-end", 70)
    time.sleep(1)
    hub.add("later")
    hub.next()
    node.daemon.wait_for_log("later", 3)
