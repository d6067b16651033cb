"""The versions of a framework: framework.yaml is the current one, WORKSPACE/versions keeps the earlier ones verbatim.

A version is what a report, a run or a row of accounts cites. So no two frameworks may bear one version and differ, and
what was once in force can be loaded again, by its number.
"""

import fnmatch
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from features.catalogue import catalogue_of
from features.doubts import unknown_events
from features.errors import DataError, UsageError
from features.faults import meant
from features.intake import open_log
from features.log import Log
from features.workspace import Workspace, set_aside
from models.doubts import require_states
from models.framework import Framework, load_framework


@dataclass(frozen=True)
class Version:
    """A framework and the file it stands in."""

    framework: Framework
    path: Path

    @property
    def number(self) -> int:
        """What people call it by."""
        return self.framework.version

    @property
    def words(self) -> str:
        """The version with its hash, for people."""
        return f"version {self.number} ({self.framework.hash})"


def current(place: Workspace) -> Version:
    """The version in force. Raises DataError where framework.yaml cannot be used."""
    return Version(load_framework(place.framework), place.framework)


def versions(place: Workspace) -> tuple[Version, ...]:
    """Every version of a workspace, ascending, the one in force among them.

    Raises DataError where a file cannot be used, or where two of one version differ.
    """
    known, damaged = _usable(place)
    for error in damaged:
        raise error
    return known


def _usable(place: Workspace) -> tuple[tuple[Version, ...], list[DataError]]:
    """Every version that can be used, as `versions` has them, and what is wrong with the others."""
    now, damaged = current(place), []
    kept: list[Version] = []
    for path in sorted(place.versions.glob("*.yaml")):
        try:
            kept.append(_kept(path))
        except DataError as error:
            damaged.append(error)
    require_distinct([*kept, now])
    earlier = {one.number: one for one in kept if one.number != now.number}
    return tuple(sorted([*earlier.values(), now], key=lambda one: one.number)), damaged


def _kept(path: Path) -> Version:
    """An earlier version, which nobody edits. Raises DataError."""
    try:
        return Version(load_framework(path), path)
    except DataError as error:
        raise DataError(
            f"{error}\n{path} keeps an earlier version: where it is damaged, restore it as it was, or remove it"
        ) from error


def require_distinct(found: Iterable[Version]) -> None:
    """Raises DataError where two frameworks bear one version and differ."""
    seen: dict[int, Version] = {}
    for one in found:
        other = seen.setdefault(one.number, one)
        if other.framework.hash != one.framework.hash:
            raise DataError(
                f"{other.path} ({other.framework.hash}) and {one.path} ({one.framework.hash}) both say version"
                f" {one.number}, and differ: raise `version` in the one that was changed"
            )


def load_version(place: Workspace, asked: str | None) -> Version:
    """A version by its number, or by the path of a file; the one in force where nothing is asked for.

    A kept version that is damaged is in nobody's way but who asks for it. Raises UsageError for one that is not there,
    DataError as `versions` does.
    """
    known, damaged = _usable(place)
    if asked is None:
        return next(one for one in known if one.path == place.framework)
    numbered = {str(one.number): one for one in known}
    if asked in numbered:
        return numbered[asked]
    path = Path(asked)
    if not path.is_file():
        for error in damaged:
            raise error
        raise UsageError(
            f"{asked!r} is no version of {place.root} (it has {', '.join(numbered)}), and no file: give one of those"
            " or the path of a framework file"
        )
    found = (
        _kept(path)
        if path.resolve().parent == place.versions.resolve()
        else Version(load_framework(path), path)
    )
    require_distinct([*known, found])
    return found


def archive(place: Workspace, version: Version) -> Path:
    """Keep a version byte for byte under its number. Raises DataError where another stands there."""
    final = place.version(version.number)
    if final.exists():
        require_distinct([_kept(final), version])
    content = version.path.read_bytes()
    with set_aside(final) as path:
        path.write_bytes(content)
    return final


def open_for(place: Workspace, version: Version) -> Log:
    """The log as a version declares it. Raises DataError where what an earlier version refers to is gone.

    Of the version in force `check` warns instead: it may name an event that is still to come.
    """
    if version.path == place.framework:
        return open_log(version.framework.data, place.root)
    try:
        log = open_log(version.framework.data, place.root)
        require_states(version.framework.milestones, log, version.framework.data)
        gone = [*_unknown_in_rules(version.framework, log), *unknown_in_hypotheses(version.framework, log)]
    except DataError as error:
        raise DataError(f"{version.path} cannot be used on this log: {error}") from error
    if gone:
        raise DataError("\n".join([f"{version.path} refers to what is gone:", *gone]))
    return log


def _unknown_in_rules(framework: Framework, log: Log) -> list[str]:
    """Which events of milestones the log does not have, and what comes nearest."""
    rules = {f"milestones.{name}.rule": sorted(m.rule.all_events) for name, m in framework.milestones.items()}
    return unknown_events(rules, log)


def unknown_in_hypotheses(framework: Framework, log: Log) -> list[str]:
    """Which features of hypotheses the catalogue does not have, and what comes nearest; patterns are allowed.

    Raises DataError where there is no catalogue, because what it is asked for is gone.
    """
    names = [spec.name for spec in catalogue_of(log, framework.data)]
    return [
        f"review.hypotheses, entry {i}, features: no feature is called {pattern!r}{meant(pattern, names)};"
        " `milestones features --list` shows all"
        for i, hypothesis in enumerate(framework.review.hypotheses, start=1)
        for pattern in hypothesis.features
        if not fnmatch.filter(names, pattern)
    ]


def edited(place: Workspace, framework: Framework) -> list[str]:
    """Warnings where framework.yaml says something else than what its version was kept, or cited, as."""
    said = [
        (path, _kept(path).framework.hash) for path in (place.version(framework.version),) if path.exists()
    ] + [(path, found["hash"]) for path, found in _cited(place) if found["version"] == framework.version]
    other = [(path, digest) for path, digest in said if digest != framework.hash]
    if not other:
        return []
    path, digest = other[0]
    more = f" (and {len(other) - 1} more)" if len(other) > 1 else ""
    return [
        f"framework.yaml says version {framework.version} and is {framework.hash} now; {path.relative_to(place.root)}{more} has"
        f" {digest} for that version: raise `version`, or make the results again"
    ]


def _cited(place: Workspace) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The results that name the framework they were made under, and what they name."""
    for pattern in ("models/model.json", "sweeps/*/sweep.json", "reviews/*/review.json"):
        for path in sorted(place.output.glob(pattern)):
            try:
                found = json.loads(path.read_text(encoding="utf-8"))["framework"]
                if {"version", "hash"} <= found.keys():
                    yield path, found
            except (OSError, ValueError, KeyError, TypeError, AttributeError):
                continue  # a damaged result is told by who reads it
