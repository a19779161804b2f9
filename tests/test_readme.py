"""The README names all there is: commands, settings, variants, dependencies."""

import argparse
import re
from pathlib import Path

import pytest

from cnnviz.architectures import list_variants
from cnnviz.cli.arguments import make_parser
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
    found = scan_checkpoints(ROOT / "checkpoints")
    assert not found.problems
    assert len(found.checkpoints) >= 2
    for checkpoint in found.checkpoints:
        row = next(line for line in README.splitlines() if f"| `{checkpoint.name}` |" in line)
        assert f"{checkpoint.card.accuracy:.2%}".replace("%", " %") in row
        assert f"{checkpoint.card.params:,}" in row


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert "://" in target or Path(ROOT, target).exists(), target
