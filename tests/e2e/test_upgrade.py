"""`rankguard upgrade` on a running stack with users: nothing is lost, whatever becomes of it."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import requests

from deploy.upgrade import record
from service.worker.engines.scripted import scripted_logit
from tests.e2e.stack import Load, stack
from tests.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(400)]
LIMIT_S = 120.0  # for a machine that is busy with other things


class Users(Load):
    """Clients that also see which version each answer's scores are of."""

    def __init__(self, target):
        self.seen: list[set[str]] = []
        super().__init__(target, clients=4)

    def _ask(self, session, body):
        session = Keeping(session)
        super()._ask(session, body)
        if session.answer is not None and session.answer.ok:
            self.seen.append(versions_of(body, session.answer.json()["results"]))


class Keeping:
    """A session that keeps its last answer."""

    def __init__(self, session):
        self._session = session
        self.answer = None

    def post(self, url, **options):
        self.answer = self._session.post(url, **options)
        return self.answer


def versions_of(body, results):
    """The versions that could have given every one of these scores; empty: they are mixed."""

    def score(version, index):
        logit = scripted_logit(body["query"], body["documents"][index], version)
        return 1 / (1 + math.exp(-logit))

    return {
        version
        for version in ("1", "2")
        if all(
            math.isclose(one["relevance_score"], score(version, one["index"]), abs_tol=1e-9)
            for one in results
        )
    }


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Two replicas of version 1, watched and served, and questions on which all versions agree."""
    folder = tmp_path_factory.mktemp("upgrade")
    with stack(folder, replicas=2, document_s=0.004, load_s=0.3) as running:
        lines = [
            {"query": f"a b c {n}", "documents": [f"a b c {n}", "a b", "z"], "best": 0}
            for n in range(5)
        ]
        (folder / "questions.jsonl").write_text("\n".join(map(json.dumps, lines)))
        running.start("watchdog", "watch", "--stop-replicas-on-exit")
        running.start("gateway", "serve")
        running.wait_ready(replicas=2, limit_s=LIMIT_S)
        yield running


def to_version(site, version, *more):
    """Arguments of an upgrade to this version."""
    return (
        "upgrade",
        *("--set", f"engine.scripted.version={version}"),
        *("--parity", str(site.folder / "questions.jsonl")),
        *("--max-slower", "50"),  # on a machine that is busy with other things
        *more,
    )


def cli(site, *arguments):
    return subprocess.run(
        site.command(*arguments), capture_output=True, text=True, timeout=LIMIT_S, check=False
    )


def in_background(site, *arguments):
    """The command with a person at its keyboard."""
    return subprocess.Popen(
        site.command(*arguments),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def phase(site):
    found = record.latest(site.state_dir)
    return None if found is None else found.phase.value


def serving(site):
    return sorted((one.id, one.fingerprint) for one in site.manifests())


def all_of(version):
    return [("replica-0", f"scripted-{version}"), ("replica-1", f"scripted-{version}")]


def generations(site):
    return [one.generation for one in site.manifests()]


def test_a_version_that_orders_wrongly_is_refused_and_nothing_is_changed(site):
    before = generations(site)
    (site.folder / "wrong.json").write_text('{"fault": "wrong"}')

    ended = cli(
        site,
        *to_version(site, 2, "--set", f"engine.scripted.script={site.folder}/wrong.json"),
        *("--yes", "--json"),
    )

    body = json.loads(ended.stdout)
    assert (ended.returncode, body["stand"], body["reason"]) == (1, "refused", "disagrees")
    assert generations(site) == before
    assert not (site.state_dir / "engine.toml").exists()
    assert site.status()["rollout"] is None


def test_a_trial_that_is_killed_leaves_nothing_behind(site):
    before = generations(site)
    command = in_background(site, *to_version(site, 2, "--set", "engine.scripted.load_s=60"))
    shadow = until("the shadow loads", lambda: shadows(site), LIMIT_S)[0]

    command.kill()
    command.wait(5)
    command.stdin.close()
    command.stdout.close()
    psutil.wait_procs([shadow], LIMIT_S)

    assert not shadow.is_running()
    shown = json.loads(cli(site, "status", "--json").stdout)
    assert shown["upgrade"]["stand"] == "interrupted"
    forgotten = cli(site, "upgrade", "--rollback")
    assert (forgotten.returncode, phase(site)) == (0, "cancelled")
    assert generations(site) == before


def test_an_interrupted_trial_is_resumed_by_what_was_asked_of_it_and_by_one_command_only(site):
    command = in_background(site, *to_version(site, 2, "--set", "engine.scripted.load_s=3"))
    shadow = until("the shadow loads", lambda: shadows(site), LIMIT_S)[0]
    until("the kernel would take it first", lambda: oom_score(shadow) == 900, LIMIT_S)
    command.send_signal(signal.SIGSTOP)  # so that its trial is not over before
    second = cli(site, *to_version(site, 3, "--yes"))

    command.kill()
    command.wait(5)
    command.stdin.close()
    command.stdout.close()
    resumed = cli(site, "upgrade", "--resume", "--dry-run", "--json")
    forgotten = cli(site, "upgrade", "--rollback")

    assert (second.returncode, second.stderr) == (1, "another rankguard upgrade is at work here\n")
    body = json.loads(resumed.stdout)
    assert (resumed.returncode, body["stand"]) == (0, "proved"), resumed.stderr
    assert "same order (5 questions)" in {check["name"] for check in body["checks"]}
    assert body["asked"]["limits"]["slower"] == 50
    assert (forgotten.returncode, phase(site)) == (0, "cancelled")


def oom_score(process):
    return int(Path(f"/proc/{process.pid}/oom_score_adj").read_text())


def test_a_disk_that_takes_nothing_is_told_and_nothing_is_left_of_the_trial(site):
    before = sorted((site.state_dir / "upgrade").iterdir())
    command = site.command(*to_version(site, 2, "--yes"))

    ended = subprocess.run(
        ["sh", "-c", 'ulimit -f 0; exec "$@"', "sh", *command],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )

    assert ended.returncode == 1
    assert "cannot be written" in ended.stderr
    assert "nothing was changed" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert sorted((site.state_dir / "upgrade").iterdir()) == before


def shadows(site):
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if {str(site.config), "shadow"} <= set(process.info["cmdline"] or [])
    ]


def test_a_version_that_passes_and_then_does_not_start_is_taken_back(site):
    users = Users(site)
    users.at_least(20)
    script = site.folder / "new.json"
    script.write_text("{}")
    command = in_background(
        site, *to_version(site, 2, "--set", f"engine.scripted.script={script}", "--no-surge")
    )
    until("it passed", lambda: phase(site) == "proved", LIMIT_S)

    script.write_text('{"start_error": "the disk is gone"}')
    said, _ = command.communicate("y\n", timeout=LIMIT_S)
    site.wait_healthy(2, LIMIT_S)
    users.at_least(len(users.answers) + 20)

    assert users.stop() == []
    assert command.returncode == 1, said
    assert "taken back" in said
    assert serving(site) == all_of(1)
    assert all("1" in seen for seen in users.seen)
    told = {one["name"] for one in site.incidents()}
    assert "RolloutFailed" in told


def test_nothing_is_lost_though_the_command_and_the_watchdog_are_killed_on_the_way(site):
    users = Users(site)
    users.at_least(20)
    earlier = rollout(site)
    command = in_background(site, *to_version(site, 2, "--yes"))
    until("it rolls, or did already", lambda: rollout(site) != earlier, LIMIT_S)
    command.kill()
    command.wait(5)
    command.stdin.close()
    command.stdout.close()
    site.processes["watchdog"].kill()
    site.processes["watchdog"].wait(5)
    site.start("watchdog", "watch", "--stop-replicas-on-exit")
    until("the watchdog is back", lambda: answers(site), LIMIT_S)

    resumed = cli(site, "upgrade", "--resume")
    site.wait_healthy(2, LIMIT_S)
    users.at_least(len(users.answers) + 20)

    assert users.stop() == []
    assert resumed.returncode == 0, resumed.stderr + site.log("watchdog")[-4000:]
    assert serving(site) == all_of(2)
    assert users.seen[0] >= {"1"}
    assert users.seen[-1] >= {"2"}
    assert [seen for seen in users.seen if not seen] == []
    assert phase(site) == "done"
    assert not shadows(site)


def answers(site):
    try:
        return bool(site.status())
    except requests.RequestException:
        return False


def rollout(site):
    """The name of the watchdog's present or last one."""
    found = site.status()["rollout"]
    return None if found is None else found["id"]


def test_the_old_version_can_be_brought_back_afterwards(site):
    assert serving(site) == all_of(2)
    refused = record.new_record(record.new_name(time.time()), 0.0)  # newer, and changed nothing
    record.save(site.state_dir, replace(refused, phase=record.Phase.REFUSED))
    users = Users(site)
    users.at_least(20)

    ended = cli(site, "upgrade", "--rollback")
    users.at_least(len(users.answers) + 20)

    assert users.stop() == []
    assert ended.returncode == 0, ended.stderr + site.log("watchdog")[-4000:]
    assert serving(site) == all_of(1)
    assert [seen for seen in users.seen if not seen] == []


def test_the_only_replica_restarts_and_another_one_helps(tmp_path):
    with stack(tmp_path, replicas=1, document_s=0.004, load_s=1.0) as running:
        running.start("watchdog", "watch", "--stop-replicas-on-exit")
        running.start("gateway", "serve")
        running.wait_ready(limit_s=LIMIT_S)
        users = Users(running)
        users.at_least(20)

        ended = cli(running, "replica", "restart", "--all", "--rolling")
        users.at_least(len(users.answers) + 20)

        assert users.stop() == []
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert generations(running)[0] == 2
        until("the help is gone", lambda: len(running.manifests()) == 1, LIMIT_S)


def test_the_embedded_engine_takes_its_own_place(tmp_path):
    with stack(tmp_path, engine="embedded") as running:
        running.start("watchdog", "watch", "--stop-replicas-on-exit")
        running.start("gateway", "serve")
        running.wait_ready(limit_s=LIMIT_S)
        questions = tmp_path / "questions.jsonl"
        question = {"query": "où est le chat ?", "documents": ["The cat is here.", "No."]}
        questions.write_text(json.dumps({**question, "best": 0}))

        ended = cli(
            running,
            *("upgrade", "--engine", "embedded", "--parity", str(questions), "--no-surge"),
            *("--max-slower", "50", "--yes", "--json"),
        )

        body = json.loads(ended.stdout)
        assert (ended.returncode, body["stand"]) == (0, "done"), ended.stderr
        assert body["old"] == body["new"]
        assert generations(running) == [2]
        assert running.rerank().ok


def test_ctrl_c_ends_the_trial_and_gives_the_lent_replica_back(site):
    options = ("--set", "engine.scripted.load_s=60", "--take", "replica-1")
    command = in_background(site, *to_version(site, 2, *options))
    until("the shadow loads", lambda: shadows(site), LIMIT_S)
    lent = {one["id"]: one["phase"] for one in site.status()["replicas"]}

    command.send_signal(signal.SIGINT)
    said, _ = command.communicate(timeout=LIMIT_S)

    assert lent == {"replica-0": "serving", "replica-1": "drained"}
    assert command.returncode == 130
    assert "--status" in said
    assert not shadows(site)
    site.wait_healthy(2, LIMIT_S)
