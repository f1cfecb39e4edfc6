"""Bodies whose schema, regex or choices are meant to cost a server minutes. Each is small enough to be accepted."""

from typing import Any

from batch_app.input.body_rules import MAX_CONSTRAINT_BYTES

WHITE = r"(.|\n)"


def _schema(schema: dict[str, Any]) -> dict[str, Any]:
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}}


def _regex(pattern: str) -> dict[str, Any]:
    return {"structured_outputs": {"regex": pattern}}


def _optional(number: int) -> dict[str, Any]:
    """Any of so many properties may be left out: the square of their number is where compilers go to work."""
    return _schema({"type": "object", "properties": {f"p{i}": {"type": "string"} for i in range(number)}})


def _nested(depth: int) -> dict[str, Any]:
    inner: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        inner = {
            "anyOf": [{"type": "object", "properties": {name: inner}, "required": [name]} for name in "ab"]
        }
    return inner


def _doubling(depth: int) -> dict[str, Any]:
    """Each definition is an object of two of the next: written out it has 2 to the `depth` leaves."""
    definitions: dict[str, Any] = {
        f"d{i}": {
            "type": "object",
            "properties": {name: {"$ref": f"#/$defs/d{i + 1}"} for name in "ab"},
            "required": ["a", "b"],
        }
        for i in range(depth)
    }
    return {"$defs": {**definitions, f"d{depth}": {"type": "string"}}, "$ref": "#/$defs/d0"}


def _fill(word: str) -> list[str]:
    return [f"{word} {i}" for i in range(MAX_CONSTRAINT_BYTES // (len(word) + 12))]


KINDS = [
    _regex("(a+)+b"),
    _regex("((a+)+)+((b+)+)+c"),
    _regex("((a{1,100}){1,100}){1,100}"),
    _regex("[a-z]{0,100000}x"),
    _regex("(a|aa|aaa|aaaa)*(a|aa|aaa)*b{20}"),
    _regex("(a|b)*a(a|b){20}"),
    _regex("(.*a.{30}){1,30}"),
    _regex(f"{WHITE}*(a|b|c){WHITE}{{200}}(x|y){WHITE}{{200}}"),
    _regex("|".join(f".*{chr(97 + i % 26)}.{{{i + 5}}}" for i in range(120))),
    _regex("|".join(f"w{i}[a-z]*" for i in range(5000))),
    _regex("(" * 500 + "a" + ")*" * 500),
    _optional(1000),
    _schema({"enum": _fill("value")}),
    _schema({"type": "string", "minLength": 50_000, "maxLength": 100_000}),
    _schema({"type": "string", "pattern": "^((a{1,100}){1,100}){1,100}$"}),
    _schema({"type": "string", "pattern": "^(.*a.{30}){1,30}$"}),
    _schema(_nested(8)),
    _schema(_doubling(25)),
    _schema({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}),
    _schema({"type": "object", "additionalProperties": True, "minProperties": 1000, "maxProperties": 5000}),
    {"structured_outputs": {"choice": _fill("a choice")}},
]
FIFTY = [KINDS[i % len(KINDS)] for i in range(50)]
