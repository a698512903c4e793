"""Renders templates as HTML files that load nothing and run nothing, whatever the logs they tell of contain.

Three things stand between a value from a log and a reader's browser: every value a template prints is escaped, and what
would steer a reader (controls, right-to-left overrides, invisible characters) is spelled out; a value is never a
template; and the page's own policy forbids scripts and every outside file.
"""

from __future__ import annotations

from functools import cache

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from detector.charts.svg import Spec, to_svg
from detector.clean import visible_lines

#: What a page may load and run: its own style, and nothing else.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_HERE = "detector.report"


def render(template: str, *, package: str = _HERE, **values: object) -> str:
    """``template`` as a whole HTML document.

    ``package`` : whose folder ``templates`` holds it; that of this package is searched too, for the frame of a page.

    Raises
    ------
    jinja2.UndefinedError : the template asks for what ``values`` do not hold.
    """
    return _environment(package).get_template(template).render(policy=POLICY, **values)


def drawn(spec: Spec) -> Markup:
    """A chart as markup a template may hold. The drawing is the renderer's, its strings are escaped by it."""
    return Markup(to_svg(spec))


def count(n: int) -> str:
    """A count with commas between its thousands."""
    return f"{n:,}"


def bits(value: float) -> str:
    """Bits that are added or taken away, with their sign."""
    return f"{value:+.1f}"


@cache
def _environment(package: str) -> Environment:
    homes = dict.fromkeys((package, _HERE))
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(home) for home in homes]),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"count": count, "bits": bits}
    return environment


def _shown(value: object) -> object:
    """A value as it is printed: what steers a reader spelled out. Markup is made here alone and passes."""
    return visible_lines(value) if isinstance(value, str) and not isinstance(value, Markup) else value
