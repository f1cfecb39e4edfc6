"""Results: complete, or what there is so far."""

from typing import Any

import httpx
import pytest

from tests.api.errors import error_of
from tests.api.served import Api
from tests.api.states import batch_in
from tests.lines import chat_line, chat_lines


def download(api: Api, batch_id: str, **params: Any) -> httpx.Response:
    answer = api.get(f"/v1/batches/{batch_id}/results", params=params)
    assert answer.status_code == 200, answer.text
    assert int(answer.headers["content-length"]) == len(answer.content)
    return answer


def test_complete_results_are_the_output_file(api: Api) -> None:
    batch_id = api.finished(4)
    output = api.get(f"/v1/files/{api.batch(batch_id)['output_file_id']}/content")

    answer = download(api, batch_id)

    assert answer.content == output.content
    assert len(answer.content.splitlines()) == 4
    assert "x-incomplete" not in answer.headers
    assert answer.headers["x-last-line"] == output.headers["x-last-line"] == "4"


def test_an_unfinished_batch_gives_what_there_is_and_says_so(api: Api) -> None:
    batch_id = api.accepted(5)
    api.work(answers=2)

    answer = download(api, batch_id)

    assert [line["custom_id"] for line in api.results(batch_id)] == ["candidate-0", "candidate-1"]
    assert (answer.headers["x-incomplete"], answer.headers["x-last-line"]) == ("true", "2")
    assert answer.headers["content-disposition"] == f'attachment; filename="{batch_id}_output.jsonl"'
    assert answer.headers["content-type"] == "application/octet-stream"


def test_a_batch_that_has_not_begun_gives_nothing_yet(api: Api) -> None:
    answer = download(api, api.accepted(2))
    assert answer.content == b""
    assert (answer.headers["x-incomplete"], answer.headers["x-last-line"]) == ("true", "0")


def test_downloads_in_parts_add_up_to_the_complete_results(api: Api) -> None:
    batch_id = api.accepted(9)
    parts, last = [], 0
    for _ in range(3):
        api.work(answers=2)
        answer = download(api, batch_id, offset=last)
        parts.append(answer.content)
        last = int(answer.headers["x-last-line"])
    assert last == 6
    api.work()
    answer = download(api, batch_id, offset=last)
    parts.append(answer.content)

    assert "x-incomplete" not in answer.headers
    assert b"".join(parts) == download(api, batch_id).content
    assert sorted(line["custom_id"] for line in api.results(batch_id)) == [f"candidate-{i}" for i in range(9)]


@pytest.mark.parametrize("finished", [False, True])
def test_an_offset_past_the_end_gives_nothing(api: Api, *, finished: bool) -> None:
    batch_id = api.accepted(3)
    api.work(answers=None if finished else 2)
    for offset in (3, 4, 10**6, 2**62):
        assert download(api, batch_id, offset=offset).content == b""


@pytest.mark.parametrize("offset", ["-1", "two", str(2**80)])
def test_an_offset_is_a_number_of_lines(api: Api, offset: str) -> None:
    batch_id = api.accepted(1)
    assert error_of(api.get(f"/v1/batches/{batch_id}/results?offset={offset}"), 400)["param"] == "offset"


@pytest.mark.parametrize("status", ["cancelled", "expired"])
def test_a_batch_cut_short_keeps_its_answers(api: Api, status: str) -> None:
    batch_id = batch_in(api, status)
    assert [line["custom_id"] for line in api.results(batch_id)] == ["candidate-0"]
    assert "x-incomplete" not in download(api, batch_id).headers


def test_answers_of_a_cancelling_batch_are_still_there(api: Api) -> None:
    batch_id = api.accepted(3)
    api.work(answers=2)
    api.delete(f"/v1/batches/{batch_id}")
    assert len(api.results(batch_id)) == 2


def test_results_are_answers_only(api: Api) -> None:
    batch_id = api.finished([*chat_lines(2), chat_line("bad", "[[fail 400]]")])
    assert [line["custom_id"] for line in api.results(batch_id)] == ["candidate-0", "candidate-1"]


def test_a_batch_whose_requests_all_failed_has_empty_results(api: Api) -> None:
    batch_id = api.finished([chat_line("bad", "[[fail 400]]")])
    assert download(api, batch_id).content == b""
    assert "x-incomplete" not in download(api, batch_id).headers


def test_results_of_an_unknown_batch_are_not_found(api: Api) -> None:
    error_of(api.get(f"/v1/batches/batch_{'0' * 24}/results"), 404, "not_found")


def test_an_answer_is_the_engines_word_for_word(api: Api) -> None:
    text = 'Ünïcode 🙂 <script>alert(1)</script> \u2028 \\ " \x7f'
    batch_id = api.finished([chat_line("odd", text)])
    [line] = api.results(batch_id)
    assert line["response"]["body"]["choices"][0]["message"]["content"] == text


def test_files_of_answers_continue_behind_a_line_too(api: Api) -> None:
    lines = [*chat_lines(3), chat_line("bad-1", "[[fail 400]]"), chat_line("bad-2", "[[fail 400]]")]
    batch = api.batch(api.finished(lines))
    for file_id, count in ((batch["output_file_id"], 3), (batch["error_file_id"], 2)):
        path = f"/v1/files/{file_id}/content"
        whole = api.get(path)
        assert whole.headers["x-last-line"] == str(count)
        assert "x-incomplete" not in whole.headers
        for offset in range(count + 2):
            rest = api.get(path, params={"offset": offset})
            assert rest.content.splitlines() == whole.content.splitlines()[offset:]
            assert rest.headers["x-last-line"] == str(count)


def test_an_input_file_has_no_answers_to_continue_behind(api: Api) -> None:
    path = f"/v1/files/{api.batch(api.accepted(2))['input_file_id']}/content"
    assert error_of(api.get(path, params={"offset": 1}), 400)["param"] == "offset"
    assert "x-last-line" not in api.get(path, params={"offset": 0}).headers


def test_what_a_cancelled_batch_had_is_still_there_to_be_continued(api: Api) -> None:
    batch_id = api.accepted(5)
    api.work(answers=2)
    api.post(f"/v1/batches/{batch_id}/cancel")
    api.work()
    whole = download(api, batch_id)
    assert (whole.headers["x-last-line"], "x-incomplete" in whole.headers) == ("2", False)
    assert download(api, batch_id, offset=1).content == whole.content.splitlines(keepends=True)[1]
