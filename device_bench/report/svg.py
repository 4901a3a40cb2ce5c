"""Charts that matplotlib lays out, finished for a page: its style sheet and its script.

Matplotlib writes colours, fonts and clip paths into every element. A page that is light or dark,
wide or narrow, and filtered wants none of that: what is drawn here carries classes instead, and
each mark the numbers of the results that it is of.
"""

from __future__ import annotations

import io
import math
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from lightmobile.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.ticker import Formatter, Locator

__all__ = ["Canvas", "Mark", "require_matplotlib"]

_SVG = "{http://www.w3.org/2000/svg}"
_LINK = "{http://www.w3.org/1999/xlink}href"
# Colours that stand for a class of the style sheet.
INK, MUTED, GRID = "#010101", "#020202", "#030303"
_CLASSES = {INK: "ink", MUTED: "muted", GRID: "grid"}
_FONT = 11
_TICKS = 6


def require_matplotlib() -> None:
    """Refuse to draw without matplotlib.

    Raises
    ------
    UsageError
        It is not installed.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise UsageError(
            "The page's charts need the package matplotlib",
            why="It is not installed",
            fix="pip install 'lightmobile[report]', or ask for --format md, csv or json",
        ) from None


@dataclass(frozen=True)
class Mark:
    """What the page knows of a thing drawn.

    Attributes
    ----------
    classes
        Of the style sheet.
    numbers
        Of the results that it is of; it stays while one of them is shown, and always without any.
    title
        What is told when it is pointed at.
    row
        In a chart of rows: the row that it moves with.
    radius
        Of a point, in pixels.
    """

    classes: str
    numbers: tuple[int, ...] = ()
    title: str = ""
    row: int | None = None
    radius: float = 3.5


class Canvas:
    """One pair of axes on a figure of `width` by `height` pixels.

    Parameters
    ----------
    left, right, top, bottom
        Room around the axes, in pixels.
    """

    def __init__(
        self,
        width: float,
        height: float,
        *,
        left: float,
        right: float,
        top: float,
        bottom: float,
    ) -> None:
        from matplotlib.figure import Figure

        self.width, self.height = width, height
        self.left, self.right = left, right
        self._figure = Figure(figsize=(width / 72, height / 72))
        box = (left / width, bottom / height)
        size = ((width - left - right) / width, (height - top - bottom) / height)
        self.axes: Axes = self._figure.add_axes((*box, *size))
        self._figure.patch.set_visible(False)
        self.axes.patch.set_visible(False)
        for spine in self.axes.spines.values():
            spine.set_visible(False)
        self._marks: dict[str, Mark] = {}

    def scale(
        self,
        which: str,
        low: float,
        high: float,
        *,
        log: bool,
        title: str = "",
        ticks: int = _TICKS,
    ) -> None:
        """Set the x or the y axis from `low` to `high`, with a faint grid."""
        axis = self.axes.xaxis if which == "x" else self.axes.yaxis
        if log:
            (self.axes.set_xscale if which == "x" else self.axes.set_yscale)("log")
        (self.axes.set_xlim if which == "x" else self.axes.set_ylim)(low, high)
        axis.set_major_locator(_locator(low, high, log, ticks))
        axis.set_major_formatter(_formatter())
        axis.set_minor_locator(_no_ticks())
        axis.grid(True, color=GRID, linewidth=1)
        axis.set_tick_params(length=0, labelsize=_FONT, labelcolor=MUTED, pad=6)
        if title:
            (self.axes.set_xlabel if which == "x" else self.axes.set_ylabel)(
                title, color=MUTED, fontsize=_FONT, parse_math=False
            )

    def point(self, x: float, y: float, mark: Mark) -> None:
        """Draw a point."""
        (drawn,) = self.axes.plot([x], [y], marker="o", linestyle="none", clip_on=False)
        self._keep(drawn, mark)

    def line(self, xs: Sequence[float], ys: Sequence[float], mark: Mark) -> None:
        """Draw a line through points."""
        (drawn,) = self.axes.plot(xs, ys, color=INK, clip_on=False)
        self._keep(drawn, mark)

    def text(
        self,
        x: float,
        y: float,
        words: str,
        mark: Mark,
        *,
        offset: tuple[float, float] = (0, 0),
        align: str = "left",
        at: str = "data",
    ) -> None:
        """Write words, `offset` pixels right of and above a place.

        `at` is ``data``, or ``left`` for a place in pixels from the left edge and y in data.
        """
        from matplotlib.transforms import blended_transform_factory

        place = self.axes.transData
        if at == "left":
            x = x / self.width
            place = blended_transform_factory(self._figure.transFigure, place)
        drawn = self.axes.annotate(
            words,
            (x, y),
            xycoords=place,
            xytext=offset,
            textcoords="offset points",
            ha=align,
            va="center",
            fontsize=_FONT,
            color=INK,
            annotation_clip=False,
            parse_math=False,
        )
        self._keep(drawn, mark)

    def _keep(self, artist: Any, mark: Mark) -> None:
        name = f"mark-{len(self._marks)}"
        artist.set_gid(name)
        self._marks[name] = mark

    def svg(
        self, name: str, title: str, description: str, attributes: dict[str, str] | None = None
    ) -> str:
        """Return the chart as an ``svg`` element; `name` is unique on the page."""
        import matplotlib as mpl

        file = io.StringIO()
        with (
            mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}),
            warnings.catch_warnings(),
        ):
            # Matplotlib's own font may lack a label's letters; the page's has them.
            warnings.simplefilter("ignore")
            self._figure.savefig(file, format="svg", metadata={"Date": None})
        # What matplotlib has just written: it escapes what it is given.
        root = ElementTree.fromstring(file.getvalue())  # noqa: S314
        page = _Finish(self._marks).finish(root)
        page.attrib = {
            "viewBox": f"0 0 {self.width:g} {self.height:g}",
            "role": "img",
            "aria-labelledby": f"{name}-t {name}-d",
            **(attributes or {}),
        }
        for tag, words in (("desc", description), ("title", title)):
            element = ElementTree.Element(tag, {"id": f"{name}-{tag[0]}"})
            element.text = words
            page.insert(0, element)
        return ElementTree.tostring(page, encoding="unicode")


class _Finish:
    """Turn what matplotlib wrote into bare elements with classes."""

    def __init__(self, marks: dict[str, Mark]) -> None:
        self.marks = marks

    def finish(self, root: ElementTree.Element) -> ElementTree.Element:
        """Return the whole chart: axes first, then marks, those of a row together."""
        page = ElementTree.Element("svg")
        rows: dict[int, ElementTree.Element] = {}
        axes = ElementTree.SubElement(page, "g", {"class": "axes", "aria-hidden": "true"})
        for element in root.iter():
            mark = self.marks.get(element.get("id", ""))
            if mark is None:
                continue
            parent = page
            if mark.row is not None:
                if mark.row not in rows:
                    rows[mark.row] = ElementTree.SubElement(page, "g", _row(mark))
                parent = rows[mark.row]
            parent.extend(_marked(element, mark))
            element.clear()
        axes.extend(_axis(each) for each in root.iter() if each.tag in _DRAWN and _shown(each))
        return page


_DRAWN = (f"{_SVG}path", f"{_SVG}text")


def _shown(element: ElementTree.Element) -> bool:
    # Paths without a style are the ticks' definitions.
    return element.tag == f"{_SVG}text" or "stroke:" in element.get("style", "")


def _row(mark: Mark) -> dict[str, str]:
    return {"class": "row", **_numbers(mark)}


def _numbers(mark: Mark) -> dict[str, str]:
    return {"data-r": " ".join(map(str, mark.numbers))} if mark.numbers else {}


def _axis(element: ElementTree.Element) -> ElementTree.Element:
    style = element.get("style", "")
    found = next((name for colour, name in _CLASSES.items() if colour in style), "muted")
    return _bare(element, found)


def _bare(element: ElementTree.Element, classes: str) -> ElementTree.Element:
    """Return a path or a text with its place and nothing of its looks but `classes`."""
    bare = ElementTree.Element(element.tag.removeprefix(_SVG), {"class": classes})
    if bare.tag == "path":
        bare.set("d", _short(" ".join(element.get("d", "").split())))
        return bare
    bare.text = element.text
    for key in ("x", "y", "transform"):
        value = element.get(key, "")
        if value and not value.startswith("rotate(-0 "):
            bare.set(key, _short(value))
    for anchor in ("middle", "end"):
        if f"text-anchor: {anchor}" in element.get("style", ""):
            bare.set("text-anchor", anchor)
    return bare


def _short(numbers: str) -> str:
    """Return a path's or a place's numbers to a tenth of a pixel."""
    return re.sub(r"\d+\.\d+", lambda found: f"{float(found[0]):.1f}", numbers)


def _marked(element: ElementTree.Element, mark: Mark) -> list[ElementTree.Element]:
    """Return the elements of one mark: a circle for a point, else its paths and texts."""
    numbers = {} if mark.row is not None else _numbers(mark)
    points = [
        ElementTree.Element(
            "circle",
            {
                "class": mark.classes,
                "cx": f"{float(use.get('x', 0)):.1f}",
                "cy": f"{float(use.get('y', 0)):.1f}",
                "r": f"{mark.radius:g}",
            },
        )
        for use in element.iter(f"{_SVG}use")
    ]
    others = [] if points else [each for each in element.iter() if each.tag in _DRAWN]
    found = points or [_bare(each, mark.classes) for each in others]
    for each in found:
        for key, value in numbers.items():
            each.set(key, value)
        if mark.title:
            ElementTree.SubElement(each, "title").text = mark.title
    return found


def _locator(low: float, high: float, log: bool, ticks: int) -> Locator:
    from matplotlib.ticker import FixedLocator, LogLocator, MaxNLocator

    if not log:
        return MaxNLocator(ticks, steps=[1, 2, 2.5, 5, 10])
    decades = math.log10(high / low)
    if decades > 0.9 * ticks:
        return LogLocator(numticks=ticks + 1)
    for steps in ((1, 1.5, 2, 3, 4, 5, 6, 8), (1, 2, 3, 5), (1, 2, 5), (1, 3), (1,)):
        first = math.floor(math.log10(low))
        places = [
            step * 10.0**power
            for power in range(first, first + math.ceil(decades) + 2)
            for step in steps
        ]
        inside = [place for place in places if low <= place <= high]
        if len(inside) <= ticks:
            return FixedLocator(inside)
    return LogLocator(numticks=ticks + 1)


def _formatter() -> Formatter:
    from matplotlib.ticker import FuncFormatter

    return FuncFormatter(lambda value, _place: _tick(value))


def _tick(value: float) -> str:
    if abs(value) >= 1e4 or 0 < abs(value) < 1e-3:
        return f"{value:.0e}".replace("e+0", "e").replace("e-0", "e−").replace("e+", "e")
    return f"{value:g}"


def _no_ticks() -> Locator:
    from matplotlib.ticker import NullLocator

    return NullLocator()
