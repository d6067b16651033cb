"""What every figure is drawn with: colours, an empty figure, and inline SVG of reproducible bytes."""

import html
import re
import warnings
from io import StringIO
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from reports import wording

# Okabe & Ito 2008: told apart with any colour vision. Figures never rely on them alone: markers, line styles,
# hatches and words carry the same difference.
BLACK, GREY, PALE, SHADE, RULE = "#1b1f24", "#5a6470", "#eef1f4", "#e9ebef", "#c3cad2"
BLUE, ORANGE, GREEN, VERMILLION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, PURPLE = "#56B4E9", "#CC79A7"

WIDTH = 5.4  # inches of 72 SVG units: 518 CSS pixels, half of a page

_STYLE: Any = {
    "font.size": 8.5,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": RULE,
    "axes.labelcolor": GREY,
    "axes.labelsize": 8.5,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": GREY,
    "ytick.labelcolor": GREY,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "hatch.linewidth": 0.5,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "text.color": BLACK,
    "text.parse_math": False,  # a "$" in the name of a feature is a dollar
    "svg.fonttype": "none",
}


def canvas(
    height: float, rows: tuple[float, ...] = (1.0,), *, margins: dict[str, float]
) -> tuple[Figure, list[Axes]]:
    """An empty figure of `height` inches with one axes per row, sharing x; no state outside of it.

    `margins` are inches: left, right, top, bottom, and gap between rows. Measured by hand rather than by a
    layout engine: that is ten times faster, and the same on every machine.
    """
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(WIDTH, height))
        left, right = margins["left"] / WIDTH, 1 - margins["right"] / WIDTH
        drawn: list[Axes] = []
        room = height - margins["top"] - margins["bottom"] - margins.get("gap", 0.0) * (len(rows) - 1)
        top = height - margins["top"]
        for part in rows:
            tall = room * part / sum(rows)
            box = (left, (top - tall) / height, right - left, tall / height)
            drawn.append(figure.add_axes(box, sharex=drawn[0] if drawn else None))
            top -= tall + margins.get("gap", 0.0)
    return figure, drawn


def style() -> Any:
    """The context in which figures are drawn: matplotlib reads its settings when an artist is made."""
    return mpl.rc_context(_STYLE)


def horizontal_lines(axes: Axes) -> None:
    """Faint lines to read values from, and no left spine."""
    axes.grid(axis="y", color=PALE, linewidth=0.9)
    axes.spines["left"].set_visible(False)


def few_ticks() -> MaxNLocator:
    """At most three intervals on a low panel."""
    return MaxNLocator(3, min_n_ticks=2)


def say_nothing(axes: Axes) -> None:
    """Say in an empty panel that there is nothing to draw yet, instead of leaving a hole."""
    note: dict[str, Any] = {"ha": "center", "va": "center", "color": GREY, "style": "italic"}
    axes.text(0.5, 0.5, wording.NOT_ENOUGH, transform=axes.transAxes, **note)
    axes.set_xticks([])
    axes.set_yticks([])


def svg(figure: Figure, key: str, label: str | None = None) -> str:
    """The figure as inline SVG: the same bytes each time, ids that start with `key`, text as text.

    `key` (letters, digits, hyphens) must differ between the figures of a page. With `label` the drawing is an
    image with that name for people who do not see it; without, it is hidden from them as decoration.
    """
    stream = StringIO()
    with mpl.rc_context(_STYLE | {"svg.hashsalt": key}), warnings.catch_warnings():
        # The page draws text in the reader's own fonts; which glyphs ours has does not matter.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"<style[^>]*>.*?</style>", "", text, flags=re.DOTALL)  # it would style the whole page
    text = re.sub(r"<[^>]+>", lambda tag: _own(tag.group(), key), text)
    return _with_head(text, label).strip()


def _own(tag: str, key: str) -> str:
    """One tag with ids and references of this figure's own, the page's fonts, and hundredths of a unit."""
    if tag.startswith("<g id="):
        return "" if tag.endswith("/>") else "<g>"  # nothing refers to a group
    tag = tag.replace('transform="rotate(-0 ', 'transform="rotate(0 ')
    tag = re.sub(r' transform="rotate\(0 [^"]*"', "", tag)
    tag = re.sub(r"\d+\.\d{3,}", lambda found: f"{float(found.group()):.2f}", tag)
    tag = re.sub(r'(\sid=")', rf"\1{key}-", tag)
    tag = re.sub(r"url\(#", f"url(#{key}-", tag)
    tag = re.sub(r'xlink:href="#', f'href="#{key}-', tag)
    return re.sub(r"(font(?:-family)?: [^;\"]*?)'[^;\"]*", r"\1inherit", tag)


def _with_head(text: str, label: str | None) -> str:
    """A root that scales with the page and says what it shows."""
    box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', text)
    width = float(box.group(1)) * 4 / 3 if box else 0.0
    named = f'role="img" aria-label="{html.escape(label)}"' if label is not None else 'aria-hidden="true"'
    view = box.group() if box else ""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="figure" {view} {named} focusable="false" '
        f'style="max-width: {width:.0f}px; stroke-linejoin: round; stroke-linecap: butt">'
    )
    return re.sub(r"<svg[^>]*>", lambda _: head, text, count=1)
