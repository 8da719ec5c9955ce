"""What learning day by day is worth, and what it costs: `python -m benchmarks.daily --rows 180000 --work DIR`.

Lives through a simulated month, or through the days of a declared data set (`--dataset kuairand-pure --data DIR`), in
three ways, and judges each on rows that it has not seen:

* daily: `dfei daily --next` for each day, one process a day, as cron starts it;
* anew: after every third day, the same pipeline for that day, trained from nothing on all days so far;
* run: after every third day, `dfei run` on all days so far, as it is: its last two days judge and are not learned.

Each model is judged on the whole day that follows. Printed: overall and average AUC of all judged rows, pooled, with
bootstraps over users (paired between the ways), log loss, clicks predicted over clicks observed; the same of the daily
model without the calibration by domain; processor seconds of whole commands by day; the size of what was exported.

All that is done is kept in the work folder: a benchmark that was stopped goes on where it was. What a command cost that
was stopped itself is not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.daily_figures import figures, print_figures
from components.dataset.loader import load_declaration
from pipeline.daily.ledger import DayEntry, Ledger, write_durably

HOUSE = Path(__file__).resolve().parent.parent
FIRST_FORK = 5
# So far back a training from nothing looks: all days.
ALL = 400


class Bench:
    """A month, lived through in a work folder.

    Args:
      options: of the command line.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self.work: Path = options.work.resolve()
        self.feed = self.work / "feed"
        self._costs = self.work / "costs"
        self._costs.mkdir(parents=True, exist_ok=True)
        self._data: Path = (options.data or self.work / "data").resolve()

    def live(self) -> None:
        """All days, and the other ways after every so many of them."""
        if self._options.data is None:
            sizes = [f"--{name}={getattr(self._options, name)}" for name in ("days", "rows", "domains")]
            self._command("data", "simulate", str(self._data), *sizes)
        while len(entries := Ledger(self.feed / "daily").entries()) < self._options.days:
            known = set(entries)
            self._command(f"daily {len(known):03}", *self._daily(self.feed), "--next")
            if set(Ledger(self.feed / "daily").entries()) == known:
                break
            self._others()
        self._others()

    def _others(self) -> None:
        entries = Ledger(self.feed / "daily").entries()
        days = sorted(entries)
        for number in range(FIRST_FORK, len(days) - 1, self._options.every):
            # Judged on the day after, which must be there.
            self._anew(days[number], {day: entries[day] for day in days[:number]})
            self._run(days[number], days[number + 1])

    def _anew(self, day: str, before: dict[str, DayEntry]) -> None:
        root = self.work / "anew" / day
        if not (root / "daily").is_dir():
            ledger = Ledger(root / "daily.new")
            for entry in before.values():
                ledger.write(entry)
            shutil.copyfile(self.feed / "daily/files.json", root / "daily.new/files.json")
            (root / "daily.new").rename(root / "daily")
        self._command(f"anew {day}", *self._daily(root), "--next", "--set", "daily.rebase_every=1")

    def _run(self, day: str, judged: str) -> None:
        self._command(
            f"run {day}",
            "run",
            *self._common(self.work / "run" / day),
            "--set",
            f"split.before={judged}T00:00:00",
            "--set",
            "report.study=false",
        )

    def _daily(self, root: Path) -> list[str]:
        return ["daily", *self._common(root), "--set", f"daily.rebase_days={ALL}"]

    def _common(self, root: Path) -> list[str]:
        sets = [part for setting in self._options.set for part in ("--set", setting)]
        return [
            "--dataset",
            self._options.dataset,
            "--data",
            str(self._data),
            "--root",
            str(root),
            "--quiet",
            *sets,
        ]

    def _command(self, name: str, *arguments: str) -> None:
        """Runs a command to its end, once, and writes down what it cost."""
        cost, begun = self._costs / f"{name}.json", self._costs / f"{name}.begun"
        if cost.is_file():
            return
        stopped = begun.exists()
        begun.touch()
        print(f"{time.strftime('%H:%M:%S')} {name}", flush=True)
        with (self._costs / f"{name}.log").open("w") as log:
            clock = time.monotonic()
            process = subprocess.Popen(
                [sys.executable, "-m", "pipeline", *arguments], cwd=HOUSE, stdout=log, stderr=log
            )
            _, status, used = os.wait4(process.pid, 0)
        code = process.returncode = os.waitstatus_to_exitcode(status)
        if code not in (0, 1):
            sys.exit(f"{name}: exit code {code}: {cost.with_suffix('.log').read_text()[-2000:]}")
        document = {
            "code": code,
            "stopped": stopped,
            "cpu_seconds": used.ru_utime + used.ru_stime,
            "seconds": time.monotonic() - clock,
        }
        write_durably(cost, json.dumps(document))


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.daily", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True, help="folder that keeps what is done")
    parser.add_argument("--dataset", default="simulated")
    parser.add_argument("--data", type=Path, help="folder with the logs; without it a feed is simulated")
    parser.add_argument("--days", type=int, default=30, help="most days that are lived through")
    parser.add_argument("--rows", type=int, default=180_000, help="impressions of the simulated feed")
    parser.add_argument("--domains", type=int, default=21, help="domains of the simulated feed")
    parser.add_argument(
        "--every", type=int, default=3, help="days from one training of the others to the next"
    )
    parser.add_argument("--set", action="append", default=[], help="a setting, as of `dfei run`")
    parser.add_argument("--figures-only", action="store_true", help="judge what is there")
    options = parser.parse_args(arguments)
    bench = Bench(options)
    declaration = load_declaration(options.dataset)
    roles = {"label": declaration.label, "domain": declaration.domain, "user": declaration.user}
    (bench.work / "roles.json").write_text(json.dumps(roles))
    if not options.figures_only:
        bench.live()
    found = figures(bench.work)
    write_durably(bench.work / "figures.json", json.dumps(found, indent=1))
    print_figures(found)


if __name__ == "__main__":
    main()
