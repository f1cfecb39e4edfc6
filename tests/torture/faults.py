"""The kinds of faults. Each does its worst to a world in the middle of its work and leaves it alive."""

import os
import signal
import time
from collections.abc import Callable

from batch_app.disk.failpoints import NAMES
from tests.processes.scenarios import OF_API, OF_WORKER
from tests.torture.world import LOST_SECONDS, World
from tests.waiting import wait_until

Fault = Callable[[World], None]

_WORKER_LIFE_SECONDS = 1.2
_UPLOAD_SECONDS = 0.15
_LINES = 20
_RARE = (
    "release_lost",
    "register_worker",
    "return",
    "migrate",
    "expire",
    "fail",
    "keep",
    "delete",
    "file.removed",
)
# A process that stands still between BEGIN and COMMIT keeps everybody else from writing: it is not past its lease.
WORKER_POINTS = [name for name in OF_WORKER if not name.startswith(_RARE)]
STANDING_POINTS = [name for name in WORKER_POINTS if not name.endswith(".uncommitted")]
API_POINTS = [name for name in OF_API if not name.startswith((*_RARE, "address", "note", "cancel", "folder"))]
assert set(WORKER_POINTS) | set(API_POINTS) <= set(NAMES)


def kill_worker(world: World) -> None:
    world.pause(_WORKER_LIFE_SECONDS)
    world.system.kill(world.worker)
    world.start_worker()


def terminate_worker(world: World) -> None:
    world.pause(_WORKER_LIFE_SECONDS)
    world.system.stop(world.worker)
    world.start_worker()


def end_worker_at_a_failpoint(world: World) -> None:
    world.system.kill(world.worker)
    world.start_worker(failpoint=f"{world.chance.choice(WORKER_POINTS)}:exit:{world.chance.randint(1, 3)}")
    wait_until(lambda: world.worker.poll() is not None or world.has_ended(), what="the failpoint")
    world.system.kill(world.worker)
    world.start_worker()


def stop_worker_past_its_lease(world: World) -> None:
    """SIGSTOP anywhere, SIGCONT when another has taken over: then both live for a while."""
    world.pause(_WORKER_LIFE_SECONDS)
    late = world.worker
    late.send_signal(signal.SIGSTOP)
    _outlive(world, late)


def stop_worker_at_a_failpoint_past_its_lease(world: World) -> None:
    world.system.kill(world.worker)
    world.start_worker(failpoint=f"{world.chance.choice(STANDING_POINTS)}:stop:{world.chance.randint(1, 3)}")
    late = world.worker
    wait_until(lambda: late.stands_still or world.has_ended(), what="the failpoint")
    _outlive(world, late)


def _outlive(world: World, late: object) -> None:
    time.sleep(LOST_SECONDS)
    world.start_worker()
    world.pause(_WORKER_LIFE_SECONDS)
    late.send_signal(signal.SIGCONT)  # type: ignore[attr-defined]
    world.pause(_WORKER_LIFE_SECONDS)
    world.system.stop(late)  # type: ignore[arg-type]


def kill_api_in_an_upload(world: World) -> None:
    def deed() -> None:
        world.pause(_UPLOAD_SECONDS)
        world.system.kill(world.api)

    world.submit_while(deed, _LINES)


def end_api_at_a_failpoint(world: World) -> None:
    world.system.kill(world.api)
    world.start_api(failpoint=world.chance.choice(API_POINTS))
    world.submit_while(lambda: None, _LINES)


def terminate_api_in_an_upload(world: World) -> None:
    def deed() -> None:
        world.pause(_UPLOAD_SECONDS)
        world.system.stop(world.api)

    world.submit_while(deed, _LINES)


def stop_api_for_a_while(world: World) -> None:
    def deed() -> None:
        world.pause(_UPLOAD_SECONDS)
        world.api.send_signal(signal.SIGSTOP)
        world.pause(_WORKER_LIFE_SECONDS)
        world.api.send_signal(signal.SIGCONT)

    world.submit_while(deed, _LINES)


def kill_both_at_once(world: World) -> None:
    def deed() -> None:
        world.pause(_UPLOAD_SECONDS)
        for process in (world.worker, world.api):
            os.kill(process.pid, signal.SIGKILL)
        for process in (world.worker, world.api):
            process.wait()

    world.submit_while(deed, _LINES)


# How often each is drawn: SIGKILL of the worker is what R1 is about.
FAULTS: dict[str, tuple[Fault, int]] = {
    "worker SIGKILL": (kill_worker, 6),
    "worker SIGTERM": (terminate_worker, 2),
    "worker SIGSTOP past its lease, SIGCONT": (stop_worker_past_its_lease, 1),
    "worker _exit at a failpoint": (end_worker_at_a_failpoint, 3),
    "worker stopped at a failpoint past its lease": (stop_worker_at_a_failpoint_past_its_lease, 1),
    "API SIGKILL in an upload": (kill_api_in_an_upload, 3),
    "API SIGTERM in an upload": (terminate_api_in_an_upload, 1),
    "API SIGSTOP, SIGCONT in an upload": (stop_api_for_a_while, 1),
    "API _exit at a failpoint": (end_api_at_a_failpoint, 2),
    "worker and API SIGKILL at once": (kill_both_at_once, 2),
}
