"""A framework file with one milestone changed and its version raised; what people wrote beside it stays."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from features.document import parse_yaml, validate
from features.errors import DataError
from models.framework import Framework
from models.framework_text import heading
from models.rewriting import rewritten


def amended(
    path: Path, text: str, name: str, version: int, changes: Mapping[str, Any]
) -> tuple[str, Framework]:
    """The text of a framework file at `path` with another version, and keys of one milestone laid over it.

    `changes` are what JSON would hold; a mapping changes the keys it has, None takes a key away. Returns the text and
    what it says. Raises DataError where the result is no framework, or would say anything else than that.
    """
    before = validate(Framework, parse_yaml(text), path)

    def change(document: CommentedMap) -> None:
        document["version"] = version
        _lay(document["milestones"][name], changes)

    try:
        made = rewritten(text, change)
        after = validate(Framework, parse_yaml(made), path)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _beyond(path, version) from error
    if not _only_this_changed(before, after, name):
        raise _beyond(path, version)
    old, new = (heading(framework.milestones[name]) for framework in (before, after))
    return _headed(made, name, dict(zip(_comments(old), _comments(new), strict=True))), after


def _comments(heading: str) -> list[str]:
    return [line.strip() for line in heading.splitlines()]


def _headed(text: str, name: str, comments: Mapping[str, str]) -> str:
    """The text with other comments among those right above a milestone."""
    lines = text.splitlines(keepends=True)
    at = _line_of(text, "milestones", name)
    while at > 0 and lines[at - 1].lstrip().startswith("#"):
        at -= 1
        said = lines[at].strip()
        lines[at] = lines[at].replace(said, comments.get(said, said))
    return "".join(lines)


def _line_of(text: str, *keys: str) -> int:
    """The line that a key stands in, from 0, by the path to it; 0 where it is merged from elsewhere."""
    node: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    line = 0
    for key in keys:
        at, node = next(((k, value) for k, value in node.value if k.value == key), (None, None))
        if at is None:
            return 0
        line = int(at.start_mark.line)
    return line


def _beyond(path: Path, version: int) -> DataError:
    return DataError(
        f"{path} is written in a way that cannot be changed without changing its meaning: write it without anchors and"
        f" merged keys, or change the milestone by hand and make it version {version}"
    )


def _only_this_changed(before: Framework, after: Framework, name: str) -> bool:
    milestones = {**after.milestones, name: before.milestones[name]}
    return after.model_copy(update={"milestones": milestones}).hash == before.hash


def _lay(place: CommentedMap, changes: Mapping[str, Any]) -> None:
    for key, value in changes.items():
        if value is None:
            place.pop(key, None)
        elif key not in place:
            # Before the last key: the comment on what follows a mapping hangs on its last.
            place.insert(max(len(place) - 1, 0), key, _node(value))
        elif isinstance(value, Mapping):
            _lay(place[key], value)
        else:
            place[key] = _in_place_of(place[key], value)


def _in_place_of(old: Any, value: Any) -> Any:
    """The value where another stood, with the comment that hangs on that."""
    if isinstance(old, CommentedSeq) and isinstance(value, list):
        old[:] = value
        return old
    return _node(value)


def _node(value: Any) -> Any:
    if isinstance(value, list):
        made = CommentedSeq(value)
        made.fa.set_flow_style()
        return made
    return value
