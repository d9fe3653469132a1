"""What each library that the daemons link costs a process that has nothing else."""
import json
import socket
import subprocess

from place import Hub, free_port, wait_until
from table import table

# What is looked for in the daemons' own list of libraries.
NAMES = ("libuv", "libjansson", "libssl", "libcurl", "libmicrohttpd", "libsqlite3", "libhiredis")


def linked(program):
    """{soname: …} of all that the dynamic linker loads for it."""
    text = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    return [line.split()[0] for line in text.splitlines() if "=>" in line]


def accepts(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def start_https(place):
    """OpenSSL's own little server, so that libcurl has something to call over HTTPS."""
    certificate, key = place.certificate()
    port = free_port()
    child = place.spawn_command(["openssl", "s_server", "-quiet", "-www", "-accept", f"127.0.0.1:{port}", "-cert",
                                 certificate, "-key", key])
    wait_until(lambda: accepts(port), 10, "openssl s_server listening")
    return child, f"https://127.0.0.1:{port}/"


def cost(place, soname, what, *arguments):
    result = json.loads(place.ask("library_cost", soname, *arguments))
    return [soname, what, *(f"{result[field] / 1e6:.2f}" for field in
                            ("loaded_resident", "loaded_private_dirty", "resident", "private_dirty"))]


def measure(place):
    sonames = {daemon: linked(place.program(daemon)) for daemon in ("gridnode", "computehub")}
    hub = Hub(place, "libraries")
    https, https_url = start_https(place)
    rows = []
    for name in NAMES:
        users = [daemon for daemon in sonames if any(soname.startswith(name) for soname in sonames[daemon])]
        soname = next((soname for daemon in users for soname in sonames[daemon] if soname.startswith(name)), None)
        if not soname:
            continue
        used_by = " and ".join(users)
        if name == "libcurl":
            rows.append([*cost(place, soname, "one HTTP call", hub.url + "/health"), used_by])
            rows.append([*cost(place, soname, "one HTTPS call", https_url), used_by])
        else:
            rows.append([*cost(place, soname, "initialised"), used_by])
    place.end(https)
    hub.end()
    counts = ", ".join(f"{daemon} loads {len(sonames[daemon])} libraries" for daemon in sonames)
    return table(["library", "used for", "loaded: resident, MB", "private dirty", "used: resident, MB", "private dirty",
                  "in"], rows) + f"\n\nWith what those bring in, {counts}."
