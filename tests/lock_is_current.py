"""Fail when requirements.lock does not answer pyproject.toml any more, lacks a hash, or names an index.

It asks no index, so that it gives the same answer everywhere; `pip check` beside it in `make check` says whether what
the lock installed fits together.
"""

import re
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent


def faults(pyproject: str, lock: str) -> list[str]:
    """What is wrong with the lock, in sentences; empty where nothing is."""
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
    wanted = [*declared["project"]["dependencies"], *declared["dependency-groups"]["dev"]]
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
    """0 when the lock is current."""
    found = faults((ROOT / "pyproject.toml").read_text(), (ROOT / "requirements.lock").read_text())
    for fault in found:
        sys.stderr.write(f"requirements.lock: {fault}: run make lock\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
