"""Requests of many runs, what they reached together, and what they would take."""

import re
import shlex
import statistics

import pytest

from cnnviz import runs
from cnnviz.errors import CnnvizError
from cnnviz.runs import queue, requests
from cnnviz.runs.costs import plan as planning
from cnnviz.runs.costs.plan import Assumptions, plan_sweep
from cnnviz.settings import ROOT
from cnnviz.training.recipe import default_recipe


def finished(accuracy, **changes):
    run = runs.create_run(default_recipe("lenet5", "digits", **changes))
    done = {"state": "done", "accuracy": accuracy}
    run.write_status(run.status.model_copy(update=done))
    return run


def test_a_grid_has_every_combination_in_order():
    recipes = runs.grid(
        ["mobilenet_v1_cifar", "lenet5"],
        seeds=[4, 2],
        vary={"epochs": ["1", "2"]},
        lr=0.03,
    )
    assert [(r.variant, r.epochs, r.seed) for r in recipes] == [
        (name, epochs, seed)
        for name in ("mobilenet_v1_cifar", "lenet5")
        for epochs in (1, 2)
        for seed in (4, 2)
    ]
    assert {r.lr for r in recipes} == {0.03}


def test_a_knob_can_be_varied_too():
    recipes = runs.grid(["mobilenet_v1_cifar"], vary={"width": ["0.25", "0.5"]})
    assert [r.knobs["width"] for r in recipes] == [0.25, 0.5]
    assert {r.seed for r in recipes} == {0}


def test_patterns_name_each_variant_once():
    names = requests.matching_variants(["lenet5", "lenet*"])
    assert names[0] == "lenet5"
    assert len(names) == len(set(names)) > 2


def test_too_many_runs_are_refused_before_any_is_made(monkeypatch):
    monkeypatch.setattr(requests, "MOST_WAITING", 3)
    with pytest.raises(CnnvizError, match="That is 4 runs"):
        runs.grid(["lenet5"], "digits", seeds=[0, 1, 2, 3])


def test_a_request_takes_several_devices_in_turn(monkeypatch):
    monkeypatch.setattr(queue, "_wake", lambda device: None)
    monkeypatch.setattr(queue, "_full_name", lambda device, _: device)
    recipes = runs.grid(["lenet5"], "digits", seeds=[0, 1, 2])
    made = runs.request_runs(recipes, ["cuda:0", "cuda:1"], name="mine")
    assert [run.status.device for run in made] == ["cuda:0", "cuda:1", "cuda:0"]
    assert [runs.position(run) for run in made] == [1, 1, 2]
    assert requests.runs_of("mine") == made
    more = runs.request_runs(recipes[:1], ["cuda:0"], name="mine")
    assert len(requests.runs_of("mine")) == 4
    assert runs.position(more[0]) == 3


def test_a_request_that_fails_says_how_far_it_came(monkeypatch):
    monkeypatch.setattr(queue, "_wake", lambda device: None)
    monkeypatch.setattr(queue, "MOST_WAITING", 2)
    recipes = runs.grid(["lenet5"], "digits", seeds=[0, 1, 2])
    with pytest.raises(CnnvizError, match=r"'mine', 3 of 3 runs were made and 0 queued"):
        runs.request_runs(recipes, ["cpu"], name="mine")


def test_seeds_of_one_recipe_are_summarised_together():
    accuracies = [0.91, 0.95, 0.925, 0.93]
    same = [finished(a, seed=s) for s, a in enumerate(accuracies)]
    same[0].write_about(runs.About(request="sweep"))
    finished(0.99, lr=0.5)
    pending = runs.create_run(default_recipe("lenet5", "digits", seed=9, snapshots=False))
    best, group = runs.summarise(runs.list_runs())
    assert (best.n, best.mean, best.sd, best.changes) == (1, 0.99, None, {"lr": 0.5})
    assert group.n == 4
    assert group.mean == pytest.approx(sum(accuracies) / 4)
    assert group.sd == pytest.approx(statistics.stdev(accuracies))
    assert (group.low, group.high) == (0.91, 0.95)
    assert group.seeds == (0, 1, 2, 3)
    assert group.pending == 1
    assert group.requests == ("sweep",)
    assert set(group.runs) == {run.id for run in [*same, pending]}  # snapshots change no result


def test_a_seed_that_ran_twice_counts_once_with_its_newest_run():
    older, newer = finished(0.5, seed=1), finished(0.9, seed=1)
    older.write_status(older.status.model_copy(update={"created": 1.0}))
    (group,) = runs.summarise([newer, older])
    assert (group.n, group.mean, group.sd) == (1, 0.9, None)


def test_an_unreadable_recipe_is_left_out():
    run = finished(0.9)
    (run.path / runs.RECIPE).write_text("{")
    assert runs.summarise([run]) == []


# The plan

LENET5_MACS = 325_680


def test_the_work_is_that_of_the_networks_and_recipes():
    """LeNet-5's multiply-accumulates by hand, see tests/architectures/test_numbers.py."""
    recipe = default_recipe("lenet5", "digits", epochs=3, holdout=237, snapshots=False)
    found = plan_sweep([recipe] * 4, Assumptions(gpus=3, rate=1e9, step=0, overhead=10, price=2.0))
    one = LENET5_MACS * (3 * 1_200 * 3 + 237 * 3 + 360)
    assert found.macs == 4 * one
    assert found.images == 4 * 3 * 1_200
    seconds = one / 1e9 + 10
    assert found.gpu_hours == pytest.approx(4 * seconds / 3600)
    assert found.hours == pytest.approx(2 * seconds / 3600)  # four equal runs on three devices
    assert found.cost == pytest.approx(2.0 * found.gpu_hours)
    (row,) = found.networks
    assert (row.variant, row.runs) == ("lenet5", 4)
    weights = planning.BYTES_A_WEIGHT * row.params
    assert found.bytes == 4 * (weights + 3 * planning.BYTES_AN_EPOCH + planning.BYTES_A_RUN)


def test_the_longest_runs_start_first():
    """Graham's bound: on 2 devices, 3 + 3 + 2 + 2 + 2 end after 7 at the best of this order."""
    recipes = [default_recipe("lenet5", "digits", epochs=e, holdout=1_435) for e in (2, 3, 2, 3, 2)]
    rate = 1_437 * LENET5_MACS  # an epoch of held-out images takes a second, the test a quarter
    test = 360 / 1_437
    found = plan_sweep(recipes, Assumptions(gpus=2, rate=rate, step=0, overhead=0))
    assert found.hours * 3600 == pytest.approx(7 + 3 * test, rel=0.01)


def test_a_sweep_of_every_cifar_variant_has_no_gap():
    recipes = runs.grid(["*_cifar"], seeds=range(10))
    found = plan_sweep(recipes, Assumptions())
    assert found.runs == len(recipes) == 10 * len(found.networks)
    assert sum(row.gpu_hours for row in found.networks) == pytest.approx(found.gpu_hours)
    assert found.gpu_hours / 64 <= found.hours <= found.gpu_hours
    assert found.cost is None
    fast = plan_sweep(recipes, Assumptions(rate=50e12, step=0, overhead=0))
    slow = plan_sweep(recipes, Assumptions(rate=25e12, step=0, overhead=0))
    assert slow.gpu_hours == pytest.approx(2 * fast.gpu_hours)


def test_a_small_network_is_held_up_by_its_steps():
    recipe = default_recipe("lenet5", "digits", epochs=2, batch_size=100, holdout=237)
    found = plan_sweep([recipe], Assumptions(rate=1e15, step=0.01, overhead=0))
    assert found.gpu_hours * 3600 == pytest.approx(2 * 12 * 0.01)


@pytest.mark.parametrize(
    "assumed",
    [
        {"gpus": 0},
        {"rate": 0},
        {"rate": float("nan")},
        {"step": -1},
        {"overhead": -1},
        {"price": -1},
    ],
)
def test_an_assumption_that_cannot_be_is_refused(assumed):
    with pytest.raises(CnnvizError, match=next(iter(assumed))):
        Assumptions(**assumed)


def test_a_batch_of_more_than_all_images_is_a_step_all_the_same():
    recipe = default_recipe("lenet5", "digits", batch_size=5_000, epochs=7)
    found = plan_sweep([recipe], Assumptions(rate=1e15, step=0.01, overhead=0))
    assert found.gpu_hours == pytest.approx(7 * 0.01 / 3600)


def test_the_page_about_a_sweep_has_commands_that_exist():
    from cnnviz.cli.arguments import make_parser

    text = (ROOT / "docs" / "sweep.md").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip().startswith("python -m cnnviz")]
    assert len(lines) >= 9
    for line in lines:
        words = shlex.split(line, comments=True)
        options = make_parser(train=True).parse_args(words[3:])
        assert callable(options.command), line


def test_the_page_about_a_sweep_says_what_the_plan_says():
    """Within a tenth: the recipes may gain an epoch before the page is written anew."""
    text = (ROOT / "docs" / "sweep.md").read_text()
    hours = re.search(r"GPU-hours of the (\d+) runs \| ([\d.]+) \| ([\d.]+) \| ([\d.]+)", text)
    recipes = runs.grid(["*_cifar"], seeds=range(10))
    assert int(hours[1]) == len(recipes)
    for place, (rate, step) in enumerate([(5e12, 0.02), (25e12, 0.005), (50e12, 0.0025)], start=2):
        plan = plan_sweep(recipes, Assumptions(rate=rate, step=step))
        assert float(hours[place]) == pytest.approx(plan.gpu_hours, rel=0.1)
