"""Colours that colour-blind readers tell apart: simulated after Machado, Oliveira and Fernandes (TVCG 2009)."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

from pipeline.report.figures import DASHES, SERIES
from pipeline.report.page import TEMPLATES

# Full dichromacy, in linear RGB.
VISION = {
    "all cones": np.eye(3),
    "no red cones": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "no green cones": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "no blue cones": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
_XYZ = np.array(
    [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]],
)
_WHITE = np.array([0.9505, 1.0, 1.089])


def palettes() -> dict[str, dict[str, np.ndarray]]:
    """The colours of the style sheet by name, linear RGB, for light and dark."""
    css = (TEMPLATES / "page.css").read_text()
    light, dark = re.findall(r":root(?::not\(\.on-paper\))? \{(.*?)\n\s*\}", css, re.DOTALL)[:2]
    return {
        kind: {name: linear(code) for name, code in re.findall(r"--(\w+): (#[0-9a-f]{6})", text)}
        for kind, text in (("light", light), ("dark", dark))
    }


def linear(code: str) -> np.ndarray:
    """ "#0072b2" in linear RGB."""
    values = np.array([int(code[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIE Lab, in which distances are about what is seen."""
    ratio = np.clip(_XYZ @ np.clip(rgb, 0, 1), 0, None) / _WHITE
    f = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def difference(a: np.ndarray, b: np.ndarray, vision: str) -> float:
    """How far apart two colours are seen."""
    return float(np.linalg.norm(lab(VISION[vision] @ a) - lab(VISION[vision] @ b)))


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("kind", ["light", "dark"])
def test_lines_of_the_same_dash_are_told_apart(kind: str, vision: str) -> None:
    colours = palettes()[kind]
    lines = [(name[6:-1], dash) for name, dash in zip(SERIES, DASHES, strict=True)]
    for (a, dash_a), (b, dash_b) in itertools.combinations(lines, 2):
        if dash_a == dash_b:
            assert difference(colours[a], colours[b], vision) > 12, (a, b)


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("kind", ["light", "dark"])
def test_more_and_less_than_even_and_good_and_bad_are_told_apart(kind: str, vision: str) -> None:
    colours = palettes()[kind]
    assert difference(colours["side0"], colours["side4"], vision) > 25
    assert difference(colours["side1"], colours["side3"], vision) > 12
    # Judged and training days; they differ in their pattern, too.
    assert difference(colours["c1"], colours["c6"], vision) > 25


def contrast(a: np.ndarray, b: np.ndarray) -> float:
    """WCAG's contrast ratio."""
    light, dark = sorted((float(_XYZ[1] @ a), float(_XYZ[1] @ b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("kind", ["light", "dark"])
@pytest.mark.parametrize("name", ["ink", "soft", "good", "bad"])
def test_text_is_readable(kind: str, name: str) -> None:
    colours = palettes()[kind]
    assert contrast(colours[name], colours["card"]) > 4.5
