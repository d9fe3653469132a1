"""What the shell knows of our programs: man pages that troff takes without a word, and completions tried in a real bash and zsh."""
import re
import shutil
import subprocess

import pytest
from conftest import ROOT
from processes import run
from up_fixtures import gridctl  # noqa: F401


@pytest.fixture
def shell(build):
    return build / "deploy" / "shell"


def test_every_command_has_its_man_page(gridctl, shell):
    whole = (shell / "gridctl.1").read_text()
    named = {name.replace("\\-", "-") for name in re.findall(r"See \\fB(gridctl\S+)\\fR\(1\)", whole)}
    assert len(named) > 15
    assert named | {"gridctl"} == {path.stem for path in shell.glob("gridctl*.1")}


def test_man_pages_are_good_troff(shell):
    pages = sorted(shell.glob("*.[18]")) + [ROOT / "deploy/shell/gridexec.1"]
    assert len(pages) > 20
    for page in pages:
        result = subprocess.run(["groff", "-man", "-ww", "-Tutf8", page], capture_output=True, text=True, check=True, timeout=60)
        assert result.stderr == "" and "IDM-GridCore" in result.stdout, (page, result.stderr)


@pytest.mark.parametrize("program", ["computehub", "gridnode"])
def test_the_daemons_pages_name_every_key(build, shell, program):
    _, help_text, _ = run(build / "src" / program, ["--help"])
    keys = re.findall(r"^  (\w+) ", help_text.partition("with their defaults:")[2], re.M)
    page = (shell / f"{program}.8").read_text()
    assert len(keys) > 10 and not [key for key in keys if f"\\fB{key}\\fR" not in page]


def complete_in_bash(build, shell, line):
    """What bash would offer behind this line."""
    script = """
source "$1"
COMP_LINE=$2 COMP_POINT=${#2}
read -ra COMP_WORDS <<<"$2"
[[ $2 != *' ' ]] || COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
spec=$(complete -p gridctl)
[[ $spec =~ -F\\ ([^ ]+) ]]
compopt() { :; }
"${BASH_REMATCH[1]}" gridctl
printf '%s\\n' "${COMPREPLY[@]}"
"""
    result = subprocess.run(["bash", "-u", "-c", script, "bash", shell / "gridctl", line], capture_output=True, text=True, check=True,
                            timeout=30, env={"PATH": f"{build}/src:/usr/bin:/bin", "HOME": "/nonexistent"})
    assert result.stderr == "", result.stderr
    return {word.strip() for word in result.stdout.split("\n") if word.strip()}


def test_bash_completes_commands_options_and_words(build, shell):
    assert {"tasks", "nodes", "up", "down", "dead"} <= complete_in_bash(build, shell, "gridctl ")
    assert complete_in_bash(build, shell, "gridctl ta") == {"task", "tasks"}
    words = {word for word in complete_in_bash(build, shell, "gridctl dead ") if word[0] != "-"}
    assert words == {"list", "show", "retry", "drop"}
    assert complete_in_bash(build, shell, "gridctl up --no") == {"--nodes"}
    assert complete_in_bash(build, shell, "gridctl --hub http://x down --p") == {"--purge"}
    assert complete_in_bash(build, shell, "gridctl completion ") >= {"bash", "zsh"}


def test_bash_completes_the_hubs_tasks(build, shell, hub, monkeypatch):
    hub.add("hea-calc", image="x", delivery="direct", input_redis="redis://127.0.0.1:1", input_queue="a", output_queue="b")
    script = shell / "gridctl"
    text = script.read_text()
    assert "complete-names" in text
    result = subprocess.run(["bash", "-c", 'source "$1"; COMP_WORDS=(gridctl task he) COMP_CWORD=2; COMPREPLY=(); compopt() { :; }; '
                             '_gridctl; printf "%s\\n" "${COMPREPLY[@]}"', "bash", script], capture_output=True, text=True, timeout=30,
                            env={"PATH": f"{build}/src:/usr/bin:/bin", "IDM_GRIDCORE_HUB": hub.url,
                                 "IDM_GRIDCORE_TOKEN": hub.config["token"], "HOME": "/nonexistent"}, check=True)
    assert result.stdout.split() == ["hea-calc"], result


def test_zsh_takes_its_completion(shell):
    if not shutil.which("zsh"):
        pytest.skip("zsh is not installed")
    result = subprocess.run(["zsh", "-n", shell / "_gridctl"], capture_output=True, text=True, timeout=30, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def test_what_is_installed_where_shells_look(build):
    """Under the names that bash-completion, zsh and man search for."""
    plan = subprocess.run(["meson", "introspect", "--installed", build], capture_output=True, text=True, check=True, timeout=60).stdout
    for place in ("/share/bash-completion/completions/gridctl", "/share/zsh/site-functions/_gridctl", "/share/man/man1/gridctl.1",
                  "/share/man/man1/gridctl-up.1", "/share/man/man1/gridexec.1", "/share/man/man8/computehub.8"):
        assert place in plan, plan[:2000]
