"""A framework file with one milestone changed and its version raised; what people wrote beside it stays."""

import io
from collections.abc import Callable, Mapping
from datetime import date
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError

from features.document import parse_yaml, validate
from features.errors import DataError
from models.framework import Framework
from models.framework_text import heading

LINE_WIDTH = 110


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
    return made.replace(f"{old}\n  {name}:", f"{new}\n  {name}:"), after


def rewritten(text: str, change: Callable[[CommentedMap], None]) -> str:
    """A YAML text with a change to what it holds, its other lines as they were. Raises ValueError where it is no YAML."""
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = LINE_WIDTH
    try:
        document = yaml.load(text)
        as_it_was = _dumped(yaml, document)
        change(document)
        as_it_is = _dumped(yaml, document)
    except YAMLError as error:
        raise ValueError(str(error)) from error
    made = spliced(text, as_it_was, as_it_is)
    return made if _says(made, parse_yaml(as_it_is)) else as_it_is


def _says(text: str, content: Any) -> bool:
    try:
        return bool(parse_yaml(text) == content)
    except ValueError:
        return False


def _dumped(yaml: YAML, document: CommentedMap) -> str:
    written = io.StringIO()
    yaml.dump(document, written)
    return written.getvalue()


def spliced(text: str, before: str, after: str) -> str:
    """The text with what differs between two renderings of it, and elsewhere as it was written, line by line.

    A rendering breaks long lines and indents in its own way, which is nobody's wish.
    """
    lines, old, new = (part.splitlines(keepends=True) for part in (text, before, after))
    edge = {0: 0, len(old): len(lines)}
    for block in SequenceMatcher(None, old, lines, autojunk=False).get_matching_blocks():
        edge |= {block.a + i: block.b + i for i in range(block.size + 1)}
    made, upto = [], 0
    for kind, first, last, start, stop in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        # Out to the nearest lines that stand in the text as they are rendered.
        low = max(i for i in edge if i <= first)
        high = min(i for i in edge if i >= last)
        made += [*lines[upto : edge[low]], *old[low:first], *new[start:stop], *old[last:high]]
        upto = edge[high]
    return "".join([*made, *lines[upto:]])


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


def as_day(text: str) -> date:
    """A day that YAML writes without quotes."""
    return date.fromisoformat(text)
