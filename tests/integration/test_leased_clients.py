"""Workers of leased tasks with the Redis clients that people use, unchanged: every item's result exactly once, whatever is
killed. Real hub, agent, Redis, and the clients themselves."""
import json
import time

import pytest

from lease_fixtures import leasing, make_redis, store  # noqa: F401
from leased_fixtures import PYTHON, node_workers, run_job, workers  # noqa: F401
from process_fixtures import make_process_node, public_worker, worker_program  # noqa: F401


def finish(job, **numbers):
    """All is done, once, and the books are empty."""
    progress = job.wait(**numbers)
    job.check_once()
    assert progress["dead"] == 0 and progress["duplicates"] == 0 and progress["empty"] == 0, progress
    return progress


# ---- one client after the other ----

def test_the_examples_python_worker(run_job, workers):
    """redis-py with a connection for each of its two URLs. Its results are JSON."""
    job = run_job([PYTHON, workers / "worker.py"], count=300)
    job.wait()
    results = [json.loads(result) for result in job.store.list(job.output)]
    assert sorted(result["n"] for result in results) == list(range(1, 301))
    assert all(result["square"] == result["n"] ** 2 for result in results)
    assert {result["worker"] for result in results} <= {f"{job.node.id}/0", f"{job.node.id}/1"}


def test_redis_py_with_multi_pipelines(run_job, workers):
    job = run_job([PYTHON, workers / "pipelines.py"], count=500)
    finish(job)
    roots = job.store.client.hgetall(f"{job.output}:roots")
    assert {int(square): int(n) for square, n in roots.items()} == {n * n: n for n in range(1, 501)}


def test_hiredis(run_job, public_worker):
    finish(run_job([public_worker], count=2000))


def test_redis_cli_in_a_shell_loop(run_job, workers):
    finish(run_job([workers / "cli.sh"], count=40))


def test_ioredis(run_job, node_workers):
    finish(run_job(["/usr/bin/node", node_workers / "ioredis.mjs"], count=500))


@pytest.mark.parametrize("resp", [2, 3])
def test_node_redis(run_job, node_workers, resp):
    job = run_job(["/usr/bin/node", node_workers / "node_redis.mjs"], count=500, env={"RESP": str(resp)})
    finish(job)
    # It pings while it waits in BRPOP: items that come later are served as well.
    time.sleep(1)
    job.store.push(range(501, 601), job.input)
    job.count = 600
    finish(job)
