from __future__ import annotations

import configparser
import shutil
import subprocess

import pytest

from deploy.render.artefact import write
from deploy.render.host import Site
from deploy.render.kind import Kind, render
from tests.deploy.render.golden import config


def unit(name, **sections):
    """A rendered unit as systemd reads it: section -> key -> all values, in order."""
    texts = {a.path: a.text for a in render(Kind.SYSTEMD, config(**sections), Site())}
    read = {}
    section = None
    for line in texts[name].splitlines():
        if line.startswith("["):
            section = read.setdefault(line.strip("[]"), {})
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            section.setdefault(key, []).append(value)
    return read


def test_a_restart_of_the_watchdog_leaves_the_replicas_running():
    service = unit("rankguard-watchdog.service")["Service"]

    assert service["KillMode"] == ["process"]
    assert service["OOMPolicy"] == ["continue"]
    # a private /tmp would be deleted under them, and limits would be inherited by them
    assert not {"PrivateTmp", "MemoryMax", "OOMScoreAdjust", "Nice"} & set(service)


def test_stopping_the_target_ends_the_replicas_after_the_watchdog():
    watchdog = unit("rankguard-watchdog.service")["Unit"]
    replicas = unit("rankguard-replicas.service")

    assert "rankguard-replicas.service" in watchdog["After"][0]
    assert replicas["Unit"]["PartOf"] == ["rankguard.target"]
    assert " stop " in replicas["Service"]["ExecStop"][0]


@pytest.mark.parametrize("name", ["rankguard-gateway.service", "rankguard-watchdog.service"])
def test_a_host_is_never_left_dead_by_a_start_limit(name):
    read = unit(name)

    assert read["Unit"]["StartLimitIntervalSec"] == ["0"]
    assert read["Service"]["Restart"] == ["always"]
    assert int(read["Service"]["RestartSec"][0]) >= 1


@pytest.mark.parametrize(
    ("poll_s", "expected"),
    [
        pytest.param(1.0, "15", id="the default: fifteen missed rounds"),
        pytest.param(0.05, "15", id="never less than a quarter of a minute"),
        pytest.param(10.0, "150", id="a slow loop gets longer"),
    ],
)
def test_the_silence_that_systemd_allows_follows_the_watchdogs_own_pace(poll_s, expected):
    service = unit("rankguard-watchdog.service", monitor={"poll_s": poll_s})["Service"]

    assert service["Type"] == ["notify"]
    assert service["WatchdogSec"] == [expected]


def test_a_host_without_cards_gets_no_device_nodes():
    with_cards = unit("rankguard-watchdog.service")["Service"]
    without = unit("rankguard-watchdog.service", monitor={"gpus": "none"})["Service"]

    assert "char-nvidia* rw" in with_cards["DeviceAllow"]
    assert without["DeviceAllow"] == ["/dev/kmsg r"]


def test_nothing_runs_as_root_or_may_become_root():
    for name in (
        "rankguard-gateway.service",
        "rankguard-watchdog.service",
        "rankguard-replicas.service",
    ):
        service = unit(name)["Service"]
        assert service["User"] == ["rankguard"]
        assert service["NoNewPrivileges"] == ["yes"]
        assert service["ProtectSystem"] == ["strict"]


def test_a_state_directory_elsewhere_is_opened_for_writing():
    service = unit("rankguard-gateway.service", service={"state_dir": "/srv/rankguard"})["Service"]

    assert service["ReadWritePaths"] == ["/srv/rankguard"]


def test_a_model_below_home_can_be_read_but_not_written():
    service = unit("rankguard-watchdog.service", engine={"model": "/home/ml/qwen3"})["Service"]

    assert service["ProtectHome"] == ["read-only"]


def test_the_systemd_actuator_gets_a_worker_template_and_the_right_to_use_it():
    names = {
        a.path: a.text
        for a in render(Kind.SYSTEMD, config(monitor={"actuator": "systemd"}), Site())
    }

    assert "rankguard-worker@.service" in names
    assert '"rankguard-worker@"' in names["50-rankguard.rules"]
    assert "rankguard-replicas.service" not in names


def test_the_units_are_ini_that_every_parser_reads(tmp_path):
    for path in write(render(Kind.SYSTEMD, config(), Site()), tmp_path):
        if path.suffix in {".service", ".target"}:
            parser = configparser.RawConfigParser(strict=False, comment_prefixes=("#",))
            parser.read(path)
            assert "Unit" in parser


def test_the_install_script_puts_every_file_in_its_place(tmp_path):
    source, root = tmp_path / "units", tmp_path / "root"
    write(render(Kind.SYSTEMD, config(), Site()), source)

    done = subprocess.run(
        ["sh", str(source / "install.sh")],
        env={"PATH": "/usr/bin:/bin", "DESTDIR": str(root)},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )

    assert done.returncode == (0 if shutil.which("systemctl") else 2), done.stderr
    if done.returncode == 0:
        placed = {path.name for path in root.rglob("*") if path.is_file()}
        assert {"rankguard-gateway.service", "rankguard.conf", "rankguard"} <= placed


@pytest.mark.parametrize("enabled", ["auto", False])
def test_the_playground_has_no_unit_unless_it_is_asked_for(enabled):
    rendered = {
        a.path: a.text for a in render(Kind.SYSTEMD, config(ui={"enabled": enabled}), Site())
    }

    assert "rankguard-ui.service" not in rendered
    assert not any("rankguard-ui" in text for text in rendered.values())


def test_the_playground_runs_beside_the_rest_and_cannot_harm_it():
    sections = {"ui": {"enabled": True, "port": 7861}}
    page = unit("rankguard-ui.service", **sections)
    target = unit("rankguard.target", **sections)["Unit"]
    texts = {a.path: a.text for a in render(Kind.SYSTEMD, config(**sections), Site())}

    assert "ui --config /etc/rankguard/rankguard.toml" in page["Service"]["ExecStart"][0]
    assert "127.0.0.1:7861" in page["Unit"]["Description"][0]
    assert page["Unit"]["StartLimitIntervalSec"] == ["0"]
    assert page["Service"]["Restart"] == ["always"]
    # wanted and never required: a page that cannot start stops nothing else
    assert "rankguard-ui.service" in target["Wants"][0].split()
    assert "Requires" not in target
    assert page["Service"]["User"] == ["rankguard"]
    # it reads the configuration and keeps nothing: no state directory is opened to it
    assert not {"StateDirectory", "ReadWritePaths", "DeviceAllow"} & set(page["Service"])
    assert (
        "put rankguard-ui.service /etc/systemd/system/rankguard-ui.service" in texts["install.sh"]
    )


@pytest.mark.real
@pytest.mark.parametrize("actuator", ["process", "systemd", "observe"])
def test_systemd_finds_nothing_wrong_with_the_units(tmp_path, actuator):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not here (apt package systemd)")
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "rankguard"
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    site = Site(prefix=tmp_path, user="root")  # verify knows only users that exist
    sections = {"monitor": {"actuator": actuator}, "ui": {"enabled": True}}
    paths = write(render(Kind.SYSTEMD, config(**sections), site), tmp_path)
    files = [str(path) for path in paths if path.suffix in {".service", ".target"}]

    verify = _run("systemd-analyze", "verify", "--recursive-errors=no", *files)

    assert (verify.returncode, verify.stderr.strip()) == (0, "")
    for path in files:
        if path.endswith(".service"):
            offline = ("security", "--offline=yes", "--no-pager", "--threshold=35", path)
            security = _run("systemd-analyze", *offline)
            assert security.returncode == 0, security.stdout


def _run(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_the_workers_unit_reads_what_the_actuator_writes():
    sections = {"monitor": {"actuator": "systemd"}}
    folder = str(config(**sections).monitor.unit_environment_dir)
    worker = unit("rankguard-worker@.service", **sections)["Service"]
    watchdog = unit("rankguard-watchdog.service", **sections)["Service"]

    assert worker["EnvironmentFile"] == [f"{folder}/%i.env"]
    assert "${RANKGUARD_GENERATION}" in worker["ExecStart"][0]
    assert '"${RANKGUARD_GPU}"' in worker["ExecStart"][0]
    assert worker["Restart"] == ["no"]
    assert f"/run/{watchdog['RuntimeDirectory'][0]}" == folder
