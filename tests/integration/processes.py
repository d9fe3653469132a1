"""Starting our daemons, reading their logs, and ending them: what every integration test stands on."""
import os
import re
import signal
import subprocess
import time

# What must never be seen in any log, answer or error: all tests use these as passwords.
SECRETS = ("hunter2", "integration-test-token")
TOKEN = "integration-test-token"

SANITIZER = re.compile(r"ERROR: (Address|Leak|UndefinedBehavior|Thread)Sanitizer|runtime error: |SUMMARY: \w+Sanitizer"
                       r"|Assertion .* failed")


def wait_until(condition, timeout=10.0, what="", pause=0.02):
    """The condition's first true value; fails the test when it never comes."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {what or condition}")
        time.sleep(pause)


def daemon_environment(extra=None):
    # IDM_CHECK_RUN stays: by it `check` finds what it has to end after a Ctrl-C.
    environment = {k: v for k, v in os.environ.items() if k == "IDM_CHECK_RUN"
                   or not k.startswith(("IDM_", "XDG_", "DOCKER_"))
                   and k not in ("JOURNAL_STREAM", "STATE_DIRECTORY", "http_proxy", "https_proxy", "HTTP_PROXY",
                                 "HTTPS_PROXY", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy")}
    environment["ASAN_OPTIONS"] = "detect_leaks=1:abort_on_error=0"
    environment["UBSAN_OPTIONS"] = "halt_on_error=1:print_stacktrace=1"
    environment.update(extra or {})
    return environment


class Daemon:
    """One run of a program, its log in a file."""

    def __init__(self, program, arguments, log_path, environment=None, cwd=None):
        self.log_path = log_path
        self.name = os.path.basename(str(program))
        with open(log_path, "ab") as log:
            self.log_start = log.tell()
            self.process = subprocess.Popen([str(program), *map(str, arguments)], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, cwd=cwd,
                                            env=daemon_environment(environment))
        self.pid = self.process.pid

    @property
    def log(self):
        with open(self.log_path, "rb") as file:
            file.seek(self.log_start)
            return file.read().decode("utf-8", "replace")

    def running(self):
        return self.process.poll() is None

    def wait_for_log(self, pattern, timeout=15.0):
        """The first match in this run's log."""
        regex = re.compile(pattern)

        def look():
            match = regex.search(self.log)
            if not match and not self.running():
                match = regex.search(self.log)
                assert match, f"{self.name} ended with {self.process.returncode} before {pattern!r}:\n{self.log}"
            return match
        try:
            return wait_until(look, timeout, f"{pattern!r} in the log of {self.name}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log}") from None

    def send(self, number):
        self.process.send_signal(number)

    def wait(self, timeout=30.0):
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} did not end in {timeout} s:\n{self.log}") from None
        self.check_log()
        return code

    def check_log(self):
        log = self.log
        assert not SANITIZER.search(log), log
        for secret in SECRETS:
            assert secret not in log, f"{self.name} logged a secret:\n{log}"

    def stop(self, number=signal.SIGTERM, timeout=40.0, expect=0):
        """Ends it as a person would, and looks that it ended in order."""
        if self.running():
            self.send(number)
        code = self.wait(timeout)
        assert code == expect, f"{self.name} ended with {code}:\n{self.log}"

    def kill(self):
        if self.running():
            self.process.kill()
        self.process.wait(10)

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))


def run(program, arguments, environment=None, timeout=20, cwd=None):
    """Runs it to its end: (exit code, stdout, stderr)."""
    result = subprocess.run([str(program), *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True,
                            timeout=timeout, env=daemon_environment(environment), cwd=cwd, check=False)
    out, err = result.stdout.decode(), result.stderr.decode()
    assert not SANITIZER.search(err), err
    return result.returncode, out, err


def toml_text(values):
    """Our configuration's types, as TOML."""
    def text(value):
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, (int, float)):
            return str(value)
        if isinstance(value, (list, tuple)):
            return "[" + ", ".join(text(item) for item in value) + "]"
        return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'
    return "".join(f"{name} = {text(value)}\n" for name, value in values.items())
