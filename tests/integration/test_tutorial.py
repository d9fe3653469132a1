"""The tutorial's commands as they are written, in their order, in one shell; with fewer photographs (IDM_TUTORIAL_IMAGES says how
many). The second machine is a gridnode in a home of its own, which types what `gridctl join-command` prints."""
import os
import re
import shutil
import subprocess

import pytest
from conftest import ROOT
from processes import SANITIZER, daemon_environment
from up_fixtures import gridctl, local  # noqa: F401

pytestmark = [pytest.mark.docker]

IMAGES = int(os.environ.get("IDM_TUTORIAL_IMAGES", "60"))
PROGRAMS = ("docker", "jpegtopnm", "pamscale", "pnmtojpeg", "ppmpat", "busybox")

# What happens at the second machine, and the waiting of a person for it.
SECOND_MACHINE = r"""
sed -n 's/^join_token = "\(.*\)"/\1/p' ~/.local/state/idm-gridcore/local/computehub.toml >"$OTHER/token"
gridctl join-command --user --token-from "$OTHER/token" >"$OTHER/join.sh"
HOME=$OTHER STATE_DIRECTORY=$OTHER/state bash "$OTHER/join.sh" >"$OTHER/log" 2>&1 &
second=$!
for try in $(seq 100); do
  [[ $(gridctl nodes --json | grep -o '"status": *"Online"' | wc -l) == 2 ]] && break
  sleep 0.2
done
[[ $(gridctl nodes --json | grep -o '"status": *"Online"' | wc -l) == 2 ]]
"""
SECOND_MACHINE_ENDS = r"""
kill -TERM $(ps -o pid= --ppid $second)
wait $second
"""
WHATEVER_COMES = "trap '[[ -z ${second:-} ]] || kill -TERM $(ps -o pid= --ppid $second) 2>/dev/null || true' EXIT\n"


def blocks(page):
    """[(mark, commands)]"""
    text = (ROOT / "docs" / page).read_text()
    return re.findall(r"(?:<!-- (\w+) -->\n)?```bash\n(.*?)```", text, re.DOTALL)


def test_both_languages_type_the_same():
    assert blocks("tutorial.md") == blocks("tutorial.zh-CN.md") and len(blocks("tutorial.md")) > 8


def test_its_packages_are_among_those_of_the_tests():
    (install,) = [commands for mark, commands in blocks("tutorial.md") if mark == "install"]
    ours = (ROOT / "scripts" / "install-deps.sh").read_text()
    for package in install.split("install ")[1].split():
        assert re.search(rf"\b{re.escape(package)}\b", ours), package


def script():
    text = "set -eu\nPS4='$ '; set -x\n" + WHATEVER_COMES
    for mark, commands in blocks("tutorial.md"):
        if mark in ("install", "copy"):
            continue
        if mark == "down":
            text += SECOND_MACHINE_ENDS
        assert mark != "" or "count=" not in commands or "count=1000\n" in commands
        text += commands.replace("count=1000\n", f"count={IMAGES}\n")
        if mark == "join":
            text += SECOND_MACHINE
    return text


def test_the_tutorial_as_it_is_written(build, local, engine, directory):
    missing = [program for program in PROGRAMS if not shutil.which(program)]
    if missing:
        pytest.skip(f"not installed: {missing}")
    other = directory / "other"
    other.mkdir()
    environment = daemon_environment({"HOME": str(local.home), "DOCKER_HOST": engine.url, "OTHER": str(other),
                                      "PATH": f"{build / 'src'}:{os.environ['PATH']}"})
    local.environment["DOCKER_HOST"] = engine.url
    (directory / "script").write_text(script())
    result = subprocess.run(["bash", directory / "script"], capture_output=True, text=True, timeout=400, env=environment, check=False,
                            cwd=local.home)
    said = result.stdout
    second = (other / "log").read_text() if (other / "log").exists() else ""
    assert result.returncode == 0, f"{said[-3000:]}\n{result.stderr[-6000:]}\n{second[-2000:]}"
    assert not SANITIZER.search(result.stderr)
    lines = said.splitlines()
    assert f"{IMAGES}.jpg" in lines                                     # the photographs
    assert "pamscale 0.25" in said and "pamscale 0.5" in said           # the dry run
    assert re.search(r"160 by 120", said), said                         # the first small one
    assert str(IMAGES) in lines                                         # as many small ones as photographs
    assert "failed items: 1" in lines and "broken.jpg" not in os.listdir(local.home)
    assert "ot a JPEG file" in said                                     # what `dead show` shows
    assert "join_token = " in said
    assert list(local.home.iterdir()) == [local.home / ".local"]        # nothing is left but gridctl's own state
    assert not engine.has_image("resize:1") and not engine.containers()
