"""Draws a Vega-Lite specification as SVG that a page without scripts can hold."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any

from detector.clean import visible

#: A Vega-Lite specification, or a part of one.
Spec = dict[str, Any]

#: Drawn by this version of Vega-Lite whichever others the renderer holds, so that a chart stays as it is.
_VERSION = "5.20"
#: The renderer brings Liberation Sans, by which text is measured; a reader without it sees a font of the same widths.
FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
#: Colours told apart by people who see red and green alike, and on a light as on a dark page.
COLOURS = ("#2f78c4", "#d9822b", "#7f8790", "#3f9470", "#a34d8b", "#95743c", "#5a6bb5", "#c0524f")
#: Of the page itself: text and lines follow its colour, light or dark.
INK, FAINT = "currentColor", "#8884"

_CONFIG: Spec = {
    "font": FONT,
    "background": None,
    "padding": {"left": 6, "right": 16, "top": 4, "bottom": 4},
    "view": {"stroke": None},
    "range": {"category": list(COLOURS)},
    "text": {"fontSize": 11, "color": INK},
    "axis": {
        "labelColor": INK,
        "titleColor": INK,
        "labelFontSize": 11,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
        "domainColor": FAINT,
        "tickColor": FAINT,
        "gridColor": FAINT,
        "labelLimit": 260,
    },
    "legend": {
        "orient": "top",
        "title": None,
        "labelColor": INK,
        "labelFontSize": 11,
        "labelLimit": 0,
        "symbolType": "square",
        "columnPadding": 24,
    },
}
#: What HTML needs not, and what a reader might take for an address.
_NAMESPACES = re.compile(r' xmlns(?::xlink)?="[^"]*"')


def room_for(names: Iterable[str]) -> Spec:
    """Padding of a chart with ``names`` on its left: a reader's font may be wider than the one measured by."""
    longest = max((len(name) for name in names), default=0)
    return {**_CONFIG["padding"], "left": 6 + 1.5 * longest}


def to_svg(spec: Spec) -> str:
    """``spec`` as one ``<svg>`` element for an HTML page: no script, no style, no address; the same bytes every time.

    Strings of the data are shown with what steers a reader spelled out, whoever wrote them. The first chart of a
    process takes about half a second, every other some hundredths of one.
    """
    return _NAMESPACES.sub("", _drawn(spec))


def write_svg(spec: Spec, path: Path) -> None:
    """``spec`` as an SVG file of its own."""
    path.write_text(_drawn(spec), encoding="utf-8")


def _drawn(spec: Spec) -> str:
    # Tens of megabytes: loaded by the commands that draw, and by no other.
    import vl_convert

    drawing = vl_convert.vegalite_to_svg(
        _shown(spec), vl_version=_VERSION, config=_CONFIG, allowed_base_urls=[], show_warnings=False
    )
    # For readers who hear the page: the renderer names each bar, but not the chart.
    name = escape(visible(spec.get("description", "")))
    return drawing.replace("<svg ", f'<svg role="img" aria-label="{name}" ', 1)


def _shown(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _shown(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(item) for item in value]
    return visible(value) if isinstance(value, str) else value
