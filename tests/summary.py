#!/usr/bin/python3
"""Counts what passed, failed and was skipped: summary.py [meson:testlog.json | pytest:junit.xml | tap:output | step:NAME]…

cmocka programs speak TAP to meson, so that each of their tests counts; a program that ends badly although all its tests went
well (a leak that a sanitizer found at the end) counts as one failure more. A `step` is something that failed as a whole.
Names what failed, and prints the totals as the last line. Exit status 1 if anything failed."""
import json
import os
import re
import sys
import xml.etree.ElementTree as ElementTree

TAP = re.compile(r"^(not ok|ok) \d+(?: - (.*?))?(?:\s+# (SKIP|TODO).*)?\s*$", re.MULTILINE | re.IGNORECASE)


class Totals:
    def __init__(self):
        self.passed, self.failed, self.skipped = 0, [], []

    def meson(self, path):
        with open(path, encoding="utf-8") as file:
            for line in file:
                self.meson_test(json.loads(line))

    def meson_test(self, test):
        good = test["result"] in ("OK", "EXPECTEDFAIL")
        cases = TAP.findall(test.get("stdout") or "")
        bad = [name for verdict, name, directive in cases if verdict.lower() == "not ok" and not directive]
        if test["result"] == "SKIP":
            self.skipped.append(test["name"])
            return
        self.passed += sum(1 for verdict, _, directive in cases if verdict.lower() == "ok" and not directive)
        self.skipped += [name for _, name, directive in cases if directive]
        self.failed += [f"{test['name']}: {name}" for name in bad]
        if not good and not bad:
            self.failed.append(f"{test['name']}: {test['result']}")
        elif good and not cases:
            self.passed += 1

    def tap(self, path):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        plan = re.search(r"^1\.\.(\d+)$", text, re.MULTILINE)
        cases = TAP.findall(text)
        self.passed += sum(1 for verdict, _, _ in cases if verdict.lower() == "ok")
        self.failed += [name for verdict, name, _ in cases if verdict.lower() != "ok"]
        if not plan or len(cases) != int(plan.group(1)):
            self.failed.append(f"{path}: {len(cases)} results, {plan.group(1) if plan else 'no plan'} expected")

    def pytest(self, path):
        for case in ElementTree.parse(path).iter("testcase"):
            name = f"{case.get('classname')}::{case.get('name')}"
            skip = case.find("skipped")
            if case.find("failure") is not None or case.find("error") is not None:
                self.failed.append(name)
            elif skip is not None:
                self.skipped.append(f"{name}: {skip.get('message')}")
            else:
                self.passed += 1


def main(arguments):
    totals = Totals()
    for argument in arguments:
        kind, _, what = argument.partition(":")
        if kind == "step":
            totals.failed.append(what)
        elif not os.path.exists(what):
            totals.failed.append(f"{what} is missing: its tests did not run")
        else:
            getattr(totals, kind)(what)
    for name in totals.skipped:
        print(f"skipped: {name}")
    for name in totals.failed:
        print(f"FAILED: {name}")
    line = f"{totals.passed} passed, {len(totals.failed)} failed"
    if totals.skipped:
        line += f", {len(totals.skipped)} skipped"
    print(line)
    return 1 if totals.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
