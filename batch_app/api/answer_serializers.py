"""Turns indexed answers, fields and distributions into the JSON objects of the API."""

from dataclasses import asdict
from typing import Any

from batch_app.answer_index.answer_table import Distribution
from batch_app.answer_index.index import Field
from batch_app.api.schemas.answers import AnswerRow, BinObject, DistributionObject, FieldObject, ValueCount

_SHOWN_CHARACTERS = 600


def answer_row(answer: dict[str, Any] | None) -> AnswerRow | None:
    if answer is None:
        return None
    text = answer["text"]
    shown = {**answer, "text": text[:_SHOWN_CHARACTERS]}
    return AnswerRow(**shown, is_cut=len(text) > _SHOWN_CHARACTERS)


def field_object(field: Field) -> FieldObject:
    return FieldObject(path=field.path, answers=field.answers, is_number=field.is_number)


def distribution_object(column: str, found: Distribution) -> DistributionObject:
    return DistributionObject(
        column=column,
        present=found.present,
        distinct=found.distinct,
        mean=found.mean,
        top=[ValueCount(value=value, count=count) for value, count in found.top],
        bins=[BinObject(**asdict(one)) for one in found.bins],
    )
