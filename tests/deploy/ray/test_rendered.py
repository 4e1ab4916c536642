"""What `rankguard render ray` writes, read by those for whom it is."""

from __future__ import annotations

import pytest
import yaml

from deploy.config import load
from deploy.ray.scaling import Resize
from deploy.ray.settings import on_this_host
from deploy.render.host import Site
from deploy.render.kind import Kind, render
from tests.deploy.render.golden import config

SCALING = {"min_replicas": 2, "max_replicas": 16, "latency_slo_ms": 500}


def rendered(site=None, **sections):
    files = render(Kind.RAY, config(**sections), site or Site())
    return {artefact.path: artefact.text for artefact in files}


def serve(**sections):
    return yaml.safe_load(rendered(**sections)["serve.yaml"])


def deployment(body, name):
    return next(one for one in body["applications"][0]["deployments"] if one["name"] == name)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("monitor", [{}, SCALING], ids=["fixed", "scaling"])
def test_ray_takes_the_file(monitor):
    pytest.importorskip("ray", reason="Ray is not here: make test-ray")
    from ray.serve.schema import ServeDeploySchema

    found = ServeDeploySchema.model_validate(serve(monitor=monitor))

    assert found.applications[0].import_path == "deploy.ray.app:build"


def test_the_settings_that_travel_are_those_of_the_file():
    body = serve(service={"max_documents": 7}, engine={"kind": "embedded"})

    here = on_this_host(body["applications"][0]["args"], {})

    assert here.service.max_documents == 7
    assert here.engine.kind == "embedded"
    assert str(here.service.state_dir) == "/var/lib/rankguard"


def test_another_number_of_replicas_changes_no_setting_that_travels():
    """Serve would exchange every replica for it."""
    few, many = (serve(monitor={"replicas": number, "canary_s": 9}) for number in (1, 2))

    assert few != many
    assert few["applications"][0]["args"] == many["applications"][0]["args"]
    assert few["applications"][0]["args"]["monitor"]["canary_s"] == 9


def test_serve_scales_by_the_same_limits():
    scaling = deployment(serve(monitor=SCALING), "Engine")["autoscaling_config"]

    assert (scaling["min_replicas"], scaling["max_replicas"]) == (2, 16)
    assert scaling["policy"]["policy_kwargs"]["slo_s"] == 0.5
    Resize(**scaling["policy"]["policy_kwargs"])


def test_without_bounds_the_number_is_fixed():
    engine = deployment(serve(monitor={"replicas": 3}), "Engine")

    assert engine["num_replicas"] == 3
    assert "autoscaling_config" not in engine


@pytest.mark.parametrize(("host", "bound"), [("127.0.0.1", "127.0.0.1"), ("10.0.0.1", "0.0.0.0")])
def test_the_proxies_stay_on_loopback_with_the_gateway(host, bound):
    assert serve(service={"host": host})["http_options"]["host"] == bound


def test_no_secret_and_no_receiver_is_in_any_file():
    text = "".join(rendered().values())

    assert "alerts.example.com" not in text
    assert "/etc/rankguard/api_keys" in text, "a file is named"


def test_the_watchdogs_environment_is_valid_and_observes():
    lines = rendered(monitor=SCALING)["watchdog.env"].splitlines()
    environment = dict(line.split("=", 1) for line in lines if not line.startswith("#"))

    settings = load(None, environment)

    assert settings.monitor.actuator == "observe"
    assert settings.monitor.bounds() == (16, 16), "nothing is scaled from here"


def test_the_commands_name_the_hosts_and_report_nothing():
    readme = rendered(Site(hosts=("10.0.0.11", "gpu-2")))["README.md"]

    assert "--node-ip-address 10.0.0.11" in readme
    assert "gpu-2$ /opt/rankguard/bin/ray start --address 10.0.0.11:6379 --disable" in readme
    assert readme.count("--disable-usage-stats") == 2
    assert "status --hosts 10.0.0.11:9400,gpu-2:9400" in readme


def test_the_commands_ask_for_a_token_before_anything_of_ray_is_started():
    readme = rendered(Site(hosts=("10.0.0.11", "gpu-2")))["README.md"]

    token = "export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=/etc/rankguard/ray.token"
    assert 0 < readme.index(token) < readme.index("ray start")
