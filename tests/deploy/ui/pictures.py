"""The playground's pictures in the documents, made anew: `python -m tests.deploy.ui.pictures`.

Starts the real stack with the embedded model; look at the pictures before committing them.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from deploy.ui.example import EXAMPLES
from tests.deploy.ui.browser import CHROMIUM, FLAGS, PHONE, START_S, opened, playground
from tests.e2e.stack import Stack, stack

ROOT = Path(__file__).parents[3]
IMAGES = ROOT / "docs" / "images"
RUNBOOKS = ROOT / "deploy" / "runbooks"
MOST_BYTES = 200_000
SCREEN = {"width": 1180, "height": 760}
MORE = "[service.search]\nenabled = true\n"


def reranked(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()
    page.locator(".rg-row").first.wait_for()
    page.mouse.move(0, 0)


def searched(page: Page, words: str) -> None:
    page.get_by_role("tab").nth(1).click()
    page.get_by_role("textbox").locator("visible=true").first.fill(words)
    page.keyboard.press("Control+Enter")
    page.locator("#found .rg-row").first.wait_for()


def take(page: Page, name: str, *, full: bool = True) -> None:
    path = IMAGES / f"{name}.png"
    page.wait_for_timeout(500)  # a button's fading colour
    page.screenshot(path=path, full_page=full)
    size = path.stat().st_size
    print(f"{path.name}: {size / 1000:.0f} kB")
    if size > MOST_BYTES:
        sys.exit(f"{path} is larger than {MOST_BYTES} bytes")


def pictures(running: Stack, url: str) -> None:
    with sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for name, locale, screen in (
            ("playground", "en-US", SCREEN),
            ("playground-zh", "zh-CN", SCREEN),
            ("playground-phone", "en-US", PHONE),
        ):
            context = browser.new_context(viewport=screen, locale=locale)
            page = opened(context.new_page(), url)
            reranked(page, EXAMPLES[0].name)
            take(page, name)
            context.close()
        page = opened(browser.new_context(viewport=SCREEN, locale="en-US").new_page(), url)
        index = running.command("search", "index", str(RUNBOOKS))
        subprocess.run(index, check=True, timeout=600)
        searched(page, "显卡温度过高怎么办？")
        page.keyboard.press("Control+Enter")  # the index is open now
        page.wait_for_timeout(2000)
        take(page, "playground-search", full=False)
        browser.close()


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with stack(folder, engine="embedded", more=MORE) as running:
            running.start("up", "up")
            running.wait_ready(limit_s=START_S)
            with playground(folder, GATEWAY_URL=running.url) as url:
                pictures(running, url)


if __name__ == "__main__":
    main()
