#!/usr/bin/env python3
"""Judges the results of an Ising scan against the exact solution, and draws them.

    gridctl run --image ising -- /ising {1} {2} {3} {4} < items.tsv > results.jsonl
    ./analyse.py --items items.tsv --picture ising.png -- results.jsonl

The exit status is 0 only if
  1. every item has exactly one result, matched by (L, T, seed), and there is nothing else;
  2. every energy lies within 4 standard errors of the exact value for its lattice, and so does every |m| for which
     there is an exact value;
  3. the deviations are together as large as chance makes them: the tail probability of their chi-square is neither
     below 1e-4 (too far off) nor above 1 - 1e-4 (errors overstated).

The exact energy is Onsager's for the infinite lattice plus the finite-size shift of an L x L torus, which is no
allowance but known exactly too (Kaufman 1949): nothing far from T_c, about -0.62 / L at T_c. Yang's magnetisation is
for the infinite lattice, and <|m|> of a torus differs from it near and above T_c, so |m| is judged only where the
lattice is at least 8 times as wide as the length on which it forgets its size.
"""
import argparse
import collections
import json
import math
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import exact

MAX_SIGMA = 4.0
TAIL = 1e-4
MIN_WIDTHS = 8

Point = collections.namedtuple("Point", "size temperature seeds energy energy_error m m_error tau")


def read_items(file):
    """What items.py wrote."""
    for line in file:
        size, temperature, sweeps, seed = line.split("\t")
        yield {"L": int(size), "T": float(temperature), "sweeps": int(sweeps), "seed": int(seed)}


def read_lines(file):
    """The JSON objects of a file, one a line; what is none becomes {"error": …}."""
    for line in file:
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError:
            value = None
        yield value if isinstance(value, dict) else {"error": "a line that is no JSON object"}


def key(entry):
    return entry.get("L"), entry.get("T"), entry.get("seed")


def check_completeness(items, results):
    """Complaints about items without a result, with several, and about results without an item."""
    wanted = {key(item) for item in items}
    seen = collections.Counter(key(result) for result in results if "error" not in result)
    complaints = [f"the items name {name} twice" for name, n in
                  collections.Counter(key(item) for item in items).items() if n > 1]
    complaints += [f"refused: {result['error']}" for result in results if "error" in result]
    complaints += [f"no result for {name}" for name in sorted(wanted - seen.keys())]
    complaints += [f"{n} results for {name}" for name, n in seen.items() if n > 1]
    complaints += [f"a result for {name}, which is no item" for name in seen.keys() - wanted]
    return complaints


def combine(results):
    """One point per (L, T). The weight of a simulation is its number of sweeps and not 1 / error^2: an estimated error
    goes up and down with the estimated mean, and weights that do so pull the average to one side."""
    groups = collections.defaultdict(list)
    for result in results:
        groups[result["L"], result["T"]].append(result)
    points = []
    for (size, temperature), group in sorted(groups.items()):
        total = sum(result["sweeps"] for result in group)
        weights = [result["sweeps"] / total for result in group]

        def mean(name):
            return sum(w * result[name] for w, result in zip(weights, group))

        def error(name):
            return math.sqrt(sum((w * result[name]) ** 2 for w, result in zip(weights, group)))

        points.append(Point(size, temperature, len(group), mean("energy"), error("energy_error"),
                            mean("m_abs"), error("m_abs_error"), mean("tau")))
    return points


def energy_pull(point):
    return (point.energy - exact.kaufman_energy(point.size, point.temperature)) / point.energy_error


def magnetisation_pull(point):
    """None where no exact value is known for this lattice."""
    if point.temperature >= exact.CRITICAL_TEMPERATURE:
        return None
    if point.size < MIN_WIDTHS * exact.correlation_length(point.temperature):
        return None
    return (point.m - exact.yang_magnetisation(point.temperature)) / point.m_error


def check_pulls(name, pulls):
    """Prints the verdict on one observable; returns complaints."""
    if not pulls:
        print(f"{name}: no point has an exact value to be compared with")
        return []
    chi2 = sum(pull * pull for pull in pulls)
    tail = exact.chi2_tail(chi2, len(pulls))
    largest = max(pulls, key=abs)
    print(f"{name}: {len(pulls)} points, chi-square {chi2:.1f} for {len(pulls)} degrees of freedom "
          f"(probability {tail:.3f}), largest deviation {largest:+.2f} standard errors")
    complaints = []
    if abs(largest) > MAX_SIGMA:
        complaints.append(f"{name}: a point is {abs(largest):.1f} standard errors off; {MAX_SIGMA:g} are allowed")
    if not TAIL <= tail <= 1 - TAIL:
        complaints.append(f"{name}: chi-square {chi2:.1f} for {len(pulls)} points is not what chance gives")
    return complaints


def print_table(points):
    print("  L      T  seeds    energy   error   exact L   Onsager  (e-exact)/err      |m|   error    Yang"
          "  (m-Yang)/err   tau")
    for point in points:
        pull = magnetisation_pull(point)
        print(f"{point.size:3d}  {point.temperature:5.3f}  {point.seeds:5d}"
              f"  {point.energy:8.5f} {point.energy_error:7.5f}"
              f"  {exact.kaufman_energy(point.size, point.temperature):8.5f}"
              f"  {exact.onsager_energy(point.temperature):8.5f}  {energy_pull(point):+13.2f}"
              f"  {point.m:7.5f} {point.m_error:7.5f} {exact.yang_magnetisation(point.temperature):7.5f}"
              f"  {'-' if pull is None else format(pull, '+.2f'):>12}  {point.tau:4.1f}")


def print_work(results):
    seconds = sum(result.get("seconds", 0) for result in results)
    where = collections.Counter(result.get("node", "here") for result in results)
    shares = ", ".join(f"{node[:8]}: {n}" for node, n in sorted(where.items()))
    print(f"{len(results)} results, {seconds:.1f} s of computing; by node: {shares}")


GNUPLOT = r"""
set terminal pngcairo size 1200,1500 enhanced font "DejaVu Sans,14" linewidth 1.4 background rgb "white"
set output "{picture}"
set multiplot
set lmargin at screen 0.105
set rmargin at screen 0.965
set border lc rgb "#555555"
set tics textcolor rgb "#333333" nomirror
set grid lc rgb "#e3e3e3" lt 1 lw 0.7
set xrange [{t_min}:{t_max}]
set mxtics 2
set arrow 1 from {t_c}, graph 0 to {t_c}, graph 1 nohead dt (6,5) lc rgb "#999999" lw 1 back
curve = "#222222"

set tmargin at screen 0.935
set bmargin at screen 0.575
set title "{{/:Bold=17 Two-dimensional Ising model}}   {title}" offset 0,0.4
set format x ""
set ylabel "magnetisation  ⟨|m|⟩" offset 0.5
set yrange [-0.03:1.06]
set label 1 "T_c = 2.269" at {t_c}, graph 0.06 offset 0.8,0 textcolor rgb "#777777"
set key top right samplen 2.5 spacing 1.25 opaque noautotitle
plot "{directory}/curves" using 1:3 with lines lc rgb curve lw 1.6 title "exact, infinite lattice (Yang 1952)", \
     {m_plots}

unset title
unset label 1
set tmargin at screen 0.555
set bmargin at screen 0.245
set ylabel "energy per spin  ⟨e⟩"
set yrange [{e_min}:{e_max}]
set key bottom right
plot "{directory}/curves" using 1:2 with lines lc rgb curve lw 1.6 title "exact, infinite lattice (Onsager 1944)", \
     {e_plots}

# The same once more, around T_c: here the finite lattices part from the infinite one.
set lmargin at screen 0.165
set rmargin at screen 0.375
set tmargin at screen 0.541
set bmargin at screen 0.405
set object 2 rectangle from screen 0.115, screen 0.38 to screen 0.385, screen 0.551 behind
set object 2 fc rgb "white" fs solid noborder
set xrange [{zoom_min}:{zoom_max}]
set yrange [-1.57:-1.23]
set format x "%.1f"
set xtics 0.1 font ",11" offset 0,0.4
set ytics 0.1 font ",11" offset 0.5
unset ylabel
unset key
plot "{directory}/curves" using 1:2 with lines lc rgb curve lw 1.6, \
     {e_plots}
unset object 2
set lmargin at screen 0.105
set rmargin at screen 0.965
set xrange [{t_min}:{t_max}]
set xtics autofreq font ",14" offset 0,0
set ytics font ",14" offset 0,0

set tmargin at screen 0.225
set bmargin at screen 0.06
set format x "%.1f"
set xlabel "temperature  T  [J/k_B]" offset 0,0.3
set ylabel "(⟨e⟩ − exact_L) / error"
set yrange [-4.6:4.6]
set ytics 2
set object 1 rectangle from graph 0, first -1 to graph 1, first 1 fc rgb "#eef2f7" fs solid noborder behind
set arrow 2 from graph 0, first 0 to graph 1, first 0 nohead lc rgb "#888888" lw 1 back
unset key
plot {pull_plots}
unset multiplot
"""

COLOURS = ["#1f5fa8", "#d9542b", "#2e8b57", "#8a4fae"]
SYMBOLS = [7, 5, 9, 11]


def write_data(directory, points):
    with open(directory / "curves", "w") as file:
        temperatures = [point.temperature for point in points]
        low, high = min(temperatures) - 0.04, max(temperatures) + 0.04
        grid = [low + i * (high - low) / 800 for i in range(801)]
        # Without T_c itself and what lies close to it the drawn magnetisation would miss its vertical drop.
        grid += [exact.CRITICAL_TEMPERATURE - 10.0 ** -n for n in range(2, 10)] + [exact.CRITICAL_TEMPERATURE]
        for t in sorted(t for t in grid if low <= t <= high):
            print(t, exact.onsager_energy(t), exact.yang_magnetisation(t), file=file)
    for size in {point.size for point in points}:
        with open(directory / f"torus-{size}", "w") as file:
            for t in grid[:801:4]:
                print(t, exact.kaufman_energy(size, t), file=file)
        with open(directory / f"points-{size}", "w") as file:
            for point in points:
                if point.size == size:
                    print(*point[1:], energy_pull(point), file=file)
    return low, high


def draw(points, picture):
    sizes = sorted({point.size for point in points}, reverse=True)

    def plots(columns, style, titled=True):
        parts = []
        for index, size in enumerate(sizes):
            title = f'title "Monte Carlo, {size} × {size}"' if titled else ""
            parts.append(f'"{{directory}}/points-{size}" using {columns} with {style} lc rgb "{COLOURS[index % 4]}" '
                         f"pt {SYMBOLS[index % 4]} ps 1.1 lw 1.2 {title}")
        return ", \\\n     ".join(parts)

    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        low, high = write_data(directory, points)
        torus_plots = ", \\\n     ".join(
            f'"{{directory}}/torus-{size}" using 1:2 with lines lc rgb "{COLOURS[index % 4]}" lw 1.1 dt (8,3) '
            f'title "exact, {size} × {size} (Kaufman 1949)"' for index, size in enumerate(sizes))
        names = " and ".join(f"{size} × {size}" for size in sizes)
        script = GNUPLOT.format(
            directory="{directory}", picture=str(picture).replace('"', ""), t_min=low, t_max=high,
            zoom_min=max(low, 2.175), zoom_max=min(high, 2.375),
            e_min=min(point.energy for point in points) - 0.08, e_max=max(point.energy for point in points) + 0.08,
            t_c=exact.CRITICAL_TEMPERATURE, title=f"{names} spins, Monte Carlo and exact solution",
            m_plots=plots("1:5:6", "yerrorbars"), e_plots=torus_plots + ", \\\n     " + plots("1:3:4", "yerrorbars"),
            pull_plots=plots("1:8:(1)", "yerrorbars", titled=False)).replace("{directory}", str(directory))
        subprocess.run(["gnuplot"], input=script, text=True, check=True)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="+", type=argparse.FileType(), help="files of results; - is standard input")
    parser.add_argument("--items", nargs="+", required=True, type=argparse.FileType(), help="files of items")
    parser.add_argument("--picture", type=Path, help="write a PNG (needs gnuplot)")
    parser.add_argument("--brief", action="store_true", help="no table, only the verdict")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    items = [item for file in arguments.items for item in read_items(file)]
    results = [result for file in arguments.results for result in read_lines(file)]
    complaints = check_completeness(items, results)

    points = combine([result for result in results if "error" not in result])
    if points:
        if not arguments.brief:
            print_table(points)
        print_work(results)
        complaints += check_pulls("energy", [energy_pull(point) for point in points])
        judged = [pull for pull in map(magnetisation_pull, points) if pull is not None]
        complaints += check_pulls("|m|", judged)
    if points and arguments.picture:
        if shutil.which("gnuplot"):
            draw(points, arguments.picture)
            print(f"picture: {arguments.picture}")
        else:
            complaints.append("no picture: gnuplot is not installed")

    for complaint in complaints[:20]:
        print(f"WRONG: {complaint}")
    if len(complaints) > 20:
        print(f"WRONG: … and {len(complaints) - 20} more")
    if complaints or not points:
        print(f"FAILED: {len(results)} results for {len(items)} items")
        return 1
    print(f"AGREES: {len(items)} items, each with exactly one result, all within the exact solution's errors")
    return 0


if __name__ == "__main__":
    sys.exit(main())
