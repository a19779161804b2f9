"""The Deconvnet page in a browser: a unit is pressed; every view, wide and narrow."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from cnnviz.ui.deconvnet.views import VIEWS
from tests.e2e.conftest import serious_violations
from tests.e2e.waits import answered, back, settled


def test_a_pressed_unit_is_pinned_below_and_opens_on_a_photo(
    visit: Callable[..., Page], server: str
):
    page = visit(f"{server}/deconvnet?model=lenet5")
    tile = page.locator("button[data-unit='6']")
    expect(tile).to_have_attribute("aria-pressed", "false")
    with answered(page):
        tile.click()
    heading = page.get_by_role("heading", name=re.compile(r"^Unit 6 of tanh"))
    expect(heading).to_be_in_viewport(timeout=20_000)
    expect(tile).to_have_attribute("aria-pressed", "true")
    expect(page).to_have_url(re.compile(r"unit=6(&|$)"))

    with answered(page):
        page.locator("button[data-unit='2']").press("Enter")  # by keyboard
    expect(page.get_by_role("heading", name=re.compile(r"^Unit 2 of tanh"))).to_be_in_viewport(
        timeout=20_000
    )

    with page.expect_download() as download:
        page.get_by_role("button", name="PNG").last.click()
    assert download.value.path().read_bytes().startswith(b"\x89PNG")
    assert download.value.suggested_filename.endswith("unit-2.png")

    with answered(page):
        page.get_by_role("link", name="This unit on a photo →").click()
    expect(page.get_by_role("heading", name="Unit 2 on this photo")).to_be_visible(timeout=20_000)
    expect(page).to_have_url(re.compile(r"view=photo"))


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_a_view_is_clean(
    visit: Callable[..., Page], server: str, view: str, width: int, dark: bool
):
    unit = "&unit=3" if view in ("units", "photo") else ""
    page = visit(f"{server}/deconvnet?model=lenet5&view={view}{unit}", width=width, dark=dark)
    settled(page)
    assert page.locator("[data-testid=stException]").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert serious_violations(page) == []


def test_back_undoes_a_choice_and_then_leaves_the_page(visit: Callable[..., Page], server: str):
    page = visit(f"{server}/")
    page.get_by_role("link", name="Deconvnet", exact=True).first.click()
    page.get_by_role("heading", name="Deconvnet", exact=True).wait_for()
    settled(page)
    back(page)
    if "/deconvnet" in page.url:  # what is shown has been put into the URL
        back(page)
    expect(page).to_have_url(f"{server}/")

    page.goto(f"{server}/deconvnet?model=lenet5")
    settled(page)
    with answered(page):
        page.locator("button[data-unit='6']").click()
    pinned = page.get_by_role("heading", name=re.compile(r"^Unit \d+ of tanh"))
    expect(pinned).to_have_text(re.compile("Unit 6"), timeout=20_000)
    with answered(page):
        page.locator("button[data-unit='2']").click()
    expect(pinned).to_have_text(re.compile("Unit 2"), timeout=20_000)
    back(page)
    expect(pinned).to_have_text(re.compile("Unit 6"), timeout=20_000)
    back(page)
    expect(pinned).to_have_count(0, timeout=20_000)
    expect(page.locator("button[data-unit='6']")).to_have_attribute("aria-pressed", "false")


def test_one_choice_is_one_entry_of_the_history(visit: Callable[..., Page], server: str):
    page = visit(f"{server}/deconvnet?model=lenet5&unit=3&page=1")
    before = page.evaluate("history.length")
    page.get_by_role("combobox", name=re.compile("Layer")).click()
    with answered(page):
        page.get_by_role("option").first.click()  # another layer, where no unit is pinned
    expect(page).not_to_have_url(re.compile("unit="), timeout=20_000)
    assert page.evaluate("history.length") == before + 1
