"""How far hypothesis goes. Profiles are named on the command line: `--hypothesis-profile=long`."""

import pytest
from hypothesis import HealthCheck, Phase, settings

from batch_app.processing import heartbeat, recover

_ANY = {"deadline": None, "suppress_health_check": list(HealthCheck), "report_multiple_bugs": False}

# The same histories each time, so that a failure is about the change at hand; it is shown as it was found, at once.
settings.register_profile(
    "bounded",
    max_examples=40,
    stateful_step_count=30,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    **_ANY,
)
# Ever new ones, 10,000 steps of them; a failure is shrunk to the steps that matter.
settings.register_profile(
    "long",
    max_examples=200,
    stateful_step_count=50,
    phases=[Phase.reuse, Phase.generate, Phase.shrink],
    **_ANY,
)


@pytest.fixture(autouse=True)
def _quick_and_quiet(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Looking through the machine's processes takes longer than a turn, and there are none to find. A failure is told
    by its steps; thousands of log lines of other histories would bury them."""
    monkeypatch.setattr(heartbeat, "resident_bytes", lambda _pid: 0)
    monkeypatch.setattr(recover, "kill_until_gone", lambda _worker_id: None)
    caplog.set_level("CRITICAL", logger="batch_app")
