"""The real Alertmanager, from the distribution's package, and its own tool as the witness."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from alerts.pipeline import Pipeline
from alerts.settings import AlertSettings
from tests.alerts.make import GPU, alert, resolved
from tests.alerts.vendor import Vendor, playing, wait_for

SERVER = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
TOOL = shutil.which("amtool")

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not (SERVER and TOOL), reason="prometheus-alertmanager is not installed"),
]


@dataclass(frozen=True)
class Real:
    url: str
    hook: Vendor

    def tool(self, *arguments: str) -> list[dict]:
        done = subprocess.run(
            [str(TOOL), f"--alertmanager.url={self.url}", *arguments, "-o", "json"],
            check=True,
            capture_output=True,
            text=True,
            timeout=20,
        )
        found: list[dict] = json.loads(done.stdout)
        return found

    def names(self) -> list[str]:
        return sorted(each["labels"]["alertname"] for each in self.tool("alert", "query"))


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Real]:
    with playing() as hook:
        config = tmp_path / "alertmanager.yml"
        config.write_text(
            "route: {receiver: hook, group_by: [host, gpu_uuid], group_wait: 200ms,"
            " group_interval: 500ms, repeat_interval: 1h}\n"
            f"receivers: [{{name: hook, webhook_configs: [{{url: '{hook.url()}'}}]}}]\n"
        )
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        process = subprocess.Popen(
            [
                str(SERVER),
                f"--config.file={config}",
                f"--storage.path={tmp_path / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--cluster.listen-address=",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        url = f"http://127.0.0.1:{port}"
        try:
            wait_for(lambda: _is_ready(url), 30)
            yield Real(url, hook)
        finally:
            process.terminate()
            process.wait(10)


def _is_ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/-/ready", timeout=1).ok
    except requests.RequestException:
        time.sleep(0.05)
        return False


def pipeline(real: Real, folder: Path) -> Pipeline:
    settings = AlertSettings.model_validate(
        {
            "receivers": [
                {
                    "name": "am",
                    "type": "alertmanager",
                    "urls": [real.url],
                    "allow_insecure": True,
                    "resend_s": 5,
                }
            ],
            "routes": [{"receivers": ["am"], "group_wait_s": 0, "group_interval_s": 0}],
        }
    )
    return Pipeline(settings, folder / "journal.db", host="gpu-1")


def test_it_receives_groups_and_resolves_what_we_send(real, tmp_path):
    sending = pipeline(real, tmp_path)
    sending.start()
    now = time.time()
    lost = alert(
        "GpuLost",
        replica=None,
        gpu_uuid=GPU,
        at=now,
        evidence={"xid": "79", "failing for": "9 s"},
        labels={"gpu-model": "H100"},
    )
    wrong = alert("ReplicaWrong", replica="replica-1", at=now)
    try:
        sending.accept([lost, wrong])
        wait_for(lambda: real.names() == ["GpuLost", "ReplicaWrong", "Watchdog"])
        (shown,) = real.tool("alert", "query", "alertname=GpuLost")
        assert shown["labels"]["severity"] == "critical"
        assert shown["annotations"]["evidence_xid"] == "79"
        assert shown["annotations"]["evidence_failing_for"] == "9 s"
        assert shown["status"]["state"] == "active"

        wait_for(lambda: any("GpuLost" in str(request.body) for request in real.hook.got))

        sending.accept([resolved(lost, time.time())])
        wait_for(lambda: real.names() == ["ReplicaWrong", "Watchdog"])
        wait_for(lambda: any(_ended(request.json, "GpuLost") for request in real.hook.got))
    finally:
        sending.stop(10)

    groups = {request.json["groupKey"] for request in real.hook.got}
    assert len(groups) == 2


def _ended(body: dict, name: str) -> bool:
    return any(
        each["labels"]["alertname"] == name and each["status"] == "resolved"
        for each in body["alerts"]
    )


def test_what_fires_ends_by_itself_a_few_resends_after_we_are_gone(real, tmp_path):
    sending = pipeline(real, tmp_path)
    sending.accept([alert("ReplicaWrong", at=time.time())])
    sending.plan_once()
    sending.deliver_once()
    sending.beat_once()
    (shown,) = real.tool("alert", "query", "alertname=ReplicaWrong")
    sending.stop(5)

    left = shown["endsAt"]
    ends = time.mktime(time.strptime(left[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
    assert 0 < ends - time.time() < 25


def test_our_version_4_body_has_every_field_of_the_real_one(real, tmp_path):
    with playing() as ours:
        sending = pipeline(real, tmp_path)
        sending.accept([alert("ReplicaWrong", at=time.time())])
        sending.plan_once()
        sending.deliver_once()
        sending.stop(5)
        wait_for(lambda: real.hook.got)

        settings = AlertSettings.model_validate(
            {
                "receivers": [
                    {"name": "w", "type": "webhook", "url": ours.url(), "allow_insecure": True}
                ],
                "routes": [{"receivers": ["w"], "group_wait_s": 0}],
            }
        )
        webhook = Pipeline(settings, tmp_path / "other.db", host="gpu-1")
        webhook.accept([alert("ReplicaWrong", at=time.time())])
        webhook.plan_once()
        webhook.deliver_once()
        webhook.stop(5)
        theirs, made = real.hook.got[0].json, ours.got[0].json

    assert theirs.keys() <= made.keys()
    assert theirs["alerts"][0].keys() <= made["alerts"][0].keys()
    assert theirs["version"] == made["version"] == "4"
    for name, value in theirs.items():
        assert type(made[name]) is type(value), name
