"""The engine's life, driven turn by turn with engines that do what the test says."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from threading import Thread
from typing import Any

import pytest

from batch_app.inference.engine import EngineAnswer, EngineCounters, EngineRequest, ModelLoadError
from batch_app.inference.vllm_engine import VllmEngine
from batch_app.models import ModelSpec
from batch_app.processing.engine_supervisor import EngineState, EngineSupervisor
from tests.no_thread import no_thread

STALL = 100.0
WHY = "its process has died"
A, B = ModelSpec("a", "a"), ModelSpec("b", "b")


@dataclass
class ScriptedEngine:
    """Loads when it may: at once, when `gate` opens, or not at all because of `failure`."""

    failure: str | None = None
    gate: asyncio.Event | None = None
    tokens: int = 0
    closed: int = 0
    max_in_flight: int = 1

    async def start(self) -> None:
        if self.gate is not None:
            await self.gate.wait()
        if self.failure is not None:
            raise ModelLoadError(self.failure)

    async def answer(self, request: EngineRequest) -> EngineAnswer:
        return EngineAnswer(200, b"{}")

    def counters(self) -> EngineCounters:
        return EngineCounters(generation_tokens=self.tokens)

    async def close(self) -> None:
        self.closed += 1


@dataclass
class Maker:
    """Hands out the scripted engines in turn, then good ones; remembers what was made."""

    script: list[ScriptedEngine] = field(default_factory=list)
    made: list[tuple[str, ScriptedEngine]] = field(default_factory=list)

    def __call__(self, spec: ModelSpec) -> ScriptedEngine:
        assert all(engine.closed for _name, engine in self.made), "two engines on one device"
        self.made.append((spec.name, self.script.pop(0) if self.script else ScriptedEngine()))
        return self.made[-1][1]


def in_a_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Runs an async test; named like it, so that it reads like any other."""

    def run() -> None:
        asyncio.run(test())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


def new_room(*script: ScriptedEngine) -> tuple[EngineSupervisor, Maker]:
    maker = Maker(list(script))
    return EngineSupervisor(maker, stall_seconds=STALL), maker


async def turn(room: EngineSupervisor, now: float) -> EngineState:
    """Let the load get as far as it can, then take a turn."""
    for _ in range(5):
        await asyncio.sleep(0)
    room.turn(now)
    return room.state


async def loaded(*script: ScriptedEngine) -> tuple[EngineSupervisor, Maker]:
    room, maker = new_room(*script)
    room.begin_load(A)
    assert await turn(room, 0) is EngineState.READY
    return room, maker


async def waits_for_restart(room: EngineSupervisor, died_at: float) -> float:
    """How long after its death the engine is started again."""
    for waited in range(200):
        room.turn(died_at + waited)
        if room.state is EngineState.LOADING:
            return waited
    raise AssertionError("the engine was never started again")


@in_a_loop
async def test_a_model_is_ready_once_it_is_loaded_and_not_before() -> None:
    gate = asyncio.Event()
    room, maker = new_room(ScriptedEngine(gate=gate))
    room.begin_load(A)
    assert await turn(room, 1) is EngineState.LOADING
    assert (room.model, room.engine, room.counters()) == ("a", None, EngineCounters())
    gate.set()
    assert await turn(room, 2) is EngineState.READY
    assert (room.engine, room.ready_since) == (maker.made[0][1], 2)


@in_a_loop
async def test_a_swap_closes_the_old_engine_before_it_makes_the_new_one() -> None:
    room, maker = await loaded()
    room.begin_load(B)
    assert await turn(room, 1) is EngineState.READY
    assert [name for name, _engine in maker.made] == ["a", "b"]


@in_a_loop
async def test_a_model_that_cannot_be_loaded_is_refused_with_the_reason() -> None:
    room, maker = new_room(ScriptedEngine(failure="no such folder"))
    room.begin_load(A)
    assert await turn(room, 1) is EngineState.EMPTY
    assert (room.refused, room.model) == (("a", "no such folder"), None)
    assert maker.made[-1][1].closed, "what it had loaded by then would keep the device from others"


@in_a_loop
async def test_another_model_can_be_loaded_after_one_that_was_refused() -> None:
    room, _maker = new_room(ScriptedEngine(failure="no such folder"))
    room.begin_load(A)
    await turn(room, 1)
    room.begin_load(B)
    assert await turn(room, 2) is EngineState.READY


@in_a_loop
async def test_a_model_that_has_answered_is_loaded_again_for_half_an_hour_before_it_is_refused() -> None:
    failing = [ScriptedEngine(failure="device busy") for _ in range(100)]
    room, _maker = await loaded(ScriptedEngine(), *failing)
    room.note_answer()
    room.note_death(0, WHY)
    states = {now: await turn(room, now) for now in range(0, 3600, 30)}
    refused_at = next(now for now, state in states.items() if state is EngineState.EMPTY)
    assert 1800 <= refused_at <= 1900
    assert room.refused == ("a", "device busy")


@in_a_loop
async def test_a_model_that_answered_long_ago_is_loaded_again_for_as_long() -> None:
    room, _maker = new_room(*(ScriptedEngine(failure="device busy") for _ in range(100)))
    room.begin_load(A, has_answered=True)
    states = {now: await turn(room, now) for now in range(1, 3600, 30)}
    refused_at = next(now for now, state in states.items() if state is EngineState.EMPTY)
    assert 1800 <= refused_at <= 1900


@in_a_loop
async def test_a_model_that_loads_again_in_the_end_is_ready() -> None:
    failing = [ScriptedEngine(failure="device busy") for _ in range(10)]
    room, _maker = await loaded(ScriptedEngine(), *failing)
    room.note_answer()
    room.note_death(0, WHY)
    states = [await turn(room, now * 60) for now in range(40)]
    assert EngineState.EMPTY not in states
    assert states[-1] is EngineState.READY


@in_a_loop
async def test_a_machine_that_cannot_start_a_process_now_says_nothing_about_the_model() -> None:
    class NoRoom(ScriptedEngine):
        async def start(self) -> None:
            raise OSError(28, "No space left on device", "/tmp/vllm-load")

    room, _maker = new_room(NoRoom(), NoRoom())
    room.begin_load(A)
    states = [await turn(room, now) for now in range(1, 10)]
    assert EngineState.EMPTY not in states
    assert states[-1] is EngineState.READY


def test_a_machine_that_has_no_thread_left_says_nothing_about_the_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The real engine, which then has not got as far as vLLM."""

    async def scenario() -> None:
        monkeypatch.setattr(Thread, "start", no_thread)
        room = EngineSupervisor(lambda spec: VllmEngine(spec, owner="nobody"), stall_seconds=STALL)
        room.begin_load(A)
        assert await turn(room, 1) is not EngineState.EMPTY
        assert "cannot be started again, tried once: can't start new thread." in (room.trouble or "")
        await room.close()

    asyncio.run(scenario())


@in_a_loop
async def test_a_model_that_loads_and_dies_at_every_request_is_refused_after_eight_deaths() -> None:
    room, maker = await loaded()
    for death in range(1, 9):
        assert (room.refused, room.model) == (None, "a")
        room.note_death(death * 1000, WHY)
        room.turn(death * 1000 + 60)
        await turn(room, death * 1000 + 500)
    assert room.refused == ("a", f"the engine died 8 times in a row without an answer: {WHY}")
    assert (room.state, room.model, len(maker.made)) == (EngineState.EMPTY, None, 8)
    assert maker.made[-1][1].closed, "its process may hang and hold the device"


async def deaths_until_refused(room: EngineSupervisor, *, convicts: bool) -> int:
    for death in range(1, 100):
        room.note_death(death * 1000, WHY, convicts=convicts)
        if room.refused:
            return death
        room.turn(death * 1000 + 60)
        await turn(room, death * 1000 + 500)
    raise AssertionError("the model was never refused")


@in_a_loop
async def test_deaths_that_requests_explain_count_against_a_model_only_when_they_do_not_end() -> None:
    room, _maker = await loaded()
    room.note_answer()
    assert await deaths_until_refused(room, convicts=True) == 64


@in_a_loop
async def test_a_model_that_has_never_answered_is_to_blame_for_its_deaths_whoever_was_alone_with_it() -> None:
    room, _maker = await loaded()
    room.note_answer()
    room.begin_load(B)
    await turn(room, 1)
    assert await deaths_until_refused(room, convicts=True) == 8


@in_a_loop
async def test_deaths_with_many_in_flight_count_against_a_model_that_has_answered() -> None:
    room, _maker = await loaded()
    room.note_answer()
    assert await deaths_until_refused(room, convicts=False) == 8


@in_a_loop
async def test_trouble_is_told_in_words_until_the_next_answer() -> None:
    room, _maker = await loaded()
    assert room.trouble is None
    room.note_death(10, WHY)
    assert (room.trouble, room.next_start_at) == (f"The engine of a died: {WHY}.", 10)
    await turn(room, 10)
    await turn(room, 10)
    room.note_death(20, WHY)
    assert room.trouble == f"The engine of a died 2 times without an answer: {WHY}. It was restarted once."
    assert room.next_start_at == 21
    room.turn(21)
    assert (room.trouble or "").endswith("It is being started.")
    await turn(room, 22)
    assert room.trouble is not None
    room.note_answer()
    assert (room.trouble, room.next_start_at) == (None, None)


@in_a_loop
async def test_why_a_model_does_not_load_again_is_told_with_the_moment_of_the_next_try() -> None:
    room, _maker = await loaded(ScriptedEngine(), ScriptedEngine(failure="CUDA error: device lost"))
    room.note_answer()
    room.note_death(0, WHY)
    await turn(room, 0)
    await turn(room, 0)
    assert "cannot be started again, tried once: CUDA error: device lost." in (room.trouble or "")
    assert room.next_start_at == 1


@in_a_loop
async def test_a_recycled_engine_is_closed_before_the_next_one_of_the_same_model_is_made() -> None:
    room, maker = await loaded()
    room.recycle()
    assert room.state is EngineState.LOADING
    assert await turn(room, 1) is EngineState.READY
    assert ([name for name, _engine in maker.made], room.restarts, room.ready_since) == (["a", "a"], 1, 1)


@in_a_loop
async def test_a_model_s_turn_goes_on_through_every_new_engine_and_begins_anew_with_the_next_model() -> None:
    room, _maker = await loaded()
    room.begin_load(A)
    assert (await turn(room, 10), room.turn_began_at) == (EngineState.READY, 10)
    room.recycle()
    await turn(room, 20)
    room.note_death(30, WHY)
    await turn(room, 30)
    assert (await turn(room, 40), room.ready_since, room.turn_began_at) == (EngineState.READY, 40, 10)
    room.begin_load(B)
    assert (await turn(room, 50), room.turn_began_at) == (EngineState.READY, 50)


@in_a_loop
async def test_the_tokens_of_all_engines_are_added_up() -> None:
    first, second, third = ScriptedEngine(), ScriptedEngine(), ScriptedEngine()
    room, _maker = await loaded(first, second, third)
    first.tokens = 10
    room.turn(1)
    room.recycle()
    assert (await turn(room, 2), room.tokens_total) == (EngineState.READY, 10)
    second.tokens = 4
    room.turn(3)
    room.note_death(3, WHY)
    await turn(room, 3)
    assert (await turn(room, 4), room.tokens_total) == (EngineState.READY, 14)
    third.tokens = 6
    room.turn(5)
    assert room.tokens_total == 20


@in_a_loop
async def test_a_dead_engine_is_started_again_at_once_and_counted() -> None:
    room, maker = await loaded()
    room.note_death(10, WHY)
    assert (room.state, room.engine, room.model) == (EngineState.DEAD, None, "a")
    assert await turn(room, 10) is EngineState.LOADING
    assert await turn(room, 10) is EngineState.READY
    assert (room.restarts, len(maker.made)) == (1, 2)


@in_a_loop
async def test_a_death_that_two_requests_tell_of_is_one_death() -> None:
    room, _maker = await loaded()
    for _ in range(3):
        room.note_death(10, WHY)
    assert await waits_for_restart(room, 10) == 0


@in_a_loop
async def test_deaths_without_an_answer_between_them_wait_longer_each_time_up_to_a_minute() -> None:
    room, _maker = await loaded()
    waits = []
    for death in range(1, 8):
        room.note_death(death * 1000, WHY)
        waits.append(await waits_for_restart(room, death * 1000))
        await turn(room, death * 1000 + 500)
    assert waits == [0, 1, 3, 7, 15, 31, 60]


@in_a_loop
async def test_an_answer_makes_the_next_restart_quick_again() -> None:
    room, _maker = await loaded()
    for death in range(1, 6):
        room.note_death(death * 1000, WHY)
        await waits_for_restart(room, death * 1000)
        await turn(room, death * 1000 + 500)
        room.note_answer()
    room.note_death(9000, WHY)
    assert await waits_for_restart(room, 9000) == 0


@in_a_loop
async def test_however_often_an_engine_dies_it_is_started_again() -> None:
    room, _maker = await loaded()
    for death in range(1, 1_100):
        room.note_answer()
        room.note_death(death * 100, WHY)
        room.turn(death * 100 + 60)
        assert await turn(room, death * 100 + 61) is EngineState.READY


@in_a_loop
async def test_a_model_may_take_longer_to_load_than_a_stall_lasts() -> None:
    room, _maker = new_room(ScriptedEngine(gate=asyncio.Event()))
    room.begin_load(A)
    assert not any(room.stalled(now, in_flight=5) for now in range(0, int(10 * STALL), 2))
    await room.close()


@in_a_loop
async def test_a_fresh_engine_is_not_blamed_for_the_silence_of_the_last_one() -> None:
    room, _maker = await loaded()
    assert not any(room.stalled(now, in_flight=5) for now in range(0, int(STALL), 2))
    room.note_death(STALL, WHY)
    await turn(room, STALL)
    await turn(room, STALL)
    assert not any(room.stalled(STALL + now, in_flight=5) for now in range(0, int(STALL), 2))


@pytest.mark.parametrize("gate", [False, True], ids=["ready", "loading"])
def test_closing_frees_the_device_whatever_the_engine_is_doing(*, gate: bool) -> None:
    async def scenario() -> None:
        room, maker = new_room(ScriptedEngine(gate=asyncio.Event() if gate else None))
        room.begin_load(A)
        await turn(room, 1)
        await room.close()
        assert (room.state, room.model, maker.made[0][1].closed) == (EngineState.EMPTY, None, 1)

    asyncio.run(scenario())
