"""The snippets are run: by a shell and by Python, against a server that keeps what it gets."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import subprocess
import sys
import threading

import pytest

from deploy.ui.snippet import MOST_DOCUMENTS, Asked, as_curl, as_python

NASTY = [
    "it's \"quoted\" and 'quoted'",
    "$HOME `id` $(id) \\n \\ !! %s {x}",
    "two\nlines\tand a tab",
    "中文 ئۇيغۇرچە 😀 \u2028 \x07",
    "'''\"\"\"",
    "-d @/etc/passwd",
]


@pytest.fixture
def server():
    received = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            received.append((self.path, self.headers["Authorization"], json.loads(raw)))
            answer = b'{"results": [{"index": 0, "relevance_score": 0.5}]}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}", received
        listening.shutdown()


def run(command, **environment):
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("instruction", ["", "it's @faq"])
def test_the_command_sends_exactly_what_was_asked(server, instruction):
    if shutil.which("curl") is None:
        pytest.skip("curl is not here")
    url, received = server

    run(["sh", "-c", as_curl(Asked(url, NASTY[0], NASTY, instruction))])

    path, key, body = received[0]
    assert (path, key) == ("/v1/rerank", None)
    assert body["query"] == NASTY[0]
    assert body["documents"] == NASTY
    assert body.get("instruction", "") == instruction


@pytest.mark.parametrize("instruction", ["", "it's @faq"])
def test_the_program_sends_exactly_what_was_asked_and_prints_the_results(server, instruction):
    url, received = server

    printed = run([sys.executable, "-c", as_python(Asked(url, NASTY[1], NASTY, instruction))])

    path, key, body = received[0]
    assert (path, key) == ("/v1/rerank", None)
    assert body["query"] == NASTY[1]
    assert body["documents"] == NASTY
    assert body.get("instruction", "") == instruction
    assert printed.startswith("0.5000  it's")


@pytest.mark.parametrize("make", [as_curl, as_python])
def test_a_key_is_read_from_the_environment_and_never_written(server, make):
    url, received = server
    code = make(Asked(url, "q", ["d"], needs_key=True))
    command = ["sh", "-c", code] if make is as_curl else [sys.executable, "-c", code]
    if shutil.which(command[0]) is None or (make is as_curl and shutil.which("curl") is None):
        pytest.skip("curl is not here")

    run(command, RANKGUARD_API_KEY="k3y")

    assert received[0][1] == "Bearer k3y"


@pytest.mark.parametrize("make", [as_curl, as_python])
def test_a_long_list_is_cut_and_says_so(make):
    documents = [f"document {number}" for number in range(MOST_DOCUMENTS + 1)]

    code = make(Asked("http://127.0.0.1:8000", "q", documents))

    assert f"# the first {MOST_DOCUMENTS} of {MOST_DOCUMENTS + 1} documents" in code
    assert documents[MOST_DOCUMENTS - 1] in code
    assert documents[MOST_DOCUMENTS] not in code
