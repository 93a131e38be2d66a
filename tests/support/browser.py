"""A headless browser, for what people look at in one."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Error, Page, sync_playwright


@contextmanager
def chromium(home: Path) -> Iterator[Browser]:
    """Start a browser whose home directory, with its certificate store, is `home`.

    It is the one that has no windows at all: the whole one draws its own, unseen, in twice the time.
    """
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(
            executable_path=shutil.which("chromium-headless-shell"),
            args=["--no-sandbox"],
            env={**os.environ, "HOME": str(home)},
        )
        try:
            yield found
        finally:
            found.close()


@contextmanager
def explained(page: Page) -> Iterator[None]:
    """Say what the page shows, what it was answered and what went wrong on it, where something does not come."""
    heard: list[str] = []
    page.on("console", lambda told: heard.append(f"console: {told.text}"))
    page.on("pageerror", lambda error: heard.append(f"error: {error}"))
    page.on("response", lambda answer: heard.append(f"{answer.request.method} {answer.url}: {answer.status}"))
    page.on("requestfailed", lambda asked: heard.append(f"{asked.method} {asked.url}: {asked.failure}"))
    try:
        yield
    except Error as error:
        raise AssertionError("\n".join([str(error), *heard, page.inner_text("body")])) from error
