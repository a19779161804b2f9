"""The README's part about the trained networks, written from their cards."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

from cnnviz.compare import Group, group_accuracies
from cnnviz.errors import CnnvizError
from cnnviz.settings import checkpoints_dir
from cnnviz.training.recipe import parse_recipe
from cnnviz.training.saved.card import Card
from cnnviz.training.saved.checkpoints import scan_cards, scan_checkpoints
from cnnviz.training.zoo import ZOO, train_command

BEGIN = "<!-- written by `python -m cnnviz zoo --readme` from the cards -->"
END = "<!-- end -->"
_DATA = {"cifar10": "CIFAR-10", "digits": "digits"}
_HEAD = """| network | data | parameters | MACs | test accuracy | epochs | training time | command |
|---|---|--:|--:|--:|--:|--:|---|"""


def rewritten(readme: str, folder: Path | None = None) -> str:
    """Return `readme` with its marked part as the cards of `folder` (the published ones) have it.

    Raises `CnnvizError` where the marks are missing or a checkpoint is damaged.
    """
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise CnnvizError(f"The README has no part between {BEGIN} and {END}: put them in.")
    return f"{before}{BEGIN}\n{_part(folder or checkpoints_dir())}{END}{after}"


def _part(folder: Path) -> str:
    """The table and the sentences below it."""
    whole, alone = scan_checkpoints(folder), scan_cards(folder)
    for problem in (whole.problems | alone.problems).values():
        raise CnnvizError(problem)
    cards = {checkpoint.name: checkpoint.card for checkpoint in whole.checkpoints} | alone.cards
    order = {entry.name: place for place, entry in enumerate(ZOO)}
    cards = dict(sorted(cards.items(), key=lambda item: (order.get(item[0], len(ZOO)), item[0])))
    groups = group_accuracies(cards, [checkpoint.name for checkpoint in whole.checkpoints])
    rows = "\n".join(_row(group, cards) for group in groups)
    return f"{_HEAD}\n{rows}\n\n{_wrapped(_sentences(groups, cards))}\n"


def _row(group: Group, cards: Mapping[str, Card]) -> str:
    card = cards[group.first]
    accuracy = f"{100 * group.mean:.2f} %"
    command = f"`{train_command(parse_recipe({**card.recipe, 'seed': 0}))}`"
    seeds = sorted(cards[name].seed for name in group.names)
    if group.sd is not None:
        accuracy = f"{100 * group.mean:.2f} ± {100 * group.sd:.2f} %"
    if seeds != [0]:
        command += f" with `--seed` {', '.join(map(str, seeds))}"
    seconds = sum(cards[name].seconds for name in group.names) / len(group.names)
    cells = [
        f"`{group.first}`",
        _DATA.get(card.dataset, card.dataset),
        f"{card.params:,}",
        "–" if card.macs is None else f"{card.macs:,}",
        accuracy,
        f"{card.epochs}",
        _time(seconds),
        command,
    ]
    return f"| {' | '.join(cells)} |"


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _sentences(groups: Sequence[Group], cards: Mapping[str, Card]) -> str:
    """What the table does not say: seeds, machines, versions, and the papers' figures."""
    several = [group for group in groups if group.sd is not None]
    said = ["One seed each."]
    if several:
        said = [
            "Where several seeds were trained, the accuracy is their mean ± sample standard "
            "deviation and the time their mean; the weights of one are here, of the others the "
            "card. All else is one seed each."
        ]
    used = [cards[name] for group in groups for name in group.names]
    machines = [f"{c.device} ({c.precision})" for c in used]
    said.append(f"Trained on {_by(machines, used)}, with other work beside: the times are upper")
    said.append(
        f"bounds. PyTorch {_by([_minor(c.versions.get('torch', '?')) for c in used], used)}."
    )
    first = {group.first: cards[group.first] for group in groups}
    if (resnet := first.get("resnet20_cifar")) is not None:
        said.append(
            "ResNet-20's paper has 91.25 % after 64,000 steps of the same batch size; here it took "
            f"{_steps(resnet):,}."
        )
    if (convnext := first.get("convnext_atto_cifar")) is not None:
        said.append(
            "ConvNeXt's trains for 300 epochs with much stronger augmentation; here it is "
            f"{convnext.epochs}."
        )
    return " ".join(said)


def _by(values: Sequence[str], cards: Sequence[Card]) -> str:
    """The values, the most frequent first; the others with the networks that have them."""
    names: dict[str, dict[str, None]] = {}
    for value, card in zip(values, cards, strict=True):
        names.setdefault(value, {})[card.name] = None
    ranked = sorted(names.items(), key=lambda item: -len(item[1]))
    parts = [ranked[0][0]]
    parts += [f"{value}: {', '.join(f'`{n}`' for n in own)}" for value, own in ranked[1:]]
    return "; ".join(parts)


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _steps(card: Card) -> int:
    return card.epochs * -(-card.train_images // int(card.recipe["batch_size"]))


def _wrapped(text: str) -> str:
    return "\n".join(textwrap.wrap(text, 100, break_long_words=False, break_on_hyphens=False))
