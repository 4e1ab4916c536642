"""Both languages of the page as one ASGI app; `/` leads to the browser's."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse, Response

from deploy.ui.desk import Place
from deploy.ui.page import build
from deploy.ui.upload import MAX_BYTES
from deploy.ui.words import LANGUAGES, Words, choose

_HERE = Path(__file__).parent
_FONT = ("system-ui", "Segoe UI", "Noto Sans", "Noto Sans CJK SC", "sans-serif")
_MONO = ("ui-monospace", "Consolas", "Noto Sans Mono", "monospace")
_ICON = (
    "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16' fill='#0f766e'>"
    "<rect x='1' y='2' width='14' height='3' rx='1'/>"
    "<rect x='1' y='6.5' width='9' height='3' rx='1'/>"
    "<rect x='1' y='11' width='5' height='3' rx='1'/></svg>"
)


def site(place: Place) -> FastAPI:
    """The whole site, to be served with its lifespan on."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)

    @app.get("/")
    async def front(request: Request) -> Response:
        words = choose(request.headers.get("accept-language", ""))
        return RedirectResponse(f"{words.code}/", 307, {"vary": "accept-language"})

    @app.get("/favicon.ico")
    async def icon() -> Response:
        return Response(_ICON, media_type="image/svg+xml")

    for words in LANGUAGES.values():
        gr.mount_gradio_app(
            app,
            build(place, words),
            path=f"/{words.code}",
            # no links to Gradio, no record of runs in the browser, no page of the API
            footer_links=[],
            run_history=False,
            app_kwargs={"openapi_url": None, "docs_url": None, "redoc_url": None},
            ssr_mode=False,
            mcp_server=False,
            pwa=False,
            enable_monitoring=False,
            show_error=False,
            max_file_size=MAX_BYTES,
            theme=_theme(),
            css=(_HERE / "page.css").read_text("utf-8"),
            head=_script(words),
        )
    return app


def _script(words: Words) -> str:
    code = (_HERE / "page.js").read_text("utf-8")
    return f"<script>{{\nconst LANGUAGE = '{words.code}';\n{code}}}</script>"


def _theme() -> gr.themes.Base:
    """System fonts only, and colours that can be read: 4.5 to 1 against their ground."""
    theme = gr.themes.Base(
        primary_hue=gr.themes.colors.teal,
        secondary_hue=gr.themes.colors.teal,
        neutral_hue=gr.themes.colors.slate,
        font=_FONT,
        font_mono=_MONO,
    )
    return theme.set(
        color_accent="*primary_700",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400",
        block_label_text_color="*neutral_700",
        block_title_text_color="*neutral_700",
        block_info_text_color="*neutral_600",
        input_placeholder_color="*neutral_500",
        input_placeholder_color_dark="*neutral_400",
        checkbox_border_color_dark="*neutral_400",
        block_radius="10px",
        input_radius="8px",
        button_large_radius="8px",
    )
