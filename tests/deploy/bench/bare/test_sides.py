import json
from pathlib import Path

import pytest
from jinja2.sandbox import ImmutableSandboxedEnvironment

from deploy.bench.bare import server, sides
from deploy.config import load
from service.request import DEFAULT_INSTRUCTION
from service.worker.engines import vllm_arguments
from service.worker.prompts.qwen3 import PREFIX, SUFFIX

TEMPLATE = Path(server.__file__).with_name("qwen3_reranker.jinja")
CPU = sides.Engine("/models/tiny", on_cpu=True)
CARD = sides.Engine("/models/tiny", on_cpu=False)


def rendered(**more):
    """As Transformers renders a chat template."""
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    messages = [{"role": "query", "content": "q {{ 1 }}"}, {"role": "document", "content": "d\n"}]
    return environment.from_string(TEMPLATE.read_text()).render(messages=messages, **more)


@pytest.mark.parametrize(
    ("given", "used"),
    [
        pytest.param({}, DEFAULT_INSTRUCTION, id="the official instruction is the default"),
        pytest.param({"instruction": "Find code"}, "Find code", id="the request's own wins"),
    ],
)
def test_the_template_gives_the_same_prompt_as_ours_to_the_last_newline(given, used):
    body = f"<Instruct>: {used}\n<Query>: q {{{{ 1 }}}}\n<Document>: d\n"
    assert rendered(**given) == PREFIX + body + SUFFIX


def bare(engine, *, same_settings):
    return sides.bare_command(
        "python", engine, port=1, template=TEMPLATE, same_settings=same_settings
    )


def test_bare_vllm_keeps_its_own_block_size_unless_the_settings_are_made_the_same():
    assert "--block-size" not in bare(CPU, same_settings=False)
    same = bare(CPU, same_settings=True)
    assert same[same.index("--block-size") + 1] == str(vllm_arguments._CPU_BLOCK)


def test_on_a_card_our_worker_sets_no_block_size_and_neither_do_we():
    assert "--block-size" not in bare(CARD, same_settings=True)


@pytest.mark.parametrize("same_settings", [False, True])
def test_bare_vllm_listens_on_loopback_and_shares_prefixes(same_settings):
    command = bare(CPU, same_settings=same_settings)
    assert command[command.index("--host") + 1] == "127.0.0.1"
    assert "--enable-prefix-caching" in command
    overrides = json.loads(command[command.index("--hf-overrides") + 1])
    assert overrides["classifier_from_token"] == ["no", "yes"]


def test_our_configuration_is_valid_and_limits_what_bare_vllm_is_limited_to(tmp_path):
    file = tmp_path / "rankguard.toml"
    file.write_text(sides.our_config(CPU, port=1, state_dir=tmp_path / "st ate"))
    config = load(file, {})
    command = bare(CPU, same_settings=True)
    assert config.engine.kind == "vllm"
    assert config.service.state_dir == tmp_path / "st ate"
    assert command[command.index("--max-model-len") + 1] == str(config.engine.max_model_len)
    cache = config.engine.vllm["kv_cache_memory_bytes"]
    assert command[command.index("--kv-cache-memory-bytes") + 1] == str(cache)
    assert config.engine.vllm.keys() == {"kv_cache_memory_bytes"}
