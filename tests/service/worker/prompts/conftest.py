"""Vocabularies: the real one of Qwen3, and small ones of the other kinds made on the spot."""

from __future__ import annotations

import json

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from service.worker.prompts.vocabulary import Vocabulary
from tests import qwen3_vocabulary


@pytest.fixture(scope="session")
def qwen3_json() -> str:
    try:
        return qwen3_vocabulary.tokenizer_json().read_text(encoding="utf-8")
    except qwen3_vocabulary.Unavailable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def qwen3(qwen3_json) -> Vocabulary:
    return Vocabulary(qwen3_json)


@pytest.fixture(scope="session")
def official(qwen3_json) -> Tokenizer:
    """The tokenizer as the official sample has it: special tokens in any text are tokens."""
    return Tokenizer.from_str(qwen3_json)


def bert_json() -> str:
    """Words, `[CLS] a [SEP] b [SEP]`, two token types."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "what", "is", "red", "apple", "sky", "blue", "a"]
    words += ["[", "]", "cls", "sep", "##s", "?", "passage", "query", ":"]
    tokenizer = Tokenizer(
        models.WordPiece({word: i for i, word in enumerate(words)}, unk_token="[UNK]")
    )
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return tokenizer.to_str()


def unigram_json() -> str:
    """XLM-RoBERTa's kind: control tokens are pieces of the vocabulary, `<s> a </s></s> b </s>`."""
    pieces = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    pieces += [(piece, -2.0) for piece in ("▁red", "▁sky", "▁what", "▁", "<", ">", "/", "s")]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=3))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    return tokenizer.to_str()


def with_added(*contents: str, special: bool = False) -> str:
    """The small WordPiece vocabulary with more added tokens."""
    body = json.loads(bert_json())
    body["added_tokens"] += [
        {
            "id": len(body["model"]["vocab"]) + index,
            "content": content,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": special,
        }
        for index, content in enumerate(contents)
    ]
    return json.dumps(body)
