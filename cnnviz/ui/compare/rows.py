"""The rows that are compared: a trained model each, or the means over a recipe's seeds."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import streamlit as st

from cnnviz import registry
from cnnviz.charts import compare as charts
from cnnviz.compare import group_seeds
from cnnviz.errors import CnnvizError
from cnnviz.training.saved.card import Card
from cnnviz.training.saved.checkpoints import Checkpoint
from cnnviz.ui.cache import trained
from cnnviz.ui.look.words import without_data


def frame_of(models: dict[str, Checkpoint], alone: Mapping[str, Card]) -> pd.DataFrame:
    """One row a model whose accuracy was measured; a model that cannot be loaded is named.

    `alone` are the cards of those whose weights are not here.
    """
    rows = []
    for name, card in ({name: model.card for name, model in models.items()} | dict(alone)).items():
        if card.accuracy is None:
            continue
        try:
            row = (
                trained.card_row(name, card.sha256, card)
                if name in alone
                else trained.comparison_row(name, models[name].path, card.sha256)
            ).to_dict()
        except CnnvizError as error:
            st.warning(str(error))
            continue
        row["family_title"] = registry.get_architecture(row["family"]).title
        row["margin"] = charts.margin(row["accuracy"], row["test_images"])
        rows.append(row)
    return pd.DataFrame(rows)


def together(frame: pd.DataFrame, cards: Mapping[str, Card]) -> pd.DataFrame:
    """One row a recipe: the means over its seeds, with their number and standard deviation.

    `frame` is that of `frame_of`; what is not measured is the newest run's of those with weights.
    """
    by_name = frame.set_index("model", drop=False)
    rows = []
    for names in group_seeds({name: cards[name] for name in frame["model"]}):
        group = by_name.loc[names]
        whole = group[~group["card_only"]]
        row = (group if whole.empty else whole).iloc[-1].to_dict()
        for measured in ("accuracy", "latency_ms", "training_seconds"):
            row[measured] = group[measured].mean()
        tables = [table for table in group["per_class"] if table]
        row["per_class"] = pd.DataFrame(tables).mean().to_dict() if tables else {}
        row |= {"seeds": len(names), "sd": group["accuracy"].std()}
        row["runs"] = ", ".join(names)
        rows.append(row)
    return pd.DataFrame(rows)


def named(frame: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """Shorten the titles of networks compared on `dataset` and tell equal ones apart.

    The column ``label`` has runs' names where two runs or recipes of one network are compared.
    """
    short = pd.Series(without_data(list(frame["title"]), dataset), frame.index, dtype=str)
    return frame.assign(
        title=short, label=short.where(~short.duplicated(keep=False), frame["model"])
    )
