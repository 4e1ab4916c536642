from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys

import pytest

from deploy.config import Config
from deploy.doctor.finding import Finding
from deploy.doctor.host import (
    check_clock,
    check_disk,
    check_files,
    check_host,
    check_kernel_log,
    check_memory,
    check_port,
    check_shared_memory,
    check_state_dir,
    read_clock,
)
from tests.waiting import free_port, until

Level = Finding.Level


def test_a_host_on_which_everything_can_start_has_no_failure(tmp_path):
    config = Config.model_validate(
        {
            "service": {"state_dir": str(tmp_path / "state"), "port": free_port()},
            "monitor": {"port": free_port()},
        }
    )

    assert {finding.level for finding in check_host(config)} == {Level.OK}


def test_a_state_directory_below_a_file_is_a_failure_with_its_fix(tmp_path):
    (tmp_path / "file").write_text("")

    finding = check_state_dir(tmp_path / "file" / "state")

    assert finding.level is Level.FAIL
    assert "state_dir" in finding.fix


def test_a_taken_port_names_who_holds_it():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()

        finding = check_port("gateway port", "127.0.0.1", taken.getsockname()[1], "service")

    assert finding.level is Level.FAIL
    assert f"(pid {os.getpid()})" in finding.message


@pytest.mark.parametrize(
    "host",
    [
        pytest.param("192.0.2.1", id="another host's address"),
        pytest.param("[::1]", id="brackets"),
    ],
)
def test_an_address_that_is_not_this_hosts_blames_no_port(host):
    finding = check_port("gateway port", host, 8000, "service")

    assert finding.level is Finding.Level.FAIL
    assert "[service] host" in finding.fix


def test_a_state_directory_that_is_a_file_is_told_as_that(tmp_path):
    (tmp_path / "file").touch()

    assert "it is a file" in check_state_dir(tmp_path / "file").message


def test_a_port_that_rankguard_itself_holds_is_well_held(tmp_path):
    listen = (
        "import socket, sys, time\n"
        "s = socket.socket(); s.bind(('127.0.0.1', int(sys.argv[1]))); s.listen(); time.sleep(60)\n"
    )
    script = tmp_path / "rankguard"
    script.write_text(listen)
    port = free_port()
    process = subprocess.Popen([sys.executable, str(script), str(port)])
    try:
        until("it listens", lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0)
        at_start = check_port("gateway port", "127.0.0.1", port, "service")
        later = check_port("gateway port", "127.0.0.1", port, "service", ours=True)
    finally:
        process.kill()
        process.wait(5)

    assert (at_start.level, later.level) == (Level.FAIL, Level.OK)


@pytest.mark.parametrize(
    ("limits", "level"),
    [
        pytest.param((1024, 2048), Level.WARN, id="too few, and no more to be had"),
        pytest.param((1024, 1_048_576), Level.OK, id="the usual default: the gateway raises it"),
        pytest.param((65536, 65536), Level.OK, id="what the unit sets"),
        pytest.param((1024, resource.RLIM_INFINITY), Level.OK, id="no limit"),
    ],
)
def test_open_files(limits, level):
    assert check_files(limits).level is level


@pytest.mark.parametrize(
    ("reading", "level", "words"),
    [
        pytest.param((True, 0.02), Level.OK, "within 20 ms", id="synchronized"),
        pytest.param((True, 16.0), Level.WARN, "16.0 s", id="synchronized long ago"),
        pytest.param((False, 0.0), Level.WARN, "not synchronized", id="free running"),
        pytest.param(None, Level.WARN, "does not say", id="no answer from the kernel"),
    ],
)
def test_the_clock(reading, level, words):
    finding = check_clock(reading)

    assert finding.level is level
    assert words in finding.message


def test_the_kernels_own_word_on_the_clock_can_be_read():
    reading = read_clock()

    assert reading is None or reading[1] >= 0.0


def test_too_little_room_says_how_much_is_wanted(tmp_path):
    finding = check_disk("disk", tmp_path / "not" / "yet", needed_bytes=2**60)

    assert finding.level is Level.WARN
    assert str(tmp_path) in finding.message
    assert check_memory(needed_bytes=2**60).level is Level.WARN


def test_shared_memory_that_is_not_there_is_a_failure(tmp_path):
    assert check_shared_memory(tmp_path / "shm").level is Level.FAIL


def test_a_kernel_log_that_cannot_be_read_says_what_is_missed(tmp_path):
    finding = check_kernel_log(tmp_path / "kmsg")

    assert finding.level is Level.WARN
    assert "79" in finding.message
    assert "CAP_SYSLOG" in finding.fix
