"""The shapes of tables and comparisons of answers."""

from typing import Any, Literal

from pydantic import Field

from batch_app.api.schemas.batches import WireObject
from batch_app.states import RequestStatus


class Indexed(WireObject):
    """How far the answers are indexed. While a batch runs, or right after its end, there can be more to come."""

    indexed: int = Field(description="answers that were looked at")
    complete: bool = Field(description="whether these are all that there are now")


class LineFacts(WireObject):
    """What the ledger knows of one line."""

    line: int
    custom_id: str
    status: RequestStatus
    status_code: int | None
    error_code: str | None
    finish_reason: str | None
    attempts: int
    input_tokens: int
    output_tokens: int


class AnswerRow(LineFacts):
    """One answer: what the ledger knows of it, its words, and the asked values of the JSON in them."""

    seconds: float | None = Field(description="that the engine took")
    text: str = Field(description="its beginning")
    is_cut: bool = Field(description="whether the text has more")
    values: dict[str, Any] = Field(description="by path; null where the answer has none")


class AnswerPage(Indexed):
    """A part of a table."""

    object: Literal["list"] = "list"
    total: int = Field(description="rows that match, on all pages")
    offset: int
    found: int | None = Field(
        description="the place of the first row whose custom_id begins with `find`, counted from 0; null: there is none"
    )


class AnswerTable(AnswerPage):
    data: list[AnswerRow]


class JoinedRow(WireObject):
    custom_id: str
    answers: list[AnswerRow | None] = Field(
        description="in the order of the batches; null where one has none"
    )


class JoinedTable(AnswerPage):
    """Rows of several batches. `indexed` counts joined rows: each custom_id once."""

    data: list[JoinedRow]


class AnswerDetail(LineFacts):
    """One line with all of its prompt and its answer. `request` and `response` are null when their file is gone."""

    started_at: float | None
    finished_at: float | None
    request: dict[str, Any] | None = Field(description="the line of the input file")
    response: dict[str, Any] | None = Field(description="the line of the output or error file")
    text: str | None = Field(description="the answer in words")
    previous: int | None = Field(description="the line before in the file")
    next: int | None


class FieldObject(WireObject):
    path: str
    answers: int = Field(description="how many have it")
    is_number: bool


class FieldList(Indexed):
    object: Literal["list"] = "list"
    data: list[FieldObject]


class BinObject(WireObject):
    start: float
    end: float
    count: int


class ValueCount(WireObject):
    value: str | float | int
    count: int


class DistributionObject(WireObject):
    column: str
    present: int
    distinct: int
    mean: float | None
    top: list[ValueCount]
    bins: list[BinObject]


class DistributionList(WireObject):
    object: Literal["list"] = "list"
    data: list[DistributionObject]


class SideSummary(WireObject):
    """One batch beside the baseline."""

    batch_id: str
    both: int
    only_baseline: int
    only_other: int
    same: int
    different: int
    baseline_tokens: float | None = Field(description="mean output tokens of requests that both have")
    other_tokens: float | None


class Agreement(WireObject):
    baseline: Any
    other: Any
    count: int


class SideChange(WireObject):
    """How a field of the answers differs from the baseline's."""

    batch_id: str
    both: int
    equal: int
    baseline_mean: float | None
    other_mean: float | None
    bins: list[BinObject] = Field(description="of the differences")
    agreement: list[Agreement] = Field(description="of words: which value became which")


class ComparisonObject(Indexed):
    object: Literal["comparison"] = "comparison"
    batch_ids: list[str]
    sides: list[SideSummary]
    fields: list[FieldObject] = Field(description="that the answers of every batch have")
    likely_field: str | None = Field(description="the one of these to look at first")
    field: str | None
    changes: list[SideChange]
    first_requests: list[dict[str, Any] | None] | None = Field(
        description="when asked for: line 1 of each batch's input, null when its file is gone"
    )


class FieldChanges(WireObject):
    object: Literal["comparison.changes"] = "comparison.changes"
    field: str
    changes: list[SideChange]


class ComparedAnswer(WireObject):
    line: int
    status: RequestStatus
    error_code: str | None
    finish_reason: str | None
    output_tokens: int
    seconds: float | None
    text: str
    is_cut: bool
    value: Any = Field(description="of the asked field")


class ComparedRow(WireObject):
    custom_id: str
    answers: list[ComparedAnswer | None] = Field(
        description="in the order of the batches; null where one has none"
    )


class ComparedRows(WireObject):
    object: Literal["list"] = "list"
    data: list[ComparedRow]
    total: int
    offset: int
