"""The picker of the photo that pages share: a sample, or one of the visitor's own.

The URL has a sample's name, as ``sample`` (Explore: ``photo``), and never says anything of an own
photo: while one is the current photo, the URL's sample waits behind it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st

from cnnviz.images import FORMATS, LIMITS, can_read_heic
from cnnviz.networks.subjects import Subject
from cnnviz.ui.cache import photos
from cnnviz.ui.cache.photos import DIGIT
from cnnviz.ui.state import automatic, current_photo, url

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

#: Above this the browser refuses a file without a word; below, a sentence of ours says why.
UPLOAD_MB = 200
#: Stands before the number of an own photo among the picker's options, and for all of them.
_OWN, _ALL = "own:", "own:all"

# The browser's limit stands in the uploader; ours, which is lower, is said below it.
_STYLE = """<style>
[data-testid="stFileUploaderDropzoneInstructions"] { display: none; }
</style>"""


@dataclass(frozen=True)
class Picked:
    """A photo to look at: its name, the bytes of its file, what to know of it, whose it is.

    `number` is an own photo's, None for a sample.
    """

    name: str
    data: bytes
    notes: tuple[str, ...] = ()
    number: int | None = None

    @property
    def title(self) -> str:
        """What it is called in a sentence or above it."""
        return f"Sample photo: {self.name}" if self.number is None else f"Your photo: {self.name}"

    @property
    def key(self) -> str:
        """A word that tells it from all others, for caches."""
        return self.name if self.number is None else hashlib.sha256(self.data).hexdigest()


def for_dataset(dataset: str) -> dict[str, str]:
    """Return what a link says so that networks of that data set are asked about what they know."""
    return {"sample": DIGIT} if dataset == "digits" else {}


def pick_photo(subject: Subject | None, notes: DeltaGenerator) -> bytes | None:
    """Write the picker and return the photo's bytes; None where the last upload is no photo.

    The first sample shows what `subject` was trained on, where that is digits. `notes` is where
    sentences go: a row of pickers is too narrow for them.
    """
    digits = subject is not None and subject.dataset == "digits"
    picked = pick_shared(photos.samples(), notes, digits=digits)
    say(notes, picked)
    return None if picked is None else picked.data


def pick_shared(
    offered: Mapping[str, bytes], notes: DeltaGenerator, *, digits: bool = False
) -> Picked | None:
    """Write the picker of samples, which the URL has as ``sample``, and of own photos."""
    _picker(offered, "sample", "sample", lambda: _keep_sample(offered, notes, digits=digits))
    _uploader()
    return _current(offered, "sample")


def pick_following(offered: Mapping[str, bytes], parameter: str, key: str) -> Picked | None:
    """Write the same where the URL leaves out the first sample and has others as `parameter`."""
    first, *others = offered
    meant = {"": first} | {name: name for name in others}
    _picker(offered, parameter, key, lambda: url.follow(parameter, key, meant))
    _uploader()
    return _current(offered, key)


def pick_several(notes: DeltaGenerator, *, digits: bool) -> list[Picked]:
    """Write the picker where all own photos are looked at together, and return the photos."""
    offered = photos.samples()
    _picker(
        offered, "sample", "sample", lambda: _keep_sample(offered, notes, digits=digits), one=False
    )
    _uploader(several=True)
    own = current_photo.own()
    if own.blocked:
        return []
    if own.current is None:
        chosen = st.session_state["sample"]
        return [Picked(chosen, offered[chosen])]
    return [Picked(p.name, p.data, p.notes, number) for number, p in own.photos.items()]


def say(notes: DeltaGenerator, picked: Picked | None = None) -> None:
    """Write in `notes` why files were not taken, and how to go on where nothing is shown.

    What should be known of how the photo was read is said, too.
    """
    own = current_photo.own()
    with notes:
        for sentence in own.refused:
            st.error(sentence)
        if own.blocked:
            back = "your photo" if own.current is not None else "the sample photo"
            st.button(f"Back to {back}", on_click=own.settle, icon=":material/undo:")
        for note in picked.notes if picked else ():
            st.caption(f"Note: {note}.")


def drop_button(picked: Picked, *, named: bool = False) -> None:
    """Write the button that lets an own photo go; nothing for a sample."""
    if picked.number is not None:
        st.button(
            f"Drop {picked.name}" if named else "Drop it",
            key=f"drop-photo-{picked.number}",
            on_click=current_photo.own().drop,
            args=(picked.number,),
            icon=":material/close:",
            help="Your photo is forgotten; the sample photo is shown again",
        )


def _picker(
    offered: Mapping[str, bytes],
    parameter: str,
    key: str,
    keep: Callable[[], Any],
    *,
    one: bool = True,
) -> None:
    """Write the picker; `keep` brings the URL's `parameter` and a sample's picker together.

    `one` is whether own photos are looked at one by one.
    """
    own, state = current_photo.own(), st.session_state
    names = {f"{_OWN}{n}": f"Your photo: {photo.name}" for n, photo in own.photos.items()}
    if len(names) > 1 and not one:
        names = {_ALL: f"Your {len(names)} photos"}
    url.chosen_by(key)
    if own.current is not None:
        # Assigned in any case: Streamlit forgets a picker's value with the page it stood on.
        state[key] = _ALL if _ALL in names else f"{_OWN}{own.current}"
        url.seen()[key] = url.read(parameter) or ""  # a sample picked after this is the newer one
    else:
        if state.get(key) not in offered:
            state.pop(key, None)
        keep()
    st.selectbox(
        "Photo",
        [*names, *offered],
        key=key,
        format_func=lambda name: names.get(name, name),
        on_change=_chose,
        args=(key,),
        width=240,
        help="Photos that scikit-image ships, of which CIFAR-10 has a class for the cat only"
        + (", and a digit that no network was trained on" if DIGIT in offered else "")
        + "; or photos of your own.",
    )


def _keep_sample(offered: Mapping[str, bytes], notes: DeltaGenerator, *, digits: bool) -> None:
    first = DIGIT if digits else next(iter(offered))
    asked = url.read("sample")
    linked = asked in offered and asked != url.seen().get("sample")
    automatic.begin("sample", first, first, linked=linked)
    if problem := url.keep_choice("sample", offered, first):
        notes.warning(problem)


def _chose(key: str) -> None:
    """Take what the picker says; a sample wins over an own photo."""
    own, chosen = current_photo.own(), str(st.session_state[key])
    if chosen == _ALL:
        own.choose(next(reversed(own.photos), None))
    elif chosen.startswith(_OWN):
        own.choose(int(chosen.removeprefix(_OWN)))
    else:
        own.choose(None)
        automatic.chosen(key)


def _current(offered: Mapping[str, bytes], key: str) -> Picked | None:
    own = current_photo.own()
    if own.blocked:
        return None
    if own.current is None:
        chosen = st.session_state[key]
        return Picked(chosen, offered[chosen])
    photo = own.photos[own.current]
    picked = Picked(photo.name, photo.data, photo.notes, own.current)
    drop_button(picked)
    return picked


def _uploader(*, several: bool = False) -> None:
    """Write the uploader and the camera, folded. What they hold is taken from them at once.

    They are new ones after each upload: empty, and folded again over what is said of it.
    """
    heic = " (and HEIC)" if can_read_heic() else ""
    uploads = current_photo.own().uploads
    with st.popover("Your own", icon=":material/upload:", key=f"own_photos_{uploads}"):
        st.html(_STYLE)
        key = f"own_photo_{uploads}"
        st.file_uploader(
            "Your photos" if several else "Your photo",
            accept_multiple_files=several,
            max_upload_size=UPLOAD_MB,
            key=key,
            on_change=_take,
            args=(key,),
        )
        st.caption(
            f"{FORMATS}{heic}, {LIMITS}. It stays on this machine, in memory, for as long as this "
            "page is open: every page looks at it until you drop it or pick a sample."
        )
        if st.toggle("Use the camera", key="own_camera"):
            key = f"own_shot_{uploads}"
            st.camera_input("Take a photo", key=key, on_change=_take, args=(key,))


def _take(key: str) -> None:
    """Take the files from an uploader; the next run writes an empty one in its place."""
    given = st.session_state.get(key)
    files = given if isinstance(given, list) else [] if given is None else [given]
    if files:
        current_photo.own().take((file.name, file.getvalue()) for file in files)
