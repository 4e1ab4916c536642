"""Puts a bundle in parts together again. Needs Python 3.7 or newer and nothing else.

    python3 join.py                 checks the parts, joins them and unpacks the bundle beside them
    python3 join.py --into FOLDER   unpacks it there
    python3 join.py --check         checks the parts alone

Run it again after a part was brought again, or after it was interrupted: what is checked and
joined already is not done twice. Exit 0: done. 2: parts are missing or damaged; each is named.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
import tarfile
from pathlib import Path
from typing import Any

LIST = "PARTS.json"
CHECKED = ".checked.json"
CHUNK = 1 << 20


def sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for chunk in iter(lambda: file.read(CHUNK), b""):
            digest.update(chunk)
    return digest.hexdigest()


def check(folder: Path, parts: list[dict[str, Any]]) -> list[str]:
    """What is wrong with the parts, a line each; remembers those that are well."""
    memory = folder / CHECKED
    try:
        known = json.loads(memory.read_text("utf-8"))
    except (OSError, ValueError):
        known = {}
    wrong = []
    for part in parts:
        path = folder / part["name"]
        if not path.is_file():
            wrong.append("missing: " + part["name"])
            continue
        stat = path.stat()
        seen = [stat.st_size, stat.st_mtime_ns, part["sha256"]]
        if known.get(part["name"]) == seen:
            continue
        if stat.st_size != part["bytes"]:
            words = "damaged: {} has {} bytes instead of {}"
            wrong.append(words.format(part["name"], stat.st_size, part["bytes"]))
        elif sha256(path) != part["sha256"]:
            wrong.append("damaged: {} has another checksum".format(part["name"]))
        else:
            known[part["name"]] = seen
            memory.write_text(json.dumps(known), "utf-8")
    return wrong


def join(folder: Path, body: dict[str, Any]) -> Path:
    """The whole file; goes on where an earlier run stopped. Raises ValueError when it is wrong."""
    whole: Path = folder / body["whole"]["name"]
    if whole.is_file() and whole.stat().st_size == body["whole"]["bytes"]:
        if sha256(whole) == body["whole"]["sha256"]:
            return whole
        whole.unlink()
    partial = folder / (whole.name + ".partial")
    with partial.open("ab") as out:
        have, done = out.tell(), 0
        for part in body["parts"]:
            if done + part["bytes"] > have:
                break
            done += part["bytes"]
        out.truncate(done)  # an interrupted copy ends within a part
        at = 0
        for part in body["parts"]:
            if at >= done:
                say("joining " + part["name"])
                with (folder / part["name"]).open("rb") as file:
                    shutil.copyfileobj(file, out, CHUNK)
            at += part["bytes"]
    if sha256(partial) != body["whole"]["sha256"]:
        partial.unlink()
        raise ValueError(whole.name + " has another checksum than when it was cut; run this again")
    partial.replace(whole)
    return whole


def unpack(whole: Path, into: Path) -> None:
    into.mkdir(parents=True, exist_ok=True)
    with tarfile.open(str(whole)) as archive:
        if hasattr(tarfile, "data_filter"):
            archive.extractall(str(into), filter="data")
        else:
            archive.extractall(str(into))  # noqa: S202 - its checksum is the one that we wrote


def say(text: str) -> None:
    print("join: " + text, file=sys.stderr, flush=True)


def main() -> int:
    here = Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--into", type=Path, default=here / "bundle", help="where to unpack")
    parser.add_argument("--check", action="store_true", help="check the parts alone")
    given = parser.parse_args()
    try:
        body = json.loads((here / LIST).read_text("utf-8"))
    except (OSError, ValueError) as error:
        say(f"missing or damaged: {LIST} ({error})")
        return 2
    say("checking {} parts".format(len(body["parts"])))
    wrong = check(here, body["parts"])
    for line in wrong:
        say(line)
    if wrong:
        say("bring these again, then run this again")
        return 2
    if given.check:
        say("all parts are well")
        return 0
    try:
        unpack(join(here, body), given.into)
    except (ValueError, OSError, tarfile.TarError) as error:
        say(str(error))
        return 2
    say("unpacked; now: {}".format(given.into / "install.sh"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
