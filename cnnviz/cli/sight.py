"""The commands that show what a network sees: `deconv`."""

from __future__ import annotations

import argparse
from pathlib import Path

from cnnviz.cli.errors import checked
from cnnviz.cli.inputs import read_picture
from cnnviz.cli.output import print_record

# A reconstruction of 32 × 32 pixels is enlarged to about this side, in whole pixels.
_PICTURE_SIDE = 256


def deconv_command(options: argparse.Namespace) -> None:
    """Carry a unit's activation on a picture back to its pixels."""
    from cnnviz.images import decode, encode_png, enlarge
    from cnnviz.sight import project, signed_picture
    from cnnviz.subjects import find_subject

    photo = decode(read_picture(options.image))
    subject = find_subject(options.model)
    model = subject.load()
    images, _ = subject.look_at(photo)
    found = checked(lambda: project(model, images, options.layer, [options.unit], options.rule))
    picture = signed_picture(found.pixels[0, 0])
    factor = max(1, _PICTURE_SIDE // max(picture.shape[:2]))
    Path(options.output).write_bytes(encode_png(enlarge(picture, factor)))
    record = {
        "model": options.model,
        "layer": options.layer,
        "unit": options.unit,
        "rule": options.rule,
        "activation": found.activations.item(),
        "row": int(found.positions[0, 0, 0]),
        "column": int(found.positions[0, 0, 1]),
        "output": options.output,
    }
    print_record(record, options)
