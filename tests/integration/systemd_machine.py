"""A small machine whose process 1 is a real systemd: a container of systemd-nspawn on this machine's /usr, with an /etc and
a /usr/local of its own, into which the build is installed as `meson install` does it."""
import os
import pathlib
import shutil
import signal
import subprocess
import uuid

from processes import wait_until

CGROUPS = pathlib.Path("/sys/fs/cgroup")
PASSWD = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
TARGET = """[Unit]
Description=Nothing but the journal
Wants=systemd-journald.service dbus.service
After=systemd-journald.service dbus.service sysinit.target
Requires=sysinit.target
"""


class MachineUnavailable(Exception):
    pass


class Machine:
    def __init__(self, build, directory, docker_socket=None):
        missing = [name for name in ("systemd-nspawn", "meson", "nsenter", "dbus-daemon") if not shutil.which(name)]
        if os.geteuid() or missing:
            raise MachineUnavailable("needs root" if os.geteuid() else f"needs {', '.join(missing)}")
        self.directory = pathlib.Path(directory)
        self.root = self.directory / "root"
        self.local = self.directory / "install" / "usr" / "local"
        self.cgroups = []
        self.nspawn = None
        self.furnish(build)
        self.boot(docker_socket)

    def furnish(self, build):
        for name in ("usr", "etc/systemd/system", "var", "proc", "sys", "dev", "run", "tmp", "root"):
            (self.root / name).mkdir(parents=True)
        for name in ("bin", "sbin", "lib", "lib64"):
            if os.path.islink(f"/{name}"):
                (self.root / name).symlink_to(os.readlink(f"/{name}"))
        etc = self.root / "etc"
        (etc / "passwd").write_text(PASSWD)
        (etc / "group").write_text("root:x:0:\nnogroup:x:65534:\n")
        (etc / "nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files dns\n")
        (etc / "hosts").write_text("127.0.0.1 localhost\n")
        (etc / "machine-id").write_text(uuid.uuid4().hex + "\n")
        (etc / "systemd/system/test.target").write_text(TARGET)
        for name in ("os-release", "ld.so.cache", "ld.so.conf"):
            shutil.copy(f"/etc/{name}", etc / name)
        subprocess.run(["meson", "install", "-C", build, "--no-rebuild", "--quiet", "--destdir",
                        self.directory / "install"], check=True, capture_output=True, timeout=60)
        assert (self.local / "lib/systemd/system/gridnode.service").exists(), "the build installs to another prefix"

    def own_cgroups(self):
        """Cgroups in which this systemd may do as it likes: two machines at a time must not share theirs."""
        hierarchies = [CGROUPS] if (CGROUPS / "cgroup.procs").exists() else \
            [path for path in (CGROUPS / "systemd", CGROUPS / "unified") if path.is_dir()]
        here = dict(line.split(":", 2)[1:] for line in pathlib.Path("/proc/self/cgroup").read_text().split("\n") if line)
        for hierarchy in hierarchies:
            below = here.get("name=systemd" if hierarchy.name == "systemd" else "", "/").lstrip("/")
            path = hierarchy / below / f"idm-test-{os.getpid()}-{self.directory.name}"
            path.mkdir()
            self.cgroups.append(path)

    def boot(self, docker_socket):
        try:
            self.own_cgroups()
        except OSError as error:
            raise MachineUnavailable(f"no cgroup of its own: {error}") from None
        enter = "".join(f"echo $$ >{path}/cgroup.procs && " for path in self.cgroups)
        binds = ["--bind-ro=/usr", f"--bind={self.local}:/usr/local"]
        if docker_socket:
            binds.append(f"--bind={docker_socket}:/srv/docker.sock")
        with open(self.directory / "console", "wb") as console:
            self.process = subprocess.Popen(
                # A namespace of its own for its processes: whoever is killed, they all go.
                ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc",
                 "sh", "-c", enter + 'exec "$@"', "sh", "systemd-nspawn", "--quiet", "--register=no", "--keep-unit",
                 "--resolv-conf=off", "--timezone=off", "--link-journal=no", f"--machine=idm-{os.getpid()}", "-D", self.root,
                 *binds, "--boot", "systemd.unit=test.target"],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console)
        try:
            self.pid = wait_until(self.first_process, 20, "systemd's process")
            wait_until(lambda: self.systemctl("is-active", "test.target").stdout.strip() == "active", 60, "systemd's start",
                       pause=0.2)
        except AssertionError as error:
            text = (self.directory / "console").read_text(errors="replace")[-2000:]
            self.stop()
            raise MachineUnavailable(f"{error}\n{text}") from None

    def first_process(self):
        """unshare → systemd-nspawn → systemd"""
        if self.process.poll() is not None:
            raise AssertionError(f"systemd-nspawn ended with {self.process.returncode}")
        self.nspawn = self.child(self.process.pid, "systemd-nspawn")
        return self.nspawn and self.child(self.nspawn, "systemd")

    @staticmethod
    def child(pid, name):
        try:
            children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            names = {pathlib.Path(f"/proc/{child}/comm").read_text().strip(): int(child) for child in children}
        except OSError:
            return None
        return names.get(name[:15])  # the kernel keeps as much of a name

    def run(self, *command, check=False):
        result = subprocess.run(["nsenter", "-t", str(self.pid), "-m", "-p", "-u", "-i", "-r", "-w", *map(str, command)],
                                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
        assert not check or result.returncode == 0, (command, result.stdout, result.stderr)
        return result

    def systemctl(self, *arguments, check=False):
        return self.run("systemctl", *arguments, check=check)

    def show(self, unit, name):
        return self.systemctl("show", "-P", name, unit, check=True).stdout.strip()

    def wait_for_state(self, unit, state, timeout=20):
        """ActiveState/SubState/Result, of which the beginning counts."""
        def look():
            return "/".join(self.show(unit, name) for name in ("ActiveState", "SubState", "Result"))
        try:
            wait_until(lambda: look().startswith(state), timeout, pause=0.1)
        except AssertionError:
            raise AssertionError(f"{unit} is {look()}, not {state}:\n{self.journal(unit)}") from None

    def journal(self, unit, *options):
        self.run("journalctl", "--sync")
        return self.run("journalctl", "-u", unit, "--no-pager", "-o", "cat", *options).stdout

    def stop(self):
        if self.process.poll() is None:
            if self.nspawn:
                os.kill(self.nspawn, signal.SIGTERM)  # it asks its systemd to end
            else:
                self.process.kill()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
        for path in self.cgroups:
            for directory, _, _ in os.walk(path, topdown=False):
                wait_until(lambda d=directory: self.removed(d), 10, f"the end of {directory}")

    @staticmethod
    def removed(directory):
        try:
            os.rmdir(directory)
        except OSError:
            return False
        return True
