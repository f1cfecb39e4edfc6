"""Answers kept across batches: derived, bounded, harmless when wrong."""

from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest

from batch_app.inference.engine import EngineRequest
from batch_app.inference.engine_digest import engine_digest
from batch_app.models import ModelSpec
from batch_app.processing.answer_cache import AnswerCache, key_of

Open = Callable[..., AnswerCache]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "answers.db"


@pytest.fixture
def open_cache(path: Path) -> Iterator[Open]:
    opened = []

    def make(*, max_bytes: int = 10_000_000) -> AnswerCache:
        opened.append(AnswerCache(path, max_bytes=max_bytes))
        return opened[-1]

    yield make
    for cache in opened:
        cache.close()


def size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.parent.iterdir())


def test_what_was_kept_is_found_again_by_the_next_process(open_cache: Open) -> None:
    cache = open_cache()
    for key, body in ((b"a", b"one"), (b"b", b"two"), (b"a", b"later")):
        cache.keep(key, body)
    assert cache.find(b"a") == b"one"
    cache.close()
    assert open_cache().find(b"b") == b"two"
    assert cache.find(b"c") is None


def test_an_answer_that_did_not_serve_is_replaced(open_cache: Open) -> None:
    cache = open_cache()
    cache.keep(b"a", b"one")
    cache.keep(b"a", b"later", instead=True)
    assert cache.find(b"a") == b"later"


def test_the_oldest_answers_make_room(open_cache: Open, path: Path) -> None:
    cache = open_cache(max_bytes=400_000)
    for number in range(1_000):
        cache.keep(b"%d" % number, b"x" * 2_000)
    assert cache.find(b"0") is None
    assert cache.find(b"999") is not None
    cache.close()
    assert size(path) < 1_500_000


def test_a_size_of_nothing_keeps_nothing(open_cache: Open) -> None:
    cache = open_cache(max_bytes=0)
    cache.keep(b"a", b"one")
    assert cache.find(b"a") is None


def test_a_damaged_file_is_made_anew(open_cache: Open, path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"this is no database" * 1_000)
    cache = open_cache()
    assert cache.find(b"a") is None
    cache.keep(b"a", b"one")
    assert cache.find(b"a") == b"one"


def test_a_file_deleted_meanwhile_does_no_harm(open_cache: Open, path: Path) -> None:
    cache = open_cache()
    cache.keep(b"a", b"one")
    for file in path.parent.iterdir():
        file.unlink()
    path.parent.rmdir()
    cache.find(b"a")
    cache.keep(b"b", b"two")
    assert open_cache().find(b"a") is None


def test_a_folder_that_cannot_be_made_is_as_good_as_no_cache(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("in the way")
    cache = AnswerCache(tmp_path / "cache" / "answers.db", max_bytes=1_000_000)
    cache.keep(b"a", b"one")
    assert cache.find(b"a") is None


def request(**body: object) -> EngineRequest:
    asked = {"model": "m", "messages": [], "temperature": 0, **body}
    return EngineRequest("id", "/v1/chat/completions", orjson.dumps(asked))


def test_a_key_stands_for_the_request_and_for_the_engine() -> None:
    assert key_of("engine", request()) == key_of("engine", request())
    assert key_of("engine", request()) != key_of("engine", request(max_tokens=1))
    assert key_of("engine", request()) != key_of("other", request())
    assert key_of("engine", request(temperature=1)) is None
    assert key_of(None, request()) is None


def test_a_changed_model_folder_argument_template_or_engine_is_another_engine(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    weights, template = tmp_path / "model" / "weights", tmp_path / "template.jinja"
    weights.write_text("1")
    template.write_text("a")

    def now(version: str = "1", **engine: object) -> str | None:
        spec = ModelSpec("m", str(tmp_path / "model"), engine={"chat_template": str(template), **engine})
        return engine_digest(spec, revision=None, version=version)

    first = now()
    assert first == now()
    assert len({first, now(version="2"), now(max_model_len=9)}) == 3
    weights.write_text("22")
    second = now()
    template.write_text("ab")
    assert len({first, second, now()}) == 3


def test_a_model_from_a_hub_is_told_by_its_commit_or_not_at_all() -> None:
    spec = ModelSpec("org/model", "org/model")
    one, other = (engine_digest(spec, revision=commit, version="1") for commit in ("a", "b"))
    assert one is not None
    assert one != other
    assert engine_digest(spec, revision=None, version="1") is None
