"""What the pages call the data sets, and networks beside the name of their data set."""

from __future__ import annotations

from collections.abc import Sequence

_NAMES = {"cifar10": "CIFAR-10", "digits": "Digits", "photos": "photo crops"}


def data_name(dataset: str) -> str:
    """The name of a data set; that of an unknown one is its own."""
    return _NAMES.get(dataset, dataset)


def without_data(titles: Sequence[str], dataset: str) -> list[str]:
    """Shorten the titles of networks that stand where their data set is named already.

    "LeNet-5 for CIFAR-10" is "LeNet-5", unless another network of the list would then have the
    same name.
    """
    short = [title.replace(f" for {data_name(dataset)}", "") for title in titles]
    return short if len(set(short)) == len(set(titles)) else list(titles)
