"""Evidence, invariance and evolution on the page Deconvnet, in a real Chromium."""

import re
import shutil
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.e2e.conftest import screenshot, serious_violations
from tests.e2e.waits import settled


def parts(page):
    (text,) = parse_qs(urlsplit(page.url).query)["parts"]
    return text.split("_")


def test_a_press_and_the_arrow_keys_move_the_boxes(server, visit):
    page = visit(f"{server}/deconvnet?model=lenet5&view=invariance&study=correspondence")
    page.wait_for_url("**parts=12.12_12.12_12.12_12.12_12.12**")
    boxes = page.get_by_role("button", name=re.compile("^The box on "))
    assert boxes.count() == 5
    area = boxes.nth(1).bounding_box()
    page.mouse.click(area["x"] + 0.75 * area["width"], area["y"] + 0.25 * area["height"])
    page.wait_for_url("**parts=12.12_4.20_**")
    settled(page)
    boxes.nth(3).press("ArrowLeft")
    page.wait_for_url("**_12.11_12.12**")
    settled(page)
    assert parts(page) == ["12.12", "4.20", "12.12", "12.11", "12.12"]
    page.reload()
    settled(page)
    assert parts(page) == ["12.12", "4.20", "12.12", "12.11", "12.12"]


@pytest.mark.parametrize(
    ("query", "width", "dark"),
    [
        ("model=resnet20_cifar&view=evidence&sample=cat", 1280, True),
        ("model=resnet20_cifar&view=evidence&sample=cat", 390, False),
        ("model=lenet5&view=invariance&move=rotation", 1280, False),
        ("model=lenet5&view=invariance&move=rotation", 390, True),
        ("model=lenet5&view=invariance&study=correspondence", 390, True),
        ("model=lenet5&view=evolution", 1280, False),
    ],
)
def test_a_view_is_clean(server, visit, query, width, dark):
    page = visit(f"{server}/deconvnet?{query}", width=width, dark=dark)
    assert page.get_by_role("heading").count() > 0
    assert page.locator("[data-testid=stException], [data-testid=stAlertContentError]").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert serious_violations(page) == []
    name = re.sub(r"\W+", "-", query.partition("&")[2])
    screenshot(page, f"deconvnet-{name}-{width}-{'dark' if dark else 'light'}")


def test_a_run_leads_from_the_empty_view_to_its_evolution(
    start_server, visit, tmp_path, trained_folder
):
    shutil.copytree(trained_folder, tmp_path / "runs" / trained_folder.name)
    page = visit(f"{start_server()}/deconvnet?model=lenet5_cifar&view=evolution", dark=True)
    page.get_by_role("link", name=f"{trained_folder.name} →").click()
    page.get_by_role("region", name="Units by epochs").wait_for()
    settled(page)
    assert page.get_by_role("columnheader", name="epoch 2").is_visible()
    assert serious_violations(page) == []
