"""The layer table of the Explore page, which is drawn on a canvas: its circles are pressed."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from cnnviz import registry
from cnnviz.ui.cache.anatomy import networks
from cnnviz.ui.pick.selection import Selection
from tests.e2e.waits import (
    HEAD,
    asked,
    back,
    back_twice,
    choose_row,
    press_row,
    settled,
    standing_table,
)

SLOW_LINE = """() => {
    const heard = Object.getOwnPropertyDescriptor(WebSocket.prototype, 'onmessage');
    const late = answer => event =>
        window.lateBy ? setTimeout(() => answer(event), window.lateBy) : answer(event);
    Object.defineProperty(WebSocket.prototype, 'onmessage', {
        ...heard, set(answer) { heard.set.call(this, late(answer)); },
    });
    const listen = WebSocket.prototype.addEventListener;
    WebSocket.prototype.addEventListener = function (type, answer, ...rest) {
        listen.call(this, type, type === 'message' ? late(answer) : answer, ...rest);
    };
}"""  # what the server says is heard window.lateBy milliseconds later


def test_a_row_is_chosen_and_the_choice_taken_back(visit: Callable[..., Page], server: str):
    page = visit(f"{server}/explore?variant=resnet18")
    press_row(page, 4)
    expect(page).to_have_url(re.compile("layer=layer1.0.conv1$"))
    filters = page.get_by_role("link", name="Its filters →")
    expect(filters).to_have_attribute("href", re.compile("layer=layer1.0.conv1$"))
    press_row(page, 7)
    expect(page).to_have_url(re.compile("layer=layer1.0.conv2$"))
    press_row(page, 7)
    expect(page).to_have_url(re.compile("variant=resnet18$"))
    expect(filters).to_be_hidden()


def test_the_row_that_was_pressed_is_chosen_where_the_browser_sorted_them(
    visit: Callable[..., Page], server: str
):
    frame = networks.layer_frame(*Selection(registry.get("resnet18")).arguments)
    page = visit(f"{server}/explore?variant=resnet18")
    title = {"x": 36 + 178 + 42 + 95 + 95 + 30, "y": HEAD // 2}  # "Parameters"
    for arrow in "↑↓":  # from the smallest, then from the largest
        table = standing_table(page)
        table.click(position=title)
        expect(table.locator("canvas [role=columnheader]").filter(has_text=arrow)).to_be_attached()
    press_row(page, 0)
    most = frame["path"][frame["params"].idxmax()]
    expect(page).to_have_url(re.compile(f"layer={re.escape(most)}$"))


@pytest.mark.parametrize("wait_ms", [30, 80, 150])
def test_the_url_follows_where_the_runs_before_were_cut_short(
    visit: Callable[..., Page], server: str, wait_ms: int
):
    """A run that is ended at any point leaves the URL to the next one."""
    page = visit(server)
    for name in ("Filters", "Deconvnet", "Explore"):
        page.get_by_role("link", name=name, exact=True).first.click()
        page.wait_for_timeout(wait_ms)
    page.get_by_role("heading", name="Layer by layer").wait_for()
    settled(page)
    press_row(page, 2)
    expect(page).to_have_url(re.compile("/explore.*variant=lenet5.*layer="))


@pytest.mark.parametrize("wait_ms", [0, 20, 40, 60])
def test_back_pressed_twice_leaves_the_url_and_the_table_the_same(
    visit: Callable[..., Page], server: str, wait_ms: int
):
    page = visit(f"{server}/explore?variant=resnet18")
    for row in (0, 1, 2, 3):
        press_row(page, row)
    back_twice(page, wait_ms)
    chosen = re.search(r"layer=([^&]*)", page.url)
    assert chosen is not None
    expect(page.get_by_role("paragraph").filter(has_text=chosen[1])).to_be_visible()
    press_row(page, 4)
    expect(page).to_have_url(re.compile("layer=layer1.0.conv1$"))


def test_back_on_a_slow_line_does_not_stop_the_page(visit: Callable[..., Page], server: str):
    """Back is pressed while the answer to a press is on its way.

    With Streamlit's cache of messages the answer to Back refers to a table that the browser drops
    when it hears the answer before, and the page stops with "Cached ForwardMsg MISS".
    """
    page = visit(server)
    page.add_init_script(f"({SLOW_LINE})()")
    page.goto(f"{server}/explore?variant=resnet18")
    settled(page)
    for row, layer in enumerate(("conv1", "bn1", "relu")):
        press_row(page, row)
        expect(page).to_have_url(re.compile(f"layer={layer}$"))
    page.evaluate("window.lateBy = 400")
    with asked(page):
        choose_row(page, 3)
    back(page)
    expect(page).to_have_url(re.compile("layer=bn1$"))
    expect(page.get_by_role("paragraph").filter(has_text="bn1").first).to_be_visible()
