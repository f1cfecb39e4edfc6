"""What every stage is given: the options, a folder, the noise rule, and whatever has a model loaded.

A model is loaded once by the system and once by each yardstick, and used by all stages that want the same engine. A
GPU holds one engine at a time: there, whatever is asked next takes the place of what was loaded.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

from scripts.bench.children import Yardstick
from scripts.bench.quiet import NoiseRule
from scripts.bench.system import System
from scripts.bench.workloads import Prompt, uniform, write_lines

# Gets ready, loading a model where that is needed, and gives what then takes the time.
Contestant = Callable[[], Callable[[], float]]
_WARM_UP = 16
# vLLM's own choice of cores, as if nobody had set it.
AUTO_BINDING = {"VLLM_CPU_OMP_THREADS_BIND": "auto"}


@dataclass(frozen=True)
class Sizes:
    """How much work the rows are made of. The full sizes are the targets' own."""

    name: str
    pairs: int
    bulk_lines: int
    bulk_bytes: int
    prompts: int
    prefix_groups: int
    tail_prompts: int
    small_batch: int
    idle_seconds: float


FULL = Sizes("full", 3, 50_000, 200_000_000, 512, 40, 256, 64, 30)
SHORT = Sizes("short", 1, 50_000, 200_000_000, 128, 16, 96, 32, 10)
TINY = Sizes("tiny", 1, 60, 60_000, 4, 2, 12, 2, 0.2)


@dataclass(frozen=True)
class Options:
    """What the command line asks for. `engine` is "vllm", or "echo" to try the stages without a model."""

    sizes: Sizes
    model: str
    source: str  # a folder or a hub id
    engine_arguments: dict[str, Any]
    engine: str = "vllm"
    on_gpu: bool = False
    tries: int = 3


class _Loaded(Protocol):
    def stop(self) -> None: ...


_T = TypeVar("_T", bound=_Loaded)


@dataclass
class Bench:
    """`system` starts one that ends with its block; `served` and `yardstick` are kept until `close`."""

    options: Options
    folder: Path
    say: Callable[[str], None]
    noise: NoiseRule = field(init=False)
    last_data: Path = Path()  # the data folder of the system that had the model loaded last
    _loaded: dict[str, _Loaded] = field(default_factory=dict)
    _folders: int = 0

    def __post_init__(self) -> None:
        self.noise = NoiseRule(tries=self.options.tries, say=self.say)

    def new_folder(self) -> Path:
        self._folders += 1
        folder = self.folder / f"{self._folders:03d}"
        folder.mkdir(parents=True)
        return folder

    def file(self, prompts: Sequence[Prompt]) -> Path:
        """The prompts behind a number of their own: no engine has any of them in its prefix cache."""
        folder = self.new_folder()
        numbered = [replace(prompt, text=f"{folder.name} {prompt.text}") for prompt in prompts]
        return write_lines(folder / "lines.jsonl", numbered, self.options.model)

    def in_turn(self, contestants: Mapping[str, Contestant]) -> tuple[dict[str, list[float]], float]:
        """Each one's seconds, measured A B C, A B C, … under the noise rule, and the largest share others took."""
        seconds: dict[str, list[float]] = {name: [] for name in contestants}
        others = 0.0
        for _ in range(self.options.sizes.pairs):
            for name, ready in contestants.items():
                run = self.noise.run(name, ready())
                seconds[name].append(run.value)
                others = max(others, run.others)
        return seconds, others

    def batch(
        self, prompts: Sequence[Prompt], fields: Mapping[str, str] | None = None, **arguments: Any
    ) -> Contestant:
        """One batch through the system, "accepted" to "completed"."""
        return self.batches([prompts], fields, **arguments)

    def batches(
        self, parts: Sequence[Sequence[Prompt]], fields: Mapping[str, str] | None = None, **arguments: Any
    ) -> Contestant:
        """Several, sent one after the other: the first "accepted" to the last "completed"."""

        def ready() -> Callable[[], float]:
            system, model = self.served(**arguments), self.options.model
            return lambda: system.answer(*map(self.file, parts), model=model, fields=fields)

        return ready

    def compared(
        self,
        kind: str,
        prompts: Sequence[Prompt],
        *,
        chunk: int = 0,
        environment: Mapping[str, str] | None = None,
        **arguments: Any,
    ) -> Contestant:
        """The same with a yardstick, `chunk` requests at a time."""

        def ready() -> Callable[[], float]:
            yardstick = self.yardstick(kind, environment=environment, **arguments)
            return lambda: yardstick.seconds(self.file(prompts), chunk=chunk)

        return ready

    @contextmanager
    def system(self, *names: str, settings: Mapping[str, str] | None = None) -> Iterator[System]:
        """A fresh one with the echo engine; `names` as in `System.start`."""
        system = System(self.new_folder(), settings={"ENGINE": "echo", **(settings or {})})
        try:
            system.start(*names)
            yield system
        finally:
            system.stop()

    def served(self, **arguments: Any) -> System:
        """A system that has the model loaded with these engine arguments on top of the options', and is warm."""

        def start() -> System:
            folder = self.new_folder()
            models = folder / "models.toml"
            models.write_text(_models_file(self.options, arguments))
            settings = {"ENGINE": self.options.engine, "MODELS_FILE": str(models), "REQUIRE_GPU": "0"}
            system = System(folder, settings=settings)
            with ExitStack() as undo:
                undo.callback(system.stop)
                system.start()
                system.answer(self.file(uniform(_WARM_UP, output_tokens=8)), model=self.options.model)
                undo.pop_all()
            self.last_data = system.data
            return system

        return self._kept("system", arguments, start)

    def yardstick(
        self, kind: str, *, environment: Mapping[str, str] | None = None, **arguments: Any
    ) -> Yardstick:
        """One that has the model loaded and is warm; `arguments` as for `served`, None leaves one out. A second one
        of a kind has a name behind a dash."""

        name = kind if self.options.engine == "vllm" else "echo"
        kind = name.partition("-")[0]

        def start() -> Yardstick:
            given = {"model": self.options.source, **self.options.engine_arguments, **arguments}
            if kind == "run_batch":
                given["served_model_name"] = self.options.model
            given = {name: value for name, value in given.items() if value is not None}
            process = Yardstick(
                kind,
                given,
                log=self.new_folder() / "log",
                environment=environment,
            )
            with ExitStack() as undo:
                undo.callback(process.stop)
                process.seconds(self.file(uniform(_WARM_UP, output_tokens=8)))
                undo.pop_all()
            return process

        return self._kept(name, (arguments, environment), start)

    def close(self) -> None:
        for loaded in self._loaded.values():
            loaded.stop()
        self._loaded.clear()

    def _kept(self, kind: str, asked: object, start: Callable[[], _T]) -> _T:
        key = f"{kind} {asked if self.options.engine == 'vllm' else ''}"
        if key not in self._loaded:
            if self.options.on_gpu:
                self.close()
            else:  # another engine of this kind is not needed any more
                for other in [other for other in self._loaded if other.split()[0] == kind]:
                    self._loaded.pop(other).stop()
            self.say(f"loading the model: {key}")
            self._loaded[key] = start()
        return cast("_T", self._loaded[key])


def _models_file(options: Options, arguments: Mapping[str, Any]) -> str:
    """The models file's one entry."""
    engine = {**options.engine_arguments, **arguments}
    place = f"path = {json.dumps(options.source)}\n" if Path(options.source).is_absolute() else ""
    table = "".join(f"{name} = {_toml(value)}\n" for name, value in engine.items())
    return f"[[models]]\nname = {json.dumps(options.model)}\n{place}[models.engine]\n{table}"


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {_toml(inner)}" for name, inner in value.items()) + " }"
    return json.dumps(value)
