"""The systemd units are complete and valid, and nothing is installed unless somebody asks for it."""

import os
import pwd
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from batch_app.settings import PROJECT_DIR, Settings, load_settings
from scripts import install_service
from scripts.start import ENGINE_STOP_SECONDS

ME = pwd.getpwuid(os.getuid()).pw_name
NAMES = ["batch-api.service", "batch-web.service", "batch-worker.service"]
# What keeps a service that was broken into from the rest of the machine, whoever's manager runs it.
HARDENED = {
    "UMask": "0077",
    "LimitCORE": "0",
    "NoNewPrivileges": "yes",
    "RestrictSUIDSGID": "yes",
    "RestrictNamespaces": "yes",
    "RestrictRealtime": "yes",
    "LockPersonality": "yes",
    "RestrictAddressFamilies": "AF_UNIX AF_INET AF_INET6 AF_NETLINK",
}
# And what only the machine's own manager can do.
HARDENED_BY_ROOT = {
    "User": ME,
    "ProtectSystem": "strict",
    "PrivateTmp": "yes",
    "ProtectKernelTunables": "yes",
    "ProtectKernelModules": "yes",
    "ProtectKernelLogs": "yes",
    "ProtectControlGroups": "yes",
    "ProtectHostname": "yes",
    "CapabilityBoundingSet": "",
}


def planned(settings: Settings, *, system: bool) -> install_service.Plan:
    return install_service.plan(settings, {}, system=system, user=ME)


def directives(text: str) -> dict[str, str]:
    """The last value of each name; a line that is neither a section, a comment nor name=value fails."""
    found = {}
    for line in text.splitlines():
        if line and not line.startswith(("#", "[")):
            name, equals, value = line.partition("=")
            assert equals, line
            found[name] = value
    return found


@pytest.fixture(params=[True, False], ids=["system", "user"])
def units(request: pytest.FixtureRequest, settings: Settings) -> dict[str, str]:
    return {path.name: text for path, text in planned(settings, system=request.param).units.items()}


def test_every_service_restarts_whatever_ended_it_and_has_its_limits(units: dict[str, str]) -> None:
    assert sorted(units) == NAMES
    for text in units.values():
        unit = directives(text)
        assert (unit["Restart"], unit["KillMode"], unit["NoNewPrivileges"]) == ("always", "mixed", "yes")
        assert {"MemoryMax", "LimitNOFILE", "StartLimitBurst", "TimeoutStopSec", "UMask"} <= unit.keys()
        assert int(unit["StartLimitBurst"]) * int(unit["RestartSec"]) < int(unit["StartLimitIntervalSec"])


def test_nothing_is_left_to_fill_in(units: dict[str, str]) -> None:
    for text in units.values():
        assert "@" not in text
        unit = directives(text)
        assert unit["WorkingDirectory"] == str(PROJECT_DIR)
        assert shlex.split(unit["ExecStart"])[0] == sys.executable


@pytest.mark.parametrize("system", [True, False])
def test_only_what_the_environment_says_of_places_is_in_the_units_so_that_a_line_of_the_file_counts_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, system: bool
) -> None:
    def places() -> set[str]:
        made = install_service.plan(load_settings(), os.environ, system=system, user=ME)
        words = shlex.split("\n".join(made.units.values()), comments=True)
        return {word for word in words if word.startswith(("BATCH_DATA_DIR=", "BATCH_ENV_FILE="))}

    (tmp_path / ".env").write_text(f"BATCH_DATA_DIR={tmp_path}/of the file\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BATCH_ENV_FILE")
    assert places() == set()
    monkeypatch.setenv("BATCH_ENV_FILE", ".env")
    assert places() == {f"BATCH_ENV_FILE={tmp_path}/.env"}
    monkeypatch.setenv("BATCH_DATA_DIR", "of the file")
    assert places() == {f"BATCH_ENV_FILE={tmp_path}/.env", f"BATCH_DATA_DIR={tmp_path}/of the file"}


def test_the_worker_has_the_time_that_an_orderly_end_takes(settings: Settings) -> None:
    patient = settings.model_copy(update={"grace_seconds": 300})
    [text] = [text for path, text in planned(patient, system=True).units.items() if "worker" in path.name]
    assert int(directives(text)["TimeoutStopSec"]) > 300 + ENGINE_STOP_SECONDS


def test_every_service_is_hardened_in_every_respect(settings: Settings) -> None:
    for is_system, hardened in ((True, HARDENED | HARDENED_BY_ROOT), (False, HARDENED)):
        for path, text in planned(settings, system=is_system).units.items():
            assert hardened.items() - directives(text).items() == set(), path.name


def test_the_services_that_run_no_engine_are_bounded_and_the_pages_write_nothing(settings: Settings) -> None:
    units = {path.name: directives(text) for path, text in planned(settings, system=True).units.items()}
    assert {name for name, unit in units.items() if "TasksMax" in unit} == {
        "batch-api.service",
        "batch-web.service",
    }
    pages = units["batch-web.service"]
    assert pages["PrivateDevices"] == "yes"
    assert "ReadWritePaths" not in pages


def test_the_hardening_leaves_the_gpu_and_the_compiler_alone(settings: Settings) -> None:
    units = {path.name: directives(text) for path, text in planned(settings, system=True).units.items()}
    for name in ("batch-api.service", "batch-worker.service"):
        assert (
            not {"PrivateDevices", "ProtectClock", "DevicePolicy", "MemoryDenyWriteExecute"}
            & units[name].keys()
        )
        assert str(settings.data_dir) in units[name]["ReadWritePaths"]
    cache = f"{pwd.getpwnam(ME).pw_dir}/.cache"
    assert cache in units["batch-worker.service"]["ReadWritePaths"]
    assert f"TRITON_CACHE_DIR={cache}" in units["batch-worker.service"]["Environment"]


def test_a_users_manager_is_asked_for_nothing_that_only_root_can_do(settings: Settings) -> None:
    for text in planned(settings, system=False).units.values():
        assert not install_service.SYSTEM_ONLY & directives(text).keys()


def test_a_folder_with_a_space_or_a_percent_sign_stays_one_folder(settings: Settings) -> None:
    odd = settings.model_copy(update={"data_dir": Path("/srv/100% ours")})
    [text] = [text for path, text in planned(odd, system=True).units.items() if "api" in path.name]
    assert directives(text)["ReadWritePaths"] == '"/srv/100%% ours"'


@pytest.fixture
def odd_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In a folder whose name has a space and a percent sign, with a Python of its own."""
    checkout = tmp_path / "100% our batch"
    python = checkout / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    monkeypatch.setattr(install_service, "PROJECT_DIR", checkout)
    monkeypatch.setattr(sys, "executable", str(python))
    return checkout


def test_a_checkout_in_a_folder_with_a_space_starts_the_python_in_it(
    odd_checkout: Path, settings: Settings
) -> None:
    for text in planned(settings, system=True).units.values():
        [program, *_] = shlex.split(directives(text)["ExecStart"])
        assert program.replace("%%", "%") == f"{odd_checkout}/venv/bin/python"


def test_systemd_itself_finds_nothing_wrong(settings: Settings, tmp_path: Path) -> None:
    """Where there is one; the other tests say what they can without."""
    assert list(complaints(settings, tmp_path)) == []


def test_systemd_finds_nothing_wrong_with_a_checkout_in_a_folder_with_a_space(
    odd_checkout: Path, settings: Settings, tmp_path: Path
) -> None:
    assert list(complaints(settings, tmp_path)) == []


def complaints(settings: Settings, folder: Path) -> Iterator[str]:
    """What systemd says of the units."""
    checker = shutil.which("systemd-analyze")
    for system in (True, False):
        for path, text in planned(settings, system=system).units.items():
            unit = folder / path.name
            unit.write_text(text)
            if checker:
                scope = [] if system else ["--user"]
                environment = {**os.environ, "XDG_RUNTIME_DIR": str(folder)}
                ended = subprocess.run(
                    [checker, "verify", *scope, "--man=no", str(unit)],
                    capture_output=True,
                    text=True,
                    env=environment,
                    check=False,
                )
                yield from (line for line in ended.stderr.splitlines() if path.name in line)


def test_it_only_shows_what_it_would_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BATCH_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(install_service.subprocess, "run", lambda *_a, **_k: pytest.fail("a command was run"))
    monkeypatch.setattr(install_service, "apply", lambda *_a, **_k: pytest.fail("it was applied"))
    monkeypatch.setattr(sys, "argv", ["install_service", "--scope", "system"])
    assert install_service.main() == 0
    shown = capsys.readouterr().out
    assert "--- /etc/systemd/system/batch-worker.service" in shown
    assert f'"BATCH_DATA_DIR={tmp_path}/data"' in shown
    assert "systemctl enable batch-api.service batch-web.service batch-worker.service" in shown
    assert "Nothing was changed" in shown
    assert list(tmp_path.iterdir()) == []


def test_when_told_to_it_writes_the_units_and_starts_them(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = pwd.struct_passwd((ME, "x", os.getuid(), os.getgid(), "", str(tmp_path / "home"), "/bin/sh"))
    monkeypatch.setattr(install_service.pwd, "getpwnam", lambda _name: account)
    commands: list[list[str]] = []
    monkeypatch.setattr(install_service.subprocess, "run", lambda command, **_: commands.append(command))

    made = planned(settings, system=False)
    install_service.apply(made, owner=ME)

    folder = tmp_path / "home" / ".config" / "systemd" / "user"
    assert sorted(path.name for path in folder.iterdir()) == NAMES
    assert settings.data_dir.stat().st_mode & 0o777 == 0o700
    assert commands == made.commands
    assert commands[:3] == [
        ["systemctl", "--user", "daemon-reload"],
        ["systemctl", "--user", "enable", *NAMES],
        ["systemctl", "--user", "restart", *NAMES],  # what runs would go on with the unit it was started by
    ]
