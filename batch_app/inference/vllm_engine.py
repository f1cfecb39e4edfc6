"""vLLM as an engine: its own web application, called in this process without a socket.

vLLM runs on a thread with an event loop of its own, so that the worker's loop keeps turning while a model
loads or a hundred answers are decoded. Its engine core is a child process, marked and in a session of its own
(engine_processes.py). The only file that imports vllm, and not before a model is loaded.
"""

import asyncio
import errno
import gc
import logging
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace
from typing import Any, NoReturn, TypeVar

import psutil

from batch_app.inference import vllm_arguments, vllm_failures
from batch_app.inference.asgi_exchange import Exchange, error_body
from batch_app.inference.engine import (
    EngineAnswer,
    EngineCounters,
    EngineDeadError,
    EngineRequest,
    ModelLoadError,
)
from batch_app.inference.engine_digest import engine_digest
from batch_app.inference.engine_processes import (
    busy_seconds,
    have_ended,
    kill_owned,
    launching,
    owned,
    variables,
)
from batch_app.inference.vllm_counters import VllmCounters
from batch_app.models import ModelSpec

_ABORT_SECONDS = 5.0
_CLOSE_SECONDS = 8.0
_PATIENCE_SECONDS = 2.0
_POLL_SECONDS = 0.05
_CLOSED = "it was closed meanwhile"

_T = TypeVar("_T")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Loaded:
    application: Any
    client: Any
    max_num_seqs: int
    identity: str | None
    counters: VllmCounters
    was_told_to_end: Event


class VllmEngine:
    """One model, from `start` to `close`; a new object for the next. `owner` marks its processes."""

    def __init__(self, spec: ModelSpec, *, owner: str) -> None:
        self._spec = spec
        self._owner = owner
        self._closing: Future[None] = Future()
        self._ended: Future[None] = Future()
        self._resources = AsyncExitStack()
        self._may_have_processes = False
        self._loaded: _Loaded | None = None
        self._processes: list[psutil.Process] = []

    @property
    def max_in_flight(self) -> int:
        # Lines of equal length end together: a whole set of successors must already wait inside the engine.
        # More than that would only add to what a crash computes twice.
        return 2 * self._loaded.max_num_seqs if self._loaded else 1

    @property
    def identity(self) -> str | None:
        return self._loaded.identity if self._loaded else None

    async def start(self) -> None:
        """Load the model. Raises ModelLoadError; after that or a cancellation only `close` may be called."""
        self._start_thread()
        with tempfile.TemporaryDirectory(prefix="vllm-load-") as folder:
            failures = vllm_failures.FailureLog(Path(folder))
            loading = self._on_thread(self._load(failures))
            await asyncio.wait({loading})
            error = ModelLoadError(_CLOSED) if loading.cancelled() else loading.exception()
            if error is not None:
                reason = failures.reason(error)
                raise ModelLoadError(f"model {self._spec.name} could not be loaded: {reason}") from error
        self._processes = await asyncio.to_thread(owned, self._owner)
        self._loaded = loading.result()

    async def answer(self, request: EngineRequest) -> EngineAnswer:
        """As promised; also raises EngineDeadError to the requests in flight while the engine is closed."""
        if self._loaded is None:
            raise EngineDeadError("the engine is not running")
        exchange = Exchange(request)
        call = self._on_thread(_answer(self._loaded, exchange, request.request_id))
        try:
            await asyncio.wait({call})
        except asyncio.CancelledError:
            # Cancelling the call itself would leave the request running in the engine.
            self._loop.call_soon_threadsafe(exchange.hang_up)
            await asyncio.wait({call}, timeout=_ABORT_SECONDS)
            raise
        if call.cancelled():
            raise EngineDeadError("the engine was closed")
        return call.result()

    def counters(self) -> EngineCounters:
        if self._loaded is None:
            return EngineCounters()
        return self._loaded.counters.reading(busy_seconds=busy_seconds(self._processes))

    async def close(self) -> None:
        """As promised, within ten seconds, also while a model loads or when the engine hangs."""
        patience = _PATIENCE_SECONDS if self._loaded else 0.0
        self._loaded = None
        if not self._closing.done():
            self._closing.set_result(None)
        if not self._may_have_processes:  # and will find out that it is closing before it starts any
            return
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._end(patience)
        except TimeoutError:
            _log.error("engine_close_timed_out", extra={"owner": self._owner})
        gc.unfreeze()
        gc.collect()

    async def _end(self, patience_seconds: float) -> None:
        """Let vLLM end by itself for a while, then kill until the thread and all processes have ended."""
        ended = asyncio.wrap_future(self._ended)
        processes = set(await asyncio.to_thread(owned, self._owner))
        await asyncio.wait({ended}, timeout=patience_seconds)
        while not (ended.done() and have_ended(processes)):
            processes.update(await asyncio.to_thread(kill_owned, self._owner))
            await asyncio.sleep(_POLL_SECONDS)

    def _on_thread(self, work: Coroutine[Any, Any, _T]) -> asyncio.Future[_T]:
        future = asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))
        # Whoever is cancelled no longer asks for the result; asyncio must not complain that nobody did.
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        return future

    def _start_thread(self) -> None:
        """Raises OSError."""
        self._loop = asyncio.new_event_loop()
        try:
            Thread(target=self._live, name="vllm", daemon=True).start()
        except RuntimeError as error:  # the machine has none left, which says nothing about the model
            self._loop.close()
            raise OSError(errno.EAGAIN, str(error)) from error

    def _live(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._until_closing())
        finally:
            self._ended.set_result(None)

    async def _until_closing(self) -> None:
        async with self._resources:
            await asyncio.wrap_future(self._closing)

    async def _load(self, failures: vllm_failures.FailureLog) -> _Loaded:
        os.environ.update(vllm_arguments.environment(os.environ))
        if vllm_arguments.is_local(self._spec):
            vllm_arguments.require_folder(self._spec)
            self._resources.enter_context(_offline())
        arguments = _arguments(self._spec, failures)
        self._may_have_processes = True
        if self._closing.done():
            raise ModelLoadError(_CLOSED)
        # In a frame of its own: what first imports vLLM stays referenced for good, with all it holds.
        return await self._build(arguments)

    async def _build(self, arguments: Any) -> _Loaded:
        import vllm
        from vllm.entrypoints.launchers.api_server.app_state import init_app_state
        from vllm.entrypoints.launchers.api_server.entry import build_async_engine_client
        from vllm.entrypoints.launchers.app import build_app
        from vllm.usage.usage_lib import UsageContext
        from vllm.utils.func_utils import _supports_kw

        # This cache of functions would keep the tokenizers of every model ever loaded: some 70 MB for each.
        self._resources.callback(_supports_kw.cache_clear)
        with launching(self._owner):
            # In this context the defaults are vLLM's offline ones: as many sequences and tokens in a step as
            # the device bears. For run_batch it has none, and falls back to far smaller ones.
            client = await self._resources.enter_async_context(
                build_async_engine_client(arguments, usage_context=UsageContext.LLM_CLASS)
            )
        # In the end vLLM kills its processes, since asking them takes over ten seconds: not worth its warnings.
        self._resources.callback(logging.getLogger("vllm").setLevel, logging.ERROR)
        counters = VllmCounters()
        client.logger_manager.stat_loggers[:] = [counters]
        was_told_to_end = Event()
        client.generate = _whole_answers(client.generate, was_told_to_end)
        self._resources.callback(delattr, client, "generate")  # or the client would refer to itself
        tasks = await client.get_supported_tasks()
        application = build_app(arguments, tasks, client.model_config)
        await init_app_state(client, application.state, arguments, tasks)
        # vLLM's error handler tells its server to stop when the engine has died; there is none here.
        application.state.server = SimpleNamespace(should_exit=False)
        gc.collect()
        gc.freeze()  # what is loaded stays: collections need not walk it
        revision = getattr(client.model_config.hf_config, "_commit_hash", None)
        identity = engine_digest(self._spec, revision=revision, version=vllm.__version__)
        max_num_seqs = client.vllm_config.scheduler_config.max_num_seqs
        return _Loaded(application, client, max_num_seqs, identity, counters, was_told_to_end)


async def _answer(loaded: _Loaded, exchange: Exchange, request_id: str) -> EngineAnswer:
    try:
        answer = await exchange.carry_out(loaded.application)
    except Exception as error:  # noqa: BLE001 (what one request raises is its own answer)
        kind = type(error).__name__
        _log.warning("request_raised", extra={"request_id": request_id, "error": kind})
        answer = EngineAnswer(500, error_body(500, f"the engine failed on this request: {kind}"))
    if answer.status_code >= 500 and loaded.was_told_to_end.is_set():
        raise EngineDeadError("its process was told to end")
    if answer.status_code >= 500 and loaded.client.errored:
        raise EngineDeadError("its process has died")
    return answer


def _whole_answers(
    generate: Callable[..., AsyncIterator[Any]], was_told_to_end: Event
) -> Callable[..., AsyncIterator[Any]]:
    """On SIGTERM vLLM's process ends every request with the words so far, which would be answered with 200. As if it
    had died at once instead, they get none."""
    from vllm.v1.engine.exceptions import EngineDeadError as ProcessEndedError

    async def whole(*arguments: Any, **named: Any) -> AsyncIterator[Any]:
        async for output in generate(*arguments, **named):
            if any(part.finish_reason == "abort" for part in output.outputs):
                was_told_to_end.set()
                raise ProcessEndedError
            yield output

    return whole


def _arguments(spec: ModelSpec, failures: vllm_failures.FailureLog) -> Any:
    """vLLM's parsed command line, as if the models file's entry had been typed. Raises ModelLoadError."""
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.entrypoints.launchers.cli_args import (
        BaseFrontendArgs,
        make_arg_parser,
        validate_parsed_serve_args,
    )
    from vllm.logger import DEFAULT_LOGGING_CONFIG
    from vllm.platforms import current_platform
    from vllm.utils.argparse_utils import FlexibleArgumentParser
    from vllm.utils.cpu_resource_utils import get_memory_node_info, get_visible_memory_node

    class Parser(FlexibleArgumentParser):  # type: ignore[misc]
        def error(self, message: str) -> NoReturn:
            raise ModelLoadError(message)

    known = {field.name for kind in (AsyncEngineArgs, BaseFrontendArgs) for field in fields(kind)}
    memory = None
    if current_platform.is_cpu():
        memory = get_memory_node_info(get_visible_memory_node()[0]).available_memory
    line = vllm_arguments.command_line(spec, known=known, cpu_memory_bytes=memory)
    if "VLLM_LOGGING_CONFIG_PATH" not in os.environ:
        line.append(failures.option(DEFAULT_LOGGING_CONFIG))
    parsed = make_arg_parser(Parser()).parse_args(line)
    validate_parsed_serve_args(parsed)
    return parsed


@contextmanager
def _offline() -> Iterator[None]:
    """Nothing asks a model hub about a model that lies in a folder: neither this process nor its children."""
    from huggingface_hub import constants

    before, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, True
    try:
        with variables({"HF_HUB_OFFLINE": "1"}):
            yield
    finally:
        constants.HF_HUB_OFFLINE = before
