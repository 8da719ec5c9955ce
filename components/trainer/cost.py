"""What a training costs, whatever machine it shares."""

from __future__ import annotations

import time

from components.peak_memory import forget_peak, peak_memory


class TrainingCost:
    """Processor seconds and most resident memory of this process while the block runs, whatever else it holds."""

    def __enter__(self) -> TrainingCost:
        self._marked = forget_peak()
        self._begun = time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self._seconds = time.process_time() - self._begun
        self._peak = peak_memory() if self._marked else 0

    @property
    def facts(self) -> dict[str, float | None]:
        """`cpu_seconds`, and `peak_memory_mb`: None where the system does not tell."""
        return {"cpu_seconds": self._seconds, "peak_memory_mb": self._peak / (1 << 20) or None}
