"""Whatever clients, workers, crashes and clocks do, in any order, the promises of `promises.py` hold.

Each step is a rule below; hypothesis makes up the histories. `make test` runs the same bounded set each time; ever
different ones, with shrinking, as many as asked: `python -m tests.stateful --steps 10000`.
"""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, event
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from batch_app.api import housekeeping
from batch_app.api.errors import ApiError
from batch_app.database import Database
from batch_app.errors import (
    BatchNotCancellableError,
    ClaimLostError,
    FileInUseError,
    FileMissingError,
    QueueFullError,
)
from batch_app.states import FINAL_BATCH_STATES
from batch_app.store import admission, batches, claims
from batch_app.store.claims import Claim
from tests.deeds import DEEDS, Deed, bury, postpone, record
from tests.factories import everything, ledger
from tests.stateful.incarnation import BROKEN_MODEL, Incarnation, KilledError, Trouble, killed
from tests.stateful.promises import Promises
from tests.stateful.world import World

_MOST_WORKERS = 3
texts = st.lists(
    st.sampled_from(
        ["a", "b", "c", "d", "[[fail 400]]", "[[flaky 1]]", "[[flaky 9]]", "[[kill]]", "[[nonsense]]"]
    ),
    min_size=1,
    max_size=6,
)
models = st.sampled_from(["tiny", "tiny", "tiny", "other", BROKEN_MODEL])
windows = st.sampled_from([None, None, "1h", "24h"])
lifetimes = st.sampled_from([None, None, 3600])
places = st.integers(0, 11)
moments = st.integers(1, 8)
deaths = st.integers(1, 30)
few = st.integers(1, 4)
meanwhiles = st.sampled_from(
    [
        ["its lease ends", "a rival starts"],
        ["its lease ends", "a rival starts", "the rivals work"],
        ["its lease ends", "the rivals work"],
        ["the rivals work"],
        ["cancel"],
        ["cancel", "its lease ends", "a rival starts", "the rivals work"],
    ]
)
answers = st.sampled_from([0, 1, 2, 100])


REUSE: list[dict[str, bool]] = [{}, {"deduplicate": True}, {"use_cache": True, "deduplicate": True}]


def _must_fail(deed: Deed, database: Database, claim: Claim) -> None:
    try:
        deed(database, claim)
    except ClaimLostError:
        return
    raise AssertionError(f"late, and went through: {deed.__name__}")


class AnyHistory(RuleBasedStateMachine):
    """No rule has a precondition: which batch has ended and who stands still may depend on the machine's pace, and
    hypothesis wants to find the same choice of rules when it comes by again."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.promises = Promises(self.world.settings, self.world.texts)

    def _worker(self, at: int) -> Incarnation:
        """When nobody lives the operator has started somebody."""
        if not self.world.living:
            self.world.start_worker(elsewhere=False)
        return self.world.living[at % len(self.world.living)]

    def _batch(self, at: int) -> str:
        return list(self.world.texts)[-1 - at % len(self.world.texts)]

    def _order(self, deed: Callable[[], None]) -> None:
        try:
            deed()
        except QueueFullError:
            active = admission.queue_state(self.world.api.database).active_batches
            assert active == self.world.settings.max_active_batches
        except FileMissingError:
            event("the file went while a batch of it was accepted")
        except ApiError as error:
            if error.body["error"]["code"] != "input_file_deleted":
                raise

    @initialize(said=texts, with_the_living=st.booleans(), set_back=st.booleans())
    def begin(self, *, said: list[str], with_the_living: bool, set_back: bool) -> None:
        """Histories in which nothing is there to work, or nothing to work on, need not be long. How they come to rest
        is chosen here, too."""
        self.rest = {"with_the_living": with_the_living, "set_back": set_back}
        self.world.start_worker(elsewhere=False)
        self.world.submit(said, model="tiny")

    # clients

    @rule(said=texts, model=models, window=windows, priority=st.integers(0, 1), reuse=st.sampled_from(REUSE))
    def submit_a_form(
        self, said: list[str], model: str, window: str | None, priority: int, reuse: dict[str, bool]
    ) -> None:
        asked = {"model": model, "completion_window": window, "priority": priority, **reuse}
        self._order(lambda: self.world.submit(said, **asked))

    @rule(said=texts, model=models, window=windows, lifetime=lifetimes, deleted=st.booleans())
    def upload_and_create(
        self, *, said: list[str], model: str, window: str | None, lifetime: int | None, deleted: bool
    ) -> None:
        """`deleted`: somebody deletes the file while the batch of it is being accepted."""
        file_id = self.world.upload(said, model=model, lifetime=lifetime)
        if deleted:
            self.world.api_moments.do_at(2, lambda: self.world.delete_behind_the_api(file_id))
        self._order(lambda: self.world.create(file_id, said, completion_window=window))
        self.world.api_moments.nothing()

    @rule(said=texts, moment=st.integers(1, 2))
    def submit_to_an_api_that_dies(self, said: list[str], moment: int) -> None:
        """Before a transaction only: as an exception, death would have the API clear away what it has just stored."""
        self.world.api_moments.do_at(moment, killed)
        try:
            self._order(lambda: self.world.submit(said, model="tiny"))
        except KilledError:
            event("the API died while it accepted a batch")
        self.world.api_moments.nothing()
        self.restart_the_api()

    @rule(at=places)
    def cancel(self, at: int) -> None:
        self._cancel(self._batch(at))

    def _cancel(self, batch_id: str) -> None:
        try:
            batches.request_cancel(self.world.api.database, batch_id=batch_id, now=self.world.now)
        except BatchNotCancellableError:
            event("too late to cancel")

    @rule(at=places)
    def retry(self, at: int) -> None:
        if ended := self.world.ended_batches():
            self._order(lambda: self.world.retry(ended[at % len(ended)]))

    @rule(at=places, which=st.sampled_from(["input", "output", "error"]), api_dies=st.booleans())
    def delete_a_file(self, *, at: int, which: str, api_dies: bool) -> None:
        batch = batches.get_batch(self.world.api.database, batch_id=self._batch(at))
        file_id = getattr(batch, f"{which}_file_id")
        try:
            if file_id is not None:
                self.world.delete(file_id, api_dies=api_dies)
        except FileInUseError:
            event("a file in use was not deleted")
        except FileMissingError:
            event("a file was deleted twice")

    # the operator, and time

    @rule()
    def restart_the_api(self) -> None:
        self.world.stop_api()
        self.world.start_api()
        housekeeping.sweep(self.world.api, now=self.world.now)

    @rule(elsewhere=st.booleans())
    def start_a_worker(self, *, elsewhere: bool) -> None:
        if len(self.world.living) < _MOST_WORKERS:
            self.world.start_worker(elsewhere=elsewhere)

    @rule(seconds=st.sampled_from([1, 5, 61, 61, 301, 3601, 90_000]))
    def the_clock_goes_on(self, seconds: int) -> None:
        """Nobody had a turn meanwhile, and no worker a heartbeat: a suspended machine, or a clock that was set. The API
        is the first that looks at it."""
        self.world.now += seconds
        housekeeping.sweep(self.world.api, now=self.world.now)

    @rule(seconds=st.sampled_from([1, 61, 3601]))
    def the_clock_is_set_back(self, seconds: int) -> None:
        self.world.now -= seconds

    # workers

    @rule(at=places, turns=few, let_go=answers, beats=st.booleans())
    def work(self, *, at: int, turns: int, let_go: int, beats: bool) -> None:
        """A frozen one goes on where it stood."""
        worker = self._worker(at)
        for _ in range(turns):
            self.world.now += 1
            if beats:
                worker.beat(self.world.now)
            self.world.take_turn(worker, let_go=let_go)

    @rule()
    def everybody_works(self) -> None:
        """A while without faults."""
        for worker in self.world.living * 3:
            self.world.now += 1
            worker.beat(self.world.now)
            self.world.take_turn(worker, let_go=100)

    @rule(at=places, moment=moments)
    def freeze_in_a_turn(self, at: int, moment: int) -> None:
        worker = self._worker(at)
        if not worker.is_frozen:
            self.world.run(worker.turn_and_freeze(self.world.now, moment=moment))
            event("frozen" if worker.is_frozen else "a turn too short to freeze in")

    @rule(at=places, trouble=st.sampled_from(["database", "disk"]), moment=moments)
    def work_in_trouble(self, at: int, trouble: Trouble, moment: int) -> None:
        worker = self._worker(at)
        if not worker.is_frozen:
            self.world.run(worker.turn_in_trouble(self.world.now, trouble=trouble, moment=moment))

    @rule(at=places, moment=moments, meanwhile=meanwhiles)
    def pause_in_a_turn(self, at: int, moment: int, meanwhile: list[str]) -> None:
        """Frozen in the middle of a turn while the world goes on; then the turn goes on too."""
        worker = self._worker(at)
        if worker.is_frozen:
            return
        self.world.run(worker.turn_and_freeze(self.world.now, moment=moment))
        for deed in meanwhile:
            if deed == "its lease ends":
                self.world.now += self.world.settings.lost_seconds + 1
            elif deed == "a rival starts":
                self.world.start_worker(elsewhere=False)
            elif deed == "the rivals work":
                self._others_work(worker)
            else:
                self.cancel(at)
        self.world.run(worker.turn(self.world.now, let_go=2))

    def _others_work(self, but: Incarnation) -> None:
        for worker in [worker for worker in self.world.living if worker is not but] * 3:
            self.world.now += 1
            self.world.take_turn(worker, let_go=1)

    @rule(at=places, moment=moments, its_window_ends=st.booleans())
    def cancel_in_the_turn_that_ends_it(self, *, at: int, moment: int, its_window_ends: bool) -> None:
        """Everything is answered, or the window is over, also of one that nobody has begun."""
        worker = self._worker(at)
        if worker.is_frozen:
            return
        for _ in range(4):
            if not worker.has_last_answers:
                self.world.take_turn(worker, let_go=100)
        if its_window_ends:
            self._order(lambda: self.world.submit(["a"], model="tiny", completion_window="1h"))
            self.world.now += 3600
        self.world.run(worker.turn_and_freeze(self.world.now, moment=moment))
        for batch in batches.list_open_batches(self.world.api.database):
            if batch.worker_id == worker.id:
                self._cancel(batch.id)
        self.world.run(worker.turn(self.world.now))

    @rule(at=places, renewed=st.booleans())
    def a_late_worker_tries_everything(self, *, at: int, renewed: bool) -> None:
        """With a claim that is over, whoever has the batch now: another, nobody, or the same worker anew. It also
        claims what others have claimed or ended since it looked."""
        database, worker = self.world.api.database, self._worker(at)
        if renewed and not worker.is_frozen:
            self.world.run(worker.give_back())
            self.world.take_turn(worker, let_go=0)
        before = everything(database)
        if over := self.world.claims(held=False):
            late = over[at % len(over)]
            for deed in DEEDS:
                _must_fail(deed, database, late)
            claims.release_claim(database, claim=late)
        for batch in batches.list_batches(database, limit=100):
            if batch.worker_id is not None or batch.status in FINAL_BATCH_STATES:
                claim = claims.claim_batch(
                    database, batch_id=batch.id, worker_id=worker.id, now=self.world.now
                )
                assert claim is None, "claimed, though another has it or it has ended"
        assert everything(database) == before, "a late worker has changed something"

    @rule()
    def an_answer_comes_for_a_line_that_does_not_run(self) -> None:
        """Any more, or yet: whatever the worker's mistake, the ledger keeps what it has."""
        database = self.world.api.database
        before = everything(database)
        for claim in self.world.claims(held=True):
            batch = batches.get_batch(database, batch_id=claim.batch_id)
            if ledger(database, batch, "status")[0] != "running":
                for deed in (record, postpone, bury):
                    _must_fail(deed, database, claim)
        assert everything(database) == before, "a line that does not run has changed"

    @rule(at=places, moment=deaths)
    def die_in_a_turn(self, at: int, moment: int) -> None:
        worker = self._worker(at)
        self.world.let_die(worker, lambda: worker.turn_and_die(self.world.now, moment=moment))

    @rule(at=places)
    def die_between_turns(self, at: int) -> None:
        worker = self._worker(at)
        self.world.let_die(worker, worker.die)

    @rule(at=places)
    def stop(self, at: int) -> None:
        worker = self._worker(at)
        if not worker.is_frozen:
            self.world.let_die(worker, lambda: worker.stop(self.world.now))

    @rule(at=places)
    def the_engine_dies(self, at: int) -> None:
        if (engine := self._worker(at).engine) is not None:
            engine.kill()

    @invariant()
    def every_promise_is_kept(self) -> None:
        self.promises.check()

    def teardown(self) -> None:
        try:
            self.world.come_to_rest(**self.rest)
            self.world.sweep()
            self.promises.at_rest()
        finally:
            self.promises.close()
            self.world.close()


# The same histories each time, so that a failure is about the change at hand; it is shown as it was found, at once.
# Each run of `python -m tests.stateful` makes up others, and shrinks what it finds to the steps that matter.
ANY = hypothesis_settings(
    deadline=None, database=None, suppress_health_check=list(HealthCheck), report_multiple_bugs=False
)
TestAnyHistory = AnyHistory.TestCase
TestAnyHistory.settings = hypothesis_settings(
    ANY, max_examples=60, stateful_step_count=30, derandomize=True, phases=[Phase.generate]
)
TestAnyHistory.pytestmark = [pytest.mark.timeout(600)]
