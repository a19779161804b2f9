"""The Train page: asking for new runs, and what they will cost."""

import time
from types import SimpleNamespace

import pytest
import torch

from cnnviz import runs
from cnnviz.runs.costs.estimate import Device
from cnnviz.ui.cache import run_data
from cnnviz.ui.train.request import recipe_form, starting
from tests.app.train.opened import captions, errors, fine, html_of, labels, new_run, opened


@pytest.fixture
def asked(monkeypatch):
    """The requests that are made, none of which starts a trainer."""
    made = []

    def note(pairs):
        made.extend((run.recipe, device) for run, device in pairs)

    monkeypatch.setattr("cnnviz.runs.requests.enqueue_all", note)
    return made


@pytest.fixture(autouse=True)
def known_devices(monkeypatch):
    """One CPU, whatever this machine has."""
    found = [Device("cpu", "A processor", 32_000_000_000, 16_000_000_000)]
    monkeypatch.setattr(run_data, "free_devices", lambda: found)
    return found


def start(app):
    next(button for button in app.button if button.label == "Start training").click().run()
    return fine(app)


# The pickers


def test_without_runs_it_says_how_to_get_one():
    app = opened()
    assert "No run yet" in app.info[0].value
    assert app.multiselect(key="variant").value == ["lenet5"]
    assert app.selectbox(key="dataset").value == "digits"
    assert labels(app) == ["Start training", "Measure the time"]
    assert app.query_params["variant"] == "lenet5"


def test_a_link_may_name_the_knobs_of_the_network():
    app = opened(variant="vgg11_cifar", width="0.5")
    assert "width" not in app.query_params
    knob = next(item for item in app.number_input if item.label == "Width")
    assert knob.value == 0.5
    app.run()
    assert next(item for item in app.number_input if item.label == "Width").value == 0.5
    wrong = opened(variant="vgg11_cifar", width="7")
    assert "width must lie between 0.125 and 2, not 7" in wrong.warning[0].value
    assert next(item for item in wrong.number_input if item.label == "Width").value == 1.0


def test_a_network_that_a_link_names_twice_is_chosen_once():
    app = opened(variant="lenet5,lenet_modern,lenet5")
    assert app.multiselect(key="variant").value == ["lenet5", "lenet_modern"]


def test_a_deep_link_chooses_network_and_data():
    app = opened(variant="resnet20_cifar", dataset="cifar10")
    assert app.multiselect(key="variant").value == ["resnet20_cifar"]
    assert app.number_input(key="epochs-resnet20_cifar-cifar10").value == 40
    assert app.number_input(key="lr-resnet20_cifar-cifar10").value == 0.1
    # 40.55 MMACs on the 45,000 images of the paper's split, 40 epochs, and twice that backward.
    assert "219 TMACs" in html_of(app)
    assert "3 × 40.6 MMACs × 45,000 images × 40 epochs" in html_of(app)
    assert "download 170 MB" in " ".join(item.value for item in app.info)


def test_several_networks_stand_in_the_url():
    app = opened(variant="lenet5,resnet20_cifar,nosuch")
    assert app.multiselect(key="variant").value == ["lenet5", "resnet20_cifar"]
    app.multiselect(key="variant").set_value(["lenet5", "lenet_modern"]).run()
    assert fine(app).query_params["variant"] == "lenet5,lenet_modern"
    app.multiselect(key="variant").set_value([]).run()
    assert "Choose one or several networks" in fine(app).info[0].value
    assert "variant" not in app.query_params


def test_names_that_do_not_exist_fall_back_to_the_first_steps():
    app = opened(variant="<script>", dataset="mnist", run="../../etc", **{"with": "x,,y"})
    assert app.multiselect(key="variant").value == ["lenet5"]
    assert app.selectbox(key="dataset").value == "digits"


def test_each_device_is_named_with_its_free_memory(known_devices):
    app = opened()
    assert app.selectbox(key="device").options == [
        "auto: cpu · 16.0 GB free",
        "cpu · 16.0 GB free · A processor",
    ]
    known_devices[:0] = [Device(f"cuda:{i}", "H100", 80 * 10**9, 70 * 10**9) for i in range(2)]
    options = fine(app.run()).selectbox(key="device").options
    assert options[0] == "auto: cuda:0 · 70.0 GB free"
    assert options[-1] == "every GPU in turn"


# The recipe


def test_the_recipe_follows_the_network():
    app = opened()
    assert app.number_input(key="batch_size-lenet5-digits").value == 32
    app.number_input(key="lr-lenet5-digits").set_value(0.5).run()
    app.multiselect(key="variant").set_value(["convnext_tiny_cifar"]).run()
    fine(app)
    assert app.selectbox(key="optimizer-convnext_tiny_cifar-digits").value == "adamw"
    assert app.number_input(key="lr-convnext_tiny_cifar-digits").value == 0.002


def test_a_network_beside_the_first_keeps_what_was_changed():
    app = opened()
    app.number_input(key="lr-lenet5-digits").set_value(0.5).run()
    app.multiselect(key="variant").set_value(["lenet5", "resnet20_cifar"]).run()
    scope = "lenet5+resnet20_cifar-digits"
    assert fine(app).number_input(key=f"lr-{scope}").value == 0.5
    assert "learning rate 0.5" in captions(app)


def test_what_the_networks_do_not_share_is_each_its_own(asked):
    app = opened(variant="lenet5,convnext_tiny_cifar")
    scope = "lenet5+convnext_tiny_cifar-digits"
    assert app.number_input(key=f"lr-{scope}").value is None
    assert app.number_input(key=f"lr-{scope}").placeholder == "own: 0.01, 0.002"
    assert app.selectbox(key=f"optimizer-{scope}").value is None
    app.number_input(key=f"epochs-{scope}").set_value(3).run()
    start(app)
    recipes = [recipe for recipe, _ in asked]
    assert [(r.variant, r.lr, r.optimizer, r.epochs) for r in recipes] == [
        ("lenet5", 0.01, "sgd", 3),
        ("convnext_tiny_cifar", 0.002, "adamw", 3),
    ]


def test_changes_can_be_undone():
    app = opened()
    app.number_input(key="lr-lenet5-digits").set_value(0.5).run()
    next(button for button in app.button if button.label == "Undo").click().run()
    assert fine(app).number_input(key="lr-lenet5-digits").value == 0.01
    assert "Undo" not in labels(app)


def test_an_emptied_setting_is_the_networks_own(asked):
    app = opened()
    app.number_input(key="lr-lenet5-digits").set_value(None).run()
    start(fine(app))
    assert asked[0][0].lr == 0.01


def test_a_knob_of_the_network_is_a_setting(asked):
    app = opened(variant="mobilenet_v1_cifar")
    key = "knob width-mobilenet_v1_cifar-digits"
    control = next(item for item in [*app.selectbox, *app.number_input] if item.key == key)
    assert control.value == 1.0
    control.set_value(0.5).run()
    start(fine(app))
    assert asked[0][0].knobs["width"] == 0.5


def test_the_chapters_recipe_is_offered_where_there_is_one(asked, monkeypatch, tmp_path):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))  # with no weights in it
    app = opened(variant="alexnet", dataset="cifar10")
    app.selectbox(key="named").set_value("chapter").run()
    fine(app)
    assert app.number_input(key="resize-alexnet-cifar10-chapter").value == 70
    assert app.text_input(key="weights-alexnet-cifar10-chapter").value == "imagenet"
    assert "will first download 233 MB" in " ".join(item.value for item in app.info)
    start(app)
    recipe = asked[0][0]
    assert (recipe.weights, recipe.resize, recipe.crop) == ("imagenet", 70, 64)
    app.multiselect(key="variant").set_value(["lenet5"]).run()
    assert "named" not in [item.key for item in fine(app).selectbox]
    assert "each has its own recipe now" in app.warning[0].value
    assert not fine(app.run()).warning


# Many runs


def test_a_grid_says_how_many_runs_it_makes_and_asks_for_all(asked):
    app = opened(variant="lenet5,lenet_modern")
    app.number_input(key="seeds").set_value(3)
    app.text_input(key="vary").set_value("lr=0.01,0.02; cutout=0,4")
    app.text_input(key="title").set_value("first-sweep")
    fine(app.run())
    assert "**24 runs**: 2 networks × learning rate 0.01, 0.02 × cutout 0, 4 × 3 seeds" in (
        captions(app)
    )
    start(app)
    assert len({recipe.model_dump_json() for recipe, _ in asked}) == 24
    assert {recipe.seed for recipe, _ in asked} == {0, 1, 2}
    made = runs.list_runs()
    assert {run.about.request for run in made} == {"first-sweep"}
    assert app.query_params["run"] in {run.id for run in made}
    assert len(app.query_params["with"].split(",")) == 7


def test_seeds_count_from_the_one_that_is_set(asked):
    app = opened()
    app.number_input(key="seed-lenet5-digits").set_value(7)
    app.number_input(key="seeds").set_value(2).run()
    start(fine(app))
    assert [recipe.seed for recipe, _ in asked] == [7, 8]


def test_several_gpus_take_the_runs_in_turn(asked, known_devices):
    known_devices[:0] = [Device(f"cuda:{i}", "H100", 80 * 10**9, 70 * 10**9) for i in range(2)]
    app = opened()
    app.number_input(key="seeds").set_value(3)
    app.selectbox(key="device").set_value("every GPU in turn").run()
    start(fine(app))
    assert [device for _, device in asked] == ["cuda:0", "cuda:1", "cuda:0"]


@pytest.mark.parametrize(
    ("control", "value", "said"),
    [
        ("vary", "lr=fast", "Learning rate: "),
        ("vary", "nonsense", "NAME=VALUE"),
        ("vary", "depth=1,2", "has no knob 'depth'"),
        ("weights-lenet5-digits", "../secret", "Begin with: "),
        ("crop-lenet5-digits", 900, "Crop to: 900 is more than the side 32"),
        ("title", "../../x", "../../x"),
        ("vary", "lr=nan", "finite"),
        ("epochs-lenet5-digits", 0, "Epochs: "),
        ("batch_size-lenet5-digits", 10**9, "Batch size: "),
        ("seeds", 0, "Seeds: 0 is no number"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_nothing_is_lost(asked, control, value, said):
    app = opened()
    app.number_input(key="lr-lenet5-digits").set_value(0.5)
    kind = app.number_input if isinstance(value, int) else app.text_input
    kind(key=control).set_value(value).run()
    start(fine(app))
    (error,) = app.error  # once, however often it would be true
    assert said in error.value
    assert "\n" not in error.value
    assert asked == []
    assert runs.list_runs() == []
    assert app.number_input(key="lr-lenet5-digits").value == 0.5
    assert kind(key=control).value == value


def test_images_too_small_for_a_network_are_refused_before_a_run_is_made(asked):
    app = opened(variant="vgg16_cifar")
    app.number_input(key="crop-vgg16_cifar-digits").set_value(16).run()
    start(app)
    said = "vgg16_cifar cannot take inputs of 16 × 16 pixels: choose another resize or crop."
    assert said in errors(app)
    assert not runs.list_runs()
    assert app.number_input(key="crop-vgg16_cifar-digits").value == 16


def test_a_batch_of_more_than_all_images_is_said():
    app = opened()
    app.number_input(key="batch_size-lenet5-digits").set_value(5_000).run()
    said = "LeNet-5 (1998): a batch of 5,000 is more than the 1,197 images it trains on, so each "
    assert said + "epoch is a single step on all of them." in [item.value for item in app.warning]
    assert "with 1,197 images in a batch" in html_of(app)
    app.number_input(key="batch_size-lenet5-digits").set_value(1_197).run()
    assert not fine(app).warning


def test_a_double_click_starts_once(asked, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(starting, "time", SimpleNamespace(monotonic=lambda: now[0]))
    app = opened()
    start(app)
    now[0] += 0.9 * starting.DOUBLE_CLICK
    start(app)
    assert len(asked) == 1
    app.number_input(key="epochs-lenet5-digits").set_value(3)
    start(app)  # another recipe is meant, however quick
    assert len(asked) == 2
    now[0] += 1.1 * starting.DOUBLE_CLICK
    start(app)
    assert len(asked) == 3


def test_last_layer_only_needs_trained_weights(asked):
    app = opened()
    app.selectbox(key="freeze-lenet5-digits").set_value(True).run()
    assert "set weights as well" in errors(fine(app))


def test_a_run_that_cannot_be_made_says_why(monkeypatch, tmp_path):
    file = tmp_path / "file"
    file.touch()
    app = opened()
    monkeypatch.setenv("CNNVIZ_RUNS", str(file))
    start(app)
    assert "CNNVIZ_RUNS" in errors(app)
    assert not fine(app.run()).error


def test_starting_creates_a_run_with_what_was_set_and_trains_it():
    app = opened()
    app.number_input(key="epochs-lenet5-digits").set_value(400)
    app.number_input(key="lr-lenet5-digits").set_value(0.005)
    app.selectbox(key="device").set_value("cpu")
    start(app)
    (run,) = runs.list_runs()
    try:
        recipe = run.recipe
        assert (recipe.variant, recipe.dataset) == ("lenet5", "digits")
        assert (recipe.epochs, recipe.lr, recipe.batch_size) == (400, 0.005, 32)
        assert app.selectbox(key="run").value == run.id
        deadline = time.monotonic() + 90
        while run.status.step == 0:
            assert time.monotonic() < deadline, run.log_tail()
            time.sleep(0.05)
        fine(app.run())
        assert "<strong>Training</strong>" in html_of(app)
        app.button(key="stop").click().run()
        fine(app)
        while run.is_active:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        if run.is_active:
            runs.stop_run(run, wait=True)
    assert run.state == "stopped"
    fine(app.run())
    assert "Stopped and saved" in html_of(app)
    assert {"Resume", "Delete for good"} <= set(labels(app))


# A cluster


def test_a_cluster_that_is_not_there_makes_no_run():
    app = opened()
    app.selectbox(key="launcher").set_value("ray").run()
    app.text_input(key="address").set_value("http://127.0.0.1:9").run()
    assert app.selectbox(key="device").options[0] == "one GPU of the cluster"
    assert "is not known for a cluster" in html_of(app)
    start(fine(app))
    assert "cannot be reached" in errors(app)
    assert runs.list_runs() == []


def test_a_cluster_takes_the_runs(monkeypatch):
    submitted = []
    monkeypatch.setattr(starting, "check_cluster", lambda address: address)
    monkeypatch.setattr("cnnviz.runs.cluster.submit", lambda *a: submitted.append(a))
    app = opened()
    app.selectbox(key="launcher").set_value("ray").run()
    app.text_input(key="address").set_value("http://head:8265")
    app.selectbox(key="device").set_value("cpu").run()
    start(app)
    (run,) = runs.list_runs()
    assert submitted == [(run, "http://head:8265", "cpu")]


# What it will cost


def test_more_held_out_images_than_there_are_are_refused_in_a_sentence():
    app = opened()
    app.number_input(key="holdout-lenet5-digits").set_value(2000).run()
    said = " ".join(item.value for item in [*fine(app).error, *app.warning, *app.info])
    assert "2,000" in said or "2000" in said
    assert "1,437" in said or "1437" in said


def test_the_time_is_measured_once_asked_for_and_then_kept(monkeypatch):
    app = opened()
    assert "not measured yet" in html_of(app)
    app.button(key="measure").click().run()
    assert "measured: " in html_of(fine(app))
    assert "images/s" in captions(app)
    assert "Measure the time" not in labels(app)
    assert "≈ " in html_of(app)

    def refuse(*_):
        raise AssertionError("measured again")

    monkeypatch.setattr(run_data, "estimate", refuse)
    app.number_input(key="epochs-lenet5-digits").set_value(10_000)
    app.number_input(key="lr-lenet5-digits").set_value(0.5).run()
    assert "measured: " in html_of(fine(app))


def test_a_run_of_the_same_recipe_tells_the_time_at_once(finished):
    run = finished
    created = time.time()
    status = {"images_per_second": 1197.0, "device": "cpu", "created": created}
    run.write_status(run.status.model_copy(update=status))
    app = opened()
    assert "as fast as the run of" not in html_of(app)  # its batches were of 64 images
    app.number_input(key="batch_size-lenet5-digits").set_value(64)
    app.number_input(key="epochs-lenet5-digits").set_value(30).run()
    # 30 epochs of 1,197 images, and a third of that work for each of 30 × 240 + 360 evaluated.
    assert "≈ 32 s" in html_of(fine(app))
    assert "as fast as the run of" in html_of(app)


def test_too_little_memory_is_said_before_anything_starts(known_devices):
    known_devices[:] = [Device("cpu", "A processor", 10**9, 10**7)]
    app = opened()
    assert "may need more memory than cpu has free" in app.warning[0].value


def test_no_files_are_made_by_looking():
    opened()
    assert runs.list_runs() == []


# Cloning


def test_a_clone_is_changed_in_the_form_and_knows_its_origin(asked):
    origin = new_run("stopped", seed=3)
    app = opened(variant="resnet20_cifar", dataset="cifar10")
    app.button(key="clone").click().run()
    fine(app)
    assert app.multiselect(key="variant").value == ["lenet5"]
    assert app.selectbox(key="dataset").value == "digits"
    assert app.number_input(key="epochs-lenet5-digits").value == 400
    assert app.number_input(key="seed-lenet5-digits").value == 3
    assert f"A copy of the run {origin.id}" in captions(app)
    app.number_input(key="lr-lenet5-digits").set_value(0.25)
    start(app)
    (recipe, _), *rest = asked
    assert not rest
    assert recipe == origin.recipe.changed(lr=0.25)
    made = next(run for run in runs.list_runs() if run != origin)
    assert made.about.cloned_from == origin.id


def test_a_clone_replaces_what_the_form_held_for_the_same_network():
    new_run("stopped", seed=3)
    app = opened()
    app.number_input(key="lr-lenet5-digits").set_value(0.5).run()
    app.button(key="clone").click().run()
    assert fine(app).number_input(key="lr-lenet5-digits").value == 0.01
    assert app.number_input(key="epochs-lenet5-digits").value == 400


def test_a_device_stays_chosen_when_its_free_memory_changes(asked, known_devices):
    app = opened()
    app.selectbox(key="device").set_value("cpu").run()
    known_devices[:] = [Device("cpu", "A processor", 32_000_000_000, 9_000_000_000)]
    start(app)  # the browser sends the label of before
    assert [device for _, device in asked] == ["cpu"]
    assert fine(app.run()).selectbox(key="device").value == "cpu"
    assert not app.error


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (None, "auto"),
        ("auto: cuda:0 · 70.0 GB free", "auto"),
        ("cuda:1 · 70.0 GB free · NVIDIA H100", "cuda:1"),
        ("cpu", "cpu"),
        ("every GPU in turn", "every GPU in turn"),
    ],
)
def test_a_label_of_before_still_names_its_device(said, meant):
    assert recipe_form.device_name(said) == meant


def test_what_a_link_asks_for_and_is_not_there_is_said():
    app = opened(variant="lenet5,nonsense", dataset="mars")
    said = [warning.value for warning in app.warning]
    assert "There is no network called “nonsense”: left out." in said
    assert any("no dataset called “mars”" in text for text in said)
    assert app.multiselect(key="variant").value == ["lenet5"]
