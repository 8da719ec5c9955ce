"""The errors that end a run with an exit code and one message instead of a traceback."""

from __future__ import annotations


class InputError(Exception):
    """What the user gave is wrong: exit code 2.

    The message names the file, the line or column, what was expected, what was found and the remedy.
    """

    exit_code = 2


class GateError(Exception):
    """The data or the model did not pass a gate: exit code 1. The message says which, and by how much."""

    exit_code = 1


class EngineError(Exception):
    """The engine of a Beam job, or a worker of a training, was lost: exit code 4. The message says what saves it."""

    exit_code = 4
