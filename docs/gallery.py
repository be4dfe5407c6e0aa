"""The pictures of gallery.md and report.md: the demo's shot, and its report in three states.

    python docs/gallery.py FOLDER

FOLDER is one that `infusion demo` has filled, or is to fill now. Needs chromium on the path.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from infusion_ofx.demo import demo
from infusion_ofx.report.build import build

DOCS = Path(__file__).parent
STATES = {
    "wipe": (),
    "difference": ("4", "o", "ArrowRight"),
    "region": ("3", "z", "z", "ArrowDown", "ArrowDown"),
}
"""Name of a picture, and the keys that lead to it from the page as it opens."""


def main(folder: Path) -> None:
    """Makes the shot where it is not there, its report, and the pictures."""
    (DOCS / "report").mkdir(exist_ok=True)
    if not (folder / "contact_sheet.png").is_file():
        demo(folder)
    job = max((folder / "infusion" / "fill").glob("v*"))
    shutil.copy(folder / "contact_sheet.png", DOCS / "demo.png")
    shutil.copy(job / "report" / "contact_sheet.png", DOCS / "report" / "sheet.png")
    photograph(build(job))


def photograph(page_file: Path) -> None:
    """Takes a picture of the page in each of the states."""
    program = shutil.which("chromium")
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        for name, keys in STATES.items():
            page = browser.new_page(viewport={"width": 1100, "height": 860})
            page.goto(page_file.as_uri())
            page.wait_for_selector("canvas[data-shown]")
            _press(page, keys)
            page.screenshot(path=DOCS / "report" / f"{name}.png")
            page.close()
        browser.close()


def _press(page: Page, keys: tuple[str, ...]) -> None:
    for key in keys:
        page.keyboard.press(key)
        page.wait_for_timeout(200)  # a frame is unpacked in the background


if __name__ == "__main__":
    main(Path(sys.argv[1]))
