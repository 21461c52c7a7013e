"""Units."""

import pytest

from jaxwave import units
from jaxwave.units import length


@pytest.mark.parametrize(
    ("text", "need"),
    [
        ("520 nm", 0.52),
        ("0.18 m", 180e3),
        ("1e-3mm", 1.0),
        ("5 µm", 5.0),
        ("5 μm", 5.0),
        ("-2 um", -2.0),
        ("3 pm", 3e-6),
        ("+.5 cm", 5e3),
        (" 7.  nm ", 7e-3),
    ],
)
def test_length_of_a_text(text, need):
    assert length(text) == pytest.approx(need, rel=1e-15)
    assert length("520 nm") == 0.52  # exactly


def test_factors_agree_with_texts():
    for name in ("pm", "nm", "um", "mm", "cm", "m"):
        assert length(f"3 {name}") == pytest.approx(3 * getattr(units, name), rel=1e-15)
    assert length(0.52) == 0.52
    assert 180 * units.deg == pytest.approx(3.141592653589793)


@pytest.mark.parametrize("text", ["520", "nm", "520 furlongs", "", "1,5 nm", "5 2 nm"])
def test_errors(text):
    with pytest.raises(
        ValueError, match=r"length: expected a number and a unit, such as '520 nm', got"
    ):
        length(text)
