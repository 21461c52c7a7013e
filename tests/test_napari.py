"""The plugin without a screen: fields, settings, layers, readers, writers and the manifest."""

import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

import jaxwave
from jaxwave import io as jio
from jaxwave.cli import checks, names, options
from jaxwave.cli.main import main
from jaxwave.cli.settings import UsageError, gather
from jaxwave.napari import beads, compute, deblur, fields, files
from jaxwave.napari.layers import voxel

OIL = {"na": "1.3", "n": "1.5", "wavelength": "600 nm", "pixel": "90 nm", "dz": "0.2"}
SMALL = {"planes": "3", "size": "15"}
MANIFEST = Path(jaxwave.__file__).parent / "napari.yaml"


# -- the PSF -------------------------------------------------------------------------------


def test_the_psf_is_the_file_of_the_command_line(tmp_path):
    """Bit for bit: from the flags, and from the settings that the widget saves."""
    texts = {**OIL, **SMALL, "n_s": "1.36", "t_s": "1.5 um", "motion": "emitter"}
    texts["zernike"] = ["8=30 nm", "oblique astigmatism=-20 nm"]
    texts["convention"] = "noll"
    settings, (data, layer, kind) = compute.point_spread(texts)
    words = []
    for name, value in texts.items():
        words += ["--" + name.replace("_", "-"), *(value if isinstance(value, list) else [value])]
    fields.write(str(tmp_path / "job.toml"), fields.PSF, settings)
    for number, given in enumerate((words, ["--config", str(tmp_path / "job.toml")])):
        path = tmp_path / f"{number}.ome.tif"
        assert main(["psf", *given, "-o", str(path)]) == 0
        stack = jio.read_stack(path)
        np.testing.assert_array_equal(stack.data, data)
        assert layer["scale"] == pytest.approx(stack.spacing, rel=1e-12)
    assert kind == "image" and data.dtype == np.float32 and layer["units"] == ("um",) * 3
    # The focus is at the origin, and the layer knows its settings.
    assert layer["translate"] == pytest.approx((-0.2, -0.63, -0.63))
    kept = tomllib.loads(layer["metadata"]["jaxwave"]["settings"])
    assert kept["t_s"] == "1.5 µm" and "out" not in kept


def test_every_setting_of_the_command_line_is_a_field():
    both = {"out", "save", "picture"}
    assert {o.name for o in options.PSF} - {o.name for o in fields.PSF} == both
    names = {option.name for option in fields.CALIBRATE}
    assert {"na", "bead", "camera_gain", "heldout", "pixel", "order", "pages"} <= names
    assert not names & {"files", "out", "axes"}


def test_settings_come_back_as_they_were_typed(tmp_path):
    texts = {"objective": "60x/1.4 oil", "camera": "6.5 um", "wavelength": "0.6", "dz": "120 nm"}
    texts |= {"t_g_design": "0.17 mm", "n_g": "1.52", "kind": "focus", "polarization": "y"}
    texts["zernike"] = ["2,2=15 nm"]
    settings = checks.microscope(texts)
    fields.write(str(tmp_path / "psf.toml"), fields.PSF, settings)
    back = fields.read(str(tmp_path / "psf.toml"), fields.PSF)
    assert back == {**texts, "wavelength": "600 nm", "t_g_design": "170 µm"}
    # What the objective gives stays open, so that another objective gives its own.
    assert fields.derived(settings, fields.PSF) == {
        "na": "1.4", "n": "1.518", "pixel": f"{settings['pixel']!r} µm"
    }  # fmt: skip


@pytest.mark.parametrize("value", [0.6, 0.1 + 0.2, 6.5 / 60, 1e-3, 170.0, 3.0000000000000004, 0.0])
def test_lengths_in_fields_lose_nothing(value):
    option = next(option for option in options.PSF if option.name == "t_s")
    assert option.read(fields.shown(option, value), "t_s") == value


@pytest.mark.parametrize(
    ("texts", "named"),
    {
        "too wide": (OIL | {"na": "1.6"}, ["na", "n"]),
        "no number": (OIL | {"t_s": "deep"}, ["t_s"]),
        "no unit": (OIL | {"wavelength": "600"}, ["wavelength"]),
        "missing": ({"na": "1.3", "n": "1.5"}, ["wavelength", "pixel", "dz"]),
        "depth": (OIL | {"t_s": "1"}, ["t_s", "n_s"]),
        "mode": (OIL | {"zernike": ["comma=3 nm"]}, ["zernike"]),
        "file": (OIL | {"mask": "/nowhere/mask.npy"}, ["mask"]),
        "choice": (OIL | {"unit": "sun"}, ["unit"]),
    }.values(),
)
def test_errors_name_the_field(texts, named):
    with pytest.raises(UsageError) as caught:
        compute.point_spread(texts | SMALL)
    text, names = fields.sentence(caught.value, fields.PSF)
    assert set(named) <= set(names), (text, names)
    assert "--" not in text and "help" not in text


# -- deconvolution -------------------------------------------------------------------------


def layer(data, scale=None, *, name="image", units="um", rgb=False):
    """What the functions need of a layer of the viewer."""
    data = np.asarray(data)
    scale = np.ones(data.ndim) if scale is None else np.asarray(scale, float)
    units = ["pixel"] * data.ndim if units is None else [Unit(units)] * data.ndim
    return SimpleNamespace(data=data, scale=scale, units=units, name=name, rgb=rgb)


class Unit(str):
    """A unit as pint makes it."""

    def __rmul__(self, step):
        value = step * {"um": 1.0, "nm": 1e-3}[str(self)]
        return SimpleNamespace(to=lambda _: SimpleNamespace(magnitude=value))


def blurred(shape=(7, 20, 18)):
    """Two emitters and their image by a PSF without any symmetry, summed voxel by voxel."""
    random = np.random.default_rng(3)
    psf = random.uniform(size=(3, 4, 5)) + 5 * (np.arange(60).reshape(3, 4, 5) == 32)
    scene = np.zeros(shape)
    scene[3, 9, 6], scene[4, 8, 12] = 4000, 2500
    image = np.zeros(shape)
    for z, y, x in np.argwhere(scene):
        for k, j, i in np.ndindex(psf.shape):
            image[z + k - 1, y + j - 2, x + i - 2] += scene[z, y, x] * psf[k, j, i] / psf.sum()
    return scene, image, psf


def test_a_stack_is_deconvolved_as_a_whole():
    scene, image, psf = blurred()
    reports = []
    made = deblur.job(layer(image), layer(psf, name="PSF"), {"steps": "42"})
    found = deblur.deconvolve(made, lambda *parts: reports.append(parts))
    assert found.shape == scene.shape and found.dtype == np.float32
    assert found.sum() == pytest.approx(scene.sum(), rel=1e-3)
    assert found[3, 9, 6] > 3900 and found[4, 8, 12] > 2400
    assert reports == [(k, 9) for k in range(1, 10)]


@pytest.mark.parametrize("boundary", ["reflect", "edge", "zero", "periodic"])
def test_the_imaging_of_a_stack_and_its_adjoint(boundary):
    scene, image, psf = blurred()
    spread, project, back = deblur._imaging(scene.shape, psf.shape, boundary)
    kernel = np.float32(psf / psf.sum())
    spectrum = spread(kernel)
    got = project(spectrum, jnp.asarray(scene, jnp.float32))
    np.testing.assert_allclose(got, image, atol=2e-3)  # nothing reaches the rim
    wide = {"reflect": "symmetric", "edge": "edge", "zero": "constant", "periodic": "wrap"}
    random = np.random.default_rng(4)
    one, other = (random.normal(size=scene.shape).astype(np.float32) for _ in range(2))
    need = np.zeros(scene.shape)
    padded = np.pad(one, [(1, 1), (2, 2), (2, 2)], mode=wide[boundary])
    for k, j, i in np.ndindex(psf.shape):  # voxel by voxel, far from every transform
        z, y, x = 2 - k, 4 - j, 4 - i
        need += kernel[k, j, i] * padded[z : z + 7, y : y + 20, x : x + 18]
    np.testing.assert_allclose(project(spectrum, one), need, atol=2e-5)
    mine, theirs = np.vdot(other, project(spectrum, one)), np.vdot(back(spectrum, other), one)
    assert mine == pytest.approx(theirs, abs=2e-3)


def test_planes_are_those_of_the_library():
    from jaxwave.deconvolution import richardson_lucy, total_variation, wiener

    _, image, psf = blurred()
    kernel = np.float32(psf[1] / psf[1].sum())  # its brightest plane
    usual = {"extent": "planes", "steps": "7", "weight": "0.02", "background": "3"}
    need = {
        "richardson_lucy": richardson_lucy(image + 3, kernel, steps=7, background=3),
        "wiener": wiener(image, kernel, 0.02),
        "total_variation": total_variation(image, kernel, 0.02, steps=35),
    }
    for method, wanted in need.items():
        given = {**usual, "method": method}
        made = deblur.job(layer(image + 3), layer(psf, name="PSF"), given)
        assert "plane 1 of the PSF" in made.note
        got = deblur.deconvolve(made, lambda *_: None)
        np.testing.assert_allclose(got, wanted, atol=2e-3)


IMAGE, KERNEL = np.ones((3, 8, 8)), np.ones((3, 3, 3))
WRONG_LAYERS = {
    "none": (None, KERNEL, {}, "image: choose a layer"),
    "rgb": (layer(np.ones((8, 8, 3)), rgb=True), KERNEL, {}, "image: .*RGB"),
    "line": (np.ones(8), KERNEL, {}, "image: .*needed"),
    "nan": (np.full((3, 8, 8), np.nan), KERNEL, {}, "image: 192 of 192 .*not finite"),
    "complex": (IMAGE * 1j, KERNEL, {}, "image: .*real"),
    "dark": (IMAGE, 0 * KERNEL, {}, "psf: .*light"),
    "below": (IMAGE, -KERNEL, {}, "psf: .*negative"),
    "four": (IMAGE, np.ones((2, 3, 3, 3)), {}, "psf: .*one channel"),
    "wiener": (IMAGE, KERNEL, {"method": "wiener"}, "method: .*--extent planes"),
    "steps": (IMAGE, KERNEL, {"steps": "0"}, "steps must be at least 1"),
    "weight": (IMAGE, KERNEL, {"weight": "-1"}, "weight must be positive"),
    "voxels": (
        layer(IMAGE, (0.3, 0.1, 0.1)),
        layer(KERNEL, (300, 65, 65), units="nm", name="PSF"),
        {},
        "psf: its pixel is 65 nm, that of the image 100 nm",
    ),
}


@pytest.mark.parametrize("case", WRONG_LAYERS)
def test_layers_that_cannot_be_deconvolved(case):
    image, psf, given, text = WRONG_LAYERS[case]
    layers = [x if x is None or hasattr(x, "rgb") else layer(x) for x in (image, psf)]
    with pytest.raises(UsageError, match=text):
        deblur.job(*layers, given)


def test_layers_of_any_kind():
    counts = np.random.default_rng(0).poisson(50, (2, 3, 8, 9)).astype(np.uint16)
    for data in (counts, counts[0, 0], np.asfortranarray(counts[0])):
        made = deblur.job(layer(data, name="x"), layer(KERNEL, units=None), {"steps": "2"})
        assert "no scale" in made.note
        got = deblur.deconvolve(made, lambda *_: None)
        assert got.shape == data.shape and np.isfinite(got).all()
    huge = np.broadcast_to(np.uint16(1), (4000, 1, 1))
    huge = np.lib.stride_tricks.as_strided(huge, (4000, 9000, 9000), (0, 0, 0))
    with pytest.raises(UsageError, match="Crop the layer"):
        deblur._require_memory(deblur.Job(huge, KERNEL, None, ""))
    assert voxel(layer(KERNEL, (0.3, 0.1, 0.1), units=None)) == (0.3, 0.1, 0.1)
    assert voxel(layer(KERNEL, (300, 100, 100), units="nm")) == pytest.approx((0.3, 0.1, 0.1))
    assert voxel(layer(KERNEL, units=None)) is None


# -- beads ---------------------------------------------------------------------------------

NUMBERS = {"na": "0.8", "wavelength": "500 nm", "size": "16", "model": "scalar"}


def beads_field():
    """Three spots, one at the edge, in counts of a camera."""
    z, y, x = np.indices((7, 60, 70))
    total = np.full(z.shape, 100.0)
    for cy, cx, light in ((20, 20, 3000), (40, 50, 2500), (56, 20, 2000)):
        width = 1.5 + 0.5 * abs(z - 3)
        total += light * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * width**2)) / width**2
    return np.random.default_rng(1).poisson(total).astype(np.uint16)


def test_spots_are_found_with_their_fate():
    stack = layer(beads_field(), (300, 130, 130), units="nm", name="beads")
    found = beads.find(stack, NUMBERS)
    assert "3 spots found, 2 good; windows of 16 pixels; voxel 300 x 130 nm" == found.text
    fates = {spot.place: (spot.fate, spot.why) for spot in found.spots}
    (rejected,) = [place for place, (fate, _) in fates.items() if fate == "rejected"]
    assert rejected == pytest.approx((56, 20), abs=1) and "edge" in fates[rejected][1]
    assert sorted(spot.number for spot in found.spots) == [1, 2, 3]


@pytest.mark.parametrize(
    ("stack", "texts", "named", "words"),
    {
        "none": (None, NUMBERS, [], "choose a layer"),
        "rgb": (layer(np.ones((7, 9, 3)), rgb=True), NUMBERS, [], "RGB"),
        "image": (layer(np.ones((9, 9))), NUMBERS, [], r"\(z, y, x\) is needed"),
        "times": (layer(np.ones((2, 7, 9, 9))), NUMBERS, [], "one channel or time"),
        "no scale": (layer(beads_field(), units=None), NUMBERS, ["dz"], "dz is needed"),
        "no numbers": (layer(beads_field()), {}, ["na", "wavelength"], "must be given.$"),
        "nan": (
            layer(np.where(beads_field() > 200, np.nan, 100.0), (0.3, 0.13, 0.13)),
            NUMBERS,
            [],
            "NaN",
        ),
        "steps": (layer(beads_field()), NUMBERS | {"steps": ["x", "1"]}, ["steps"], "number"),
    }.values(),
)
def test_stacks_that_cannot_be_calibrated(stack, texts, named, words):
    with pytest.raises((UsageError, ValueError)) as caught:
        beads.find(stack, texts)
    text, names = fields.sentence(caught.value, fields.CALIBRATE)
    assert re.search(words, text) and set(named) <= set(names) and "--" not in text, text


def test_the_stack_is_stored_once_as_it_is(tmp_path):
    stack = layer(beads_field(), (0.3, 0.13, 0.13), name="my/beads: 1")
    path = beads.store(stack, tmp_path / "out")
    assert path == beads.store(stack, tmp_path / "out") and path.name == "my_beads_1.npz"
    read = jio.read_stack(path)
    assert read.file_dtype == "uint16" and read.spacing == pytest.approx((0.3, 0.13, 0.13))
    stack.data = stack.data + 1
    assert beads.store(stack, tmp_path / "out").name == "my_beads_1-2.npz"
    np.testing.assert_array_equal(jio.read_stack(path).data + 1, stack.data)
    stack.name = "mean"  # a file of the results
    assert beads.store(stack, tmp_path / "out").name == "mean-1.npz"


def test_a_canceled_calibration_ends_at_its_next_word(tmp_path):
    class Stop(BaseException):
        pass

    def report(kind, *rest):
        if kind == "line":
            raise Stop

    stack = layer(beads_field(), (0.3, 0.13, 0.13), name="beads")
    with pytest.raises(Stop):
        beads.calibrate(stack, NUMBERS, tmp_path / "out", report)
    assert beads.calibrate.__name__ and not (tmp_path / "out" / "report.html").exists()


@pytest.mark.slow
def test_a_layer_is_calibrated_as_its_file_is(tmp_path):
    """The same numbers as the command line's, from the stack that lies in the folder."""
    texts = NUMBERS | {"order": "2", "steps": ["30", "0"]}
    told = []
    stack = layer(beads_field(), (0.3, 0.13, 0.13), name="beads")
    found, code = beads.calibrate(stack, texts, tmp_path / "out", lambda *p: told.append(p))
    assert code in (0, 1, 3) and {"found", "line", "step"} == {kind for kind, *_ in told}
    assert {spot.fate for spot in found.spots} <= {"ok", "poor", "rejected"}
    job = tmp_path / "out" / "job.toml"
    assert main(["calibrate", "--config", str(job), "-o", str(tmp_path / "again")]) == code
    for name in ("beads-001", "beads-002"):
        both = [jio.load_arrays(tmp_path / p / name / "calibration.npz") for p in ("out", "again")]
        np.testing.assert_array_equal(both[0]["pupil_opd_um"], both[1]["pupil_opd_um"])
    for place in (tmp_path / "out", tmp_path / "out" / "beads-001"):
        made = files.get_reader(str(place))(str(place))
        data, options, _ = made[0]
        np.testing.assert_array_equal(data, jio.read_stack(place / "psf.ome.tif").data)
        assert options["scale"] == pytest.approx((0.3, 0.13, 0.13))
        assert [options["name"].split()[0] for _, options, _ in made] == ["PSF", "pupil", "pupil"]
    with pytest.raises(UsageError) as caught:  # results of other settings stay
        beads.calibrate(stack, texts | {"order": "3"}, tmp_path / "out", lambda *_: None)
    text, _ = fields.sentence(caught.value, fields.CALIBRATE)
    assert "order (2 there, 3 now)" in text and "let earlier results be replaced" in text


# -- files ---------------------------------------------------------------------------------

VOXEL = (0.3, 0.11, 0.12)


@pytest.mark.parametrize("ending", ["ome.tif", "tif", "zarr", "npz"])
def test_what_is_written_is_read(tmp_path, ending):
    pytest.importorskip("zarr" if ending == "zarr" else "tifffile")
    data = np.random.default_rng(0).normal(size=(3, 5, 6)).astype(np.float32)
    path = str(tmp_path / f"psf.{ending}")
    options = {"scale": [300, 110, 120], "units": [Unit("nm")] * 3, "name": "x"}
    assert files.write_image(path, data, options) == [path]
    ((got, options, kind),) = files.get_reader(path)(path)
    np.testing.assert_array_equal(got, data)
    assert kind == "image" and options["name"] == "psf" and options["units"] == ("um",) * 3
    assert options["scale"] == pytest.approx(VOXEL)
    if ending != "npz":
        assert options["axis_labels"] == ("z", "y", "x")


def test_channels_times_and_complex_numbers_are_layers(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    data = np.arange(2 * 2 * 3 * 5 * 6, dtype=np.uint16).reshape(2, 2, 3, 5, 6)
    sizes = {"PhysicalSizeX": 110, "PhysicalSizeXUnit": "nm", "axes": "TCZYX"}
    path = tmp_path / "cells.ome.tif"
    tifffile.imwrite(path, data, metadata=sizes, ome=True, photometric="minisblack")
    both = files.get_reader(str(path))(str(path))
    for k, (got, told, _) in enumerate(both):
        np.testing.assert_array_equal(got, data[:, k])
        assert told["name"] == f"cells C={k}" and told["axis_labels"] == tuple("tzyx")
        assert told["scale"] == pytest.approx((1, 1, 1, 0.11))
        assert told["units"] == ("pixel", "pixel", "pixel", "um")
    wave = np.exp(1j * np.arange(12.0)).reshape(3, 4)
    np.savez(tmp_path / "fields.npz", field=wave, spacing=[0.2, 0.3], note=np.array([1.0]))
    np.save(tmp_path / "plain.npy", data[0, 0])
    made = files._read_all([str(tmp_path / "fields.npz"), str(tmp_path / "plain.npy")])
    names = ["fields field amplitude", "fields field phase [rad]", "plain"]
    assert [options["name"] for _, options, _ in made] == names
    np.testing.assert_allclose(made[1][0], np.angle(wave))
    assert made[0][1]["scale"] == (0.2, 0.3) and made[2][1]["units"] == ("pixel",) * 3


def test_what_is_not_read_and_not_written(tmp_path):
    (tmp_path / "other.json").write_text("{}")
    (tmp_path / "plain").mkdir()
    for name in ("other.json", "plain"):
        assert files.get_reader(str(tmp_path / name)) is None
    (tmp_path / "bad.tif").write_bytes(b"II*\0")
    np.savez(tmp_path / "line.npz", a=np.ones(3))
    for name, words in (("bad.tif", "bad.tif"), ("line.npz", "no picture")):
        path = str(tmp_path / name)
        with pytest.raises(ValueError, match=words):
            files.get_reader(path)(path)
    for data, told, words in (
        (np.ones((3, 4, 5)), {}, "no voxel size.*scale ="),
        (np.ones((2, 3, 4, 5)), {"scale": (2, 2, 2, 2)}, "one channel"),
        (np.ones((4, 5, 3)), {"rgb": True}, "RGB"),
    ):
        with pytest.raises(ValueError, match=words):
            files.write_image(str(tmp_path / "x.npz"), data, told)
    assert not (tmp_path / "x.npz").exists()
    plane = files.write_image(str(tmp_path / "x.npz"), np.ones((4, 5)), {"scale": (0.1, 0.2)})
    ((got, told, _),) = files._read_all(plane)
    assert got.shape == (1, 4, 5) and told["scale"] == (1.0, 0.1, 0.2)


def test_the_manifest_takes_every_file_of_the_reader():
    lines = MANIFEST.read_text(encoding="utf-8").split()
    patterns = {line.strip('"') for line in lines if line.startswith('"*.')}
    known = {f"*.{ending}" for ending in names._ENDINGS}
    assert patterns == known | {"*.zarr.zip", "*.companion.ome", "*.stl", "*.gds"}


# -- the package ---------------------------------------------------------------------------


def test_jaxwave_does_not_import_the_viewer():
    program = (
        "import sys, jaxwave.napari, jaxwave.napari.fields, jaxwave.cli.main\n"
        "print(*[m for m in ('napari', 'qtpy', 'PyQt6', 'magicgui') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.returncode == 0 and not run.stdout.split(), run.stderr


@pytest.mark.parametrize("module", ["psf", "calibrate", "deconvolve"])
def test_a_missing_viewer_is_named_with_its_line(monkeypatch, module):
    for name in [name for name in sys.modules if name.startswith("jaxwave.napari.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "napari", None)
    with pytest.raises(ImportError, match=r'pip install "jaxwave\[napari\]"'):
        importlib.import_module(f"jaxwave.napari.{module}")


def test_a_missing_package_is_named_with_its_line():
    text, names = fields.sentence(ModuleNotFoundError("x", name="optax.losses"), fields.PSF)
    assert text == 'optax is not installed. Run pip install "jaxwave[napari]".' and not names
    full = OSError(28, "No space left on device", "psf.toml")
    assert fields.sentence(full, fields.PSF)[0] == "No space left on device: psf.toml"
    assert "memory" in fields.sentence(MemoryError(), fields.PSF)[0]


def commands() -> dict[str, str]:
    """The functions and widgets that the manifest names, by the identity of their commands."""
    lines = [line.strip() for line in MANIFEST.read_text(encoding="utf-8").splitlines()]
    names = [line.removeprefix("- id: ") for line in lines if line.startswith("- id: ")]
    places = [line.partition(": ")[2] for line in lines if line.startswith("python_name")]
    return dict(zip(names, places, strict=True))


def test_the_manifest_names_what_there_is():
    for place in commands().values():
        module, _, name = place.partition(":")
        source = Path(importlib.util.find_spec(module).origin).read_text(encoding="utf-8")
        assert f"class {name}(" in source or f"def {name}(" in source, place
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))
    assert project["project"]["entry-points"]["napari.manifest"] == {
        "jaxwave": "jaxwave:napari.yaml"
    }
    assert "napari.yaml" in project["tool"]["setuptools"]["package-data"]["jaxwave"]
    assert any("napari" in line for line in project["project"]["optional-dependencies"]["napari"])


@pytest.mark.filterwarnings("ignore")  # napari's own
def test_npe2_takes_the_manifest():
    npe2 = pytest.importorskip("npe2")
    manifest = npe2.PluginManifest.from_file(MANIFEST)
    if importlib.util.find_spec("napari"):
        manifest.validate_imports()
    assert manifest.name == "jaxwave"
    shown = [widget.display_name for widget in manifest.contributions.widgets]
    assert shown == ["PSF", "Calibrate", "Deconvolve"]


def test_a_file_of_settings_may_hold_more_than_the_fields(tmp_path):
    (tmp_path / "job.toml").write_text('na = 0.8\nout = "psf.tif"\npixel = "100 nm"\n')
    assert fields.read(str(tmp_path / "job.toml"), fields.PSF) == {"na": "0.8", "pixel": "100 nm"}
    (tmp_path / "bad.toml").write_text("naa = 0.8\n")
    with pytest.raises(UsageError, match="naa"):
        fields.read(str(tmp_path / "bad.toml"), fields.PSF)
    assert gather(options.PSF, {})["na"] is None
