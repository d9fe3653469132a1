"""The commands of docs/operations.md, so that what is tested is what stands there."""
import re

from conftest import ROOT


def documented(name):
    """The one shell block of the page that is marked with this name, without its sudos; both languages have the same."""
    blocks = []
    for page in ("operations.md", "operations.zh-CN.md"):
        match = re.search(rf"<!-- {name} -->\n```bash\n(.*?)```", (ROOT / "docs" / page).read_text(), re.DOTALL)
        blocks.append(re.sub(r" *#.*", "", match.group(1)).replace("sudo ", ""))
    assert blocks[0] == blocks[1]
    return blocks[0]
