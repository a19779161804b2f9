"""The README names all there is: commands, settings, variants, dependencies."""

import argparse
import json
import re
from pathlib import Path

import pytest

from cnnviz.architectures import list_variants
from cnnviz.cli.arguments import make_parser
from cnnviz.cli.readme import BEGIN, END, rewritten
from cnnviz.errors import CnnvizError
from cnnviz.settings import ROOT
from cnnviz.training.saved.checkpoints import scan_checkpoints

README = (ROOT / "README.md").read_text()


def commands(parser: argparse.ArgumentParser, prefix: str = "") -> list[str]:
    found = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, sub in action.choices.items():
                found += commands(sub, f"{prefix}{name} ") or [f"{prefix}{name}"]
    return found


def settings() -> set[str]:
    """Every variable that the sources, the Makefile and the tests' set-up look up."""
    files = [*(ROOT / "cnnviz").rglob("*.py"), ROOT / "Makefile", *(ROOT / "tests").rglob("conf*")]
    text = "".join(path.read_text() for path in files if path.suffix in (".py", ""))
    return set(re.findall(r"\bCNNVIZ_[A-Z_]*[A-Z]\b", text)) | {"OMP_NUM_THREADS", "CHROMIUM"}


def requirements(name: str) -> list[str]:
    lines = (ROOT / name).read_text().splitlines()
    return [re.split(r"[<>=~!\[ ]", line)[0] for line in lines if line and line[0] not in "#-"]


@pytest.mark.parametrize("variant", [variant.name for variant in list_variants()])
def test_every_variant_is_named(variant):
    assert f"`{variant}`" in README


@pytest.mark.parametrize("command", commands(make_parser(train=False)))
def test_every_command_is_named(command):
    assert re.search(rf"\| `{command}[ `]", README)


@pytest.mark.parametrize("setting", sorted(settings()))
def test_every_setting_is_named(setting):
    assert f"| `{setting}` |" in README


@pytest.mark.parametrize(
    "package", [*requirements("requirements.txt"), *requirements("requirements-dev.txt")]
)
def test_every_dependency_has_its_reason(package):
    assert package in README.lower() or re.search("stubs$|^types-", package)


def test_the_table_of_results_is_what_the_cards_say():
    """Where a card has changed, `python -m cnnviz zoo --readme` writes the table anew."""
    found = scan_checkpoints(ROOT / "checkpoints")
    assert not found.problems
    assert len(found.checkpoints) >= 2
    for checkpoint in found.checkpoints:
        row = next(line for line in README.splitlines() if f"| `{checkpoint.name}` |" in line)
        assert f"{checkpoint.card.params:,}" in row
    assert rewritten(README) == README


def card(folder, name, **changes):
    """A card beside the others, without weights."""
    fields = json.loads((ROOT / "checkpoints" / "resnet20_cifar.json").read_text())
    recipe = {**fields["recipe"], "seed": changes.get("seed", 0)}
    fields |= {"name": name, "recipe": recipe, **changes}
    (folder / f"{name}.json").write_text(json.dumps(fields))


def test_several_seeds_are_one_row_with_mean_and_sd(tmp_path):
    card(tmp_path, "resnet20_cifar", accuracy=0.91, seconds=60 * 100)
    card(tmp_path, "resnet20_cifar-seed1", accuracy=0.92, seconds=60 * 110, seed=1)
    card(tmp_path, "resnet20_cifar-seed2", accuracy=0.93, seconds=60 * 120, seed=2)
    written = rewritten(f"before\n{BEGIN}\nstale\n{END}\nafter", tmp_path)
    assert written.startswith(f"before\n{BEGIN}\n| network |")
    assert written.endswith(f"{END}\nafter")
    assert "stale" not in written
    (row,) = [line for line in written.splitlines() if line.startswith("| `resnet20")]
    assert row.startswith("| `resnet20_cifar` | CIFAR-10 | 269,722 | 40,551,040 | 92.00 ± 1.00 % ")
    assert row.endswith("| 110 min | `train resnet20_cifar --holdout 0` with `--seed` 0, 1, 2 |")
    assert "sample standard deviation" in " ".join(written.split())
    assert "here it took 15,640" in " ".join(written.split())


def test_a_card_that_is_damaged_or_marks_that_are_missing_are_said(tmp_path):
    with pytest.raises(CnnvizError, match="put them in"):
        rewritten("no marks", tmp_path)
    (tmp_path / "torn.json").write_text("{")
    with pytest.raises(CnnvizError, match=r"torn\.json is not JSON"):
        rewritten(README, tmp_path)


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert "://" in target or Path(ROOT, target).exists(), target
