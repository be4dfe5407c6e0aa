"""The page of ``infusion report`` in a real browser, headless Chromium, as an artist uses it.

Needs ``chromium`` on the path and the package playwright. On a developer's machine without it the
tests are skipped and say so; with CI=true they fail.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

from infusion_ofx.job import Job
from infusion_ofx.report.batch import Shot, write_batch
from infusion_ofx.report.build import build
from infusion_ofx.report.page import document
from infusion_ofx.report.serve import Live, server
from infusion_ofx.report.table import table
from infusion_ofx.run import run
from infusion_ofx.sheet import displayed, read_clip

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow

HOSTILE = "<img src=x onerror=alert(1)>\"'&"
HEIGHT, WIDTH = 40, 64
FRAMES = range(1001, 1005)
ARGUMENTS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
BOX = (slice(14, 24), slice(28, 40))

# The canvas as it is shown, without the line of the wipe, which lies above it.
PIXELS = """() => {
  const from = document.getElementById("picture");
  const to = document.createElement("canvas");
  [to.width, to.height] = [from.width, from.height];
  const context = to.getContext("2d");
  context.drawImage(from, 0, 0);
  return Array.from(context.getImageData(0, 0, to.width, to.height).data);
}"""

Clip = NDArray[Any]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("no chromium: .ci/run installs it with apt")
        pytest.skip("no chromium on the path: `apt-get install chromium` lets these tests run")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A shot in a folder, and with names, that try to be HTML; its hole is filled."""
    import OpenImageIO as oiio

    folder = tmp_path_factory.mktemp("shot") / HOSTILE
    folder.mkdir()
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    for frame in FRAMES:
        wave = np.sin(0.4 * x + 0.2 * y + 0.3 * frame) + np.cos(0.5 * y)
        light = np.stack([0.2 * np.exp(k * wave) for k in (1.0, 0.7, 0.4)], 2)
        light[0, 0] = np.nan
        matte = np.zeros((HEIGHT, WIDTH, 1), np.float32)
        matte[BOX] = 1
        for name, pixels, channels in (("plate", light, "RGB"), ("matte", matte, "A")):
            spec = oiio.ImageSpec(WIDTH, HEIGHT, len(channels), oiio.HALF)
            spec.channelnames = tuple(channels)
            path = folder / f"{HOSTILE}{name}.{frame}.exr"
            output = oiio.ImageOutput.create("x.exr")
            assert output is not None and output.open(str(path), spec), oiio.geterror()
            assert output.write_image(pixels) and output.close(), output.geterror()
    return Job(
        plate=f"{folder}/{HOSTILE}plate.####.exr", matte=f"{folder}/{HOSTILE}matte.####.exr",
        output=f"{folder}/out.####.exr", recipe="draft", steps=2, sampling_steps=2, threads=1,
        device="cpu", prior="off",
    )  # fmt: skip


@pytest.fixture(scope="module")
def report(job: Job) -> Path:
    return build(Path(run(job).folder))


@pytest.fixture(scope="module")
def clips(job: Job, report: Path) -> dict[str, Clip]:
    """What is in the files, (T, H, W, 3)."""
    return {"plate": read_clip(job.plate, FRAMES), "result": read_clip(job.output, FRAMES)}


@pytest.fixture(params=["GlPainter", "FlatPainter"])
def page(request: pytest.FixtureRequest, chromium: Browser, report: Path) -> Iterator[Page]:
    """The page as it opens, once with WebGL and once without; it must complain of nothing."""
    page = new_page(chromium)
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append("a dialog"))
    page.on("request", lambda asks: asked.append(asks.url))
    page.goto(report.as_uri() + ("#2d" if request.param == "FlatPainter" else ""))
    page.wait_for_selector("canvas[data-shown]")
    assert page.get_attribute("canvas", "data-painter") == request.param
    yield page
    assert said == []
    own = report.as_uri().partition("#")[0]
    assert {url.partition("#")[0] for url in asked if not url.startswith("data:")} == {own}
    page.close()


def new_page(chromium: Browser) -> Page:
    """A page that is patient: a busy machine is no failure."""
    page = chromium.new_page(viewport={"width": 900, "height": 700})
    page.set_default_timeout(240_000)
    return page


def shown(page: Page) -> Clip:
    """The canvas's pixels, (H, W, 3)."""
    size = page.evaluate("[picture.height, picture.width]")
    return np.array(page.evaluate(PIXELS), np.uint8).reshape(*size, 4)[..., :3]


def alike(one: Clip, other: Clip) -> bool:
    """Whether two pictures are the same but for the last code; the proxy is rounded to 1 in 128."""
    return bool((np.abs(one.astype(int) - other.astype(int)) <= 1).mean() > 0.99) and bool(
        (np.abs(one.astype(int) - other.astype(int)) <= 2).all()
    )


def show(page: Page, frame: int) -> None:
    page.wait_for_selector(f"canvas[data-shown$='-{frame}']")


def test_the_wipe_shows_the_plate_left_and_the_result_right(
    page: Page, clips: dict[str, Clip]
) -> None:
    plate, result = (displayed(clips[name][0]) for name in ("plate", "result"))
    half = WIDTH // 2
    assert alike(shown(page), np.concatenate([plate[:, :half], result[:, half:]], 1))
    box = page.locator("canvas").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 1, box["y"] + 5)
    assert alike(shown(page)[:, 2:], result[:, 2:])
    page.mouse.move(box["x"] + box["width"] - 1, box["y"] + 5)
    assert alike(shown(page)[:, :-2], plate[:, :-2])
    for _ in range(60):
        page.keyboard.press(",")
    assert alike(shown(page), result)


def test_the_scrubber_the_keys_and_the_links_go_to_a_frame(
    page: Page, clips: dict[str, Clip]
) -> None:
    page.keyboard.press("2")
    page.locator("#scrubber").fill("2")
    show(page, 1003)
    assert alike(shown(page), displayed(clips["plate"][2]))
    page.locator("#scrubber").blur()
    page.keyboard.press("ArrowRight")
    show(page, 1004)
    assert alike(shown(page), displayed(clips["plate"][3]))
    page.keyboard.press("Home")
    show(page, 1001)
    page.locator("svg a").last.dispatch_event("click")
    page.evaluate("location.hash = 'frame=1002'")
    show(page, 1002)
    assert "0 samples differ outside" in page.inner_text("#checked")


def test_exposure_and_gamma_work_on_light(page: Page, clips: dict[str, Clip]) -> None:
    light = clips["result"][0].astype(np.float32)
    page.keyboard.press("3")
    for _ in range(4):
        page.keyboard.press("ArrowDown")
    assert alike(shown(page), displayed(light, -2))
    page.locator("#stops").fill("3")
    assert alike(shown(page), displayed(light, 3))
    page.locator("#stops").fill("0")
    page.locator("#gamma").fill("2")
    assert alike(shown(page), displayed(np.where(light > 0, light, np.nan) ** 0.5))


def test_the_difference_is_black_outside_the_matte_and_the_outline_goes_round_it(
    page: Page,
) -> None:
    page.keyboard.press("4")
    page.locator("#stops").fill("10")
    picture = shown(page)
    outside = np.ones((HEIGHT, WIDTH), bool)
    outside[BOX] = outside[0, 0] = False
    assert not picture[outside].any() and picture[BOX].any()
    assert picture[0, 0].tolist() == [255, 0, 255]  # NaN in the plate stays what it is
    page.locator("#outline").check()
    yellow = (shown(page) == (255, 217, 0)).all(-1)
    assert yellow[BOX].sum() == yellow.sum() == 2 * (10 + 12) - 4


def test_the_region_is_the_files_own_pixels_one_to_one(page: Page, clips: dict[str, Clip]) -> None:
    page.keyboard.press("2")
    page.keyboard.press("z")
    page.wait_for_selector("canvas[data-shown='region-1001']")
    picture = shown(page)
    whole = displayed(clips["plate"][0])
    found = np.lib.stride_tricks.sliding_window_view(whole, picture.shape)[:, :, 0]
    apart = np.abs(found.astype(int) - picture.astype(int)).max((-1, -2, -3))
    assert apart.min() <= 1
    wide = page.evaluate("picture.getBoundingClientRect().width * devicePixelRatio")
    assert wide == picture.shape[1]


def test_play_shows_one_frame_after_another_and_stops(page: Page) -> None:
    page.keyboard.press(" ")
    page.wait_for_selector("canvas[data-shown]:not([data-shown='shot-1001'])")  # eval is forbidden
    page.keyboard.press(" ")
    assert page.inner_text("#play") == "play"


def test_names_that_try_to_be_html_are_text(page: Page) -> None:
    assert page.locator("img[src=x]").count() == 0
    assert f"{HOSTILE}plate.####.exr" in page.inner_text("p >> nth=0")


def test_the_policy_lets_nothing_run_but_our_own(chromium: Browser, report: Path) -> None:
    page = new_page(chromium)
    page.goto(report.as_uri())
    page.evaluate("location.hash = '<script>alert(1)</script>'")
    planted = "const s = document.createElement('script'); s.textContent = 'window.ran = 1';"
    assert (
        page.evaluate(f"() => {{ {planted} document.head.append(s); return window.ran; }}") is None
    )
    with pytest.raises(Exception, match="Failed to fetch"):
        page.evaluate("fetch('https://example.org')")
    page.close()


def test_a_head_of_the_batchs_table_sorts_by_its_column(chromium: Browser, tmp_path: Path) -> None:
    shots = [Shot(name, None) for name in ("sh020", "sh010", "sh030")]
    write_batch(shots, tmp_path / "batch.html")
    page = new_page(chromium)
    asked: list[str] = []
    page.on("request", lambda asks: asked.append(asks.url))
    page.goto((tmp_path / "batch.html").as_uri())
    page.get_by_role("button", name="shot").click()
    orders = [page.locator("tbody td:nth-child(2)").all_inner_texts()]
    page.keyboard.press("Shift+Tab")  # the keyboard does what the mouse does
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    orders.append(page.locator("tbody td:nth-child(2)").all_inner_texts())
    assert orders == [["sh030", "sh020", "sh010"], ["sh010", "sh020", "sh030"]]
    heads = page.locator("th[aria-sort]")
    assert (heads.all_inner_texts(), heads.get_attribute("aria-sort")) == (["shot"], "ascending")
    assert [url for url in asked if not url.startswith("data:")] == [page.url]
    page.close()


def test_times_sort_as_times_by_keyboard_and_say_which_way(
    chromium: Browser, tmp_path: Path
) -> None:
    rows: list[list[Any]] = [["a", "59:59"], ["b", "0:40"], ["c", None], ["d", "1:00:05"]]
    body = [table(["shot", "took"], rows, sortable="shots")]
    file = tmp_path / "times.html"
    file.write_text("".join(document("times", ("sorting.js",), body)), encoding="utf-8")
    page = new_page(chromium)
    page.goto(file.as_uri())
    button = page.get_by_role("button", name="took")
    for order, said in (("dabc", "descending"), ("badc", "ascending")):
        button.press("Enter")
        assert "".join(page.locator("tbody td:nth-child(1)").all_inner_texts()) == order
        assert page.locator("th").nth(1).get_attribute("aria-sort") == said
    page.close()


def test_the_live_page_follows_its_job_and_leads_to_the_report(
    chromium: Browser, report: Path
) -> None:
    live = Live(report.parents[1])
    page = new_page(chromium)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    with server(live) as listening:
        threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True).start()
        page.goto(f"http://127.0.0.1:{listening.server_address[1]}/{live.token}/")
        page.get_by_role("link", name="The whole report").click()
        page.wait_for_selector("canvas[data-shown]")
        listening.shutdown()
    assert said == []
    page.close()
