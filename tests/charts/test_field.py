import base64

import numpy as np
import pandas as pd

from cnnviz.charts import field
from cnnviz.images import encode_png

CORE = field.Frame(3, 3, 2, 2)


def drawn(core=CORE):
    density = np.zeros((8, 10))
    density[3:5, 3:5] = [[0.64, 0.16], [0.16, 0.04]]
    photo = encode_png(np.zeros((8, 10), np.uint8))
    return field.field_picture(photo, density, field.Frame(2, 1, 4, 6), core), photo


def test_the_map_lies_on_the_photo():
    figure, photo = drawn()
    heat, image = figure.data[0], figure.layout.images[0]
    assert np.allclose(heat.z, [[1, 0.5], [0.5, 0.25]])  # by the square root
    assert (heat.y0, heat.x0, heat.z.shape) == (3, 3, (2, 2))  # no more than what is not zero
    assert heat.customdata[0, 0] == 64
    assert base64.b64decode(image.source.partition(",")[2]) == photo
    assert (image.x, image.y, image.sizex, image.sizey) == (-0.5, -0.5, 10, 8)
    assert figure.layout.xaxis.range == (-0.5, 9.5)
    assert figure.layout.yaxis.range == (7.5, -0.5)  # rows run downwards
    assert figure.layout.yaxis.scaleanchor == "x"


def test_boxes_stand_on_the_edges_of_pixels():
    shapes = drawn()[0].layout.shapes
    edges = {(s.x0, s.x1, s.y0, s.y1): s.line.dash for s in shapes if s.line.width == 2}
    assert edges == {(0.5, 6.5, 1.5, 5.5): "solid", (2.5, 4.5, 2.5, 4.5): "dot"}
    assert len(drawn(None)[0].layout.shapes) == 2


def test_growth():
    frame = pd.DataFrame({"path": ["a", "b", "side", "c"], "receptive_field": [3, 7, 5, 40]})
    figure = field.field_growth(frame, 32, "b")
    line, dots, chosen = figure.data
    assert line.y == (3, 7, 7, 40)  # a branch with a smaller field does not take it down
    assert dots.y == (3, 7, 5, 40)
    assert (chosen.x, chosen.y, chosen.customdata) == ((1,), (7,), ("b",))
    assert chosen.marker.size > dots.marker.size
    assert figure.layout.shapes[0].y0 == 32
    assert field.growth_sentence(frame, 32) == "From c on (4 of 4) a field spans the picture"
    assert field.growth_sentence(frame, 64) == (
        "No layer's field spans the 64 pixels of the picture"
    )
