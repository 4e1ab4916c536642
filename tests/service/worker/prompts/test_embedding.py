from __future__ import annotations

import pytest
from tokenizers import Tokenizer

from service.errors import InvalidValue
from service.worker.prompts.embedding import EmbeddingPrompts
from service.worker.prompts.prompt import LongDocuments
from service.worker.prompts.vocabulary import Vocabulary
from tests.service.worker.prompts.conftest import bert_json


def test_each_text_has_its_prefix_and_the_tokenizers_frame():
    body = bert_json()
    builder = EmbeddingPrompts(
        Vocabulary(body), max_tokens=32, query_prefix="query: ", document_prefix="passage: "
    )

    prompts = builder.build("red apple", ["blue sky"])

    tokenizer = Tokenizer.from_str(body)
    assert prompts.query.token_ids == tokenizer.encode("query: red apple").ids
    assert prompts.documents[0].token_ids == tokenizer.encode("passage: blue sky").ids


def test_an_instruction_goes_where_the_prefix_wants_it():
    body = bert_json()
    builder = EmbeddingPrompts(
        Vocabulary(body), max_tokens=32, query_prefix="{instruction}? ", instruction="what is"
    )
    tokenizer = Tokenizer.from_str(body)

    own = builder.build("red", ["sky"], "is").query.token_ids
    default = builder.build("red", ["sky"]).query.token_ids

    assert own == tokenizer.encode("is? red").ids
    assert default == tokenizer.encode("what is? red").ids


def test_a_long_document_is_cut_and_keeps_the_frame():
    builder = EmbeddingPrompts(Vocabulary(bert_json()), max_tokens=16, document_prefix="passage: ")

    short, long = builder.build("red", ["sky", "sky " * 90]).documents

    assert (short.truncated, long.truncated) == (False, True)
    assert (len(long.token_ids), long.token_ids[-1]) == (16, 3)


def test_the_callers_limit_does_not_count_the_prefix():
    builder = EmbeddingPrompts(Vocabulary(bert_json()), max_tokens=32, document_prefix="passage: ")

    prompt = builder.build("red", ["sky " * 90], None, 5).documents[0]

    sky = 8
    assert prompt.token_ids.count(sky) == 5


def test_windows_each_have_the_prefix():
    builder = EmbeddingPrompts(
        Vocabulary(bert_json()),
        max_tokens=16,
        mode=LongDocuments.WINDOWS,
        document_prefix="passage: ",
    )
    document = "sky " * 30

    prompts = builder.build("red", [document]).documents

    passage = 17
    assert all(prompt.token_ids[1] == passage for prompt in prompts)
    assert all(len(prompt.token_ids) <= 16 for prompt in prompts)
    assert (prompts[0].span[0], prompts[-1].span[1]) == (0, len(document))


def test_reject_names_the_query():
    builder = EmbeddingPrompts(Vocabulary(bert_json()), max_tokens=16, mode=LongDocuments.REJECT)

    with pytest.raises(InvalidValue) as refused:
        builder.build("red " * 50, ["sky"])

    assert refused.value.param == "query"


def test_texts_to_embed_are_queries_or_documents_each_on_its_own():
    body = bert_json()
    builder = EmbeddingPrompts(
        Vocabulary(body), max_tokens=16, query_prefix="query: ", document_prefix="passage: "
    )
    tokenizer = Tokenizer.from_str(body)

    query, long = builder.inputs(["red apple", "sky " * 90], queries=True)
    document, cut = builder.inputs(["red apple", "sky " * 90], queries=False)

    assert query.token_ids == tokenizer.encode("query: red apple").ids
    assert document.token_ids == tokenizer.encode("passage: red apple").ids
    assert [one.truncated for one in (query, long, document, cut)] == [False, True, False, True]
    assert (long.document, cut.document) == (1, 1)


def test_of_windows_the_first_stands_for_the_text_and_says_that_it_is_not_all():
    builder = EmbeddingPrompts(Vocabulary(bert_json()), max_tokens=16, mode=LongDocuments.WINDOWS)
    [only] = builder.inputs(["sky " * 40], queries=False)
    assert only.truncated
    assert len(only.token_ids) <= 16


@pytest.mark.parametrize("queries", [True, False])
def test_a_text_that_is_refused_is_named(queries):
    builder = EmbeddingPrompts(Vocabulary(bert_json()), max_tokens=16, mode=LongDocuments.REJECT)
    with pytest.raises(InvalidValue) as refused:
        builder.inputs(["sky", "sky " * 90], queries=queries)
    assert refused.value.param == "texts[1]"
    with pytest.raises(InvalidValue, match="lone surrogate"):
        builder.inputs(["\ud800"], queries=queries)
