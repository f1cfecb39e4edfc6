"""What a row of the table says: a target, what was measured, and whether that reaches it."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Target:
    """A bound that a measured value has to keep."""

    sense: Literal["≤", "≥"]
    bound: float
    unit: str = ""

    def met_by(self, value: float) -> bool:
        return value <= self.bound if self.sense == "≤" else value >= self.bound

    def __str__(self) -> str:
        return f"{self.sense} {show(self.bound, self.unit)}"


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. `value` None: it could not be measured here, and `note` says why.

    `runs` are the single measurements behind the value, `others` the largest share of the CPU that other processes
    took during one of them.
    """

    row: str
    work: str
    target: Target | None
    value: float | None
    unit: str = ""
    note: str = ""
    runs: dict[str, list[float]] = field(default_factory=dict)
    others: float = 0.0

    @property
    def verdict(self) -> str:
        if self.value is None:
            return "not measured"
        if self.target is None:
            return ""
        return "pass" if self.target.met_by(self.value) else "FAIL"

    @property
    def measured(self) -> str:
        return "—" if self.value is None else show(self.value, self.unit)


def show(value: float, unit: str) -> str:
    """Three figures are as many as a run on a shared machine can tell."""
    text = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{text} {unit}".rstrip()


def median_ratio(numerators: Sequence[float], denominators: Sequence[float]) -> float:
    """Of pairs that ran one after the other, so that a slow minute of the machine strikes both."""
    return statistics.median(a / b for a, b in zip(numerators, denominators, strict=True))


def percentile(values: Sequence[float], share: float) -> float:
    ranked = sorted(values)
    return ranked[min(int(share * len(ranked)), len(ranked) - 1)]
