"""Levels and tables of phase devices come back as they were, and nothing is scaled on the way."""

import math
import sys

import numpy as np
import pytest

from jaxwave import io as jio
from jaxwave import levels_for_phase

images = pytest.importorskip("PIL.Image")
LEVELS = np.random.default_rng(0).integers(0, 256, (5, 8)).astype(np.uint8)


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "A.TIFF"])
def test_levels_of_8_bits_round_trip(tmp_path, name):
    path = jio.write_levels(tmp_path / name, LEVELS.astype(float))
    back = jio.read_levels(path, shape=(5, 8))
    np.testing.assert_array_equal(back, LEVELS)
    assert back.dtype == np.uint8
    if name[0] == "a":  # another program sees the same numbers
        np.testing.assert_array_equal(np.asarray(images.open(path)), LEVELS)
    before = path.read_bytes()
    assert jio.write_levels(path, LEVELS).read_bytes() == before, "equal levels, equal bytes"


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_levels_of_10_bits_are_not_scaled(tmp_path, name):
    levels = LEVELS.astype(np.uint16) * 4 + 3
    back = jio.read_levels(jio.write_levels(tmp_path / name, levels, bits=10))
    np.testing.assert_array_equal(back, levels)
    assert back.dtype == np.uint16 and back.max() > 255
    with pytest.raises(ValueError, match=r"must end in .*\.tiff for 10 bits, got 'a\.bmp'"):
        jio.write_levels(tmp_path / "a.bmp", levels, bits=10)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P"])
@pytest.mark.parametrize("name", ["a.png", "a.bmp"])
def test_equal_colors_are_one_level(tmp_path, mode, name):
    images.fromarray(LEVELS).convert(mode).save(tmp_path / name)
    np.testing.assert_array_equal(jio.read_levels(tmp_path / name), LEVELS)


def test_what_is_no_image_of_levels_is_told(tmp_path):
    color = np.stack([LEVELS, LEVELS, LEVELS[::-1]], -1)
    images.fromarray(color).save(tmp_path / "color.png")
    alpha = np.concatenate([np.repeat(LEVELS[..., None], 3, -1), LEVELS[..., None]], -1)
    images.fromarray(alpha).save(tmp_path / "alpha.png")
    images.fromarray(LEVELS).save(tmp_path / "a.jpg")
    images.fromarray(LEVELS > 99).save(tmp_path / "bits.png")
    np.save(tmp_path / "a.npy", LEVELS.astype(float))
    (tmp_path / "empty.png").touch()
    told = {
        "color.png": "'color.png' is a color image, and a device has one level a pixel",
        "alpha.png": "transparent in places",
        "a.jpg": r"not a PNG, BMP, TIFF or npy file.*JPEG changes them",
        "bits.png": "has 1 bits a pixel, and levels are read from 8 or 16 gray bits",
        "a.npy": r"8 or 16 bits without sign, got float64 \(5, 8\)",
        "empty.png": "is empty",
    }
    for name, words in told.items():
        with pytest.raises(ValueError, match=f"read_levels: .*{words}"):
            jio.read_levels(tmp_path / name)
    path = jio.write_levels(tmp_path / "a.png", LEVELS)
    with pytest.raises(
        ValueError, match=r"`shape` must be that of 'a\.png', \(5, 8\), got \(8, 5\)"
    ):
        jio.read_levels(path, shape=(8, 5))


def test_a_damaged_png_is_told_or_whole(tmp_path):
    path = jio.write_levels(tmp_path / "a.png", LEVELS)
    data, told = path.read_bytes(), 0
    for place in range(0, len(data), 3):
        flipped = bytearray(data)
        flipped[place] ^= 4
        for bad in (flipped, data[: max(place, 1)]):
            path.write_bytes(bad)
            try:
                np.testing.assert_array_equal(jio.read_levels(path), LEVELS)
            except ValueError as error:
                assert str(error).startswith("read_levels: 'a.png' ")
                told += 1
    assert told > len(data) // 3


@pytest.mark.parametrize(
    ("levels", "bits", "words"),
    [
        (LEVELS + 0.5, 8, "must be whole numbers"),
        (LEVELS * np.nan, 8, "must be whole numbers"),
        (LEVELS[0], 8, r"must have the axes \(y, x\)"),
        (LEVELS + 256.0, 8, r"between 0 and 255 \(8 bits\)"),
        (LEVELS - 256.0, 8, r"between 0 and 255 \(8 bits\)"),
        (LEVELS, 17, "`bits` are 1 to 16"),
        (LEVELS, 0, "`bits`"),
    ],
)
def test_levels_that_no_device_shows(tmp_path, levels, bits, words):
    with pytest.raises(ValueError, match=f"write_levels: .*{words}"):
        jio.write_levels(tmp_path / "a.png", levels, bits=bits)
    with pytest.raises(TypeError, match="must be real"):
        jio.write_levels(tmp_path / "a.png", LEVELS * 1j)
    assert not list(tmp_path.iterdir())


def test_a_table_round_trips_and_serves_levels(tmp_path):
    table = np.linspace(0, 2 * np.pi, 256, endpoint=False) ** 1.1
    path = jio.write_phase_table(tmp_path / "lut.csv", table)
    back = jio.read_phase_table(path)
    np.testing.assert_array_equal(back, table)
    levels = levels_for_phase(np.array([[0.0, table[70]]]), back)
    back = jio.read_levels(jio.write_levels(tmp_path / "a.png", levels))
    assert back.tolist() == [[0, 70]]


@pytest.mark.parametrize(
    ("heading", "unit", "factor"),
    [
        *(("level,phase [rad]", None, 1), ("Level;Phase (pi)", None, math.pi)),
        *(("gray\tphase [turns]", None, math.tau), ("gray phase [deg]", None, math.pi / 180)),
        *(("level,phase", "rad", 1), ("", "deg", math.pi / 180)),
        *(("level,stroke [nm]", None, math.tau / 633), ("l,s [µm]", "nm", math.tau / 633)),
    ],
)
@pytest.mark.parametrize("between", [",", ";", "\t", "  ", ", "])
def test_tables_of_other_programs(tmp_path, heading, unit, factor, between):
    rows = [f"{level}{between}{value}" for level, value in ((0, -1.5), (4, 0.5), (5, 7e0))]
    text = "\ufeff# measured on Monday\n" + "\n".join([*[heading] * bool(heading), *rows, ""])
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    found = jio.read_phase_table(tmp_path / "a.csv", unit=unit, wavelength="633 nm")
    np.testing.assert_allclose(found, np.array([-1.5, -1, -0.5, 0, 0.5, 7]) * factor, rtol=1e-12)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("level,phase\n0,0\n1,1\n", "`unit` is needed, because its heading names none"),
        ("0,0\n1,1\n", "`unit` is needed, because its heading names none"),
        ("level,phase [volt]\n0,0\n1,1\n", "its unit 'volt' is unknown"),
        (
            "level,path [nm]\n0,0\n1,1\n",
            r"`wavelength` is needed, because 'a\.csv' holds lengths in nm",
        ),
        ("level,phase [rad]\n0,0\n1;0,5;3\n", "row 2 of 'a.csv' must be a level and a phase"),
        ("level,phase [rad]\n1,0\n2,1\n", "must be whole numbers that rise from 0"),
        ("level,phase [rad]\n0,0\n2,1\n1,2\n", "must be whole numbers that rise from 0"),
        ("level,phase [rad]\n0,0\n1e9,1\n", "must be whole numbers that rise from 0"),
        ("level,phase [rad]\n0,0\ninf,1\n", "must be whole numbers that rise from 0"),
        ("level,phase [rad]\n0,0\n1,nan\n", "read_phase_table"),
        ("level,phase [rad]\n", "holds no row"),
    ],
)
def test_odd_tables_are_told(tmp_path, text, words):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(ValueError, match=words):
        jio.read_phase_table(tmp_path / "a.csv")


def test_a_table_that_is_none_is_not_written(tmp_path):
    for wrong in ([1.0], np.ones((2, 2)), [0, np.inf]):
        with pytest.raises(ValueError, match="write_phase_table: "):
            jio.write_phase_table(tmp_path / "a.csv", wrong)
    with pytest.raises(TypeError, match="must be real"):
        jio.write_phase_table(tmp_path / "a.csv", [1j, 2])
    assert not list(tmp_path.iterdir())


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    path = jio.write_levels(tmp_path / "a.png", LEVELS)
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    for call in (lambda: jio.read_levels(path), lambda: jio.write_levels(path, LEVELS)):
        with pytest.raises(ImportError, match=r'need the package PIL.*"jaxwave\[plot\]"'):
            call()
    assert jio.write_levels(tmp_path / "a.tif", LEVELS).is_file()
