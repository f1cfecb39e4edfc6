"""What can be asked of answers, as SQL: which rows, in which order, of one batch or of several joined by custom_id.

Of several a column has the number of its batch in front, as `2.score`, but for `custom_id` and `line`, which is the one
in the first batch that has the custom_id. Every value is bound; JSON paths come from the answers, and are quoted.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from pysqlite3 import dbapi2

from batch_app.answer_index.index import Field, fields_of
from batch_app.answer_index.joined_indexes import in_all_batches, joined, schemas_of
from batch_app.errors import BadQueryError

Having = Literal["all", "matched", "unmatched", "1", "2", "3", "4"]
FACTS: Final = (
    "line", "status", "status_code", "error_code", "finish_reason", "attempts", "input_tokens", "output_tokens",
    "seconds",
)  # fmt: skip
_KEYS: Final = ("custom_id", "line")
BUILT_IN: Final = {**{name: name for name in ("custom_id", *FACTS)}, "answer": "text"}
_NUMBERS: Final = frozenset({"line", "status_code", "attempts", "input_tokens", "output_tokens", "seconds"})
_COMPARISONS: Final = {"eq": "=", "ne": "IS NOT", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_OF_BATCH: Final = re.compile(r"([1-9])\.(.+)", re.DOTALL)
_TRUTHS: Final = {"true": 1, "false": 0}
OPERATORS: Final = (*_COMPARISONS, "contains", "empty", "present")


@dataclass(frozen=True, slots=True)
class Condition:
    """`column operator value`, as in `score ge 7`. `empty` and `present` need no value."""

    column: str
    operator: str
    value: str = ""


@dataclass(frozen=True, slots=True)
class AnswerQuery:
    """Which rows are wanted, and in which order. Everything None or empty: all of them, in the order of the file.

    Of several batches joined, `text`, `status` and `error_code` are those of any of them, and `having` tells which of
    them have the custom_id: every one (`matched`), not every one, or the one of this number alone.
    """

    text: str | None = None
    custom_id_prefix: str | None = None
    status: str | None = None
    error_code: str | None = None
    conditions: Sequence[Condition] = ()
    sort: str = "line"
    descending: bool = False
    having: Having = "all"

    @property
    def narrows(self) -> bool:
        """Whether some rows may be left out."""
        words = (self.text, self.custom_id_prefix, self.status, self.error_code)
        return self.having != "all" or bool(self.conditions) or any(word is not None for word in words)

    def without(self, column: str) -> "AnswerQuery":
        """The same, but for what it says about this column of one batch."""
        return replace(
            self,
            custom_id_prefix=None if column == "custom_id" else self.custom_id_prefix,
            status=None if column == "status" else self.status,
            error_code=None if column == "error_code" else self.error_code,
            conditions=[one for one in self.conditions if one.column != column],
        )


class QueryBuilder:
    """Makes SQL of questions to one batch's index, or to those of several. BadQueryError for what makes no sense."""

    def __init__(self, connection: dbapi2.Connection, batches: int = 1) -> None:
        self.schemas = schemas_of(batches)
        self._fields = [{one.path: one for one in fields_of(connection, schema)} for schema in self.schemas]
        self._key = "k" if batches > 1 else "a0"
        self._in_order = ("k.side", "k.line") if batches > 1 else ("a0.line",)
        self.custom_id = f"{self._key}.custom_id"

    def source(self, question: AnswerQuery, *columns: str) -> str:
        """The FROM clause that has what the question and these columns need."""
        if len(self.schemas) == 1:
            return "FROM main.answers a0"
        return joined(self.schemas, self._sides(question, columns))

    def _sides(self, question: AnswerQuery, columns: Sequence[str]) -> set[int]:
        """The batches whose rows must be looked at to answer the question."""
        of_any = (question.text, question.status, question.error_code)  # an empty code is asked for, too
        if question.having != "all" or any(word is not None for word in of_any):
            return set(range(len(self.schemas)))
        asked = (*columns, question.sort, *(condition.column for condition in question.conditions))
        return {self.side_of(name)[0] for name in asked if name not in _KEYS}

    def side_of(self, column: str) -> tuple[int, str]:
        """Its batch, counted from 0, and its name there."""
        if len(self.schemas) == 1:
            return 0, column
        match = _OF_BATCH.fullmatch(column)
        if match is None or int(match[1]) > len(self.schemas):
            raise BadQueryError(
                f"there is no column {column[:80]!r}; of several batches a column has the number of its batch in "
                "front, as '1.answer' or '2.score'"
            )
        return int(match[1]) - 1, match[2]

    def sql(self, column: str) -> str:
        """The column as an SQL expression. `$.status` is the field of that name, `status` the ledger's."""
        if column in _KEYS:
            return f"{self._key}.{column}"
        side, name = self.side_of(column)
        if name in BUILT_IN:
            return f"a{side}.{BUILT_IN[name]}"
        return f"(a{side}.json ->> {literal(self.field(side, name.removeprefix('$.')).place)})"

    def _numbers(self, column: str) -> Literal["all", "some", "none"]:
        """How many of its values are numbers."""
        side, name = (0, column) if column in _KEYS else self.side_of(column)
        if name in BUILT_IN:
            return "all" if name in _NUMBERS else "none"
        field = self.field(side, name.removeprefix("$."))
        return "all" if field.is_number else "some" if field.numbers else "none"

    def _is_built_in(self, column: str) -> bool:
        return column in _KEYS or self.side_of(column)[1] in BUILT_IN

    def field(self, side: int, path: str) -> Field:
        if path not in self._fields[side]:
            raise BadQueryError(f"there is no column {path[:80]!r}; GET …/fields lists those of the answers")
        return self._fields[side][path]

    def order(self, question: AnswerQuery) -> list[tuple[str, str]]:
        """What rows are sorted by, and which way. Nothing comes last either way."""
        direction = "DESC" if question.descending else "ASC"
        if question.sort == "line":
            return [(term, direction) for term in self._in_order]
        return [
            (self.sql(question.sort), f"{direction} NULLS LAST"),
            *((term, "ASC") for term in self._in_order),
        ]

    def where(self, question: AnswerQuery) -> tuple[str, list[Any]]:
        found: list[str] = ["1", self._having(question.having)]
        values: list[Any] = []
        sides = range(len(self.schemas))
        if question.text:
            parts = [_containing(f"a{side}.text", question.text) for side in sides]
            found.append(f"({' OR '.join(part for part, _ in parts)})")
            values += [value for _, value in parts]
        if question.custom_id_prefix:
            found.append(f"substr({self.custom_id}, 1, ?) = ?")
            values += [len(question.custom_id_prefix), question.custom_id_prefix]
        for name, wanted in (("status", question.status), ("error_code", question.error_code)):
            if wanted is not None:
                found.append(f"({' OR '.join(f'a{side}.{name} = ?' for side in sides)})")
                values += [wanted] * len(sides)
        for condition in question.conditions:
            part, more = self._condition(condition)
            found.append(part)
            values += more
        return " AND ".join(found), values

    def _having(self, having: Having) -> str:
        count = len(self.schemas)
        if having in ("all", "matched", "unmatched"):
            return {
                "all": "1",
                "matched": in_all_batches(count),
                "unmatched": f"NOT ({in_all_batches(count)})",
            }[having]
        if int(having) > count:
            raise BadQueryError(f"there is no batch {having} among the {count}")
        return " AND ".join(
            f"a{side}.line IS {'NOT ' if side == int(having) - 1 else ''}NULL" for side in range(count)
        )

    def _condition(self, condition: Condition) -> tuple[str, list[Any]]:
        column = self.sql(condition.column)
        match condition.operator:
            case "empty":
                return f"({column} IS NULL OR {column} = '')", []
            case "present":
                return f"({column} IS NOT NULL AND {column} <> '')", []
            case "contains":
                part, value = _containing(column, condition.value)
                return part, [value]
            case "eq" | "ne" if self._numbers(condition.column) != "all":
                word = condition.value
                wanted = [word] if self._is_built_in(condition.column) else _in_json(word)
                among = f"coalesce({column} IN ({', '.join('?' * len(wanted))}), 0)"
                return among if condition.operator == "eq" else f"NOT {among}", wanted
            case operator if operator in _COMPARISONS:
                return self._compared(column, condition)
        raise BadQueryError(f"there is no operator {condition.operator[:20]!r}: use {', '.join(OPERATORS)}")

    def _compared(self, column: str, condition: Condition) -> tuple[str, list[Any]]:
        """A number with the numbers, where there are any, else a word with the words: SQLite has every number before
        every word."""
        numbers = self._numbers(condition.column)
        number = _number(condition.value) if numbers != "none" else None
        if number is None and numbers == "all":
            raise BadQueryError(f"{condition.column} is a number; {condition.value[:40]!r} is not")
        comparison = f"{column} {_COMPARISONS[condition.operator]} ?"
        if condition.operator == "ne":  # so is what is no number
            return comparison, [number]
        alike = f"typeof({column}) = 'text'" if number is None else is_number(column)
        return f"({alike} AND {comparison})", [condition.value if number is None else number]


def _number(word: str) -> float | None:
    try:
        number = float(word)
    except ValueError:
        return None
    return None if math.isnan(number) else number


def _in_json(word: str) -> list[str | float]:
    """What a word can stand for: itself, a number, true or false, which SQLite has as 1 and 0."""
    if word in _TRUTHS:
        return [word, _TRUTHS[word]]
    number = _number(word)
    return [word] if number is None else [word, number]


def _containing(column: str, part: str) -> tuple[str, str]:
    """A condition and its value. SQLite knows the case of ASCII letters alone."""
    if part.isascii():
        escaped = part.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        return f"{column} LIKE ? ESCAPE '\\'", f"%{escaped}%"
    return f"contains({column}, ?)", part.lower()


def is_number(term: str) -> str:
    """A condition. SQLite takes a word for 0 where it must count with it."""
    return f"typeof({term}) IN ('integer', 'real')"


def literal(place: str) -> str:
    """A JSON path as SQL has it. Paths come from answers: their quotes must not end the text."""
    return "'" + place.replace("'", "''") + "'"
