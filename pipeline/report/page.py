"""Self-contained pages: style, script, plotting library and figures in one file that needs no network."""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from models.metrics import needed
from pipeline.report import numbers

TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, *folders: Path, **context: Any) -> str:
    """A page from a template that extends `page.html`.

    In the template `plot(spec, alt)` places a figure of `pipeline.report.figures`, and the filters `figure`, `half`,
    `chance`, `count`, `percent`, `signed`, `duration` write numbers.

    Args:
      template: its file name.
      folders: where to look besides the report's own templates.
      context: what the template names.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([TEMPLATES, *folders]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in ("figure", "half", "chance", "count", "percent", "signed", "duration", "short", "plural"):
        environment.filters[name] = getattr(numbers, name)
    environment.filters["needed"] = needed
    return environment.get_template(template).render(
        plot=_plotter(),
        style=Markup(_text("page.css")),
        script=Markup(_text("page.js")),
        plotly=Markup(_plotly()),
        **context,
    )


def _plotter() -> Callable[[dict[str, Any], str], Markup]:
    """Places figures, each with an id of its own on the page."""
    numbering = itertools.count(1)

    def plot(spec: dict[str, Any], alt: str) -> Markup:
        number = next(numbering)
        document = json.dumps(spec, allow_nan=False, default=list).replace("</", "<\\/")
        return Markup(
            '<div class="plot" id="plot{0}" role="img" aria-label="{1}" style="height: {2}px"></div>'
            '<script type="application/json" data-plot="plot{0}">{3}</script>'
        ).format(number, alt, spec["layout"]["height"], Markup(document))

    return plot


def _text(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


@functools.cache
def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    # An HTML parser ends a script at the first of these, whatever the script says.
    return str(get_plotlyjs()).replace("</script", "<\\/script")
