"""The scripts under a random plan of crashes, lost, late and repeated messages (simulation.py); and each rule broken once, so
that the plan is known to find it. IDM_BROKER_SEED and IDM_BROKER_PLANS choose other and longer runs."""
import os
import random

import pytest

from broker import read_scripts
from mutants import BY_RANDOM_PLANS
from simulation import Simulation

SEED = int(os.environ.get("IDM_BROKER_SEED", random.SystemRandom().randrange(1 << 30)))
PLANS = int(os.environ.get("IDM_BROKER_PLANS", 6))
STEPS = 700


def run_plan(server, seed, texts=None, elsewhere=False):
    client, other = server.client(), server.client(db=1)
    client.flushall()
    print(f"seed {seed}, output {'elsewhere' if elsewhere else 'here'}")
    Simulation(client, seed, texts=texts, other=other if elsewhere else None).run(STEPS)


@pytest.mark.parametrize("elsewhere", [False, True], ids=["here", "elsewhere"])
def test_random_plans_lose_and_repeat_nothing(server, elsewhere):
    for plan in range(PLANS):
        run_plan(server, SEED + plan, elsewhere=elsewhere)


@pytest.mark.parametrize("rule", BY_RANDOM_PLANS)
def test_random_plans_notice_a_broken_rule(server, rule):
    texts = read_scripts([BY_RANDOM_PLANS[rule]])
    for plan in range(40):
        for elsewhere in (False, True):
            try:
                run_plan(server, 1 + plan, texts, elsewhere)  # always the same plans
            except AssertionError:
                return
    raise AssertionError(f"{rule}: nobody noticed")
