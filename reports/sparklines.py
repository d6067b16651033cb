"""The history of a milestone as a line of the size of a word, for the table on page one."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

from reports import ink, wording
from reports.timelines import positions

WIDE, TALL, EDGE = 128.0, 38.0, 5.0


def sparkline(milestone: Mapping[str, Any]) -> str:
    """Inline SVG: effects as a line in their interval, the minimum effect dashed, zero as a hair line.

    Quarters the milestone was chosen on are hollow points, the newest is the large one. "" without effects.
    """
    drawn = [row for row in milestone["history"] if wording.known(row["effect"]["value"])]
    if not drawn:
        return ""
    xs = _scaled(positions([row["quarter"] for row in drawn]), EDGE, WIDE - EDGE, None)
    bounds = [_bounds(row["effect"]) for row in drawn]
    minimum = milestone["minimum_effect"] if wording.known(milestone["minimum_effect"]) else None
    levels = (
        [value for bound in bounds for value in bound] + [0.0] + ([minimum] if minimum is not None else [])
    )
    span = (min(levels), max(levels))
    ys = _scaled([row["effect"]["value"] for row in drawn], TALL - EDGE, EDGE, span)
    low, high = (_scaled([bound[i] for bound in bounds], TALL - EDGE, EDGE, span) for i in (0, 1))
    zero = _scaled([0.0], TALL - EDGE, EDGE, span)[0]
    outline = [*zip(xs, high, strict=True), *reversed(list(zip(xs, low, strict=True)))]
    parts = [
        _level(zero, f'stroke="{ink.RULE}"'),
        f'<polygon points="{_points(outline)}" fill="{ink.BLUE}" fill-opacity="0.16"/>',
        f'<polyline points="{_points(zip(xs, ys, strict=True))}" fill="none" stroke="{ink.BLUE}"/>',
    ]
    if minimum is not None:
        y = _scaled([minimum], TALL - EDGE, EDGE, span)[0]
        parts.append(_level(y, f'stroke="{ink.VERMILLION}" stroke-dasharray="3 2"'))
    for i, (row, x, y) in enumerate(zip(drawn, xs, ys, strict=True)):
        radius = 3.2 if i == len(drawn) - 1 else 1.9 if len(drawn) <= 16 else 0.9
        fill = "#fff" if row["in_definition"] else ink.BLUE
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{fill}" stroke="{ink.BLUE}"/>')
    label = html.escape(f"Effect per cohort quarter, {_first_and_last(drawn)}")
    box = f'viewBox="0 0 {WIDE:.0f} {TALL:.0f}"'
    return f'<svg class="spark" role="img" aria-label="{label}" {box}>{"".join(parts)}</svg>'


def _level(y: float, look: str) -> str:
    return f'<line x1="0" x2="{WIDE:.0f}" y1="{y:.1f}" y2="{y:.1f}" {look}/>'


def _first_and_last(rows: Sequence[Mapping[str, Any]]) -> str:
    said = [f"{wording.points(row['effect']['value'])} in {wording.line(row['quarter'], 12)}" for row in rows]
    return said[0] if len(said) == 1 else f"from {said[0]} to {said[-1]}"


def _bounds(effect: Mapping[str, Any]) -> tuple[float, float]:
    ends = (effect["lower"], effect["upper"])
    return (ends[0], ends[1]) if all(map(wording.known, ends)) else (effect["value"], effect["value"])


def _scaled(
    values: Sequence[float], start: float, end: float, span: tuple[float, float] | None
) -> list[float]:
    """Values mapped from `span` (None: their own) to start...end; the middle where the span is a point."""
    low, high = span or (min(values), max(values))
    if high == low:
        return [(start + end) / 2 for _ in values]
    return [start + (value - low) / (high - low) * (end - start) for value in values]


def _points(pairs: Any) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in pairs)
