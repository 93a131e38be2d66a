"""A headless browser, for what people look at in one."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright


@contextmanager
def chromium(home: Path) -> Iterator[Browser]:
    """Start a browser whose home directory, with its certificate store, is `home`."""
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"], env={**os.environ, "HOME": str(home)}
        )
        try:
            yield found
        finally:
            found.close()
