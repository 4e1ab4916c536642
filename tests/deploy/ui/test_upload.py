from __future__ import annotations

import json

import pytest

from deploy.ui.upload import MAX_BYTES, BadUpload, Kind, clean, documents_of, read_upload
from deploy.ui.words import LANGUAGES, upload_sentence

LIMIT = 5


def read(name, text):
    raw = text if isinstance(text, bytes) else text.encode()
    return read_upload(name, raw, LIMIT)


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        pytest.param("a.jsonl", '"one"\n\n{"text": "two"}\n', ["one", "two"], id="JSON lines"),
        pytest.param("a.JSONL", '{"text": "x", "id": 3}', ["x"], id="other keys do not matter"),
        pytest.param("a.jsonl", '"a\u2028b"\n', ["a\u2028b"], id="a line separator is no new line"),
        pytest.param("a.ndjson", '"a\\nb"', ["a\nb"], id="a line feed inside a document stays"),
        pytest.param("a.csv", "id,text\n1,one\n2,two\n", ["one", "two"], id="a column of several"),
        pytest.param("a.csv", "Text\none\n\ntwo\n", ["one", "two"], id="case of the header"),
        pytest.param("a.csv", 'text\n"a, b\nc"\n', ["a, b\nc"], id="quoted, over two lines"),
        pytest.param("a.csv", "id;text\r\n1;eins, zwei\r\n", ["eins, zwei"], id="semicolons"),
        pytest.param("a.tsv", "id\ttext\n1\tone\n", ["one"], id="tabs"),
        pytest.param("a.csv", b"\xef\xbb\xbftext\none\n", ["one"], id="a byte order mark"),
        pytest.param("a.csv", "text\n" + "x" * 200_000, ["x" * 200_000], id="a long document"),
        pytest.param("a.txt", " one \n\ntwo\n", ["one", "two"], id="one a line"),
        pytest.param("a.jsonl", '"\\ud83d"', ["\ufffd"], id="half a surrogate pair"),
    ],
)
def test_a_file_becomes_documents(name, text, wanted):
    assert read(name, text) == wanted


@pytest.mark.parametrize(
    ("name", "text", "kind", "line", "words"),
    [
        ("a.pdf", "x", Kind.SUFFIX, 0, ".jsonl"),
        ("a", "x", Kind.SUFFIX, 0, ".jsonl"),
        ("a.txt", b"one\ntwo\xff\n", Kind.NOT_UTF8, 2, "UTF-8"),
        ("a.jsonl", '"a"\n{"text": "b"\n', Kind.NOT_JSON, 2, "JSON"),
        ("a.jsonl", "[" * 100_000, Kind.NOT_JSON, 1, "JSON"),
        ("a.jsonl", '"a"\n{"txt": "b"}', Kind.MISSING, 2, "text"),
        ("a.jsonl", '{"text": 3}', Kind.WRONG_TYPE, 1, "number"),
        ("a.jsonl", '"a"\n\nnull', Kind.WRONG_TYPE, 3, "null"),
        ("a.jsonl", "true", Kind.WRONG_TYPE, 1, "true/false"),
        ("a.jsonl", '{"text": ["b"]}', Kind.WRONG_TYPE, 1, "list"),
        ("a.jsonl", '{"text": " "}', Kind.BLANK, 1, "text"),
        ("a.csv", "id,body\n1,b\n", Kind.NO_COLUMN, 1, "id, body"),
        ("a.csv", "", Kind.NO_COLUMN, 1, "text"),
        ("a.csv", "id,text\n1,a\n2\n", Kind.FIELDS, 3, "2"),
        ("a.csv", 'id,text\n1,"a\nb"\n2,\n', Kind.BLANK, 4, "text"),
        ("a.csv", 'text\n"a"b\n', Kind.NOT_CSV, 2, "CSV"),
        ("a.txt", "\n".join("abcdef"), Kind.TOO_MANY, 6, "5"),
        ("a.txt", "\n \n", Kind.EMPTY, 0, "a.txt"),
        ("a.csv", "text\n", Kind.EMPTY, 0, "a.csv"),
        ("a.txt", b"x" * (MAX_BYTES + 1), Kind.TOO_LARGE, 0, "16"),
    ],
    ids=lambda value: None if isinstance(value, str | bytes) else str(value),
)
@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_wrong_is_said_with_file_line_and_field(  # noqa: PLR0917 - a row of the table
    name, text, kind, line, words, language
):
    with pytest.raises(BadUpload) as caught:
        read(name, text)
    sentence = upload_sentence(caught.value, LANGUAGES[language])

    assert (caught.value.kind, caught.value.line) == (kind, line)
    assert name in sentence
    assert words in sentence
    assert line == 0 or str(line) in sentence
    assert "{" not in sentence


def test_every_kind_of_trouble_has_words_in_every_language():
    for words in LANGUAGES.values():
        assert set(words.upload_wrong) == set(Kind)


def test_typed_documents_are_lines_that_are_not_blank():
    assert documents_of("one\n\n  two \r\n\u2028three") == ["one", "two", "three"]


def test_what_is_cleaned_can_be_sent():
    json.dumps(clean("a\ud83d\ude00b\udc00"), ensure_ascii=False).encode()

    assert clean("a\ud83d\ude00b\udc00") == "a😀b\ufffd"
