"""The page: complete, self-contained, readable with 1, 15 and 1,000 domains, in a browser of any width."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from components.evaluator.results import Gate, Overall
from pipeline.report import RunSummary, write_report
from pipeline.report.html import report_page
from pipeline.report.numbers import UNDEFINED
from pipeline.report.page import _plotly
from pipeline.report.quality import domain_section
from tests.pipeline.report.summaries import domain, evaluation, run

BROWSER = next(
    (
        found
        for name in ("chromium", "chromium-browser", "google-chrome", "chrome")
        if (found := shutil.which(name))
    ),
    None,
)


class _Outline(HTMLParser):
    """The ids, the references and the text of a page; the script's text left out."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.references: list[str] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        for name, value in attrs:
            if name == "id" and value:
                self.ids.append(value)
            if name in ("src", "href", "action", "data", "srcset"):
                self.references.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            continue

    def handle_data(self, data: str) -> None:
        if "script" not in self.open and "style" not in self.open:
            self.words.append(data)


def _figures(count: int) -> int:
    """Figures on the page of a run with so many domains: one for each calibrated domain, two behaviours, and so on."""
    return 9 + 1 + min(count, 5) + (3 if count == 1000 else 0)


def test_a_domain_of_one_click_does_not_stretch_the_figure() -> None:
    found = {"big": domain(9000, 900, 0.62), "small": domain(5000, 400, 0.58), "tiny": domain(64, 1, 0.06)}
    drawn = domain_section(run(evaluation=evaluation(found)))
    assert drawn is not None
    low, high = drawn.dots["layout"]["xaxis"]["range"]
    assert 0.5 < low < 0.58 and 0.62 < high < 0.7
    [pale] = [trace for trace in drawn.dots["data"] if trace["marker"]["color"] == "var(--card)"]
    assert (list(pale["x"]), list(pale["marker"]["symbol"])) == ([low], ["triangle-left"])
    assert "0.060" in [note["text"] for note in drawn.dots["layout"]["annotations"]]
    # Where none decides there is nothing else to go by.
    alone = domain_section(run(evaluation=evaluation({"tiny": domain(64, 1, 0.06)})))
    assert alone is not None and alone.dots["layout"]["xaxis"]["range"][0] < 0.06


@pytest.mark.parametrize("count", [1, 2, 15, 1000])
def test_every_section_is_there_for_any_number_of_domains(count: int) -> None:
    summary = run(count)
    page = report_page(summary)
    outline = _Outline(page)
    sections = [name for name in outline.ids if not name.startswith("plot")]
    # Of the two smallest domains none decides, so that there is no worst of one or two.
    assert sections == [
        "systems",
        "gates",
        *(["weakest"] if count > 2 else []),
        "domains",
        "calibration",
        "cold",
        "importance",
        "averages",
        "integration",
        "data",
        "training",
        "cost",
        "reproduce",
    ]
    plots = [name for name in outline.ids if name.startswith("plot")]
    assert len(plots) == len(set(plots)) == page.count("data-plot=") == _figures(count)
    assert outline.text.count(f"{UNDEFINED} one class") == (2 if count > 2 else 0)
    assert len(page) - len(_plotly()) < 1_200_000
    if count == 1000:
        assert "970 smaller domains" in outline.text


def test_the_page_needs_no_network() -> None:
    page = report_page(run())
    assert _Outline(page).references == []
    assert page.count(_plotly()) == 1
    own = page.replace(_plotly(), "")
    assert "http" not in own
    assert not re.search(r"url\(|@import", own)


@pytest.mark.parametrize(
    ("state", "words"),
    [("frozen", "the state at the end of training"), ("daily", "refreshed with all earlier rows")],
)
def test_the_page_says_which_averages_the_evaluated_rows_saw(state: str, words: str) -> None:
    assert words in _Outline(report_page(run(eval_state=state))).text


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("past", "what came before their own bucket"),
        ("other_buckets", "all of training but their own bucket"),
    ],
)
def test_the_page_says_which_averages_the_training_rows_saw(state: str, words: str) -> None:
    assert words in _Outline(report_page(run(train_state=state))).text


def test_the_page_tells_the_run_in_words() -> None:
    text = _Outline(report_page(run())).text
    for words in (
        "DFEI on made-up",
        "✓ Blessed and pushed",
        "DFEI learned from 150,011 impressions of made-up, 25 April 2022 to 3 May 2022.",
        "The last days, 4 May 2022 to 5 May 2022",
        "It is served from /out/serving/dfei/1770127331.",
        "Served worst: tab ",
        "dfei run --dataset made-up --root out",
        "expected 5 values, found 4",
        "eval: column os: Unexpected value BeOS",
        "9f2c11d0",
    ):
        assert words in text


def test_a_refusal_is_said_at_the_top_with_its_reason() -> None:
    reason = "average AUC 0.5812 is below the threshold 0.6"
    gates = [Gate(condition="average AUC at least 0.6", value="0.5812", passed=False)]
    evaluated = evaluation({"1": domain(900, 300, 0.58)}, blessed=False, gates=gates, failures=[reason])
    text = _Outline(
        report_page(run(evaluation=evaluated, blessed=False, pushed_to=None, reasons=[reason]))
    ).text
    assert "✗ Not blessed" in text
    assert f"It was not blessed, and nothing was pushed: {reason}." in text
    assert "✗ not passed" in text


def test_the_last_blessed_model_and_the_best_possible_are_compared_with() -> None:
    evaluated = evaluation(
        {"1": domain(900, 300, 0.71).model_copy(update={"baseline_auc": 0.7})},
        baseline=Overall(average_auc=0.7, auc=0.74, gauc=0.63, log_loss=0.6, calibration=0.9),
    )
    best = {"average": 0.8, "overall": 0.82, "domains": {"1": 0.8}}
    text = _Outline(report_page(run(evaluation=evaluated, best_possible_auc=best))).text
    # Figures, not "better": a tile has no interval.
    assert "the last 0.7000, best possible 0.8000" in text
    assert "the last 0.7400, best possible 0.8200" in text
    assert "better than the last" not in text
    assert "the distance is 0.0900" in text


def test_an_undefined_average_is_explained() -> None:
    evaluated = evaluation({"1": domain(900, 0, None)}, blessed=False)
    text = _Outline(report_page(run(evaluation=evaluated, blessed=False, pushed_to=None))).text
    assert (
        "The average AUC is undefined: no domain has at least 500 rows, 50 of each class in the evaluation."
        in text
    )


def test_what_came_from_the_cache_says_what_it_cost_when_it_ran() -> None:
    seconds = {"ExampleGen": 0.0, "Trainer": 0.0, "SignatureCheck": 4.7}
    cached = run(seconds=seconds, cached=["ExampleGen", "Trainer"], seconds_before={"Trainer": 33.3})
    text = _Outline(report_page(cached)).text
    assert "4.7 s in this run; 2 components came from the cache, which took 33.3 s when they ran" in text
    assert "Trainer (from the cache: as it was in an earlier run)33.3" in text.replace(" 33.3", "33.3")
    unknown = _Outline(report_page(cached.model_copy(update={"seconds_before": {}}))).text
    assert "2 components came from the cache, made in an earlier run" in unknown


def test_the_command_is_told_with_its_directory() -> None:
    text = _Outline(report_page(run(command="dfei run --root out", directory="/home/me"))).text
    assert "In the directory /home/me: relative paths begin there." in text
    assert "In the directory" not in _Outline(report_page(run())).text


def test_what_a_run_lacks_is_left_out() -> None:
    outline = _Outline(report_page(RunSummary(dataset="d", model="mine")))
    assert outline.ids == ["data", "reproduce"]
    assert "nan" not in outline.text.lower()


def test_of_many_files_the_first_are_listed() -> None:
    files = [{"file": f"part-{number:03}.csv", "rows": 10, "rejected": 0} for number in range(40)]
    text = _Outline(report_page(run(ingest={"rows_read": 400, "files": files}))).text
    assert "part-011.csv" in text
    assert "part-012.csv" not in text
    assert "and 28 more files" in text


def test_names_from_the_data_cannot_break_the_page() -> None:
    name = "</script><img src=x onerror=alert(1)>"
    summary = run(
        evaluation=evaluation({name: domain(900, 300, 0.7)}),
        integration={"domains": [name], "weights": [[1.0]]},
        description=name,
    )
    page = report_page(summary)
    outline = _Outline(page)
    assert outline.references == []
    assert "<img src=x" not in page.replace(html.escape("<img src=x"), "")
    assert outline.text.count("<img src=x onerror=alert(1)>") >= 2


def test_figures_are_strict_json_in_named_colours() -> None:
    page = report_page(run())
    figures = [json.loads(text) for text in re.findall(r'data-plot="plot\d+">(.*?)</script>', page)]
    assert len(figures) == _figures(15)
    text = json.dumps(figures)
    assert "var(--c1)" in text
    assert "NaN" not in text
    named = set(re.findall(r"var\((--\w+)\)", text))
    assert named <= set(re.findall(r"(--\w+):", page))


def test_the_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    write_report(run(2), path)
    assert path.read_text().startswith("<!doctype html>")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome on PATH to show the page in")
@pytest.mark.parametrize("width", [400, 1200])
def test_a_browser_draws_every_figure_within_the_window(width: int, tmp_path: Path) -> None:
    probe = (
        "<script>document.title = JSON.stringify({drawn: document.querySelectorAll('.plot .main-svg').length > 0 &&"
        " Array.from(document.querySelectorAll('.plot')).every(p => p.querySelector('.main-svg')),"
        " wide: document.documentElement.scrollWidth, room: document.documentElement.clientWidth})</script></body>"
    )
    path = tmp_path / "report.html"
    path.write_text(report_page(run()).replace("</body>", probe))
    picture = tmp_path / "page.png"
    command = [
        str(BROWSER),
        *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
        *("--disable-quic", "--disable-component-update", "--disable-sync", "--hide-scrollbars"),
        f"--user-data-dir={tmp_path / 'profile'}",
        f"--window-size={width},3000",
        "--host-resolver-rules=MAP * ~NOTFOUND",
    ]
    dom = subprocess.run(
        [*command, "--dump-dom", path.as_uri()], capture_output=True, text=True, timeout=120, check=True
    ).stdout
    seen = json.loads(html.unescape(re.search("<title>(.*?)</title>", dom).group(1)))
    assert seen["drawn"]
    assert seen["wide"] <= max(seen["room"], width)
    subprocess.run(
        [*command, f"--screenshot={picture}", path.as_uri()], capture_output=True, timeout=120, check=True
    )
    assert picture.stat().st_size > 60_000


@pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome on PATH to print the page with")
def test_the_page_prints_with_its_figures_and_sections(tmp_path: Path) -> None:
    path, sheet = tmp_path / "report.html", tmp_path / "report.pdf"
    path.write_text(report_page(run()))
    command = [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--host-resolver-rules=MAP * ~NOTFOUND"]
    subprocess.run(
        [*command, f"--print-to-pdf={sheet}", path.as_uri()], capture_output=True, timeout=120, check=True
    )
    document = sheet.read_bytes()
    assert document.startswith(b"%PDF")
    pages = len(re.findall(rb"/Type\s*/Page\b", document))
    assert 5 <= pages <= 20
