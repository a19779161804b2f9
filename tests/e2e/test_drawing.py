import re
from collections.abc import Callable
from xml.etree import ElementTree

import pytest
from playwright.sync_api import Browser, Page, expect

from cnnviz.charts.style import BACKGROUND
from tests.e2e.conftest import screenshot, serious_violations
from tests.e2e.waits import answered, listen, settled


def node(page: Page, name: str):
    return page.locator(f'[data-node="{name}"]')


def test_a_network_is_unfolded_chosen_zoomed_and_saved(visit: Callable[..., Page], server: str):
    page = visit(f"{server}/explore?variant=resnet20_cifar&view=drawing")
    stem = node(page, "stem")
    expect(stem).to_have_attribute("aria-expanded", "false")
    with answered(page):
        stem.locator(".body").click()
    expect(node(page, "stem.0")).to_be_visible()
    expect(stem).to_have_attribute("aria-expanded", "true")

    with answered(page):
        node(page, "stem.0").locator(".body").click()
    expect(node(page, "stem.0")).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".node-facts")).to_contain_text("442,368")  # 16 · 32² · 27 MACs
    expect(page).to_have_url(re.compile(r"layer=stem\.0(&|$)"))

    level = page.get_by_role("radio", name="Blocks")
    expect(level).to_have_attribute("aria-checked", "false")  # unfolded by hand: no level
    page.keyboard.press("ArrowDown")  # by keyboard to the next node, and fold its frame
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    with answered(page):
        page.keyboard.press("Enter")
    expect(node(page, "stem")).to_have_attribute("aria-expanded", "false")
    expect(level).to_have_attribute("aria-checked", "true")  # as the level has it again

    svg = page.locator(".view svg")
    width = svg.bounding_box()["width"]
    page.get_by_role("button", name="Zoom in").click()
    assert svg.bounding_box()["width"] == pytest.approx(1.25 * width, rel=0.01)
    page.get_by_role("button", name="Fit the width").click()
    assert svg.bounding_box()["width"] == pytest.approx(width, rel=0.01)

    with answered(page):
        page.get_by_text("Share of MACs", exact=True).click()
    expect(page.locator(".legend")).to_contain_text("≤ 20 %")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as SVG").click()
    saved = ElementTree.parse(download.value.path()).getroot()
    assert saved.tag.endswith("svg")
    assert download.value.suggested_filename == "resnet20_cifar.svg"


def test_a_dark_page_saves_a_dark_drawing(visit: Callable[..., Page], server: str):
    page = visit(f"{server}/explore?variant=lenet5_cifar&view=drawing", dark=True)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as SVG").click()
    assert f".paper{{fill:{BACKGROUND.dark}}}" in download.value.path().read_text()


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_the_drawing_can_be_read(visit: Callable[..., Page], server: str, width: int, dark: bool):
    path = "/explore?variant=googlenet&view=drawing&layer=inception3a.cat"
    page = visit(server + path, width=width, dark=dark)
    expect(node(page, "inception3a.cat")).to_be_visible()
    settled(page)
    assert serious_violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    size = page.locator(".view .name").first.evaluate(
        "e => 13 * e.getScreenCTM().a"  # pixels on the screen
    )
    assert size >= 11
    screenshot(page, f"drawing-{width}-{'dark' if dark else 'light'}")


def test_fingers_move_and_zoom_the_drawing(browser: Browser, server: str):
    context = browser.new_context(
        viewport={"width": 390, "height": 900}, has_touch=True, is_mobile=True
    )
    listen(context)
    page = context.new_page()
    page.goto(f"{server}/explore?variant=googlenet&view=drawing&level=operators")
    settled(page)
    view = page.locator(".view")
    view.scroll_into_view_if_needed()
    frame = view.bounding_box()
    assert frame["height"] < 0.7 * 900  # the page around it can still be moved
    x, y = frame["x"] + 200, frame["y"] + 200
    fingers = context.new_cdp_session(page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        touched = [{"x": left, "y": top} for left, top in points]
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touched})

    before = view.evaluate(
        """view => {
            window.rolledOut = new Promise(then => view.addEventListener('scrollend', then));
            return view.scrollLeft;
        }"""
    )
    touch("touchStart", (x, y))
    for step in range(1, 9):
        touch("touchMove", (x - 12 * step, y))
    touch("touchEnd")
    page.evaluate("window.rolledOut.then(() => true)")
    assert view.evaluate("view => view.scrollLeft") > before + 40

    svg = page.locator(".view svg")
    width = svg.bounding_box()["width"]
    touch("touchStart", (x - 30, y), (x + 30, y))
    for step in range(1, 9):
        touch("touchMove", (x - 30 - 5 * step, y), (x + 30 + 5 * step, y))
    touch("touchEnd")
    assert svg.bounding_box()["width"] > 1.5 * width
    context.close()
