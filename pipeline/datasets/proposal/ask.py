"""Asks at a terminal for the roles; Enter takes what is guessed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from rich.console import Console
from rich.prompt import Prompt

from pipeline.datasets.proposal.draft import Asker
from pipeline.datasets.proposal.guess import Guess
from pipeline.screen import as_is

_QUESTIONS = {
    "label": "Which column is the label (what the model predicts)?",
    "domain": "Which column is the domain (tab, scene, site, market ... that impressions belong to)?",
    "user": "Which column is the user?",
    "item": "Which column is the item?",
    "timestamp": "Which column is the time of the impression?",
    "positive": "Which value of the label counts as 1 (a click, a purchase)?",
}
_OPTIONAL = ("user", "item")


def asker(console: Console, paused: Callable[[], AbstractContextManager[None]] = nullcontext) -> Asker:
    """A function that asks on this console: a number of the list, a name or value, or nothing where it may lack.

    Args:
      console: where to ask.
      paused: a context in which a progress bar is off the screen.
    """

    def question(guess: Guess, columns: list[str]) -> str | None:
        console.print(f"[bold]{_QUESTIONS[guess.role]}[/]")
        for number, (name, why) in enumerate(guess.candidates, 1):
            console.print(f"  {number}  {as_is(name)}: {as_is(why)}", highlight=False)
        if not guess.candidates:
            console.print(f"  there are: {as_is(', '.join(columns))}", highlight=False)
        optional = guess.role in _OPTIONAL
        thing, typed = ("value", "value") if guess.role == "positive" else ("column", "name")
        hint = f"number or {typed}" + (", - for none" if optional else "")
        default = guess.column if guess.column else "-" if optional else None
        while True:
            answer = (
                Prompt.ask(hint, console=console)
                if default is None
                else Prompt.ask(hint, console=console, default=default)
            )
            answer = (answer or "").strip()
            if optional and answer == "-":
                return None
            if answer.isdigit() and answer not in columns and 1 <= int(answer) <= len(guess.candidates):
                return guess.candidates[int(answer) - 1][0]
            if answer in columns:
                return answer
            console.print(f"there is no {thing} {as_is(repr(answer))}", highlight=False)

    def ask(guess: Guess, columns: list[str]) -> str | None:
        with paused():
            return question(guess, columns)

    return ask
