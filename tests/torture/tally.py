"""What came of it, per kind of fault. The first column may be anything; all others are to be 0."""

from collections import defaultdict
from dataclasses import dataclass, field

from tests.processes.invariants import Findings

_COLUMNS = ("times", "lost", "doubled", "torn", "late", "too often", "damage")


@dataclass
class Row:
    """`late`: recoveries over the time limit. `asked_too_often`: more than a window a fault was computed twice."""

    times: int = 0
    late: int = 0
    asked_too_often: int = 0
    found: Findings = field(default_factory=Findings)

    def numbers(self) -> tuple[int, ...]:
        found = self.found
        return (
            self.times,
            found.lost,
            found.doubled,
            found.torn,
            self.late,
            self.asked_too_often,
            len(found.damage),
        )


class Tally(defaultdict[str, Row]):
    def __init__(self) -> None:
        super().__init__(Row)

    @property
    def is_clean(self) -> bool:
        return not any(any(row.numbers()[1:]) for row in self.values())

    def text(self) -> str:
        width = max(map(len, self), default=0)
        rows = [("fault", _COLUMNS), *((name, row.numbers()) for name, row in self.items())]
        rows.append(("all", tuple(map(sum, zip(*(row.numbers() for row in self.values()), strict=True)))))
        table = [f"{name:<{width}}" + "".join(f"{value:>11}" for value in values) for name, values in rows]
        return "\n".join([*table, *(note for row in self.values() for note in row.found.damage[:5])])
