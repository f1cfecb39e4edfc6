"""The doctor names what is wrong and what to do, and nothing that is broken breaks the doctor."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pynvml
import pytest

from batch_app.disk.files import sha256_of
from batch_app.settings import PROJECT_DIR, Settings
from batch_app.store import workers
from scripts import kernels
from scripts import setup as set_up
from scripts.doctor import data, machine, setup
from scripts.doctor.__main__ import diagnose, look_at, main
from scripts.doctor.findings import Finding
from tests import factories, scripted_build, scripted_gpu
from tests.api.served import Api
from tests.processes.system import free_port
from tests.stuck_reader import stuck_reader

Diagnose = Callable[[], list[Finding]]


def _ports() -> dict[str, int]:
    """Not the usual ones, on which the developer's own system may listen."""
    return {"API_PORT": free_port(), "WEB_PORT": free_port()}


@pytest.fixture
def patient(api: Api, monkeypatch: pytest.MonkeyPatch) -> Api:
    """A data folder with a finished batch and one to be worked on, and a doctor who looks at it."""
    found = {
        "DATA_DIR": api.settings.data_dir,
        "ENGINE": "echo",
        **_ports(),
    }
    for name, value in found.items():
        monkeypatch.setenv(f"BATCH_{name}", str(value))
    api.finished(3)
    return api


def found(level: str, subject: str) -> list[str]:
    return [f"{f.text}: {f.advice}" for f in diagnose() if (f.level, f.subject) == (level, subject)]


def bad() -> list[Finding]:
    return [finding for finding in diagnose() if finding.level == "bad"]


def doctor(*arguments: str, **environment: str) -> tuple[int, list[dict[str, Any]]]:
    """The command itself: its status and its findings. A traceback fails the test."""
    command = [sys.executable, *arguments, "-m", "scripts.doctor", "--json"]
    ended = subprocess.run(
        command,
        cwd=PROJECT_DIR,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stderr == ""
    return ended.returncode, [json.loads(line) for line in ended.stdout.splitlines()]


def test_a_healthy_system_has_nothing_bad(patient: Api) -> None:
    patient.register_worker(state="idle")
    assert bad() == []
    assert found("ok", "database")
    assert found("ok", "files")[0].startswith("2, ")


def test_before_the_first_start_there_is_nothing_bad_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"DATA_DIR": tmp_path / "data", "ENGINE": "echo", **_ports()}.items():
        monkeypatch.setenv(f"BATCH_{name}", str(value))
    assert bad() == []
    assert not (tmp_path / "data").exists()


def test_every_finding_that_is_not_ok_says_what_to_do(patient: Api) -> None:
    patient.accepted(3)
    assert all(finding.advice for finding in diagnose() if finding.level != "ok")


@pytest.mark.parametrize(
    "content", [b"this is no database" * 1000, b"", b"SQLite format 3\0" + b"\xff" * 9000]
)
def test_a_damaged_database_is_a_finding(patient: Api, content: bytes) -> None:
    for path in patient.settings.data_dir.glob("batch.db*"):
        path.unlink()
    patient.settings.database_path.write_bytes(content)
    subjects = {finding.subject for finding in diagnose() if finding.level != "ok"}
    assert subjects & {"database", "schema"}


def test_a_damaged_page_is_found(patient: Api) -> None:
    with patient.database.read() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    with patient.settings.database_path.open("r+b") as database:
        size = database.seek(0, 2)
        for page in range(4096 * 3, size - 4096, 4096 * 2):
            database.seek(page)
            database.write(b"\xff" * 2048)
    assert any("docs/operations.md" in text for text in found("bad", "database"))


def test_secrets_that_others_can_read_are_named_whatever_their_file_is_called(
    patient: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = tmp_path / "second.env"
    secrets.write_text("BATCH_API_KEY=of-the-file\n")
    secrets.chmod(0o644)
    monkeypatch.setenv("BATCH_ENV_FILE", str(secrets))
    assert found("warn", "settings") == [f"{secrets} can be read by others: `chmod 600 {secrets}`"]


@pytest.mark.parametrize(
    ("mode", "level"), [(0o700, "ok"), (0o755, "warn"), (0o710, "warn"), (0o704, "warn")]
)
def test_a_data_folder_that_others_can_look_into_is_warned_of(tmp_path: Path, mode: int, level: str) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    folder.chmod(mode)
    last = list(machine.folders(folder))[-1]
    assert (last.level, last.advice) == (level, f"`chmod 700 {folder}`" if level == "warn" else "")


def test_a_setting_that_nobody_understands_is_a_finding_and_the_rest_is_looked_at(tmp_path: Path) -> None:
    status, findings = doctor(BATCH_API_PROT="4081", BATCH_DATA_DIR=str(tmp_path))
    assert status == 1
    [settings] = [finding for finding in findings if finding["subject"] == "settings"]
    assert "BATCH_API_PROT" in settings["text"]
    assert "disk" in {finding["subject"] for finding in findings}


def test_without_its_packages_it_says_so_and_looks_at_the_rest(tmp_path: Path) -> None:
    status, findings = doctor("-S", BATCH_DATA_DIR=str(tmp_path))
    assert status == 1
    [packages] = [finding for finding in findings if finding["subject"] == "packages"]
    assert packages["advice"] == "`make setup`"
    assert {"disk", "memory", "folders"} <= {finding["subject"] for finding in findings}


def test_a_look_that_fails_is_a_finding() -> None:
    def broken() -> Iterator[Finding]:
        yield Finding("ok", "gpu", "so far")
        raise RuntimeError("no such\ndevice")

    last = list(look_at("gpu", broken))[-1]
    assert (last.level, last.text) == ("bad", "could not be looked at: RuntimeError: no such device")


def test_the_status_is_1_if_something_is_bad_and_the_lines_are_counted(
    patient: Api, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["doctor"])
    assert main() == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("0 bad")
    for worker in workers.living_workers(patient.database):
        workers.stop_worker(patient.database, worker_id=worker.id, now=time.time())
    patient.accepted(3)
    assert main() == 1
    out = capsys.readouterr().out
    assert "bad   worker      none that works, and batches wait: 1: `make worker`" in out.splitlines()


def test_a_port_held_by_another_program_is_bad(patient: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        monkeypatch.setenv("BATCH_API_PORT", str(port))
        [text] = found("bad", "ports")
    assert f"{port}: held by pid {os.getpid()}" in text
    assert "BATCH_API_PORT" in text


def test_a_worker_that_died_without_a_word_and_its_claim_are_named(patient: Api) -> None:
    batch = factories.accept(patient.database)
    worker_id = factories.start_worker(
        patient.database, host=socket.gethostname(), pid=os.getpid(), process_started_at=0.0, now=time.time()
    )
    factories.claim(patient.database, batch, worker_id=worker_id)
    assert f"{worker_id} died without a word" in found("warn", "worker")[0]
    workers.stop_worker(patient.database, worker_id=worker_id, now=time.time())
    assert batch.id in found("warn", "claims")[0]


def test_a_silent_worker_is_named(patient: Api) -> None:
    patient.register_worker(age_seconds=45)
    assert "heartbeat 45 s ago" in found("warn", "worker")[0]


def test_an_engine_whose_worker_is_gone_is_bad_unless_it_is_of_another_data_folder(patient: Api) -> None:
    gone = factories.start_worker(patient.database)
    workers.stop_worker(patient.database, worker_id=gone, now=time.time())
    for owner, is_ours in ((gone, True), ("worker_of_others", False)):
        with subprocess.Popen(["sleep", "60"], env={**os.environ, "INFERENCE_OWNER": owner}) as orphan:
            try:
                assert any(str(orphan.pid) in text for text in found("bad", "engine")) == is_ours
            finally:
                orphan.kill()


def test_a_look_that_takes_minutes_makes_no_heartbeat_of_the_future(
    patient: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead, clock = [0.0], time.time
    monkeypatch.setattr(time, "time", lambda: clock() + ahead[0])

    def look_at_a_slow_engine(_settings: Settings) -> Iterator[Finding]:
        ahead[0] += 120
        patient.register_worker(state="idle")
        yield Finding("ok", "engine", "torch")

    monkeypatch.setattr(setup, "engine", look_at_a_slow_engine)
    findings = list(diagnose())
    assert [finding for finding in findings if finding.level == "bad"] == []
    [worker] = [finding.text for finding in findings if (finding.level, finding.subject) == ("ok", "worker")]
    assert re.search(r"heartbeat \d+ s ago", worker), worker


def test_a_heartbeat_that_comes_while_it_looks_is_of_now(patient: Api) -> None:
    worker_id = patient.register_worker(age_seconds=-50, state="idle")
    [worker] = [text for text in found("ok", "worker") if worker_id in text]
    assert "heartbeat 0 s ago" in worker


def test_a_missing_file_is_bad_and_so_is_one_cut_off(patient: Api) -> None:
    one, other = (path for path in patient.settings.files_dir.iterdir())
    one.unlink()
    other.write_bytes(other.read_bytes()[:-1])
    [text] = found("bad", "files")
    assert one.name in text
    assert other.name in text
    assert "backup" in text


def test_a_file_of_zeros_has_the_right_size_and_is_found_by_who_reads_it(
    patient: Api, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["doctor", "--deep"])
    assert main() == 0
    assert "every byte as published" in capsys.readouterr().out
    path = next(patient.settings.files_dir.iterdir())
    path.write_bytes(bytes(path.stat().st_size))
    assert main() == 1
    assert (
        f"missing, cut off or damaged: files/{path.name}: take them from a backup" in capsys.readouterr().out
    )
    assert "of the right size" in found("ok", "files")[0], "which is all that a quick look tells"


def test_a_file_that_is_deleted_while_it_looks_is_missed_by_nobody(
    patient: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_id = patient.batch(patient.finished(3))["output_file_id"]

    def deleted_first(path: Path) -> str:
        patient.delete(f"/v1/files/{file_id}")
        return sha256_of(path)

    monkeypatch.setattr(data, "sha256_of", deleted_first)
    assert [finding for finding in diagnose(deep=True) if finding.level == "bad"] == []


def test_a_batch_that_ends_while_it_looks_has_its_answers_elsewhere(
    patient: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch_id = patient.accepted(5)
    patient.work(answers=3)

    def ended_first(*_: Any) -> Iterator[bytes]:
        patient.work()
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(data, "read_stream", ended_first)
    assert bad() == []
    assert patient.batch(batch_id)["status"] == "completed"


def test_lost_answers_of_an_unfinished_batch_are_bad(patient: Api) -> None:
    batch_id = patient.accepted(5)
    patient.work(answers=3)
    [log] = (patient.settings.work_dir / batch_id).iterdir()
    log.write_bytes(log.read_bytes()[:-10])
    assert batch_id in found("bad", "files")[0]


def test_whoever_keeps_the_log_from_being_cut_is_named(patient: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    assert found("warn", "database") == []
    monkeypatch.setattr(data, "WAL_LIMIT_BYTES", 0)
    with stuck_reader(patient.settings.database_path) as pid:
        [text] = found("warn", "database")
        assert f"and grows: pid {pid} (python" in text
        assert f"`kill {pid}`" in text
    [text] = found("warn", "database")
    assert "grows" not in text


def test_a_clock_that_was_set_back_is_bad(patient: Api) -> None:
    with patient.database.write() as connection:
        connection.exec_driver_sql("UPDATE batches SET created_at = created_at + 7200")
    assert "set back" in found("bad", "clock")[0]


def test_leftovers_are_named(patient: Api) -> None:
    stray = patient.settings.temp_dir / "file-1.part"
    stray.write_bytes(b"{}")
    os.utime(stray, (0, 0))
    assert "tmp/file-1.part" in found("warn", "leftovers")[0]


def test_an_older_schema_is_bad(patient: Api) -> None:
    with patient.database.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
    assert "`make backup`, `make migrate`" in found("bad", "schema")[0]


def test_a_sqlite_that_can_corrupt_the_database_is_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    levels = {}
    for number in ((3, 40, 1), (3, 51, 2), (3, 51, 3), (3, 53, 4)):
        monkeypatch.setattr(data.dbapi2, "sqlite_version_info", number)
        levels[number] = next(data.sqlite()).level
    assert list(levels.values()) == ["bad", "bad", "ok", "ok"]


def test_a_network_file_system_and_one_in_memory_are_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = (
        "22 1 254:0 / / rw shared:1 - ext4 /dev/vda rw\n"
        "40 22 0:30 / /mnt/my\\040data rw - nfs4 server:/data rw\n"
        "41 22 0:31 / /dev/shm rw - tmpfs tmpfs rw\n"
    )
    kinds = [
        machine.file_system_of(Path(p), mounts)
        for p in ("/home/x", "/mnt/my data/x", "/mnt/my", "/dev/shm/y")
    ]
    assert kinds == ["ext4", "nfs4", "ext4", "tmpfs"]
    for kind, level in (("ext4", "ok"), ("nfs4", "warn"), ("fuse.sshfs", "warn"), ("tmpfs", "warn")):
        monkeypatch.setattr(machine, "file_system_of", lambda *_, kind=kind: kind)
        assert next(machine.file_system(Path("/"))).level == level


def test_little_room_is_warned_of_and_none_is_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    def level(free: int) -> str:
        monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: type("usage", (), {"free": free}))
        return next(machine.disk(Path("/"))).level

    assert [level(free) for free in (10 * 1024**2, 1024**3, 10 * 1024**3)] == ["bad", "warn", "ok"]


NO_DRIVER: Any = {"nvmlInit": pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)}
Gpu = Callable[..., list[tuple[str, str]]]


@pytest.fixture
def gpu(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Gpu:
    """What is found of a card whose driver says this: levels and texts. `is_there`: its device file is."""
    monkeypatch.setattr(setup, "_DEVICES", {tmp_path: "nvidia[0-9]*"})

    def look(*, is_there: bool = True, is_required: bool = False, **readings: Any) -> list[tuple[str, str]]:
        if is_there:
            (tmp_path / "nvidia0").touch()
        scripted_gpu.script(monkeypatch, **readings)
        asked = settings.model_copy(update={"require_gpu": is_required, "gpu_max_temperature_c": 85})
        findings = list(setup.gpu(asked))
        assert all(finding.advice for finding in findings if finding.level != "ok")
        return [(finding.level, finding.text) for finding in findings]

    return look


def test_a_gpu_in_order_is_named_with_its_memory_and_its_driver(gpu: Gpu) -> None:
    assert gpu() == [
        ("ok", "NVIDIA GeForce RTX 4080, 15.0 GiB of 16.0 GiB in use"),
        ("ok", "driver 580.95.05"),
    ]


def test_a_gpu_that_is_too_hot_is_warned_of(gpu: Gpu) -> None:
    [(level, text), (of_driver, _)] = gpu(nvmlDeviceGetTemperature=86)
    assert (level, of_driver) == ("warn", "ok")
    assert "86 °C" in text
    assert gpu(nvmlDeviceGetTemperature=85)[0][0] == "ok"


@pytest.mark.parametrize(("version", "level"), [("579.99", "warn"), ("580.0", "ok"), ("1000.1", "ok")])
def test_a_driver_that_is_older_than_the_build_of_torch_wants_is_warned_of(
    gpu: Gpu, version: str, level: str
) -> None:
    assert gpu(nvmlSystemGetDriverVersion=version)[-1] == (level, f"driver {version}")


@pytest.mark.parametrize(
    "lost",
    [
        {"nvmlInit": pynvml.NVMLError(pynvml.NVML_ERROR_DRIVER_NOT_LOADED)},
        {"nvmlDeviceGetHandleByIndex": pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)},
    ],
)
def test_a_gpu_whose_driver_is_lost_is_bad_whether_one_is_required_or_not(gpu: Gpu, lost: Any) -> None:
    found = [("bad", "there is one, and its driver does not answer")]
    assert gpu(**lost) == gpu(is_required=True, **lost) == found


def test_no_gpu_is_bad_only_where_one_is_required(
    gpu: Gpu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    none = {**NO_DRIVER, "is_there": False}
    scripted_build.install(monkeypatch, tmp_path / "cpu", scripted_build.CPU)
    assert gpu(**none) == [("ok", "none: the engine runs on the CPU")]
    assert gpu(is_required=True, **none) == [("bad", "there is none, and BATCH_REQUIRE_GPU is set")]
    scripted_build.install(monkeypatch, tmp_path / "cuda", scripted_build.CUDA)
    assert gpu(**none) == [("ok", "none")], "where the engine runs is not for this look to say"


Engine = Callable[..., Finding]


@pytest.fixture
def engine(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """What is found of an engine whose torch says this of itself: its number, its CUDA, whether that is available."""

    def look(torch: str) -> Finding:
        monkeypatch.setattr(setup, "_TORCH", f"print({torch!r})")
        [finding] = setup.engine(settings.model_copy(update={"engine": "vllm"}))
        return finding

    return look


def test_a_build_for_a_gpu_without_one_is_bad(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a reboot into a kernel for which the driver's module was not built: no batch could be computed."""
    scripted_gpu.script(monkeypatch, **NO_DRIVER)
    scripted_build.install(monkeypatch, tmp_path / "cuda", scripted_build.CUDA)
    found = engine("2.13.0 13.0 False")
    assert (found.level, found.text) == (
        "bad",
        "torch 2.13.0 for CUDA 13.0, built for a GPU and none answers",
    )
    assert found.advice == "`nvidia-smi`, or `VARIANT=cpu make setup`"
    scripted_build.install(monkeypatch, tmp_path / "cpu", scripted_build.CPU)
    assert engine("2.13.0+cpu None False") == Finding("ok", "engine", "torch 2.13.0+cpu")


def test_a_gpu_that_the_build_cannot_use_is_bad(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the driver came after set-up, or is too old."""
    scripted_gpu.script(monkeypatch)
    scripted_build.install(monkeypatch, tmp_path / "cpu", scripted_build.CPU)
    found = engine("2.13.0+cpu None False")
    assert (found.level, found.advice) == ("bad", "`make setup VARIANT=gpu`")
    scripted_build.install(monkeypatch, tmp_path / "cuda", scripted_build.CUDA)
    found = engine("2.13.0 13.0 False")
    assert (found.level, found.advice) == ("bad", "update NVIDIA's driver")


def test_a_gpu_whose_kernels_cannot_be_compiled_is_warned_of_with_what_is_missing(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted_gpu.script(monkeypatch)
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(kernels.shutil, "which", lambda name: "/usr/bin/gcc" if name == "gcc" else None)
    monkeypatch.setattr(kernels.sysconfig, "get_path", lambda *_: str(tmp_path))
    found = engine("2.13.0 13.0 True")
    assert (found.level, found.text.partition("; ")[2]) == (
        "warn",
        "no Python.h, which vLLM needs for its kernels",
    )
    assert f"gcc python{sys.version_info.major}.{sys.version_info.minor}-dev" in found.advice
    monkeypatch.setattr(kernels.shutil, "which", lambda _: None)
    assert "; no C compiler, no Python.h, " in engine("2.13.0 13.0 True").text
    (tmp_path / "Python.h").touch()
    assert "; no C compiler, which" in engine("2.13.0 13.0 True").text


def test_set_up_warns_of_the_same(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(set_up.steps, "succeeds", lambda _: True)
    monkeypatch.setattr(kernels, "missing", lambda: "no Python.h")
    set_up._warn_about_gpu()
    assert (
        "warning: no Python.h, which vLLM needs to compile GPU kernels: `apt-get install gcc"
        in capsys.readouterr().out
    )
    monkeypatch.setattr(kernels, "missing", str)
    set_up._warn_about_gpu()
    assert capsys.readouterr().out == ""
