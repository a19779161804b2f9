"""A photo of one's own in a real browser: one for all pages, and files that are none."""

import io
import re
import tempfile
from pathlib import Path

import numpy as np
from axe_playwright_python.sync_playwright import Axe
from PIL import Image

from tests.e2e.conftest import screenshot, settled


def encoded(image, kind):
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def upload(page, *files):
    """Give files to the uploader in the popover, which folds itself when it has them."""
    page.get_by_role("button", name=re.compile("Your own")).click()
    with tempfile.TemporaryDirectory() as folder:  # by path: the driver is slow with large bytes
        paths = [Path(folder) / name for name, _ in files]
        for path, (_, data) in zip(paths, files, strict=True):
            path.write_bytes(data)
        with page.expect_response(lambda answer: "upload_file" in answer.url):
            page.locator("input[type=file]").set_input_files(paths)
        page.locator("input[type=file]").wait_for(state="detached")


def picked(page):
    return page.get_by_role("combobox", name=re.compile("Photo")).first


def shows(page, text):
    page.wait_for_function(
        "text => [...document.querySelectorAll('.stSelectbox')].some(box =>"
        " box.innerText.includes(text) || [...box.querySelectorAll('input')].some(i =>"
        " i.value.includes(text)))",
        arg=text,
    )
    settled(page)


def go(page, name):
    page.get_by_test_id("stTopNavLinkContainer").get_by_role("link", name=name).click()
    page.wait_for_function(f"document.title.startsWith('{name}')")
    settled(page)


def test_predict_has_no_violation_of_any_impact(visit, server):
    page = visit(f"{server}/predict")
    assert Axe().run(page).response["violations"] == []
    upload(page, ("my photo.png", encoded(Image.new("RGB", (64, 64), "teal"), "PNG")))
    shows(page, "Your photo: my photo.png")
    assert Axe().run(page).response["violations"] == []


def test_one_photo_for_every_page_until_a_sample_is_picked(visit, server):
    page = visit(f"{server}/filters?view=maps&model=resnet20_cifar")
    before = page.url
    ramp = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) * 16
    upload(page, ("deep grey.png", encoded(Image.fromarray(ramp), "PNG")))
    shows(page, "Your photo: deep grey.png")
    assert "deep" not in page.url
    assert page.url.split("&unit")[0] == before.split("&unit")[0]
    for name in ("Deconvnet", "Predict"):
        go(page, name)
        if name == "Deconvnet":
            page.get_by_role("radio", name="One photo").click()
        shows(page, "Your photo: deep grey.png")
        assert "deep" not in page.url
    page.get_by_role("heading", name="Your photo: deep grey.png").wait_for()
    screenshot(page, "own-photo-predict")
    page.go_back()
    page.wait_for_function("document.title.startsWith('Deconvnet')")
    shows(page, "Your photo: deep grey.png")
    go(page, "Explore")
    page.get_by_role("radio", name="Receptive field").click()
    shows(page, "Your photo: deep grey.png")
    screenshot(page, "own-photo-explore")
    picked(page).click()
    page.get_by_role("option", name="rocket").click()
    shows(page, "rocket")
    assert "photo=rocket" in page.url
    go(page, "Predict")
    page.get_by_role("heading", name="Sample photo: cat").wait_for()


def test_a_file_that_is_no_photo_is_refused_in_words(visit, server):
    page = visit(f"{server}/predict?model=lenet5_cifar")
    page.locator("section.answer").first.wait_for()
    large = b"\xff\xd8\xff" + b"\0" * (41 * 2**20)
    for name, data, words in [
        ("IMG_1.tif", encoded(Image.new("L", (9, 9)), "TIFF"), "is a TIFF picture"),
        ("IMG_2.mov", b"\0\0\0\x14ftypqt  " + b"\0" * 99, "is a film"),
        ("IMG_3.jpg", large, "the limit is 40 MB"),
    ]:
        upload(page, (name, data))
        page.get_by_role("alert").filter(has_text=words).wait_for()
        settled(page)
        assert page.locator("section.answer").count() == 0
    screenshot(page, "own-photo-refused")
    page.get_by_role("button", name="Back to the sample photo").click()
    page.locator("section.answer").first.wait_for()


def test_a_photo_of_48_megapixels_is_answered(visit, server):
    page = visit(f"{server}/predict?model=lenet5_cifar")
    noise = np.random.default_rng(0).integers(0, 256, (1512, 2016, 3), dtype=np.uint8)
    large = encoded(Image.fromarray(noise).resize((8064, 6048)), "JPEG")
    upload(page, ("IMG_4.jpg", large))
    page.get_by_role("heading", name="Your photo: IMG_4.jpg").wait_for()
    page.locator("section.answer").first.wait_for()
