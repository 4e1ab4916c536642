"""PURE: takes secrets out of text before it is kept as evidence."""

from __future__ import annotations

import re

HIDDEN = "[redacted]"

_NAME = (
    r"[\w.-]*(?:secret|token|passw(?:or)?d|passwd|api[_-]?key|access[_-]?key|credential|private[_-]?key)"
    r"[\w.-]*"
)
_RULES = (
    # name=value, name: value, "name": "value", --name value
    (
        re.compile(rf"(?i)(\b{_NAME}[\"']?\s*[=:]\s*[\"']?)([^\s\"',;&]+)"),
        rf"\1{HIDDEN}",
    ),
    (re.compile(rf"(?i)(--{_NAME}\s+)(\S+)"), rf"\1{HIDDEN}"),
    (re.compile(r"(?i)(authorization\s*[=:]\s*)([^\r\n\"']+)"), rf"\1{HIDDEN}"),
    (re.compile(r"(?i)(\b(?:bearer|basic)\s+)[\w.~+/=-]{8,}"), rf"\1{HIDDEN}"),
    (re.compile(r"(\b\w+://)[^/\s:@]+:[^/\s@]+@"), rf"\1{HIDDEN}@"),
    (re.compile(r"\b(?:sk|hf|ghp|gho|xox[abp]|glpat)[-_][\w-]{12,}"), HIDDEN),
    # signatures and keys in the query of a URL
    (re.compile(r"(?i)([?&](?:sign(?:ature)?|key|sig)=)[^&\s\"']+"), rf"\1{HIDDEN}"),
)


def redact(text: str) -> str:
    """The text without values that look like secrets; names stay, so that it can be read."""
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text


def redact_argv(argv: list[str]) -> list[str]:
    """A command line, where a secret may be the word after its option."""
    shown: list[str] = []
    hide = False
    for word in argv:
        if hide and not word.startswith("-"):
            shown.append(HIDDEN)
            hide = False
            continue
        hide = bool(re.fullmatch(rf"(?i)--?{_NAME}", word)) and not word.endswith("_file")
        shown.append(redact(word))
    return shown
