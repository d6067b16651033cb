"""Fail when a lock does not answer pyproject.toml any more, lacks a hash, or names an index.

It asks no index, so that it gives the same answer everywhere; `pip check` beside it in `make check` says whether what
the lock installed fits together.
"""

import re
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent


# What each lock answers: the dependencies and these besides, by their place in pyproject.toml.
LOCKS = {
    "requirements.lock": (("dependency-groups", "dev"),),
    "requirements-engines.lock": (
        ("project", "optional-dependencies", "postgres"),
        ("project", "optional-dependencies", "spark"),
    ),
}


def faults(pyproject: str, lock: str, besides: Iterable[tuple[str, ...]]) -> list[str]:
    """What is wrong with a lock, in sentences; empty where nothing is."""
    found = []
    if re.search(r"https?://|--(extra-)?index-url|--find-links", lock):
        found.append("it names the address of an index")
    pins: dict[str, list[Version]] = {}
    for entry in re.split(r"\n(?=\S)", re.sub(r"\\\n\s+", " ", lock)):
        pin = re.match(r"([A-Za-z0-9._-]+)==([^\s;]+)", entry)
        if pin:
            pins.setdefault(canonicalize_name(pin[1]), []).append(Version(pin[2]))
            if "--hash=sha256:" not in entry:
                found.append(f"{pin[1]} has no hash")
    declared = tomllib.loads(pyproject)
    wanted = list(declared["project"]["dependencies"])
    for path in besides:
        found_there: Any = declared
        for key in path:
            found_there = found_there[key]
        wanted += found_there
    for requirement in map(Requirement, wanted):
        versions = pins.get(canonicalize_name(requirement.name), [])
        if not versions:
            found.append(f"{requirement.name} is missing")
        found += [
            f"{requirement.name} {v} does not satisfy {requirement}"
            for v in versions
            if v not in requirement.specifier
        ]
    return found


def main() -> int:
    """0 when the locks are current."""
    pyproject = (ROOT / "pyproject.toml").read_text()
    found = [
        f"{lock}: {fault}"
        for lock, besides in LOCKS.items()
        for fault in faults(pyproject, (ROOT / lock).read_text(), besides)
    ]
    for fault in found:
        sys.stderr.write(f"{fault}: run make lock\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
