"""Whether a model folder gives the prompts that its makers meant: with others, scores are noise."""

from __future__ import annotations

from pathlib import Path

from deploy.doctor.finding import Finding, fail, ok
from service.settings import EngineSettings
from service.worker.engine import EngineStartError
from service.worker.engines.model_folder import open_folder
from service.worker.prompts.build import Wishes, WrongVocabulary, build_prompts
from service.worker.prompts.profile import CONFIGURE, Family, UnknownModel, choose

_SAID = {
    Family.QWEN3_RERANKER: "Qwen3-Reranker: prompt and token ids are those of the official sample",
    Family.CROSS_ENCODER: "a cross-encoder: the tokenizer's own pairs",
    Family.EMBEDDING: "an embedding model: cosine, no prompt but its prefixes",
}


def check_template(folder: Path, settings: EngineSettings) -> Finding:
    """Choose the profile and build the prompts as the worker will at its start.

    Reads `config.json` and the tokenizer, no weights; a second or two for Qwen3's vocabulary.
    """
    from service.worker.prompts.vocabulary import Vocabulary  # noqa: PLC0415 - tokenizers

    configured = None if settings.profile == "auto" else Family(settings.profile)
    try:
        model = open_folder(str(folder), revision=None, report=lambda _: None)
        profile = choose(
            model.config,
            name=model.name,
            sentence_embedding=model.sentence_embedding,
            configured=configured,
        )
        limit = min(settings.max_model_len, profile.max_tokens or settings.max_model_len)
        build_prompts(Vocabulary(model.tokenizer_json()), profile, Wishes(max_tokens=limit))
    except UnknownModel as error:
        return fail("template", str(error), CONFIGURE)
    except WrongVocabulary as error:
        return fail("template", str(error), "copy tokenizer.json from the model's own repository")
    except EngineStartError as error:
        return fail("template", str(error), "copy the whole model folder again")
    except Exception as error:  # noqa: BLE001 - what the tokenizers library raises
        reason = f"{folder}/tokenizer.json cannot be used: {error}"
        return fail("template", reason, "copy tokenizer.json from the model's own repository")
    return ok("template", _SAID[profile.family])
