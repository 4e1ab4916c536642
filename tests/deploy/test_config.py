from __future__ import annotations

import re
import sys

import pytest

from deploy.config import Config, ConfigError, load, overlooked, show

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def written(tmp_path, text):
    path = tmp_path / "rankguard.toml"
    path.write_text(text)
    return path


def test_no_file_at_all_is_a_working_default_on_loopback():
    config = load(None, {})

    assert config.service.host == "127.0.0.1"
    assert (config.service.port, config.monitor.port, config.monitor.replicas) == (8000, 9400, 1)
    assert config.engine.kind == "auto"


def test_the_environment_wins_over_the_file(tmp_path):
    path = written(tmp_path, "[service]\nport = 1\n[engine]\nkind = 'embedded'\n")

    config = load(path, {"RANKGUARD_SERVICE__PORT": "2", "RANKGUARD_CONFIG": "ignored"})

    assert config.service.port == 2
    assert config.engine.kind == "embedded"


def test_a_nested_variable_reaches_an_engine_argument_with_its_type():
    config = load(None, {"RANKGUARD_ENGINE__VLLM__GPU_MEMORY_UTILIZATION": "0.5"})

    assert config.engine.vllm == {"gpu_memory_utilization": 0.5}


def test_a_variable_that_looks_like_a_number_may_be_a_name():
    assert load(None, {"RANKGUARD_ENGINE__SERVED_NAME": "123"}).engine.served_name == "123"


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        pytest.param(
            "[service]\nprot = 1\n",
            [r"\[service\] prot: unknown key; did you mean port\?"],
            id="an unknown key, with a suggestion",
        ),
        pytest.param(
            "[service]\nport = 99999\nmax_documents = 0\n[monitr]\n",
            [r"\[service\] port", r"\[service\] max_documents", r"monitr\].*mean monitor"],
            id="all problems at once",
        ),
        pytest.param(
            "[service]\nhost = '0.0.0.0'\n",
            [r"beyond loopback.*api_keys_file"],
            id="an open port without keys is refused",
        ),
        pytest.param(
            "[service]\nhost = 'localhost.example'\n",
            [r"beyond loopback"],
            id="a name that only begins like loopback is not it",
        ),
        pytest.param(
            "[service]\nport = 9400\n", [r"same as \[service\] port"], id="two listeners, one port"
        ),
        pytest.param("[service\n", ["not TOML"], id="not TOML"),
        pytest.param("service = 3\n", [r"\[service\]: should be a section"], id="no section"),
        pytest.param(
            "[service]\nstate_dir = 3\n", [r"should be a path"], id="words of TOML, not of Python"
        ),
        pytest.param(
            "[[alerts.receivers]]\nname = 'a'\n", ["receivers.*has no type"], id="a list's entry"
        ),
        pytest.param(
            "[[alerts.receivers]]\nname = 'a'\ntype = 'webhook'\nurl = 'https://x'\n"
            "secrt_file = '/x'\n",
            [r"secrt_file: unknown key; did you mean secret_file\?"],
            id="an unknown key of a receiver, with a suggestion of its type",
        ),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, problems):
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, text), {})

    for problem in problems:
        assert re.search(problem, str(caught.value)), str(caught.value)
    assert str(tmp_path / "rankguard.toml") in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match="there is no such file"):
        load(tmp_path / "missing.toml", {})


def test_a_wrong_secret_is_not_printed(tmp_path):
    path = written(tmp_path, "[service]\napi_keys_file = 7\n")

    with pytest.raises(ConfigError) as caught:
        load(path, {})

    assert "7" not in str(caught.value).split("api_keys_file", 1)[1]


def test_a_wrong_receiver_does_not_give_its_secret_away(tmp_path):
    receiver = "[[alerts.receivers]]\nname = 'a'\ntype = 'nobody'\nurl = 'https://x/s3cret'\n"

    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, receiver), {})

    assert "s3cret" not in str(caught.value)


def test_what_show_prints_is_a_configuration_with_the_same_values(tmp_path):
    config = load(None, {"RANKGUARD_ENGINE__VLLM__MAX_NUM_SEQS": "8"})

    again = load(written(tmp_path, show(config)), {})

    assert again == config


def test_show_explains_every_key():
    text = show(Config())
    keys = [line.split(" = ")[0] for line in text.splitlines() if " = " in line and line[0] != "#"]

    assert {"host", "port", "kind", "replicas", "canary_s"} <= set(keys)
    assert tomllib.loads(text)["service"]["port"] == 8000


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        pytest.param(
            "RANKGUARD_SERVICE__PORT", "abc", r"\[service\] port: .*'abc'", id="a wrong value"
        ),
        pytest.param(
            "RANKGUARD_SERVICE__PROT", "1", r"prot: unknown key; .*port\?", id="an unknown key"
        ),
        pytest.param(
            "RANKGUARD_SRVICE__PORT", "1", r"\[srvice\]: .* service\?", id="an unknown section"
        ),
        pytest.param(
            "RANKGUARD_SERVICE__PORT__X", "1", r"\[service.port\] is no section", id="below a value"
        ),
    ],
)
def test_a_wrong_variable_is_named(tmp_path, variable, value, problem):
    with pytest.raises(ConfigError, match=problem) as caught:
        load(written(tmp_path, "[service]\nport = 1\n"), {variable: value})

    assert variable in str(caught.value)


def test_a_wrong_value_in_the_file_is_not_blamed_on_a_variable(tmp_path):
    path = written(tmp_path, "[service]\nport = 'x'\n[engine]\nknd = 1\n")

    with pytest.raises(ConfigError) as caught:
        load(path, {"RANKGUARD_SERVICE__HOST": "::1", "RANKGUARD_ENGINE__KIND": "auto"})

    assert "RANKGUARD_" not in str(caught.value)


def test_a_file_from_windows_is_read(tmp_path):
    path = tmp_path / "rankguard.toml"
    path.write_bytes(b"\xef\xbb\xbf[service]\r\nport = 8123\r\n")

    assert load(path, {}).service.port == 8123


def test_a_variable_with_one_underscore_is_told_and_no_error():
    environ = {"RANKGUARD_SERVICE_PORT": "1", "RANKGUARD_CONFIG": "x", "RANKGUARD_API_KEY": "x"}

    load(None, environ)

    (note,) = overlooked(environ)
    assert "RANKGUARD_SERVICE__PORT" in note
