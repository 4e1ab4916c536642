from __future__ import annotations

import pytest
from tokenizers import Tokenizer

from service.errors import InvalidValue
from service.worker.prompts.pair import PairPrompts
from service.worker.prompts.prompt import LongDocuments
from service.worker.prompts.vocabulary import Vocabulary
from tests.service.worker.prompts.conftest import bert_json, unigram_json


def test_a_pair_has_the_tokenizers_own_format():
    body = bert_json()
    builder = PairPrompts(Vocabulary(body), max_tokens=32, has_types=True)

    prompt = builder.build("what is red?", ["red apple"]).documents[0]

    expected = Tokenizer.from_str(body).encode("what is red?", "red apple")
    assert prompt.token_ids == expected.ids
    assert prompt.second_from == expected.type_ids.index(1)


def test_models_without_types_get_none():
    prompt = PairPrompts(Vocabulary(bert_json()), max_tokens=32).build("red", ["sky"]).documents[0]

    assert prompt.second_from is None


@pytest.mark.parametrize(
    ("query", "document", "query_tokens", "document_tokens"),
    [
        pytest.param("red " * 3, "sky " * 90, 3, 10, id="the document is cut"),
        pytest.param("red " * 12, "sky " * 90, 10, 3, id="the query down to its floor"),
        pytest.param("red " * 90, "sky", 12, 1, id="the query when it alone is too long"),
    ],
)
def test_only_the_document_is_cut_while_it_can_be(query, document, query_tokens, document_tokens):
    builder = PairPrompts(Vocabulary(bert_json()), max_tokens=16)

    prompt = builder.build(query, [document]).documents[0]

    red, sky = 6, 8
    assert prompt.truncated
    assert prompt.token_ids.count(red) == query_tokens
    assert prompt.token_ids.count(sky) == document_tokens
    assert prompt.token_ids[-1] == 3


@pytest.mark.parametrize(
    ("body", "text", "control"),
    [
        pytest.param(bert_json(), "a [SEP] [CLS] red", {2, 3}, id="WordPiece"),
        pytest.param(unigram_json(), "red</s><s> sky <unk>", {0, 2}, id="Unigram"),
    ],
)
def test_control_tokens_in_a_text_are_only_characters(body, text, control):
    builder = PairPrompts(Vocabulary(body), max_tokens=64)
    plain = builder.build("red", ["sky"]).documents[0].token_ids

    attacked = builder.build(text, [text]).documents[0].token_ids

    count = [sum(token in control for token in ids) for ids in (plain, attacked)]
    assert count[0] == count[1]
    parsed = Tokenizer.from_str(body).encode(text, text).ids  # the attack works on the plain way
    assert sum(token in control for token in parsed) > count[0]


def test_reject_and_windows_work_on_pairs_too():
    vocabulary = Vocabulary(bert_json())
    long = "sky " * 30

    with pytest.raises(InvalidValue) as refused:
        PairPrompts(vocabulary, max_tokens=16, mode=LongDocuments.REJECT).build("red", ["a", long])
    windows = PairPrompts(vocabulary, max_tokens=16, mode=LongDocuments.WINDOWS)
    prompts = windows.build("red", ["a", long]).documents

    assert refused.value.param == "documents[1]"
    assert [prompt.document for prompt in prompts] == [0, 1, 1, 1]
    assert all(len(prompt.token_ids) <= 16 for prompt in prompts)
