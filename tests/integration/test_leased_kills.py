"""Workers of leased tasks that do several things at once, fork, or follow Redis' reliable-queue pattern, and that are killed
with -9: nothing is lost, and those that do one thing at a time repeat nothing."""
import os
import random
import signal
import time

import pytest

from lease_fixtures import leasing, make_redis, store  # noqa: F401
from leased_fixtures import PYTHON, run_job, workers  # noqa: F401
from process_fixtures import make_process_node, worker_program  # noqa: F401
from processes import wait_until

ENOUGH = 50  # attempts: the items are not to blame for what happens here
KILLS = 6    # slots that fail pause longer and longer


def kill_workers(job, seed):
    """Kills workers at random moments, one at a time, in the middle of their items."""
    rng = random.Random(seed)
    print(f"seed {seed}")
    for _ in range(KILLS):
        pids = wait_until(lambda: sorted(job.node.workers().values()), 30, "a worker")
        before = len(job.results())
        wait_until(lambda: len(job.results()) > before, 30, "a result")
        time.sleep(rng.uniform(0, 0.05))
        try:
            os.kill(rng.choice(pids), signal.SIGKILL)
        except ProcessLookupError:
            pass  # the one before, which was not yet cleared away
    assert len(job.results()) < job.count, "they were done too soon"


def finish(job):
    progress = job.wait(90)
    assert progress["dead"] == 0, progress
    return progress


@pytest.mark.parametrize("script", ["serial.py", "reliable.py"])
def test_a_killed_workers_items_are_done_once(run_job, workers, script):
    """A worker that pops and pushes; one with BLMOVE, and LREM in one MULTI with the result."""
    job = run_job([PYTHON, workers / script], count=2000, max_attempts=ENOUGH, node={"parallelism": 4},
                  env={"ITEM_TIME": "0.01"})
    kill_workers(job, seed=7)
    progress = finish(job)
    assert progress["failed"] > 0, progress
    job.check_once()


def test_the_successor_of_a_worker_that_had_done_work_starts_at_once(run_job, workers):
    """Redelivery within a second, however often it dies: only what fails before it has done anything waits for longer."""
    job = run_job([PYTHON, workers / "serial.py"], count=2000, max_attempts=ENOUGH, node={"parallelism": 1},
                  env={"ITEM_TIME": "0.01"})
    dead = set()
    for _ in range(KILLS):
        [pid] = wait_until(lambda: set(job.node.workers().values()) - dead, 30, "a worker")
        before = len(job.results())
        wait_until(lambda: len(job.results()) > before + 20, 30, "results of its own")
        os.kill(pid, signal.SIGKILL)
        dead.add(pid)
    wait_until(lambda: job.node.daemon.log.count("ended by signal 9; next start in 0.0 s") == KILLS, 30, "all of them in the log")


def test_a_killed_worker_of_four_threads_loses_nothing(run_job, workers):
    """Several open items at once: a crash may repeat a result, and never loses one."""
    job = run_job([PYTHON, workers / "threads.py"], count=2000, max_attempts=ENOUGH, node={"parallelism": 2},
                  env={"ITEM_TIME": "0.02"})
    kill_workers(job, seed=8)
    finish(job)
    assert job.check_none_lost() <= KILLS * 4
    job.node.daemon.wait_for_log("items open on several connections at once")


def test_four_threads_that_nobody_kills_repeat_nothing(run_job, workers):
    job = run_job([PYTHON, workers / "threads.py"], count=1000)
    finish(job)
    job.check_once()


@pytest.mark.parametrize("children, connections", [(1, 2), (3, 1), (3, 2)])
def test_a_killed_child_of_a_forking_worker_loses_nothing(run_job, workers, children, connections):
    """The worker goes on, so no exit tells of it: only the connection that ended without a result."""
    job = run_job([PYTHON, workers / "forks.py"], count=200, max_attempts=ENOUGH, node={"parallelism": 1},
                  env={"CHILDREN": str(children), "CONNECTIONS": str(connections)})
    progress = finish(job)
    assert progress["failed"] >= 10, progress
    job.check_once() if children == 1 else job.check_none_lost()
