#!/usr/bin/env python3
"""Writes the parameter sets of a temperature scan of the 2-D Ising model, one a line: L, T, sweeps, seed, with tabs between.

    ./items.py > items.tsv
    gridctl run --image ising -- /ising {1} {2} {3} {4} < items.tsv > results.jsonl

Every (L, T, seed) occurs once, which is how analyse.py tells each item's result from the others.
"""
import argparse
import sys


# Where the lattice orders, at T_c = 2.269, everything changes quickly with T: these come on top.
CRITICAL = [2.22, 2.24, 2.26, 2.28, 2.32, 2.34]


def temperatures(first, last, step):
    """first, first + step, … last, and some around T_c; rounded, since (L, T, seed) names an item."""
    count = round((last - first) / step)
    regular = {round(first + i * step, 6) for i in range(count + 1)}
    return sorted(regular | {t for t in CRITICAL if first <= t <= last})


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, nargs="+", default=[64], metavar="L", help="edge of the lattice (64)")
    parser.add_argument("--from", dest="first", type=float, default=1.5, metavar="T", help="lowest temperature (1.5)")
    parser.add_argument("--to", dest="last", type=float, default=3.5, metavar="T", help="highest temperature (3.5)")
    parser.add_argument("--step", type=float, default=0.05, help="between temperatures (0.05)")
    parser.add_argument("--seeds", type=int, default=5, help="independent simulations per temperature (5)")
    parser.add_argument("--sweeps", type=int, default=3200, help="measured sweeps per simulation (3200)")
    arguments = parser.parse_args()
    if arguments.step <= 0 or arguments.last < arguments.first or arguments.seeds < 1:
        parser.error("nothing to scan")
    return arguments


def main():
    arguments = parse_arguments()
    # Seeds outermost: a scan that is stopped half-way has every temperature, with larger errors.
    for seed in range(1, arguments.seeds + 1):
        for size in arguments.size:
            for temperature in temperatures(arguments.first, arguments.last, arguments.step):
                print(size, temperature, arguments.sweeps, seed, sep="\t")


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:
        sys.stderr.close()
