"""A YAML file with a change to what it holds: every other line stays as somebody wrote it, to the byte."""

import io
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from difflib import SequenceMatcher
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError

from features.document import parse_yaml

LINE_WIDTH = 110
MARK = "\ufeff"  # of the order of bytes, which some editors put first
NEWLINES = ("\n", "\r\n", "\r")  # of equally many the first


def read_verbatim(path: Path) -> str:
    """The text of a file with its own line ends and its byte order mark."""
    return path.read_bytes().decode()


def newline_of(text: str) -> str:
    """How most lines of a text end."""
    n = {"\r\n": text.count("\r\n")}
    n |= {one: text.count(one) - n["\r\n"] for one in ("\n", "\r")}
    return max(NEWLINES, key=lambda one: n[one])


def rewritten(text: str, change: Callable[[CommentedMap], None]) -> str:
    """A YAML text with a change to what it holds, its other lines as they were. Raises ValueError where it is no YAML."""
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = LINE_WIDTH
    plain = text.removeprefix(MARK)
    # Not for its looks: a comment that hangs on a block of text would become part of it, were that indented otherwise.
    yaml.indent(mapping=next((n for n in map(_indent, plain.splitlines()) if n), 2))
    try:
        document = yaml.load(plain.replace("\r\n", "\n").replace("\r", "\n"))
        as_it_was = _dumped(yaml, document)
        change(document)
        as_it_is = _dumped(yaml, document)
    except YAMLError as error:
        raise ValueError(str(error)) from error
    made = spliced(plain, as_it_was, as_it_is)
    if not _says(made, as_it_is):
        made = as_it_is.replace("\n", newline_of(plain))
    return text[: len(text) - len(plain)] + made


def _says(text: str, rendered: str) -> bool:
    try:
        return bool(parse_yaml(text) == parse_yaml(rendered))
    except ValueError:
        return False


def _dumped(yaml: YAML, document: CommentedMap) -> str:
    written = io.StringIO()
    yaml.dump(document, written)
    return written.getvalue()


def spliced(text: str, before: str, after: str) -> str:
    """The text with what differs between two renderings of it, and elsewhere as it was written, line by line.

    A rendering breaks long lines and indents in its own way, which is nobody's wish. Comments of the text stay where
    the rendering has lost them.
    """
    lines, old, new = (part.splitlines(keepends=True) for part in (text, before, after))
    in_text = _pairs([_bare(line) for line in old], [_bare(line) for line in lines])
    in_new = _pairs(old, new)
    indents = {in_new[i]: _indent(lines[in_text[i]]) for i in in_new.keys() & in_text.keys()}
    newline = newline_of(text)
    made: list[str] = []
    for start, end in pairwise(_cuts(_edges(in_text, old, lines), _edges(in_new, old, new))):
        own, fresh = lines[start.text : end.text], range(start.new, end.new)
        if old[start.old : end.old] == [new[i] for i in fresh]:
            made += own
            continue
        said = {_bare(new[i]) for i in fresh}
        made += [line for line in own if _is_comment(line) and _bare(line) not in said]
        if made and made[-1] == made[-1].rstrip("\r\n"):
            made[-1] += newline
        for i in fresh:
            indents[i] = _indent(new[i]) if _is_comment(new[i]) else _own_indent(new, i, indents)
            made.append(" " * indents[i] + new[i].strip(" \n") + newline)
    return "".join(made)


class _Cut(NamedTuple):
    """The end of a line that is one in the text, in its rendering, and in the rendering of what it shall say."""

    old: int
    text: int
    new: int


def _cuts(text: Mapping[int, Sequence[int]], new: Mapping[int, Sequence[int]]) -> list[_Cut]:
    """All of them, ascending. text, new: where a cut of the rendering lies there; twice around what it has not."""
    made = []
    for i in sorted(text.keys() & new.keys()):
        made += [_Cut(i, at, new[i][0]) for at in text[i]]
        made += [_Cut(i, text[i][-1], at) for at in new[i][1:]]
    return made


def _edges(pairs: Mapping[int, int], old: Sequence[str], other: Sequence[str]) -> dict[int, list[int]]:
    made: dict[int, set[int]] = defaultdict(set, {0: {0}})
    made[len(old)].add(len(other))
    for i, j in pairs.items():
        made[i].add(j)
        made[i + 1].add(j + 1)
    return {i: sorted(found) for i, found in made.items()}


def _pairs(one: Sequence[str], other: Sequence[str]) -> dict[int, int]:
    """Which line stands where in the other."""
    blocks = SequenceMatcher(None, one, other, autojunk=False).get_matching_blocks()
    return {block.a + i: block.b + i for block in blocks for i in range(block.size)}


def _bare(line: str) -> str:
    return " ".join(line.split())


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _own_indent(new: Sequence[str], at: int, indents: dict[int, int]) -> int:
    """How far to indent a rendered line: as what stands beside it in the text, or below what it belongs to.

    indents: of the text, by rendered line.
    """
    depth = _depth(new[at])
    above, below = (_nearest(new, rows, depth) for rows in (range(at - 1, -1, -1), range(at + 1, len(new))))
    for beside in (above, below):
        if beside in indents and _depth(new[beside]) == depth:
            return indents[beside]
    return indents.get(above, 0) + _indent(new[at]) - (_indent(new[above]) if above in indents else 0)


def _nearest(new: Sequence[str], rows: Iterable[int], depth: tuple[int, bool]) -> int:
    """The first of some rendered lines that lies no deeper; -1 without one. A comment lies where it likes."""
    return next(
        (i for i in rows if new[i].strip() and not _is_comment(new[i]) and _depth(new[i]) <= depth), -1
    )


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith("#")


def _depth(line: str) -> tuple[int, bool]:
    """How deep a rendered line lies: an entry of a list stands right below its key, and belongs to it."""
    return _indent(line), line.lstrip(" ").startswith("- ")


def as_day(text: str) -> date:
    """A day that YAML writes without quotes."""
    return date.fromisoformat(text)
