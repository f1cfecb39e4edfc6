"""What the engine did while it had requests of a batch: sums that the worker adds to and the batch keeps. Pure."""

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class EngineUsage:
    """Sums over the seconds in which requests of the batch were in flight. Other batches may have been there too."""

    seconds: float = 0.0
    full_seconds: float = 0.0  # further requests waited inside the engine for a slot or for room in its cache
    running_seconds: float = 0.0  # of every request that it worked on
    cache_seconds: float = 0.0  # weighted by the used share of its cache, 0 to 1
    preemptions: int = 0

    def as_json(self) -> str:
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> "EngineUsage":
        return EngineUsage(**json.loads(text))
