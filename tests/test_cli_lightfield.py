"""``jaxwave lightfield``: from a flat field to a lattice, from a raw image to a volume."""

import json

import numpy as np
import pytest

from jaxwave import io as jio
from jaxwave import lightfield as lf
from jaxwave.cli.main import main
from jaxwave.psf import Objective

# Lenslets of 60 µm on 5 pixels of 12 µm, in the words of the command line.
OPTICS = ["--na", "0.35", "--n", "1.33", "--wavelength", "530 nm", "--model", "scalar"]
OPTICS += ["--magnification", "20", "--pitch", "60 um", "--f", "1.5 mm"]
DEPTHS = ["--z-min", "-25 um", "--z-max", "25 um", "--dz", "25 um"]
SHAPE = (55, 60)
BEADS = {0: (20, 22), 2: (33, 38)}  # plane: (y, x)


def flat(shape, pitch, phi, y, x):
    """Disks under the lenslets."""
    rows, columns = (a - n // 2 for a, n in zip(np.indices(shape), shape, strict=True))
    rows, columns = rows - y, columns - x
    u = np.cos(phi) * columns + np.sin(phi) * rows
    v = np.cos(phi) * rows - np.sin(phi) * columns
    r = np.hypot(*(a - pitch * np.round(a / pitch) for a in (u, v)))
    return 1 / (1 + np.exp((r - 0.42 * pitch) / 0.7))


def straight(shape, **more):
    """A file of a lattice that needs no rectification."""
    lattice = {"pitch": [5.0, 5.0], "phi": 0.0, "y": 0.0, "x": 0.0, "layout": "square"}
    return {"lattice": lattice | more, "shape": list(shape)}


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """Two beads above a camera's offset, by the projector (tested for itself)."""
    folder = tmp_path_factory.mktemp("lightfield")
    array = lf.LensArray(1500.0, pitch=60.0)
    scope = lf.LightFieldMicroscope(Objective(0.35, 0.53, n=1.33), 20, array, 12, emitter="scalar")
    volume = np.zeros((3, *SHAPE))
    for plane, place in BEADS.items():
        volume[plane][place] = 1e5
    image = lf.Projector(scope.psf([-25.0, 0.0, 25.0]), SHAPE).project(volume)
    np.save(folder / "raw.npy", np.stack([np.asarray(image) + 100, np.asarray(image) / 2 + 100]))
    np.save(folder / "dark.npy", np.full(SHAPE, 100.0))
    (folder / "lattice.json").write_text(json.dumps(straight(SHAPE)))
    return folder


def test_a_flat_field_becomes_a_lattice(tmp_path, capsys):
    np.save(tmp_path / "flat.npy", 50 + 1000 * flat((150, 164), 15.38, 0.02, 3.3, -4.1))
    out = tmp_path / "lattice.json"
    words = ["lightfield", "calibrate", str(tmp_path / "flat.npy"), "-o", str(out)]
    assert main([*words, "--pitch", "100 um", "--camera-pitch", "6.5 um"]) == 0
    said = capsys.readouterr().out
    assert "lenslets, pitch 15.38" in said and "a pixel is 6.5" in said
    saved = json.loads(out.read_text())
    np.testing.assert_allclose(saved["lattice"]["pitch"], 15.38, atol=0.01)
    lattice = lf.Lattice(**saved["lattice"])
    np.testing.assert_allclose([lattice.phi, lattice.y, lattice.x], [0.02, 3.3, -4.1], atol=0.01)
    assert (tmp_path / "lattice.png").read_bytes()[:4] == b"\x89PNG"
    assert main(words) == 2 and "pass --force" in capsys.readouterr().err


@pytest.mark.slow
def test_a_raw_image_becomes_a_volume(raw, tmp_path, capsys):
    out = tmp_path / "volume.ome.tif"
    words = ["lightfield", "reconstruct", str(raw / "raw.npy"), "--dark", str(raw / "dark.npy")]
    words += ["--lattice", str(raw / "lattice.json"), "--steps", "30", "-o", str(out)]
    assert main([*words, *OPTICS, *DEPTHS, "--camera-pitch", "12 um", "--memory", "1e7"]) == 0
    said = capsys.readouterr()
    assert "step 3 of 30, loss" in said.err and "3 depths of 55 x 60 voxels" in said.out
    first, second = (jio.read_stack(tmp_path / f"volume-{k}.ome.tif") for k in (0, 1))
    np.testing.assert_allclose(first.spacing, (25.0, 0.6, 0.6))
    for plane, (y, x) in BEADS.items():
        near = first.data[:, y - 4 : y + 5, x - 4 : x + 5]
        assert np.argmax(near.sum((1, 2))) == plane
        assert near[plane].sum() == pytest.approx(1e5, rel=0.2)
        half = second.data[plane, y - 4 : y + 5, x - 4 : x + 5].sum()
        assert half == pytest.approx(5e4, rel=0.2)
    assert (tmp_path / "volume.png").is_file()
    job = (tmp_path / "volume.toml").read_text(encoding="utf-8")
    assert "jaxwave lightfield reconstruct --config volume.toml" in job.splitlines()[0]
    # The settings give the same run again, under another name.
    again = ["lightfield", "reconstruct", "--config", str(tmp_path / "volume.toml")]
    assert main(again) == 2 and "is there already" in capsys.readouterr().err
    other = tmp_path / "other.npz"
    assert main([*again, "-o", str(other), "--select", "Z=0", "--memory", "4e9"]) == 0
    np.testing.assert_allclose(jio.read_stack(other).data, first.data, atol=1e-3 * first.data.max())


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["calibrate", "none.npy"], 2, "Did you mean 'noise.npy'?"),
        (["calibrate"], 2, "one raw image is needed, got 0"),
        (["calibrate", "noise.npy"], 1, "'noise.npy' shows no lenslets"),
        (["calibrate", "noise.npy", "-o", "a.csv"], 2, "must end in .json, got"),
        (["calibrate", "noise.npy", "--pitch", "9 um"], 2, "only with --camera-pitch"),
        (["calibrate", "noise.npy", "--pitch", "9 um", "--camera-pitch", "6 um"], 2, "1.5 pixels"),
        (["calibrate", "nan.npy"], 1, "'nan.npy' holds NaN"),
        (["calibrate", "color.npy"], 1, "has the shape (2, 3, 40, 40)"),
        (["reconstruct", "noise.npy"], 2, "--na, --wavelength, --magnification, --pitch, --f"),
        (["R", "--z-min", "3", "--z-max", "2"], 2, "Exchange them."),
        (["R", "--z-min", "-1um", "--z-max", "-.5mm"], 2, "got -1 µm and -500 µm. Exchange"),
        (["R", "--z-min"], 2, "argument --z-min: expected one argument. jaxwave"),
        (["R", "--dz", "0"], 2, "--dz must be positive"),
        (["R", "--na", "1.4"], 2, "must be below the refractive index 1.33"),
        (["R", "--steps", "0"], 2, "--steps must be at least 1"),
        (["R", "-o", "a.png"], 2, "-o: the name must end in"),
        (["R", "--lattice", "noise.npy"], 2, "no file of jaxwave lightfield calibrate"),
        (["R", "--lattice", "small.json"], 2, "belongs to images of (30, 30) pixels"),
        (["R", "--lattice", "thin.json"], 2, "--pitch must be two pixels"),
        (["R", "--lattice", "l.json", "--camera-pitch", "6.5 um"], 2, "so a pixel is 12 µm, and"),
        (["R", "--lattice", "wide.json"], 1, "shows 2 x 2 whole cells"),
        (["R", "--lattice", "l.json", "--dark", "nan.npy"], 1, "'nan.npy' holds NaN"),
        (["R", "--lattice", "l.json", "--memory", "1e3"], 1, "and --memory is 1e+03. Pass"),
        (["R", "-o", "noise.npz", "--lattice", "l.json", "--wavelenth", "2"], 2, "--wavelength?"),
    ],
    ids=lambda value: " ".join(value)[-40:] if isinstance(value, list) else "",
)
def test_mistakes_are_told_in_the_words_that_were_typed(
    tmp_path, monkeypatch, capsys, words, code, said
):
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(0).random((45, 45))
    np.save("noise.npy", noise)
    np.save("nan.npy", np.where(noise > 0.9, np.nan, noise))
    np.save("color.npy", np.ones((2, 3, 40, 40)))
    files = {"l": straight((45, 45)), "small": straight((30, 30))}
    files["thin"] = straight((45, 45), pitch=[1.5, 5.0])
    files["wide"] = straight((45, 45), pitch=[20.0, 20.0])
    for name, content in files.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    if words[0] == "R":
        words = ["reconstruct", "noise.npy", *OPTICS, *DEPTHS, *words[1:]]
    assert main(["lightfield", *words]) == code
    got = [line for line in capsys.readouterr().err.splitlines() if "PSF of" not in line]
    assert len(got) == 1 and said in got[0], got
    assert not list(tmp_path.glob("*.tif")) + list(tmp_path.glob("*.png"))
