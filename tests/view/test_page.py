"""The page in a browser: pixels, border, keys, and no word to anyone else."""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
import pyvips
from click.testing import CliRunner
from numpy.typing import NDArray
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.conftest import missing
from tests.view.conftest import CONTENT, HEIGHT, RESULT, WIDTH
from tilestyle.cli import cli
from tilestyle.images import write_deepzoom
from tilestyle.report.events import silent
from tilestyle.view.server import Server
from tilestyle.view.view import View, open_view

Array = NDArray[Any]

pytestmark = pytest.mark.usefixtures("library")

SCREEN = (1000, 700)
# clear of title, labels, border and buttons; a corner of four tiles lies at 510, 510
ROWS, LEFT, RIGHT = slice(110, 620), slice(20, 460), slice(540, 980)


class Browser:
    """A window on a page; what it asked for and complained of is checked at the end."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver
        self.url = ""

    def open(self, url: str) -> None:
        self.url = url
        self.driver.get(url)
        self.settle()

    def settle(self) -> None:
        """Wait until all tiles are there and nothing moves."""
        script = "return document.documentElement.dataset.loaded"
        self.until(lambda: self.driver.execute_script(script) == "true")
        before = b""
        while before != (before := self.driver.get_screenshot_as_png()):
            time.sleep(0.3)

    def until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < end, self.log("browser")
            time.sleep(0.05)

    def log(self, kind: str) -> list[Any]:
        return list(self.driver.get_log(kind))  # type: ignore[no-untyped-call]

    def find(self, css: str) -> Any:
        return self.driver.find_element(By.CSS_SELECTOR, css)

    def press(self, *keys: str) -> None:
        ActionChains(self.driver).send_keys(*keys).perform()
        self.settle()

    def pixels(self) -> Array:
        """The window, (3, height, width)."""
        image = pyvips.Image.new_from_buffer(self.driver.get_screenshot_as_png(), "")
        return np.asarray(np.moveaxis(image.numpy()[..., :3], -1, 0), int)

    def check_silence(self) -> None:
        """No error on the console, no request to another host."""
        assert self.log("browser") == []
        for entry in self.log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                asked = message["params"]["request"]["url"]
                assert asked.startswith((self.url, "data:")), asked


@pytest.fixture(scope="module")
def driver() -> Iterator[webdriver.Chrome]:
    programs = {name: shutil.which(name) for name in ("chromium", "chromedriver")}
    for name, path in programs.items():
        if path is None:
            missing(f"{name} (make services)")
    options = webdriver.ChromeOptions()
    options.binary_location = str(programs["chromium"])
    for flag in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "hide-scrollbars"):
        options.add_argument(f"--{flag}")
    options.add_argument("--force-color-profile=srgb")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(str(programs["chromedriver"]))
    started = webdriver.Chrome(options=options, service=service)
    metrics = {"width": SCREEN[0], "height": SCREEN[1], "deviceScaleFactor": 1, "mobile": False}
    started.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    yield started
    started.quit()


@pytest.fixture
def browser(driver: webdriver.Chrome) -> Iterator[Browser]:
    window = Browser(driver)
    yield window
    window.check_silence()
    driver.get("about:blank")
    window.log("performance")


@pytest.fixture
def page(browser: Browser, server: Server) -> Browser:
    browser.open(server.url)
    return browser


def centre(image: Array) -> Array:
    """What a window shows of an image at full resolution."""
    y, x = (HEIGHT - SCREEN[1]) // 2, (WIDTH - SCREEN[0]) // 2
    return image[:, y : y + SCREEN[1], x : x + SCREEN[0]].astype(int)


def difference(shown: Array, expected: Array, columns: slice) -> float:
    return float(np.abs(shown - expected)[:, ROWS, columns].mean())


def mean_color(shown: Array, columns: slice) -> Array:
    return np.asarray(shown[:, ROWS, columns].mean(axis=(1, 2)))


def test_full_resolution_shows_the_pixels_of_both(page: Browser) -> None:
    page.press("1")
    assert page.find("#zoom").text == "100 %"
    shown = page.pixels()
    assert difference(shown, centre(CONTENT), LEFT) < 4
    assert difference(shown, centre(RESULT), RIGHT) < 4
    # the grain is 60 levels high: a coarser level, or one pixel aside, is far off
    assert difference(shown, np.roll(centre(RESULT), 1, axis=2), RIGHT) > 15


def test_the_whole_image_first(page: Browser) -> None:
    share = SCREEN[1] / HEIGHT
    assert page.find("#zoom").text == f"{100 * share:.0f} %"
    shown = page.pixels()
    assert np.abs(mean_color(shown, slice(150, 460)) - CONTENT.mean(axis=(1, 2))).max() < 4
    assert np.abs(mean_color(shown, slice(540, 850)) - RESULT.mean(axis=(1, 2))).max() < 4


def test_the_border_moves_by_mouse_and_keys(page: Browser) -> None:
    page.press("1")
    curtain = page.find("#curtain")
    ActionChains(page.driver).drag_and_drop_by_offset(curtain, -490, 0).perform()
    page.settle()
    assert curtain.get_attribute("aria-valuenow") == "1"
    assert difference(page.pixels(), centre(RESULT), slice(100, 980)) < 4
    curtain.send_keys(Keys.END)
    page.settle()
    assert curtain.get_attribute("aria-valuenow") == "100"
    assert difference(page.pixels(), centre(CONTENT), LEFT) < 4
    assert difference(page.pixels(), centre(CONTENT), slice(540, 900)) < 4
    curtain.send_keys(Keys.PAGE_DOWN, Keys.ARROW_LEFT)
    assert curtain.get_attribute("aria-valuetext") == "88 % content"
    page.press("[", "[")
    assert curtain.get_attribute("aria-valuenow") == "84"
    page.press(Keys.HOME)  # the border still has the focus
    assert difference(page.pixels(), centre(RESULT), RIGHT) < 4


def test_the_border_stays_between_the_images_while_they_move(page: Browser) -> None:
    page.press("1")
    page.press("+", Keys.ARROW_RIGHT, Keys.ARROW_DOWN)
    shown = page.pixels()
    assert np.abs(mean_color(shown, LEFT) - CONTENT.mean(axis=(1, 2))).max() < 6
    assert np.abs(mean_color(shown, RIGHT) - RESULT.mean(axis=(1, 2))).max() < 6


def test_keys_and_buttons_toggle_the_overlays(page: Browser) -> None:
    plain = page.pixels()
    for key, layer in (("g", "#grid"), ("s", "#styles")):
        button = page.find(f'button[data-key="{key}"]')
        assert not page.find(layer).is_displayed()
        page.press(key)
        assert page.find(layer).is_displayed()
        assert button.get_attribute("aria-pressed") == "true"
        assert np.abs(page.pixels() - plain)[:, ROWS].mean() > 1
        button.click()
        page.settle()
        assert not page.find(layer).is_displayed()
        assert button.get_attribute("aria-pressed") == "false"
        assert difference(page.pixels(), plain, slice(None)) == 0
    image = page.find("#styles img")
    assert image.get_attribute("alt") == "Style"
    assert page.driver.execute_script("return arguments[0].naturalWidth", image) == 400


def test_the_grid_lies_on_the_borders_of_the_patches(page: Browser, view: View) -> None:
    page.press("1")
    plain = page.pixels()
    page.press("g")
    changed = np.abs(page.pixels() - plain).max(axis=0)
    assert view.grid is not None
    offset = (WIDTH - SCREEN[0]) // 2
    for border, first, last in view.description()["grid"]["columns"]:
        band = slice(max(first - offset, 0), last - offset)
        assert (changed[120, band] > 0).mean() > 0.9
        assert changed[120, border - offset - 1 : border - offset + 1].max() > 30
    assert changed[120, 250] == 0  # inside a core


def test_help_opens_and_closes(page: Browser) -> None:
    page.press("?")
    assert page.find("#help").is_displayed()
    assert "patch grid" in page.find("#help").text
    page.press("g")
    assert not page.find("#grid").is_displayed()
    page.press(Keys.ESCAPE)
    assert not page.find("#help").is_displayed()
    page.find('button[data-key="?"]').click()
    page.find("#help button").click()
    assert not page.find("#help").is_displayed()


def test_what_a_screen_reader_is_told(page: Browser) -> None:
    nodes = page.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    told = {(n["role"]["value"], n.get("name", {}).get("value")) for n in nodes}
    title = "content.tif in the manner of style.tif"
    for role, name in (
        ("heading", title),
        ("application", title),
        ("slider", "Border between content and result"),
        ("button", "Zoom in"),
        ("button", "Help"),
    ):
        assert (role, name) in told
    assert "status" in {role for role, _ in told}


def test_a_deep_zoom_alone(browser: Browser, tmp_path: Path) -> None:
    write_deepzoom(tmp_path / "a.dzi", [RESULT], width=WIDTH, height=HEIGHT)
    with open_view(tmp_path / "a.dzi", silent) as opened, Server(opened) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        browser.open(server.url)
        assert not browser.find("#curtain").is_displayed()
        assert not browser.find('button[data-key="g"]').is_displayed()
        browser.press("1", "g", "s", "[")
        # quality 85 with halved chroma; a pixel aside is twice as far
        grey = browser.pixels().mean(axis=0, keepdims=True)
        assert difference(grey, centre(RESULT).mean(axis=0, keepdims=True), RIGHT) < 10
        server.shutdown()


def test_a_folder_on_any_web_server(browser: Browser, workspace: Path, tmp_path: Path) -> None:
    command = ["view", str(workspace), "--output", str(tmp_path / "site")]
    assert "put it on any web server" in CliRunner().invoke(cli, command).output
    assert [entry.name for entry in tmp_path.iterdir()] == ["site"]
    handler = partial(Quiet, directory=str(tmp_path / "site"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        browser.open(f"http://127.0.0.1:{server.server_port}/")
        browser.press("1")
        grey = browser.pixels().mean(axis=0, keepdims=True)
        assert difference(grey, centre(CONTENT).mean(axis=0, keepdims=True), LEFT) < 10
        assert difference(grey, centre(RESULT).mean(axis=0, keepdims=True), RIGHT) < 10
        browser.press("g", "s")
        server.shutdown()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: Any) -> None:
        pass
