"""The pickers of the Explore page's views and of its settings, as a browser keeps them."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.waits import settled


@pytest.mark.parametrize(
    ("view", "title", "query", "shown"),
    [
        (
            *("two", "Two at once", "other=resnet18~shortcut~C~classes~7"),
            "From ResNet-18, shortcut C, 7 classes",
        ),
        ("drawing", "Drawing", "level=operators&layer=c3", "c3"),
        ("cost", "Where it costs", "cost=macs", "of the multiplications"),
        ("field", "Receptive field", "layer=c3", "One position of c3"),
    ],
)
def test_a_view_is_the_same_after_others(visit, server, view, title, query, shown):
    """The browser forgets what a picker says with the view that it stood in."""
    page = visit(f"{server}/explore?variant=lenet5&view={view}&{query}")
    for _ in range(3):
        expect(page.get_by_role("heading", name=shown).first).to_be_visible()
        page.get_by_role("radio", name="Second opinion").click()
        page.wait_for_url("**view=opinion**")
        settled(page)
        page.get_by_role("radio", name=title, exact=True).click()
        page.wait_for_url(f"**view={view}**")
        settled(page)
        for part in query.split("&"):
            assert part in page.url.split("&")
    expect(page.get_by_role("heading", name=shown).first).to_be_visible()


@pytest.mark.parametrize("place", [0, 1])
def test_each_quick_press_counts(visit: Callable[..., Page], server: str, place: int):
    """A control that is given its value in every run takes a press back that comes meanwhile."""
    page = visit(f"{server}/explore?variant=lenet5_cifar&view=two&other=lenet_modern")
    page.get_by_role("button", name="Adjust").nth(place).click()
    classes = page.get_by_test_id("stNumberInput").filter(has_text="Classes", visible=True)
    plus = classes.get_by_test_id("stNumberInputStepUp")
    expect(classes.locator("input")).to_have_value("10")
    plus.evaluate(
        """async plus => {
            for (let press = 0; press < 5; press++) {
                plus.click();
                await new Promise(then => setTimeout(then, 50));
            }
        }"""
    )
    expect(page).to_have_url(re.compile("classes[=~]15(&|$)"), timeout=15_000)
    settled(page)
    expect(classes.locator("input")).to_have_value("15")
