"""Fills a template of this package; a value that it asks for and nobody gives is an error."""

from __future__ import annotations

import json
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined


def fill(name: str, **values: object) -> str:
    """The text of `templates/<name>.j2` with `values` in it.

    Filters beyond Jinja's own: `quoted`, a JSON string, which is a YAML and a TOML string too.

    Raises:
        jinja2.UndefinedError: the template asks for a value that is not given.
    """
    return _environment().get_template(f"{name}.j2").render(**values)


@cache
def _environment() -> Environment:
    # text files for machines, not HTML: there is nothing to escape
    environment = Environment(  # noqa: S701
        loader=PackageLoader("deploy.render", "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["quoted"] = lambda value: json.dumps(str(value), ensure_ascii=False)
    return environment
