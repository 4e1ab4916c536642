"""What is read of a folder, what is not, and that nothing outside it ever is."""

from __future__ import annotations

import json
import os

import pytest

from service.gateway.search import markup
from service.gateway.search.cut import Cutter, Source
from service.gateway.search.reader import Reader, Skipped


def read(folder, limit: int = 10_000) -> dict[str, object]:
    """Names of what was read with the source, or with the reason why it was not."""
    return {
        one.name: one.why if isinstance(one, Skipped) else one
        for one in Reader(max_file_bytes=limit).read(folder)
    }


def test_all_kinds_in_the_order_of_their_paths(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "a.md").write_text("# A\n\ntext")
    (tmp_path / "b" / "c.txt").write_text("plain")
    (tmp_path / "b" / "d.html").write_text("<title>T</title><p>page</p>")
    (tmp_path / "z.jsonl").write_text('{"_id": "r1", "title": "R", "text": "record"}\n"bare"\n')
    (tmp_path / "image.png").write_bytes(b"\x89PNG")

    found = read(tmp_path)

    assert list(found) == ["a.md", "z.jsonl#r1", "z.jsonl#2", "b/c.txt", "b/d.html"]
    assert found["b/d.html"].title == "T"
    assert (found["z.jsonl#r1"].title, found["z.jsonl#r1"].text) == ("R", "record")
    assert found["z.jsonl#2"].text == "bare"
    assert found["a.md"].folder == str(tmp_path.resolve())


def test_hidden_files_and_folders_are_left_out(tmp_path):
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "a.md").write_text("x")
    (tmp_path / ".b.md").write_text("x")
    assert read(tmp_path) == {}


def test_no_link_is_followed_neither_file_nor_folder(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.md").write_text("secret")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "file.md").symlink_to(outside / "secret.md")
    (inside / "folder").symlink_to(outside)
    (inside / "up.md").symlink_to("../outside/secret.md")

    assert read(inside) == {"file.md": "a symbolic link", "up.md": "a symbolic link"}


def test_a_folder_that_is_itself_reached_by_a_link_is_read(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.md").write_text("text")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert list(read(tmp_path / "link")) == ["a.md"]


def test_a_pipe_does_not_hang_and_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.md")
    assert read(tmp_path) == {"pipe.md": "not a regular file"}


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        pytest.param("a.md", b"x" * 101, "larger than 100 bytes", id="too large"),
        pytest.param("a.md", b"\xff\xfe\x00", "not UTF-8 text", id="not UTF-8"),
        pytest.param("a.txt", b"a\0b", "not UTF-8 text", id="binary"),
        pytest.param("a.txt", b" \n\t", "empty", id="nothing but white space"),
        pytest.param("a.html", b"<script>x</script>", "empty", id="a page without text"),
        pytest.param("a.jsonl", b"", "empty", id="no record"),
    ],
)
def test_what_is_skipped_says_why(tmp_path, name, content, why):
    (tmp_path / name).write_bytes(content)
    assert read(tmp_path, limit=100) == {name: why}


def test_bad_records_are_skipped_one_by_one(tmp_path):
    lines = [
        b'{"text": "good", "id": 7}',
        b"{broken",
        b'{"title": "no text"}',
        b'"' + b"x" * 200 + b'"',
        b"",
        b"42",
        b'{"text": " "}',
        b'{"text": "half \\ud800 pair"}',
    ]
    (tmp_path / "a.jsonl").write_bytes(b"\n".join(lines))

    found = read(tmp_path, limit=100)

    assert found.pop("a.jsonl#7").text == "good"
    assert found.pop("a.jsonl#8").text == "half \ufffd pair"
    assert found == {
        "a.jsonl:2": "not JSON",
        "a.jsonl:3": "neither a string nor an object with `text`",
        "a.jsonl:4": "larger than 100 bytes",
        "a.jsonl:6": "neither a string nor an object with `text`",
        "a.jsonl:7": "empty",
    }


def test_a_line_of_any_length_is_read_over_in_parts(tmp_path):
    long = b'"' + b"x" * 5000 + b'"\n'
    (tmp_path / "a.jsonl").write_bytes(long + b'"after"\n')
    found = read(tmp_path, limit=100)
    assert list(found) == ["a.jsonl:1", "a.jsonl#2"]


def test_a_name_that_is_no_text_is_skipped(tmp_path):
    (tmp_path / os.fsdecode(b"bad\xff.md")).write_text("x")
    (tmp_path / "new\nline.md").write_text("x")
    assert set(read(tmp_path).values()) == {"its name is no plain text"}


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        read(tmp_path / "nowhere")


def source(text: str, *, title: str = "", is_markdown: bool = True, stem: str = "stem") -> Source:
    return Source("/f", "a.md", title, text, is_markdown, stem)


def test_passages_carry_the_headings_that_they_stand_under():
    body = "word " * 60
    text = f"# Guide\n\n{body}\n\n## Drain\n\n{body}\n\n### Now\n\n{body}\n\n## Restart\n\n{body}"

    found = Cutter(90).passages(source(text))

    assert [one.title for one in found] == [
        "Guide",
        "Guide > Drain",
        "Guide > Drain > Now",
        "Guide > Restart",
    ]
    assert [one.place for one in found] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("given", "title"),
    [
        pytest.param(source("# H\n\ntext", title="T"), "T > H", id="its own"),
        pytest.param(source("# H\n\ntext"), "H", id="the first heading"),
        pytest.param(source("text"), "stem", id="the file's name"),
        pytest.param(source("# no heading\n\ntext", is_markdown=False), "stem", id="plain text"),
        pytest.param(source("text", stem=""), "", id="a record has none"),
    ],
)
def test_where_the_title_comes_from(given, title):
    assert Cutter(90).passages(given)[0].title == title


def test_what_is_in_a_code_block_is_no_heading():
    found = Cutter(90).passages(source("# H\n\n```\n# comment\n```\n\ntext"))
    assert found[0].title == "H"


def test_headings_alone_are_no_passage():
    assert Cutter(90).passages(source("# One\n\n## Two\n")) == []


@pytest.mark.parametrize("text", ["word " * 2000, "字" * 4000, "x" * 9000, "a\n" * 3000])
def test_no_passage_is_longer_than_asked_in_any_script(text):
    from service.gateway.chunking import estimate

    found = Cutter(100).passages(source(text, is_markdown=False))
    assert len(found) > 10
    assert max(estimate(one.text) for one in found) <= 100
    assert sum(len(one.text.replace(" ", "").replace("\n", "")) for one in found) == len(
        text.replace(" ", "").replace("\n", "")
    )


def test_the_digest_changes_with_all_that_the_passages_depend_on():
    base = source("text", title="T")
    digests = {
        Cutter(100).digest(base),
        Cutter(101).digest(base),
        Cutter(100).digest(source("text!", title="T")),
        Cutter(100).digest(source("text", title="U")),
        Cutter(100).digest(source("text", title="T", is_markdown=False)),
    }
    assert len(digests) == 5
    assert Cutter(100).digest(base) in digests


@pytest.mark.parametrize(
    ("page", "title", "text"),
    [
        pytest.param(
            "<html><head><title>The &amp; title</title><style>p{}</style></head>"
            "<body><nav>menu</nav><h1>One</h1><p>first<br>second</p><script>x()</script>"
            "<ul><li>a<li>b</ul></body></html>",
            "The & title",
            "# One\n\nfirst\nsecond\n\n- a\n- b",
            id="a page",
        ),
        pytest.param("<p>un<b>closed", "", "unclosed", id="broken"),
        pytest.param("<pre>a\n  b</pre>", "", "a\nb", id="lines of code stay lines"),
        pytest.param("<table><tr><td>a<td>b</table>", "", "a b", id="a table"),
        pytest.param("</nav></nav><p>text", "", "text", id="closed without being open"),
        pytest.param("", "", "", id="nothing"),
    ],
)
def test_html_as_a_reader_sees_it(page, title, text):
    assert markup.plain(page) == (title, text)


def test_an_html_page_gives_passages_under_its_headings(tmp_path):
    (tmp_path / "a.html").write_text(
        "<title>Site</title><h1>Ops</h1><h2>Drain</h2><p>do this</p>", encoding="utf-8"
    )
    [found] = Reader(max_file_bytes=1000).read(tmp_path)
    [one] = Cutter(90).passages(found)
    assert one.title == "Site > Ops > Drain"


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path):
    (tmp_path / "a.md").write_bytes("\ufeff# H\n\ntext".encode())
    (tmp_path / "b.jsonl").write_bytes(b"\xef\xbb\xbf" + json.dumps("text").encode())
    found = read(tmp_path)
    assert found["a.md"].text.startswith("# H")
    assert found["b.jsonl#1"].text == "text"
