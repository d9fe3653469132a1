"""Everything that runs: Redis, hub, links, agents and, through them, workers; all on loopback, in one folder. Starts, kills, pauses
and ends them. Does not know why."""
import os
import pathlib
import shutil
import signal
import subprocess

import redis
from hub_client import Hub
from lease_fixtures import DurableRedis
from link import Link
from processes import SANITIZER, SECRETS, TOKEN, Daemon, toml_text, wait_until

HERE = pathlib.Path(__file__).resolve().parent
USER = "nobody"     # of the workers, where we are root
STOP_S = 30.0
TASK = "chaos"
MAX_ATTEMPTS = 100  # a kill -9 of a worker is charged, and here nobody is to blame


class Program:
    """One of them over its lives. `begin` starts it and returns its subprocess.Popen."""

    def __init__(self, name, begin):
        self.name = name
        self.begin = begin
        self.process = None
        self.away = True    # because we wanted it
        self.lives = 0

    def start(self):
        self.process = self.begin()
        self.away = False
        self.lives += 1

    def send(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.away = True
        self.process.kill()
        self.process.wait(30)

    def stop(self):
        """By SIGTERM; its exit status."""
        self.away = True
        self.send(signal.SIGTERM)
        return self.process.wait(STOP_S)

    def died_by_itself(self):
        return not self.away and self.process.poll() is not None


class ProcessNode:
    """A node whose workers are plain processes."""

    def __init__(self, world, number):
        self.directory = world.directory / f"node-{number}"
        (self.directory / "tmp").mkdir(parents=True)
        self.directory.chmod(0o711)
        (self.directory / "tmp").chmod(0o1777)
        self.link = Link(world.hub.port)
        self.config_path = self.directory / "gridnode.toml"
        self.log_path = self.directory / "gridnode.log"
        who = {"process_user": USER} if os.geteuid() == 0 else {"process_same_user": True}
        self.config_path.write_text(toml_text({
            "server_url": f"http://127.0.0.1:{self.link.port}", "token": TOKEN, "hostname": f"chaos-{number}", "stop_timeout": 5,
            "state_dir": str(self.directory / "state"), "parallelism": world.slots, "heartbeat_interval": 1,
            "log_level": world.log_level, **(who if world.engine is None else {}), **world.runtime()}))
        self.config_path.chmod(0o600)
        self.world = world
        self.agent = Program(f"agent {number}", self.begin)

    def begin(self):
        return Daemon(self.world.build / "src" / "gridnode", ["-c", self.config_path], self.log_path,
                      {"TMPDIR": str(self.directory / "tmp"), **self.world.mark}).process

    @property
    def id(self):
        for line in self.config_path.read_text().splitlines():
            if line.startswith("node_id = "):
                return line.split('"')[1]
        return None

    def workers(self):
        """{instance: process id}"""
        if self.world.engine is not None:
            return self.world.engine.running_pids(node=self.id)
        found = {}
        for pid in children(self.agent.process.pid):
            environment = read(f"/proc/{pid}/environ").split(b"\0")
            for entry in environment:
                if entry.startswith(b"INSTANCE_ID=") and f"TASK_NAME={TASK}".encode() in environment:
                    found[int(entry.split(b"=")[1])] = pid
        return found


class World:
    def __init__(self, build, directory, nodes, slots, lease_timeout, log_level="info", engine=None):
        self.build, self.directory, self.slots, self.log_level, self.engine = build, directory, slots, log_level, engine
        self.lease_timeout = lease_timeout
        self.mark = {"CHAOS_DIRECTORY": str(directory), **{name: os.environ[name] for name in ("IDM_CHECK_RUN",) if name in os.environ}}
        self.worker_program = directory / "worker"
        subprocess.run(["gcc", "-O2", "-static", "-w", "-o", self.worker_program, HERE / "worker.c", "-lhiredis"], check=True,
                       stderr=subprocess.DEVNULL)
        self.worker_program.chmod(0o755)
        self.nodes = []
        self.programs = []
        self.links = []
        try:
            self.start(nodes)
        except BaseException:
            self.end()
            raise

    def start(self, nodes):
        path = self.directory / "redis"
        path.mkdir()
        self.store = DurableRedis(path)
        self.redis = Program("redis", lambda: self.store.start(wait=False).process)
        self.redis.start()
        self.programs.append(self.redis)
        self.redis_link = Link(self.store.port)
        self.links.append(self.redis_link)
        wait_until(self.store.answers, 20, "redis-server's first answer")

        self.hub = Hub(self.build / "src" / "computehub", self.directory / "hub")
        self.hub.directory.mkdir()
        self.computehub = Program("hub", self.begin_hub)
        self.programs.append(self.computehub)
        self.computehub.start()
        for number in range(nodes):
            self.nodes.append(ProcessNode(self, number))
            self.links.append(self.nodes[-1].link)
            self.programs.append(self.nodes[-1].agent)
            self.nodes[-1].agent.start()
        wait_until(lambda: len(self.hub.nodes()) == nodes, 60, "the nodes' registration")

    def begin_hub(self):
        if self.hub.port is None:
            self.hub.start(lease_timeout=self.lease_timeout, log_level=self.log_level)
            self.hub.config_path.write_text(toml_text(self.hub.config))  # with the port, to come back there
        else:
            self.hub.daemon = Daemon(self.hub.program, ["-c", self.hub.config_path], self.hub.log_path, self.mark)
        return self.hub.daemon.process

    def runtime(self):
        return {"runtime": "process"} if self.engine is None else {"docker_host": self.engine.url}

    def add_task(self, arguments, image):
        password_url = self.store.url.replace(f":{self.store.port}/", f":{self.redis_link.port}/")
        program = str(self.worker_program) if image is None else "/worker"
        self.hub.add(TASK, image=image, command=[program, *map(str, arguments)], input_redis=password_url, input_queue="in",
                     output_queue="out", max_attempts=MAX_ATTEMPTS, env={"CHAOS_DIRECTORY": str(self.directory)})

    def client(self):
        """Straight to Redis, for one thread."""
        return redis.Redis(port=self.store.port, password=self.store.client.connection_pool.connection_kwargs["password"],
                           socket_timeout=3, socket_connect_timeout=1)

    def progress(self):
        """What the hub says of the job; None where it does not."""
        try:
            return self.hub.get(f"/api/tasks/{TASK}", timeout=3).json.get("progress")
        except (OSError, ValueError, EOFError) as error:
            assert not isinstance(error, AssertionError)
            return None
        except Exception as error:  # http.client's are no OSErrors
            if type(error).__module__ == "http.client":
                return None
            raise

    # ---- the end ----

    def stop(self):
        """In order; what did not go as it should, as texts."""
        wrong = []
        for program in reversed(self.programs):
            try:
                status = program.stop()
                if status:
                    wrong.append(f"{program.name} ended with status {status} at SIGTERM")
            except subprocess.TimeoutExpired:
                wrong.append(f"{program.name} did not end within {STOP_S:.0f} s of SIGTERM")
        return wrong + [f"process {pid} was left behind" for pid in self.left_behind()]

    def end(self):
        """Whatever still runs, in whichever state; may be called at any time, and again."""
        for program in reversed(self.programs):
            if program.process and program.process.poll() is None:
                program.away = True
                program.send(signal.SIGCONT)
                program.send(signal.SIGTERM)
                try:
                    program.process.wait(10)
                except subprocess.TimeoutExpired:
                    program.kill()
        for pid in self.left_behind():
            os.kill(pid, signal.SIGKILL)
        for link in self.links:
            link.close()
        self.links.clear()
        for node in self.nodes:
            for group in pathlib.Path("/sys/fs/cgroup").glob(f"**/idm-{node.id}"):
                for path in [*group.glob("idm-work-*"), group]:
                    shutil.rmtree(path, ignore_errors=True)
                    try:
                        path.rmdir()
                    except OSError:
                        pass

    def left_behind(self):
        """Processes of ours that are not ended yet, workers of killed agents too."""
        mark = f"CHAOS_DIRECTORY={self.directory}\0".encode()
        own = {program.process.pid for program in self.programs if program.process and program.process.poll() is None}
        return [pid for pid in (int(name) for name in os.listdir("/proc") if name.isdigit())
                if pid != os.getpid() and pid not in own and mark in read(f"/proc/{pid}/environ")]

    def bad_words(self):
        """What must not stand in any log."""
        wrong = []
        for path in [self.hub.log_path, *(node.log_path for node in self.nodes)]:
            text = path.read_text(errors="replace")
            match = SANITIZER.search(text)
            if match:
                wrong.append(f"{path}: {text[match.start():match.start() + 600]}")
            wrong += [f"{path} has a secret" for secret in (*SECRETS, ) if secret in text]
        return wrong


def read(path):
    try:
        return pathlib.Path(path).read_bytes()
    except OSError:
        return b""


def children(pid):
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        found += map(int, read(task).split())
    return found



