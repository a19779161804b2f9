"""A person's first hour: train a network, watch it, ask it about a photo, compare it."""

import json
import re

import pytest
from playwright.sync_api import expect

from cnnviz import runs
from cnnviz.images import sample_photos
from cnnviz.training.recipe import default_recipe
from tests.e2e.conftest import running_server, screenshot, serious_violations
from tests.e2e.waits import answered, settled

# Of a run that trains the chart is HTML, of one that rests it is Plotly's.
EPOCHS_SHOWN = """() => {
    const lines = document.querySelector('.live svg')?.querySelectorAll('polyline') ?? [];
    if (lines.length) return lines[lines.length - 1].points.length;
    const chart = document.querySelector('.js-plotly-plot');
    const line = chart?.data?.find((trace) => trace.name === 'held out');
    return line ? line.x.length : 0;
}"""


def start_training(page, epochs):
    box = page.get_by_role("spinbutton", name="Epochs")
    box.fill(str(epochs))
    box.press("Enter")
    settled(page)
    page.get_by_role("button", name="Start training").click()
    page.wait_for_url(re.compile("run=lenet5-digits-"))


def test_train_watch_ask_and_compare(tmp_path, visit):
    with running_server(tmp_path, CNNVIZ_CHECKPOINTS=str(tmp_path / "none")) as url:
        page = visit(f"{url}/train?variant=lenet5&dataset=digits")
        assert page.get_by_text("No run yet.").is_visible()
        start_training(page, epochs=20)

        # The curve grows while the page is only looked at.
        page.wait_for_function(f"({EPOCHS_SHOWN})() >= 1", timeout=90_000)
        seen = page.evaluate(EPOCHS_SHOWN)
        page.wait_for_function(f"({EPOCHS_SHOWN})() > {seen}", timeout=90_000)
        page.get_by_text("Test accuracy").wait_for(timeout=180_000)
        settled(page)
        assert page.evaluate(EPOCHS_SHOWN) == 20
        screenshot(page, "journey-1-trained")
        run_id = re.search(r"run=([\w-]+)", page.url)[1]
        card = json.loads((tmp_path / "runs" / run_id / f"{run_id}.json").read_text())
        shown = f"{card['accuracy'] * 100:.2f} %"
        assert page.locator("dd", has_text=shown).count() == 1
        assert card["accuracy"] > 0.9

        page.get_by_role("link", name="Ask it about a photo").click()
        page.wait_for_url(re.compile("/predict"))
        settled(page)
        photo = {"name": "my cup.png", "mimeType": "image/png", "buffer": sample_photos()["coffee"]}
        page.get_by_role("heading", name="Sample photo: handwritten digit").wait_for()
        page.get_by_role("button", name=re.compile("Your own")).click()
        page.locator("input[type=file]").set_input_files([photo])
        page.locator("img[alt*='my cup.png']").wait_for()
        answer = page.locator(f"section.answer[data-model='{run_id}']")
        answer.wait_for()
        classes = answer.locator("li .name").all_inner_texts()
        values = [float(t.split()[0]) for t in answer.locator("li .value").all_inner_texts()]
        assert len(classes) == 3
        assert set(classes) <= set("0123456789")
        assert values == sorted(values, reverse=True)
        screenshot(page, "journey-2-asked")

        page.get_by_test_id("stTopNavLinkContainer").get_by_role("link", name="Compare").click()
        page.wait_for_function("document.title.startsWith('Compare')")
        settled(page)
        heading = f"LeNet-5 (1998) gets {card['accuracy'] * 100:.1f} % of the test images right"
        page.get_by_role("heading", name=heading).wait_for()
        page.wait_for_selector(".js-plotly-plot .main-svg")
        points = page.evaluate("document.querySelector('.js-plotly-plot').data[0].customdata")
        assert points == [[run_id]]
        screenshot(page, "journey-3-compared")
        page.context.close()  # before its server goes


def test_a_restarted_app_finds_its_run_again_and_stops_it(tmp_path, visit):
    with running_server(tmp_path) as url:
        page = visit(f"{url}/train?variant=lenet5&dataset=digits")
        start_training(page, epochs=2000)
        page.wait_for_function(f"({EPOCHS_SHOWN})() >= 1", timeout=90_000)
        run_id = re.search(r"run=([\w-]+)", page.url)[1]
        page.context.close()
    with running_server(tmp_path) as url:  # another server, on another port
        page = visit(f"{url}/train?run={run_id}")
        seen = page.evaluate(EPOCHS_SHOWN)
        page.wait_for_function(f"({EPOCHS_SHOWN})() > {max(seen, 1)}", timeout=60_000)
        page.get_by_role("button", name="Stop and save").click()
        page.get_by_role("button", name="Resume").wait_for(timeout=60_000)
        status = json.loads((tmp_path / "runs" / run_id / "status.json").read_text())
        assert status["state"] == "stopped"
        page.context.close()


def test_a_run_is_watched_reloaded_and_another_is_chosen_from_the_table(tmp_path, visit):
    with running_server(tmp_path, CNNVIZ_CHECKPOINTS=str(tmp_path / "none")) as url:
        page = visit(f"{url}/train?variant=lenet5&dataset=digits")
        start_training(page, epochs=3000)
        page.wait_for_function(f"({EPOCHS_SHOWN})() >= 1", timeout=90_000)
        first = re.search(r"run=([\w-]+)", page.url)[1]
        page.evaluate("document.querySelector('.live svg').dataset.seen = 'yes'")
        seen = page.evaluate(EPOCHS_SHOWN)
        page.wait_for_function(f"({EPOCHS_SHOWN})() > {seen}", timeout=90_000)
        # The chart that was there went on: it was not put in again, which would flicker.
        assert page.evaluate("document.querySelector('.live svg').dataset.seen") == "yes"

        page.get_by_role("button", name="Start training").click()  # a second run, which waits
        page.wait_for_function(f"!location.search.includes({json.dumps(first)})")
        page.get_by_text("for cpu: next").wait_for()
        screenshot(page, "train-queue")
        assert not serious_violations(page)

        page.reload()
        settled(page)
        page.get_by_text("for cpu: next").wait_for()
        box = page.get_by_test_id("stDataFrame").bounding_box()
        with answered(page):  # or the next press would mean the run that is shown until then
            page.mouse.click(box["x"] + 18, box["y"] + 52)  # the first row: the run that trains
        expect(page).to_have_url(re.compile(f"run={first}"))
        page.get_by_role("button", name="Pause").click()
        page.get_by_role("button", name="Resume").wait_for(timeout=60_000)
        status = json.loads((tmp_path / "runs" / first / "status.json").read_text())
        assert status["state"] == "stopped"
        page.context.close()


def test_a_delete_that_stays_open_asks_of_no_other_run(tmp_path, visit, monkeypatch):
    monkeypatch.setenv("CNNVIZ_RUNS", str(tmp_path / "runs"))
    made = [runs.create_run(default_recipe("lenet5", "digits", seed=seed)) for seed in range(3)]
    for run in made:
        run.write_status(run.status.model_copy(update={"state": "stopped"}))
    with running_server(tmp_path) as url:
        page = visit(f"{url}/train?run={made[2].id}")
        page.get_by_role("button", name="Delete", exact=False).click()
        page.get_by_text(f"{made[2].id[-4:]} and all it has learnt?").wait_for()
        page.get_by_role("button", name="Delete for good").click()
        page.get_by_text("Deleted: ").wait_for()
        assert page.get_by_text("There is no run").count() == 0
        settled(page)
        assert page.get_by_role("button", name="Delete for good").count() == 0
        assert [run.exists for run in made] == [True, True, False]
        page.context.close()


def test_an_error_leaves_the_open_tab_open(server, visit):
    page = visit(f"{server}/train?variant=lenet5&dataset=digits")
    page.get_by_text("Recipe", exact=True).click()
    page.get_by_role("tab", name="Several runs").click()
    seeds = page.get_by_role("spinbutton", name="Seeds")
    seeds.fill("0")
    seeds.press("Enter")
    page.get_by_text("Seeds: 0 is no number of seeds from 1 to 100.").wait_for()
    page.get_by_role("button", name="Start training").click()
    settled(page)
    assert page.get_by_role("tab", name="Several runs").get_attribute("aria-selected") == "true"
    said = page.get_by_text("Seeds: 0 is no number")
    assert said.count() == 1  # not once by the costs, and once above
    page.get_by_role("tab", name="Optimisation").click()
    rate = page.get_by_role("spinbutton", name="Learning rate")
    rate.fill("0.25")
    rate.press("Enter")
    page.get_by_text("learning rate 0.25").wait_for()
    assert page.get_by_role("tab", name="Optimisation").get_attribute("aria-selected") == "true"


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("broken.jpg", b"\xff\xd8\xff\xe0 half a picture", "broken.jpg"),
        ("<b>bold</b>.png", b"no picture", "<b>bold</b>.png"),
    ],
)
def test_a_bad_photo_is_one_sentence_on_the_page(server, visit, name, data, message):
    page = visit(f"{server}/predict")
    files = [{"name": name, "mimeType": "image/png", "buffer": data}]
    page.get_by_role("button", name=re.compile("Your own")).click()
    page.locator("input[type=file]").set_input_files(files)
    alert = page.locator("[data-testid=stAlert]")
    alert.wait_for()
    assert page.locator("[data-testid=stException]").count() == 0
    assert page.locator("b", has_text="bold").count() == 0
    assert "Traceback" not in alert.inner_text()
