#!/usr/bin/env python3
"""Owns how files get into programs: as C arrays. The build calls it: embed.py OUTPUT.h FILE…

FILE a/take.lua becomes `static const char embedded_take_lua[]`, ending with a NUL that `embedded_take_lua_len` does
not count. The output depends on the files' names and bytes alone."""

import pathlib
import re
import sys

BYTES_PER_LINE = 20


def identifier(path):
    return "embedded_" + re.sub(r"[^A-Za-z0-9]", "_", path.name)


def array(path):
    name = identifier(path)
    data = path.read_bytes()
    yield f"/* {path.name} */"
    yield f"enum {{ {name}_len = {len(data)} }};"
    # A byte over 127 must not overflow a signed char.
    yield f"static const char {name}[{name}_len + 1] = {{"
    numbers = [str(byte) if byte < 128 else f"(char){byte}" for byte in data] + ["0"]
    for start in range(0, len(numbers), BYTES_PER_LINE):
        yield "\t" + ", ".join(numbers[start:start + BYTES_PER_LINE]) + ","
    yield "};"
    yield ""


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    output, *files = map(pathlib.Path, sys.argv[1:])
    names = [identifier(path) for path in files]
    if len(set(names)) != len(names):
        sys.exit("embed.py: two files with one name")
    lines = ["/* Made by scripts/embed.py. */", "#pragma once", ""]
    for path in files:
        lines += array(path)
    output.write_text("\n".join(lines))


if __name__ == "__main__":
    main()
