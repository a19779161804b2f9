import math

import pytest

from cnnviz.ui.look.format import count, milliseconds, percent, plain, si, size


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (25_557_032, "", "25.6 M"),
        (4_089_184_256, "MACs", "4.09 GMACs"),
        (102_228_128, "B", "102 MB"),
        (999, "", "999"),
        (1000, "", "1.00 k"),
        (999_999, "", "1.00 M"),  # rounding carries into the next prefix
        (0, "B", "0 B"),
        (0.25, "s", "0.250 s"),
        (-1500, "", "-1.50 k"),
        (math.nan, "", "–"),
    ],
)
def test_si(value, unit, expected):
    assert si(value, unit) == expected


def test_other_forms():
    assert count(25_557_032) == "25,557,032"
    assert percent(0.91743) == "91.7 %"
    assert size((3, 224, 224)) == "3 × 224 × 224"
    assert milliseconds(12.34) == "12.3 ms"
    assert milliseconds(1234) == "1.23 s"


def test_plain_keeps_words_and_escapes_markup():
    assert plain("a map: 3 × 3 (of c5), 7.5 %!") == "a map: 3 × 3 (of c5), 7.5 %!"
    assert plain("a\n\n---\r\nb") == "a --- b"
    joined = plain("https://a.b WWW.a a@b.c :smile:")  # no links, no pictures
    assert joined.replace("\N{WORD JOINER}", "_") == "https:_//a.b WWW_.a a@_b.c :_smile:"
    assert plain("![x](y) **b** $a$") == r"!\[x\](y) \*\*b\*\* \$a\$"
