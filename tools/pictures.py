"""Makes the pictures of README: a drawing of the pipeline, and the first screens of a report and a comparison.

    python tools/pictures.py --run out/simulated --comparison out/comparison --out docs/pictures

Each in the colours of the day and of the night. Chromium is asked for the screens: `chromium` on PATH, or $CHROMIUM.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from pipeline.compare.html import write_page
from pipeline.compare.result import Comparison
from pipeline.layout import RunLayout
from pipeline.report.html import write_report
from pipeline.report.summary import RunSummary

# As chromium counts them.
SCHEMES = {"light": 1, "dark": 0}
WIDTH, HEIGHT = 1200, 720
COLOURS = 48
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--virtual-time-budget=8000",
]

PALETTES = {
    "light": {
        "ink": "#1f2733",
        "soft": "#5d6675",
        "card": "#ffffff",
        "line": "#aab3c0",
        "good": "#0072b2",
        "bad": "#b3541e",
    },
    "dark": {
        "ink": "#e6e9ee",
        "soft": "#a3acba",
        "card": "#1c222b",
        "line": "#5b6675",
        "good": "#56b4e9",
        "bad": "#e69f00",
    },
}
BOX_WIDTH, BOX_HEIGHT, GAP = 170, 78, 32
# Two rows: name, and what it does, in two short lines.
ROWS = (
    (
        ("your logs", "CSV, Parquet, JSON;", "side tables; events"),
        ("ExampleGen", "reads, joins, splits", "forward in time"),
        ("data check", "TFDV holds the rows", "against their schema"),
        ("Transform", "vocabularies; averages", "of the past, row by row"),
        ("Trainer", "DFEI, 8 others;", "epochs from validation"),
    ),
    (
        ("your app", "gRPC or REST:", "rows, or a ranking"),
        ("server", "TF Serving, dfei serve;", "hot swap, warm-up"),
        ("Pusher", "a whole version,", "by one rename"),
        ("signature check", "served = trained,", "in a fresh process"),
        ("Evaluator", "AUC by domain, gates,", "the last blessed model"),
    ),
)
GATES = ("data check", "Evaluator", "signature check")


def drawing(scheme: str) -> str:
    """The pipeline from logs to the app, as SVG.

    Args:
      scheme: `light` or `dark`.
    """
    colour = PALETTES[scheme]
    width = 5 * BOX_WIDTH + 4 * GAP + 40
    height = 2 * BOX_HEIGHT + 128
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="system-ui, sans-serif" role="img">',
        "<title>From logs to a served model: ten steps, three of which may refuse</title>",
        f'<defs><marker id="a" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0 0 L8 4 L0 8 z" fill="{colour["line"]}"/></marker></defs>',
        *_boxes(colour),
        *_arrows(colour),
    ]
    y = height - 14
    parts.append(
        f'<text x="20" y="{y}" font-size="13" fill="{colour["bad"]}">▲ may refuse: nothing changes in service, and the '
        "reason is said with its bound</text>"
    )
    return "\n".join([*parts, "</svg>", ""])


def _place(row: int, column: int) -> tuple[int, int]:
    return 20 + column * (BOX_WIDTH + GAP), 20 + row * (BOX_HEIGHT + 66)


def _boxes(colour: dict[str, str]) -> Iterator[str]:
    for row, boxes in enumerate(ROWS):
        for column, (name, first, second) in enumerate(boxes):
            x, y = _place(row, column)
            edge = colour["good"] if name in ("your logs", "your app") else colour["line"]
            yield (
                f'<rect x="{x}" y="{y}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="9" fill="{colour["card"]}" '
                f'stroke="{edge}" stroke-width="1.4"/>'
            )
            yield (
                f'<text x="{x + 12}" y="{y + 25}" font-size="14" font-weight="600" fill="{colour["ink"]}">{name}</text>'
            )
            if name in GATES:
                yield (
                    f'<text x="{x + BOX_WIDTH - 22}" y="{y + 25}" font-size="13" fill="{colour["bad"]}">▲</text>'
                )
            for line, text in enumerate((first, second)):
                yield (
                    f'<text x="{x + 12}" y="{y + 47 + 17 * line}" font-size="12.5" '
                    f'fill="{colour["soft"]}">{text}</text>'
                )


def _arrows(colour: dict[str, str]) -> Iterator[str]:
    style = f'stroke="{colour["line"]}" stroke-width="1.6" fill="none" marker-end="url(#a)"'
    middle = BOX_HEIGHT // 2
    for column in range(4):
        x, y = _place(0, column)
        yield f'<path d="M{x + BOX_WIDTH + 3} {y + middle} h{GAP - 7}" {style}/>'
        x, y = _place(1, column)
        yield f'<path d="M{x + BOX_WIDTH + GAP - 3} {y + middle} h-{GAP - 7}" {style}/>'
    x, y = _place(0, 4)
    yield f'<path d="M{x + BOX_WIDTH // 2} {y + BOX_HEIGHT + 3} v{66 - 7}" {style}/>'
    # What the users then do is tomorrow's log.
    x, y = _place(1, 0)
    yield f'<path d="M{x + BOX_WIDTH // 2} {y - 3} v-{66 - 7}" {style} stroke-dasharray="4 4"/>'
    yield (
        f'<text x="{x + BOX_WIDTH // 2 + 10}" y="{y - 28}" font-size="12.5" fill="{colour["soft"]}">'
        "what they see and click</text>"
    )


def screens(run: Path, comparison: Path, out: Path) -> None:
    """The first screens of a run's report and of a comparison's page, made anew from their results.

    Args:
      run, comparison: roots.
      out: the folder for the pictures.
    """
    with tempfile.TemporaryDirectory() as folder:
        pages = {"report": Path(folder) / "report.html", "comparison": Path(folder) / "comparison.html"}
        # Whose machine it was is nobody's business.
        told = RunLayout(run.resolve()).summary.read_text().replace(str(run.resolve()), "out/simulated")
        write_report(RunSummary.model_validate_json(told), pages["report"])
        told = RunLayout(comparison.resolve()).comparison.read_text()
        told = told.replace(str(comparison.resolve()), "out/comparison")
        write_page(Comparison.model_validate_json(told), pages["comparison"])
        for name, page in pages.items():
            for scheme, number in SCHEMES.items():
                picture = out / f"{name}-{scheme}.png"
                _screenshot(page, number, picture, Path(folder) / "profile")
                _shrink(picture)


def _screenshot(page: Path, scheme: int, picture: Path, profile: Path) -> None:
    browser = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        raise SystemExit("no chromium on PATH: install it, or name one with CHROMIUM")
    command = [
        browser,
        *FLAGS,
        f"--user-data-dir={profile}",
        f"--window-size={WIDTH},{HEIGHT}",
        f"--blink-settings=preferredColorScheme={scheme}",
        f"--screenshot={picture.resolve()}",
        page.as_uri(),
    ]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=300)


def _shrink(picture: Path) -> None:
    """Few colours are enough for a page."""
    with Image.open(picture) as image:
        image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(picture, optimize=True)


def main() -> None:
    """Makes all pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--run", type=Path, default=Path("out/simulated"))
    parser.add_argument("--comparison", type=Path, default=Path("out/comparison"))
    parser.add_argument("--out", type=Path, default=Path("docs/pictures"))
    parser.add_argument("--drawing-only", action="store_true", help="leave the screens as they are")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for scheme in SCHEMES:
        (given.out / f"pipeline-{scheme}.svg").write_text(drawing(scheme), encoding="utf-8")
    if not given.drawing_only:
        screens(given.run, given.comparison, given.out)


if __name__ == "__main__":
    main()
