"""How far training is: a bar on a terminal, a plain line now and then in a log file."""

import sys
import time
from collections.abc import Callable, Mapping
from typing import Self, TextIO

from tqdm import tqdm

BAR = "{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}{postfix}]"


class Progress:
    """Progress through `total` steps, updates or those of an environment; `initial` were made by an earlier process.

    On a terminal this is a bar. Elsewhere it is a line every `interval_s` seconds, the first and the last update
    included, with the rate since the previous line and the time left at the mean rate of the phase.
    """

    def __init__(
        self,
        total: int,
        *,
        initial: int = 0,
        phase: str = "training",
        file: TextIO | None = None,
        interval_s: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._file = sys.stderr if file is None else file
        self._total, self._initial, self._phase = total, initial, phase
        self._interval_s, self._clock = interval_s, clock
        self._step, self._score = initial, ""
        self._start_s = self._line_s = clock()
        self._start_step = initial
        self._line_step: int | None = None
        self._bar = self._make_bar() if self._file.isatty() else None

    @property
    def is_bar(self) -> bool:
        """Whether somebody is watching."""
        return self._bar is not None

    def set_phase(self, phase: str) -> None:
        """Name what the updates that follow do; the mean rate starts afresh, as phases differ in speed."""
        self._phase = phase
        self._start_s, self._start_step = self._clock(), self._step
        if self._bar is not None:
            self._bar.set_description_str(phase)

    def set_score(self, score: Mapping[str, float]) -> None:
        """Show these numbers (of the last evaluation, say) beside the progress from now on."""
        self._score = ", ".join(f"{name} {value:.4g}" for name, value in score.items())
        if self._bar is not None:
            self._bar.set_postfix_str(self._score)

    def update(self, step: int) -> None:
        """Tell that `step` updates are done."""
        self._step = step
        if self._bar is not None:
            self._bar.update(step - self._bar.n)
        elif self._line_step is None or step >= self._total or self._clock() - self._line_s >= self._interval_s:
            self._print_line()

    def skip_to(self, step: int) -> None:
        """Go on from `step`: the updates up to there were not made by this process."""
        self._step = self._start_step = self._line_step = step
        if self._bar is not None:
            self._bar.n = self._bar.last_print_n = step
            self._bar.refresh()

    def leave_out(self, elapsed_s: float) -> None:
        """Do not count this time, spent on something else than updates, in the rates of the lines."""
        self._start_s += elapsed_s
        self._line_s += elapsed_s

    def write(self, text: str) -> None:
        """Print a line of text without tearing the bar."""
        if self._bar is not None:
            self._bar.write(text, file=self._file)
        else:
            print(text, file=self._file, flush=True)

    def close(self) -> None:
        """Leave the bar, or the last line, as it stands."""
        if self._bar is not None:
            self._bar.close()
        elif self._step not in (self._line_step, self._initial):
            self._print_line()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _make_bar(self) -> tqdm:
        # Updates come in blocks, so tqdm must not adapt how many of them it waits for.
        return tqdm(
            total=self._total,
            initial=self._initial,
            desc=self._phase,
            unit=" steps",
            file=self._file,
            bar_format=BAR,
            dynamic_ncols=True,
            miniters=0,
            smoothing=0.1,
        )

    def _print_line(self) -> None:
        now_s = self._clock()
        since_step = self._initial if self._line_step is None else self._line_step
        rate = (self._step - since_step) / max(now_s - self._line_s, 1e-9)
        mean_rate = (self._step - self._start_step) / max(now_s - self._start_s, 1e-9)
        left = "?" if mean_rate == 0 else tqdm.format_interval((self._total - self._step) / mean_rate)
        parts = [
            f"{self._phase}: {self._step:,}/{self._total:,} steps ({self._step / self._total:.0%})",
            f"{rate:,.0f} steps/s",
            f"ETA {left}",
            self._score,
        ]
        print(", ".join(part for part in parts if part), file=self._file, flush=True)
        self._line_s, self._line_step = now_s, self._step
