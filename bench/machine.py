"""Which machine was measured, in a line."""
import os
import pathlib
import platform
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]


def first_value(path, key, separator):
    for line in pathlib.Path(path).read_text().splitlines():
        name, _, value = line.partition(separator)
        if name.strip() == key:
            return value.strip().strip('"')
    return "?"


def commit():
    answer = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"], capture_output=True, text=True,
                            check=False)
    return answer.stdout.strip() or "no git"


def describe():
    memory_gb = int(first_value("/proc/meminfo", "MemTotal", ":").split()[0]) / 1024 ** 2
    return (f"{first_value('/proc/cpuinfo', 'model name', ':')}, {len(os.sched_getaffinity(0))} CPUs, {memory_gb:.0f} GB; "
            f"{first_value('/etc/os-release', 'PRETTY_NAME', '=')}, Linux {platform.release()}; "
            f"commit {commit()}, {time.strftime('%Y-%m-%d')}; load before it began: {os.getloadavg()[0]:.2f}")
