"""One view of the Deconvnet page on its own, as the page shows it after the subject is picked."""

from streamlit.testing.v1 import AppTest


def script() -> None:
    import importlib

    import streamlit as st

    from cnnviz.networks.subjects import find_subject

    name = st.query_params["with"]
    importlib.import_module(f"cnnviz.ui.deconvnet.{name}").show(
        find_subject(st.query_params["model"])
    )


def opened(view: str, model: str, **query: str) -> AppTest:
    """The view in the module `view` of `cnnviz.ui.deconvnet`, run once without an exception."""
    app = AppTest.from_function(script, default_timeout=120)
    for key, value in {"with": view, "model": model, **query}.items():
        app.query_params[key] = value
    app.run()
    assert not app.exception
    return app


def html_of(app: AppTest) -> str:
    return " ".join(element.proto.body for element in app.get("html"))


def headings(app: AppTest) -> list[str]:
    return [item.value.replace("\u00a0", " ") for item in app.subheader]


def taken(monkeypatch, view: str, model: str, **query: str) -> dict:
    """What the view's downloads hold: file name -> (picture as an array, arrays by name)."""
    import io

    import numpy as np
    from PIL import Image

    from cnnviz.ui.look import downloads

    found = {}

    def note(name, png, arrays) -> None:
        buffer = io.BytesIO()
        np.savez(buffer, **{key: np.asarray(value) for key, value in arrays().items()})
        buffer.seek(0)
        packed = np.load(buffer, allow_pickle=False)
        picture = np.asarray(Image.open(io.BytesIO(png())))
        found[name] = picture, {key: packed[key] for key in packed.files}

    monkeypatch.setattr(downloads, "offer", note)
    opened(view, model, **query)
    return found
