"""Declares the query and path parameters that several routes share."""

import re
from typing import Annotated

from fastapi import Depends, Path, Query
from pydantic import StringConstraints

from batch_app.answer_index.answer_query import OPERATORS, AnswerQuery, Condition
from batch_app.answer_index.joined_indexes import MOST_BATCHES
from batch_app.api.errors import ApiError
from batch_app.states import RequestStatus

_CONDITION = re.compile(rf"(.+?):({'|'.join(OPERATORS)})(?::(.*))?", re.DOTALL)

BatchId = Annotated[str, Path(description="a batch id, as the receipt has it")]
# SQLite looks for patterns of 50,000 bytes at most.
Where = Annotated[str, StringConstraints(max_length=10_000)]
Offset = Annotated[int, Query(ge=0, le=2**31, description="number of rows to skip")]
Columns = Annotated[list[str], Query(max_length=50, description="JSON paths, as `score` or `reasons[0]`")]
Bins = Annotated[int, Query(ge=2, le=60, description="bars of a histogram")]
PageLimit = Annotated[int, Query(ge=1, le=500)]
Find = Annotated[
    str | None,
    Query(max_length=512, description="prefix of the custom_id of a row; `found` is the row's place"),
]
Compared = Annotated[
    list[str],
    Query(alias="batch", min_length=2, max_length=MOST_BATCHES, description="the first is the baseline"),
]
FieldPath = Annotated[str | None, Query(max_length=500, description="a field that all of them have")]


def _answer_query(
    text: Annotated[str | None, Query(max_length=500, description="text that the answer contains")] = None,
    custom_id: Annotated[str | None, Query(max_length=512, description="prefix of the custom_id")] = None,
    status: RequestStatus | None = None,
    code: Annotated[str | None, Query(description="error code")] = None,
    where: Annotated[
        list[Where] | None, Query(max_length=20, description="`column:operator:value`, as `score:ge:7`")
    ] = None,
    sort: Annotated[str, Query(max_length=500, description="a column; `-column` for descending")] = "line",
) -> AnswerQuery:
    """Columns are `line`, `custom_id`, `status`, `answer`, … and the paths that `…/fields` lists."""
    return AnswerQuery(
        text=text,
        custom_id_prefix=custom_id,
        status=status,
        error_code=code,
        conditions=[_condition(word) for word in where or []],
        sort=sort.removeprefix("-"),
        descending=sort.startswith("-"),
    )


Asked = Annotated[AnswerQuery, Depends(_answer_query)]


def _condition(word: str) -> Condition:
    match = _CONDITION.fullmatch(word)
    if match is None:
        message = f"'where' is {word[:60]!r}; write column:operator:value with {', '.join(OPERATORS)}."
        raise ApiError(400, "invalid_value", message, param="where")
    return Condition(match[1], match[2], match[3] or "")
