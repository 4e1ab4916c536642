from __future__ import annotations

import shutil
import subprocess

import pytest

from deploy.config import load
from deploy.render.artefact import write
from deploy.render.host import Site
from deploy.render.kind import Kind, render
from tests.deploy.render.golden import config

yaml = pytest.importorskip("yaml")


def files(**sections):
    return {a.path: a for a in render(Kind.COMPOSE, config(**sections), Site(this_host="gpu-1"))}


def stack(**sections):
    return yaml.safe_load(files(**sections)["compose.yaml"].text)


def test_everything_that_is_mounted_from_the_folder_is_rendered():
    rendered = files()
    body = yaml.safe_load(rendered["compose.yaml"].text)
    for service in body["services"].values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("./"):
                below = source.removeprefix("./")
                assert any(path == below or path.startswith(f"{below}/") for path in rendered)


def test_a_service_with_gpus_reserves_them_and_reads_the_kernels_log():
    service = stack(engine={"kind": "vllm"})["services"]["rankguard"]

    assert service["image"] == "rankguard:vllm"
    (device,) = service["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]
    assert "/dev/kmsg:/dev/kmsg:r" in service["devices"]


def test_the_embedded_engine_asks_for_no_gpu():
    service = stack(engine={"kind": "embedded"})["services"]["rankguard"]

    assert service["image"] == "rankguard:embedded"
    assert "deploy" not in service


def test_what_listens_on_loopback_is_published_on_loopback():
    local = stack(service={"host": "127.0.0.1", "api_keys_file": None})

    assert local["services"]["rankguard"]["ports"] == [
        "127.0.0.1:8000:8000",
        "127.0.0.1:7860:7860",
    ]


def test_only_the_gateway_is_published_beyond_loopback():
    for name, service in stack()["services"].items():
        for port in service.get("ports", []):
            assert name == "rankguard" or port.startswith("127.0.0.1:")


def test_a_container_is_given_the_time_to_drain():
    patient = stack(service={"drain_timeout_s": 100})

    assert int(patient["services"]["rankguard"]["stop_grace_period"].rstrip("s")) > 100


def test_secrets_are_mounted_where_the_configuration_names_them():
    receivers = [
        {
            "name": "hook",
            "type": "webhook",
            "url_file": "/etc/rankguard/hook",
            "secret_file": "/etc/rankguard/sign",
        }
    ]
    volumes = stack(alerts={"receivers": receivers})["services"]["rankguard"]["volumes"]

    for path in ("/etc/rankguard/hook", "/etc/rankguard/sign", "/etc/rankguard/api_keys"):
        assert f"{path}:{path}:ro" in volumes


def test_the_rendered_configuration_can_be_read_again(tmp_path):
    (tmp_path / "rankguard.toml").write_text(files()["rankguard.toml"].text)

    read = load(tmp_path / "rankguard.toml", {})

    assert str(read.service.state_dir) == "/workspace/state"
    assert read.alerts.receivers == config().alerts.receivers


def test_prometheus_scrapes_the_container_under_the_hosts_name():
    scrape = yaml.safe_load(files()["prometheus/prometheus.yml"].text)

    for job in scrape["scrape_configs"]:
        (target,) = job["static_configs"]
        assert target["labels"] == {"host": "gpu-1"}
        assert target["targets"][0].startswith("rankguard:")


def test_alertmanager_gets_the_receivers_secrets_and_no_api_keys():
    volumes = stack()["services"]["alertmanager"]["volumes"]

    assert not [volume for volume in volumes if "api_keys" in volume]


@pytest.mark.real
def test_a_compose_tool_takes_the_file(tmp_path):
    tool = shutil.which("podman-compose")
    if tool is None or shutil.which("podman") is None:
        pytest.skip("podman-compose and podman are not here (apt package podman-compose)")
    write(files(engine={"kind": "vllm"}).values(), tmp_path)
    (tmp_path / "grafana_admin_password").write_text("x")

    done = subprocess.run(
        [tool, "-f", "compose.yaml", "config"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    if "invalid choice: 'config'" in done.stderr:
        pytest.skip("this podman-compose has no config command (1.0.6 has)")
    assert done.returncode == 0, done.stderr
    assert set(yaml.safe_load(done.stdout)["services"]) >= {"rankguard", "prometheus"}
