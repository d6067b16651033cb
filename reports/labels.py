"""The words on an axis: what a bin is called, and where the names of points fit without touching."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from reports import wording

Box: TypeAlias = tuple[float, float, float, float]  # left, bottom, right, top


def bin_labels(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The names of the bins of a curve, sorted by `value_from`: "0", "1", "2–4", "5+".

    A bin reaches from its least to its largest value; the last is open where it holds more than one.
    """
    labels = []
    for i, row in enumerate(rows):
        first, last = wording.number(row["value_from"]), wording.number(row["value_to"])
        several = "+" if i == len(rows) - 1 else f"–{last}"
        labels.append(first if first == last else first + several)
    return labels


def edge(rows: Sequence[Mapping[str, Any]], value: float) -> float:
    """Where `value` stands where bin i reaches from i - 0.5 to i + 0.5; between edges by proportion."""
    starts = [float(row["value_from"]) for row in rows]
    if value <= starts[0]:
        return -0.5
    last = max(float(rows[-1].get("value_to") or starts[-1]), starts[-1] + 1.0)
    for i, (start, end) in enumerate(zip(starts, [*starts[1:], last], strict=True)):
        if value < end:
            return i - 0.5 + (value - start) / (end - start)
    return len(rows) - 0.5


def place(
    points: Sequence[tuple[float, float]],
    sizes: Sequence[tuple[float, float]],
    frame: Box,
    drawn: Sequence[Box] = (),
) -> list[Box | None]:
    """A box for each point's name beside it, inside `frame`, touching no name, no point and nothing `drawn`.

    Greedy in the order given, most important first: right, left, above and below are tried, then farther off.
    None where nothing fits; the table beside the figure holds every name.
    """
    taken: list[Box] = []
    out: list[Box | None] = []
    dots = [(x - 4, y - 4, x + 4, y + 4) for x, y in points]
    for i, ((x, y), (wide, tall)) in enumerate(zip(points, sizes, strict=True)):
        others = [dot for j, dot in enumerate(dots) if j != i] + [*drawn, *taken]
        fits = (
            box
            for box in _beside(x, y, wide, tall)
            if _inside(box, frame) and not any(_touch(box, o) for o in others)
        )
        found = next(fits, None)
        out.append(found)
        if found is not None:
            taken.append(found)
    return out


def _beside(x: float, y: float, wide: float, tall: float) -> list[Box]:
    boxes = []
    for far in (0.0, tall, 2 * tall, 3 * tall):
        gap = 6.0
        for left, bottom in (
            (x + gap, y - tall / 2 + far),
            (x - gap - wide, y - tall / 2 + far),
            (x + gap, y - tall / 2 - far),
            (x - gap - wide, y - tall / 2 - far),
            (x - wide / 2, y + gap + far),
            (x - wide / 2, y - gap - tall - far),
        ):
            boxes.append((left, bottom, left + wide, bottom + tall))
    return boxes


def _inside(box: Box, frame: Box) -> bool:
    return box[0] >= frame[0] and box[1] >= frame[1] and box[2] <= frame[2] and box[3] <= frame[3]


def _touch(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
