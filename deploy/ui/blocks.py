"""Gradio's page, taking no file but what was uploaded to it.

Gradio looks at where a file lies only in a page that it launched itself. In one that is mounted, as
ours is, a browser could name any file of this host, or any page of the web, and have it read.
"""

from __future__ import annotations

from typing import Any

import gradio as gr


class Blocks(gr.Blocks):
    """A page whose events refuse files of the host and of the web."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.has_launched = True

    async def preprocess_data(
        self, block_fn: Any, inputs: list[Any], state: Any, explicit_call: bool = False
    ) -> list[Any]:
        """Gradio's own, after the check.

        Raises:
            gr.Error: an input names a page of the web.
        """
        if names_web(inputs):
            raise gr.Error("not uploaded here")
        found: list[Any] = await super().preprocess_data(block_fn, inputs, state, explicit_call)
        return found


def names_web(value: object) -> bool:
    """Whether there is a file in it, however deep, that is an address.

    What nests deeper than Python follows is no input of ours: it raises RecursionError.
    """
    if isinstance(value, dict):
        path = value.get("path")
        return (isinstance(path, str) and "://" in path) or names_web(list(value.values()))
    return isinstance(value, list) and any(names_web(item) for item in value)
