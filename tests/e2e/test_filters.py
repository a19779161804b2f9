"""What is pressed and pointed at on the page Filters, in a real Chromium."""

import re

from tests.e2e.conftest import serious_violations
from tests.e2e.waits import press_row, settled


def test_a_press_on_a_tile_opens_the_filter_beside(server, visit):
    page = visit(f"{server}/filters?model=resnet20_cifar")
    page.get_by_role("button", name="Filter 11, norm").first.click()
    page.get_by_role("heading", name="Filter 11").wait_for()
    page.wait_for_url("**unit=11**")
    tile = page.get_by_role("group", name="Filters of stem.0").get_by_role("button", pressed=True)
    assert tile.count() == 1
    assert tile.inner_text() == "11"
    alike = page.get_by_role("group", name="The filters most like filter 11")
    nearest = alike.get_by_role("button").first.inner_text().split()[0]
    alike.get_by_role("button").first.click()
    page.get_by_role("heading", name=f"Filter {nearest}", exact=True).wait_for()


def test_a_weight_is_read_under_the_pointer(server, visit):
    page = visit(f"{server}/filters?model=resnet20_cifar&layer=layer2.0.conv1")
    chart = page.locator("[data-testid=stPlotlyChart]").first
    chart.locator(".heatmaplayer image").wait_for()
    chart.hover(position={"x": 20, "y": 30})
    text = chart.locator(".hovertext").text_content()
    assert re.match(r"channel 0, row \d, column \d−?-?\d", text)


def test_a_press_on_a_row_of_the_matrix_chooses_it(server, visit):
    page = visit(f"{server}/filters?model=mobilenet_v1_cifar%40random&layer=blocks.0.pointwise.0")
    handle = page.locator(".scatterlayer path.point").nth(5)
    handle.wait_for()
    box = handle.bounding_box()
    page.mouse.move(box["x"] + 4, box["y"] + 4)
    page.locator(".hovertext").get_by_text("choose filter 5").wait_for()
    page.mouse.click(box["x"] + 4, box["y"] + 4)
    page.get_by_role("heading", name="Filter 5", exact=True).wait_for()


def test_a_row_of_the_table_opens_its_filters(server, visit):
    page = visit(f"{server}/filters?model=resnet20_cifar")
    page.get_by_role("button", name="All 19 convolutions").click()
    press_row(page, 3)
    page.get_by_role("heading", name="layer1.1.conv1: 16 filters").wait_for()
    settled(page)
    assert serious_violations(page) == []


def test_feature_maps_are_clean_and_a_press_enlarges_one(server, visit):
    page = visit(f"{server}/filters?model=lenet5_cifar&view=maps&layer=relu1", dark=True)
    page.get_by_role("button", name="Map 2, ").click()
    page.get_by_role("heading", name="Map 2", exact=True).wait_for()
    assert serious_violations(page) == []


def test_on_a_narrow_screen_a_press_leads_to_what_is_said(server, visit):
    page = visit(f"{server}/filters?model=resnet20_cifar", width=390)
    page.get_by_role("button", name="Filter 2, norm").first.click()
    heading = page.get_by_role("heading", name="Filter 2", exact=True)
    heading.wait_for()
    page.wait_for_function(
        "() => document.querySelector('[data-chosen-unit]')"
        ".getBoundingClientRect().top < window.innerHeight"
    )
