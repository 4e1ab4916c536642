from __future__ import annotations

import pytest

from service.worker.prompts.build import Wishes, WrongVocabulary, build_prompts
from service.worker.prompts.embedding import EmbeddingPrompts
from service.worker.prompts.pair import PairPrompts
from service.worker.prompts.profile import Family, Profile, UnknownModel, choose
from service.worker.prompts.vocabulary import Vocabulary
from tests.service.worker.prompts.conftest import bert_json

QWEN = {"architectures": ["Qwen3ForCausalLM"], "max_position_embeddings": 40960}
BERT = {
    "architectures": ["BertModel"],
    "model_type": "bert",
    "type_vocab_size": 2,
    "max_position_embeddings": 512,
}
ONE = {"id2label": {"0": "LABEL_0"}}
XLMR = {
    "architectures": ["XLMRobertaForSequenceClassification"],
    "model_type": "xlm-roberta",
    "max_position_embeddings": 8194,
    "pad_token_id": 1,
    "type_vocab_size": 1,
    **ONE,
}


@pytest.mark.parametrize(
    ("config", "name", "sentences", "expected"),
    [
        pytest.param(
            QWEN,
            "Qwen/Qwen3-Reranker-0.6B",
            False,
            Profile(Family.QWEN3_RERANKER, original_qwen3=True, max_tokens=40960, is_decoder=True),
            id="original Qwen3-Reranker",
        ),
        pytest.param(
            {**QWEN, "architectures": ["Qwen3ForSequenceClassification"], **ONE},
            "seq-cls",
            False,
            Profile(Family.QWEN3_RERANKER, max_tokens=40960, is_decoder=True),
            id="converted Qwen3-Reranker",
        ),
        pytest.param(
            XLMR,
            "bge-reranker-v2-m3",
            False,
            Profile(Family.CROSS_ENCODER, max_tokens=8192),
            id="cross-encoder, positions behind the padding",
        ),
        pytest.param(
            {**BERT, **ONE, "architectures": ["BertForSequenceClassification"]},
            "ms-marco-MiniLM-L6-v2",
            False,
            Profile(Family.CROSS_ENCODER, max_tokens=512, has_types=True),
            id="cross-encoder with token types",
        ),
        pytest.param(
            BERT,
            "multilingual-e5-small",
            True,
            Profile(
                Family.EMBEDDING,
                max_tokens=512,
                has_types=True,
                query_prefix="query: ",
                document_prefix="passage: ",
            ),
            id="embedding model with known prefixes",
        ),
    ],
)
def test_the_folder_tells_the_family(config, name, sentences, expected):
    assert choose(config, name=name, sentence_embedding=sentences) == expected


@pytest.mark.parametrize(
    ("positions", "sentence_tokens", "longest"),
    [
        pytest.param(512, 256, 256, id="trained on shorter ones than it has positions for"),
        pytest.param(512, 8192, 512, id="no more than its positions"),
        pytest.param(512, None, 512, id="nothing said"),
        pytest.param(None, 256, 256, id="positions not told"),
        pytest.param(None, None, None, id="nothing known"),
    ],
)
def test_the_longest_input_is_the_least_that_the_folder_tells(positions, sentence_tokens, longest):
    profile = choose(
        {**BERT, "max_position_embeddings": positions},
        name="multilingual-e5-small",
        sentence_embedding=True,
        sentence_tokens=sentence_tokens,
    )
    assert profile.max_tokens == longest


@pytest.mark.parametrize(
    ("config", "name", "sentences", "words"),
    [
        pytest.param(QWEN, "my-model", False, "[engine] profile", id="a language model"),
        pytest.param({}, "x", False, "no architecture", id="no architecture"),
        pytest.param(
            {"architectures": ["LlamaForCausalLM"]}, "x-rerank", False, "profile", id="unknown"
        ),
        pytest.param(BERT, "plain-bert", False, "profile", id="an encoder of unknown purpose"),
        pytest.param(BERT, "my-embedder", True, "query_prefix", id="prefixes unknown"),
        pytest.param(
            {**XLMR, "id2label": {"0": "a", "1": "b", "2": "c"}},
            "nli",
            False,
            "3 output labels",
            id="a classifier",
        ),
    ],
)
def test_what_is_not_known_is_refused_and_says_what_to_configure(config, name, sentences, words):
    with pytest.raises(UnknownModel) as refused:
        choose(config, name=name, sentence_embedding=sentences)

    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("config", "family"),
    [
        pytest.param(QWEN, Family.QWEN3_RERANKER, id="a fine-tuned reranker of another name"),
        pytest.param(BERT, Family.EMBEDDING, id="an embedding model without prefixes"),
    ],
)
def test_the_operator_can_say_what_it_is(config, family):
    profile = choose(config, name="mine", sentence_embedding=False, configured=family)

    assert profile.family is family


def test_a_foreign_vocabulary_is_no_qwen3_reranker():
    with pytest.raises(WrongVocabulary):
        build_prompts(
            Vocabulary(bert_json()), Profile(Family.QWEN3_RERANKER), Wishes(max_tokens=512)
        )


@pytest.mark.parametrize(
    ("family", "builder"),
    [(Family.CROSS_ENCODER, PairPrompts), (Family.EMBEDDING, EmbeddingPrompts)],
)
def test_each_family_has_its_builder(family, builder):
    made = build_prompts(Vocabulary(bert_json()), Profile(family), Wishes(max_tokens=32))

    assert isinstance(made, builder)
    assert made.build("red", ["sky"]).documents[0].document == 0
