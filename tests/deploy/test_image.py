"""The embedded image is really built, from a Debian made here, and really run. Minutes; `real`."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.waiting import free_port, until

REPOSITORY = Path(__file__).parents[2]
PACKAGES = "python3,python3-venv,tini,ca-certificates"
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def buildah(tmp_path_factory):
    for tool in ("buildah", "debootstrap"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not here (apt package {tool})")
    if os.geteuid() != 0:
        pytest.skip("debootstrap needs root")
    root = tmp_path_factory.mktemp("storage")

    def run(*words, limit_s=600):
        done = subprocess.run(
            ["buildah", "--root", f"{root}/root", "--runroot", f"{root}/run", *words],
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
            env={**os.environ, "BUILDAH_ISOLATION": "chroot"},
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
        return done.stdout.strip()

    run.options = ["buildah", "--root", f"{root}/root", "--runroot", f"{root}/run"]
    yield run
    run("rm", "--all")
    run("rmi", "--all", "--force")


@pytest.fixture(scope="module")
def image(buildah, tmp_path_factory):
    """The embedded target on a Debian of our own: no registry is asked."""
    rootfs = tmp_path_factory.mktemp("debian") / "rootfs"
    command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm"]
    done = subprocess.run(
        [*command, str(rootfs)], capture_output=True, text=True, timeout=600, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"no Debian to build on: {done.stdout[-300:]}")
    base = buildah("from", "scratch")
    buildah("add", "--quiet", base, str(rootfs), "/")
    buildah("config", "--env", "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", base)
    buildah("commit", "--quiet", base, "localhost/base")
    shutil.rmtree(rootfs)
    # a private authority of the builder's network counts inside as well
    mount = ["-v", f"{AUTHORITIES}:{AUTHORITIES}:ro"] if AUTHORITIES.is_file() else []
    buildah(
        *("bud", "--isolation", "chroot", "--format", "docker", "--target", "embedded"),
        *("--build-arg", "BASE=localhost/base", "-f", "deploy/docker/Dockerfile"),
        *("-t", "localhost/rankguard:embedded", *mount, str(REPOSITORY)),
    )
    return "localhost/rankguard:embedded"


def test_the_image_says_how_it_is_run_and_checked(buildah, image):
    config = json.loads(buildah("inspect", "--type", "image", image))["Docker"]["config"]

    assert config["User"] == "10001"
    assert config["Entrypoint"][0] == "tini"
    assert config["Cmd"] == ["up"]
    assert config["Healthcheck"]["Test"] == ["CMD", "python3", "-m", "deploy.docker.ready"]


def test_the_container_scores_with_the_key_that_it_made_and_drains(buildah, image, tmp_path):
    tmp_path.chmod(0o777)
    for parent in list(tmp_path.parents)[:3]:  # uid 10001 must get there
        parent.chmod(parent.stat().st_mode | 0o011)
    port, status = free_port(), free_port()
    container = buildah("from", image)
    page = free_port()
    settings = [
        *(f"RANKGUARD_SERVICE__PORT={port}", f"RANKGUARD_MONITOR__PORT={status}"),
        f"RANKGUARD_UI__PORT={page}",
    ]
    output = (tmp_path / "output").open("w+", encoding="utf-8")  # a pipe would fill up and block
    process = subprocess.Popen(
        [
            *(*buildah.options, "run", "--isolation", "chroot", "--user", "10001"),
            *("-v", f"{tmp_path}:/workspace", container, "--", "env", *settings),
            *("tini", "-s", "-g", "--", "python3", "-m", "deploy.docker.start", "up"),
        ],
        stderr=output,
        env={**os.environ, "BUILDAH_ISOLATION": "chroot"},
    )
    try:
        ready = f"http://127.0.0.1:{port}/readyz"
        until("the container is ready", lambda: _status(ready) == 200, 120)
        until("up has said so", lambda: "is ready after" in Path(output.name).read_text())
        key = (tmp_path / "api_key").read_text().strip()
        results = _rerank(port, key)
        until("the page asks who it is", lambda: _status(f"http://127.0.0.1:{page}/") == 401, 120)
        opened = _open(page, key)
    finally:
        _end(tmp_path)
        process.wait(60)
        output.seek(0)
        said = output.read()
        output.close()

    assert [item["index"] for item in results] == [1, 0]
    assert "rankguard" in opened
    assert f"http://127.0.0.1:{page}/" in said
    assert key not in said
    assert not list((tmp_path / "state" / "replicas").glob("*.json")), "a replica was left"


def _end(workspace):
    """SIGTERM to the first process, as a container's runtime sends it; `up` is its child."""
    up = (workspace / "state" / "up.lock").read_text().strip()
    stat = Path(f"/proc/{up}/stat").read_text()
    os.kill(int(stat.rpartition(")")[2].split()[1]), signal.SIGTERM)


def _status(url):
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


def _open(port, key):
    """The page as a browser gets it that was given the key as the password."""
    password = base64.b64encode(f"me:{key}".encode()).decode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/", headers={"Authorization": f"Basic {password}"}
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return answer.read().decode()


def _rerank(port, key):
    body = {
        "query": "how tall is the Eiffel tower",
        "documents": ["Bananas are yellow.", "La tour Eiffel fait 330 mètres."],
    }
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/rerank",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)["results"]
