#!/usr/bin/python3
"""The chaos test: a job of N items through a real hub, a real Redis and real agents, while a plan drawn from a seed kills, pauses
and cuts off whatever takes part; at the end each item has its result, once. Exit status 0 if so; otherwise 1, what is lost or
repeated, and a folder with everything that was said."""
import argparse
import pathlib
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "tests" / "integration"))
import calm  # noqa: E402
from feeder import Feeder  # noqa: E402
from items import Items  # noqa: E402
from journal import Journal  # noqa: E402
from plan import draw_plan  # noqa: E402
from processes import wait_until  # noqa: E402
from storm import Storm  # noqa: E402
from verdict import Verdict  # noqa: E402
from watch import Watch  # noqa: E402
from world import World  # noqa: E402

STUCK_S = 90.0
IMAGE = "idm-chaos/worker:1"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "release", help="build directory")
    parser.add_argument("--items", type=int, default=3000)
    parser.add_argument("--kills", type=int, default=25, help="kill -9s; half as many other faults come with them")
    parser.add_argument("--seed", type=int, help="of the plan; drawn and printed if not given")
    parser.add_argument("--nodes", type=int, default=2)
    parser.add_argument("--slots", type=int, default=2, help="of each node")
    parser.add_argument("--lease-timeout", type=int, default=5, help="the holder's deadline in s")
    parser.add_argument("--worker", choices=("plain", "reliable"), default="plain", help="BRPOP, or BLMOVE and MULTI")
    parser.add_argument("--work-us", type=int, default=0, help="how long an item takes")
    parser.add_argument("--runtime", choices=("process", "docker"), default="process")
    parser.add_argument("--log-level", default="info")
    parser.add_argument("--keep", type=pathlib.Path, help="where to leave the logs of a failure; a temporary folder otherwise")
    parser.add_argument("--quiet", action="store_true", help="do not tell each event")
    return parser.parse_args()


class Run:
    def __init__(self, options, directory, engine):
        self.options, self.directory = options, directory
        self.begun_s = time.monotonic()
        self.events_log = open(directory / "events.log", "w", encoding="utf-8", buffering=1)
        self.items = Items(options.items, "in", "out")
        self.journal = Journal(directory / "journal") if engine is None else None
        self.world = World(options.build.resolve(), directory, options.nodes, options.slots, options.lease_timeout,
                           options.log_level, engine)
        self.verdict = Verdict(self.world, self.items, self.journal)
        self.storm = self.watch = self.feeder = None

    def say(self, text, event=False):
        line = f"{time.monotonic() - self.begun_s:8.3f} {text}"
        self.events_log.write(f"{time.monotonic():.3f} {line}\n")
        if not (event and self.options.quiet):
            print(line, flush=True)

    def go(self):
        options = self.options
        image = None
        if self.journal is None:
            image = self.world.engine.import_image(IMAGE, {"worker": self.world.worker_program})
        self.world.add_task([options.worker, options.work_us, *([self.journal.directory] if self.journal else [])], image)
        client = self.world.client()
        self.watch = Watch(self.world, self.items)
        self.verdict.wrong += calm.measure(self.world, self.journal, self.items, client, self.say)
        plan = draw_plan(options.seed, options.kills, options.nodes, options.slots, options.lease_timeout)
        self.storm = Storm(self.world, plan, self.items, lambda text: self.say(text, event=True))
        self.verdict.storm = self.storm
        begun = time.monotonic()
        self.feeder = Feeder(self.world.client(), self.items)
        self.play()
        self.until_all_is_done()
        took = time.monotonic() - begun
        self.feeder.close()
        self.watch.close()
        self.say(f"{options.items} items through {self.storm.done_kills} kills and {len(plan) - self.storm.done_kills} other faults "
                 f"in {took:.1f} s: {options.items / took:.0f} a second; {self.watch.looks} looks at the progress")
        self.verdict.wrong += self.watch.wrong
        client.close()
        wait_until(self.world.store.answers, 60, "Redis, at the end")
        self.verdict.judge(self.world.client())
        self.verdict.wrong += self.world.stop() + self.world.bad_words()

    def play(self):
        """Until all events have come and their undoing, too."""
        last, moved = -1, time.monotonic()
        while not self.storm.over():
            done = self.feeder.done - self.items.probes
            self.feeder.ceiling = self.storm.ceiling()
            before = len(self.storm.history)
            self.storm.step(done)
            if done != last or len(self.storm.history) != before:
                last, moved = done, time.monotonic()
            self.still_well(moved)
            time.sleep(0.005)
        self.feeder.ceiling = self.items.count

    def until_all_is_done(self):
        last, moved = None, time.monotonic()
        while not (self.feeder.done >= self.items.total and self.settled()):
            state = self.feeder.done, self.watch.last.get("waiting"), self.watch.last.get("leased"), self.watch.last.get("dead")
            if state != last:
                last, moved = state, time.monotonic()
            self.still_well(moved)
            if state[3] and state[0] + state[3] >= self.items.total and self.settled():
                break  # the verdict says which ones died
            time.sleep(0.02)

    def settled(self):
        """The hub says that nothing is on its way."""
        progress = self.world.progress()
        return bool(progress) and progress.get("waiting") == 0 and progress.get("leased") == 0 and "blocked" not in progress

    def still_well(self, moved):
        for program in self.world.programs:
            if program.died_by_itself():
                raise AssertionError(f"{program.name} ended by itself, with {program.process.returncode}")
        if time.monotonic() - moved > STUCK_S:
            raise AssertionError(f"nothing has moved for {STUCK_S:.0f} s: {self.feeder.done} results of {self.items.total}, "
                                 f"{self.feeder.pushed} pushed; the hub says {self.watch.text(self.watch.last)}; "
                                 f"to come: {self.storm.to_come[:1]}")


def keep(options, directory):
    """Where everything can be looked at; Redis' own files only while they are small."""
    for path in directory.glob("redis/appendonlydir/*"):
        if path.stat().st_size > 100 << 20:
            path.unlink()
    if options.keep is None:
        return directory
    shutil.rmtree(options.keep, ignore_errors=True)
    shutil.copytree(directory, options.keep, ignore=lambda path, names: [n for n in names if (pathlib.Path(path) / n).is_socket()])
    shutil.rmtree(directory, ignore_errors=True)
    return options.keep


def try_it(options, directory, engine):
    run, failure = None, None
    try:
        run = Run(options, directory, engine)
        run.go()
    except AssertionError as error:
        failure = str(error)
    except Exception:  # pylint: disable=broad-except
        failure = traceback.format_exc()
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        if run:
            if failure:
                run.verdict.wrong.append(failure)
                run.verdict.describe_state()
            run.world.end()
        elif failure:
            print(failure)
    return run.verdict if run else None


def main():
    options = arguments()
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {options.seed}: {options.items} items, {options.kills} kills, {options.nodes} nodes of {options.slots} slots, "
          f"{options.worker} workers, {options.runtime}", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    directory = pathlib.Path(tempfile.mkdtemp(prefix="idm-chaos-"))
    directory.chmod(0o711)
    engine = None
    verdict = None
    try:
        if options.runtime == "docker":
            from engine import Engine  # pylint: disable=import-outside-toplevel
            engine = Engine(directory / "e")
        verdict = try_it(options, directory, engine)
    except KeyboardInterrupt:
        print("interrupted")
        return 130
    finally:
        if engine:
            engine.stop()
        if verdict is None or not verdict.wrong:
            shutil.rmtree(directory, ignore_errors=True)
    if verdict is None:
        return 1
    if verdict.wrong:
        print("\n".join(["FAILED", *verdict.wrong, f"seed {options.seed}; everything that was said: {keep(options, directory)}"]))
        return 1
    print(f"0 lost, 0 repeated of {verdict.items.total}; seed {options.seed}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
