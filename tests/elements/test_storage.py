"""Models in files: exact, readable, atomic, never executed; and in words that can be compared."""

import difflib
import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jaxwave as jw
from jaxwave import elements as el
from jaxwave import psf


class Wedge(el.Element):
    slope: el.Number
    axis: str = "x"

    def __call__(self, field):
        return jw.opd_mask(field, self.slope[...] * (field.x + 0 * field.y))


class Handmade(el.Element):
    def __init__(self, f):
        self.f = el.Fixed(f)


def noise(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def model():
    return el.System(
        source=el.GaussianBeam((16, 16), spacing=1.0, wavelength="532 nm", waist=4.0),
        mask=el.PhaseMask(nnx.Param(noise(16, 16))),
        filter=el.AmplitudeMask(noise(16, 16) + 1j * noise(16, 16)),
        wedge=Wedge(nnx.Param(0.1)),
        relay=el.System(lens=el.ThinLens("200 mm"), gap=el.Fresnel(nnx.Param(np.pi))),
        aberration=el.ZernikeMask([0.1, -0.2], [(2, 0), (4, 0)], 8.0),
    )


def test_round_trip_is_exact(tmp_path):
    before = model()
    after = el.load_model(el.save_model(tmp_path / "m.json", before))
    assert el.describe(after) == el.describe(before)
    assert el.learned(after) == el.learned(before)
    mine, theirs = el.parameters(before), el.parameters(after)
    assert list(mine) == list(theirs)
    for name, value in mine.items():
        assert value.dtype == theirs[name].dtype
        np.testing.assert_array_equal(value, theirs[name])
    np.testing.assert_array_equal(before().u, after().u)
    assert nnx.graphdef(before) == nnx.graphdef(after)  # nothing is compiled anew


def test_double_precision_is_exact(tmp_path, x64):
    lens = el.load_model(el.save_model(tmp_path / "m.json", el.ThinLens(1 / 3)))
    assert lens.f[...].dtype == jnp.float64 and float(lens.f[...]) == 1 / 3


def test_every_kind_of_static_field(tmp_path):
    scope = el.Microscope(
        na=1.1,
        wavelength=0.6,
        shape=(8, 8),
        pixel=0.1,
        n=1.33,
        pupil=psf.vortex,
        nodes=psf.PolarNodes(12, 12),
        layers=None,
    )
    source = el.PlaneWave((4, 4), spacing=1.0, wavelength=0.5, dtype=np.complex64)
    again = el.load_model(el.save_model(tmp_path / "m.json", el.System(source, scope)))
    assert again.microscope.pupil is psf.vortex
    assert again.microscope.nodes == psf.PolarNodes(12, 12)
    assert again.plane_wave().dtype == np.complex64


def test_shared_variables_stay_shared(tmp_path):
    if not nnx.set_graph_mode.current_value():
        pytest.skip("a tree has no shared variables")
    f = nnx.Param(200.0)
    path = el.save_model(tmp_path / "m.json", el.System(a=el.ThinLens(f), b=el.ThinLens(f)))
    again = el.load_model(path)
    assert again.a.f is again.b.f


def test_the_text_is_readable_and_arrays_lie_beside(tmp_path):
    path = el.save_model(tmp_path / "m.json", model())
    lines = path.read_text().splitlines()
    assert '"f": {"value": 200000.0, "unit": "µm", "dtype": "float32", "learned": false},' in [
        line.strip() for line in lines
    ]
    assert any('"wavelength": {"value": 0.532,' in line for line in lines)
    content = json.loads(path.read_text())
    assert (tmp_path / content["arrays"]["file"]).is_file()
    with np.load(tmp_path / content["arrays"]["file"]) as arrays:
        assert sorted(arrays) == ["filter.transmission", "mask.phase"]


def test_saving_again_leaves_no_old_arrays(tmp_path):
    system = model()
    el.save_model(tmp_path / "m.json", system)
    changed = el.replace(system, {"mask.phase": jnp.ones((16, 16))})
    el.save_model(tmp_path / "m.json", changed)
    assert len(list(tmp_path.glob("*.npz"))) == 1
    np.testing.assert_array_equal(el.load_model(tmp_path / "m.json").mask.phase[...], 1)
    el.save_model(tmp_path / "m.json", el.ThinLens(2.0))
    assert [p.name for p in tmp_path.iterdir()] == ["m.json"]


def test_a_crash_before_the_text_leaves_the_old_model(tmp_path, monkeypatch):
    system = model()
    el.save_model(tmp_path / "m.json", system)
    changed = el.replace(system, {"mask.phase": jnp.ones((16, 16))})
    real, calls = jw.elements.storage._files.atomic, []

    def crash(where, path, write):
        calls.append(path)
        if len(calls) == 2:  # arrays are written, the text is not
            raise OSError("power cut")
        return real(where, path, write)

    monkeypatch.setattr(jw.elements.storage._files, "atomic", crash)
    with pytest.raises(OSError):
        el.save_model(tmp_path / "m.json", changed)
    assert el.describe(el.load_model(tmp_path / "m.json")) == el.describe(system)


# -- what cannot be saved or loaded --------------------------------------------------------

REFUSED = {
    "function": (lambda: el.System(f=jnp.abs), "'f' is the function abs?(olute)?"),
    "pupil": (
        lambda: el.Microscope(
            na=0.5, wavelength=0.5, shape=4, pixel=0.3, pupil=lambda y, x: x * 0 + 1, nodes=24
        ),
        "'pupil' is the function <lambda>",
    ),
    "module": (lambda: el.System(net=nnx.Linear(2, 2, rngs=nnx.Rngs(0))), "'net' is a Linear"),
    "init": (lambda: Handmade(2.0), "Handmade has an __init__ of its own"),
    "number": (lambda: 3.0, "must be an Element or a System, got a float"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_file_cannot_keep(name, tmp_path):
    make, text = REFUSED[name]
    with pytest.raises(TypeError, match=text):
        el.save_model(tmp_path / "m.json", make())
    assert not list(tmp_path.iterdir())


def test_traced_models_are_not_saved(tmp_path):
    @jax.jit
    def save(f):
        el.save_model(tmp_path / "m.json", el.ThinLens(f))

    with pytest.raises(TypeError, match="'f' is traced"):
        save(2.0)


def edited(tmp_path, change):
    path = el.save_model(tmp_path / "m.json", model())
    path.write_text(change(path.read_text()))
    return path


DAMAGED = {
    "half": (lambda t: t[: len(t) // 2], "no readable JSON"),
    "foreign": (lambda t: "{}", "is no model of jaxwave"),
    "version": (lambda t: t.replace('"version": 1', '"version": 9'), "version 9 of the format"),
    "class": (lambda t: t.replace('"PhaseMask"', '"PhaseMsk"'), "Did you mean 'PhaseMask'"),
    "field": (lambda t: t.replace('"slope"', '"steep"'), "Wedge has no field 'steep'"),
    "part": (lambda t: t.replace('"class": "ThinLens",', ""), "is incomplete: 'module'|class"),
    "value": (lambda t: t.replace('"value": 200000.0', '"value": 0'), "other than zero"),
    "word": (lambda t: t.replace('"value": 200000.0', '"value": "far"'), "no numbers for 'relay.l"),
    "kind": (lambda t: t.replace('"dtype": "float32"', '"dtype": "object"'), "no numbers for"),
    "list": (lambda t: json.dumps(json.loads(t) | {"model": []}), "is incomplete: list indices"),
    "deep": (lambda t: "[" * 99999, "no readable JSON"),
    "place": (lambda t: t.replace('"file": "m.', '"file": "../m.'), "must lie beside"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_files_are_refused(name, tmp_path):
    change, text = DAMAGED[name]
    with pytest.raises((ValueError, TypeError), match=text):
        el.load_model(edited(tmp_path, change))


def test_a_flipped_byte_of_the_arrays_is_found(tmp_path):
    path = el.save_model(tmp_path / "m.json", model())
    beside = next(tmp_path.glob("*.npz"))
    data = bytearray(beside.read_bytes())
    data[len(data) // 2] ^= 1
    beside.write_bytes(data)
    with pytest.raises(ValueError, match="checksum differs"):
        el.load_model(path)
    beside.unlink()
    with pytest.raises(FileNotFoundError):
        el.load_model(path)
    with pytest.raises(FileNotFoundError):
        el.load_model(tmp_path / "nothing.json")


def test_a_class_is_never_imported(tmp_path):
    path = edited(tmp_path, lambda t: t.replace('"Wedge"', '"Popen"'))
    path.write_text(path.read_text().replace(f'"{Wedge.__module__}"', '"subprocess"'))
    with pytest.raises(ValueError, match=r"needs the element 'Popen' of 'subprocess'.*Import the"):
        el.load_model(path)


# -- in words ------------------------------------------------------------------------------


def test_descriptions_can_be_compared():
    before = model()
    after = el.learn(el.replace(before, {"wedge.slope": 0.2}), "relay.lens.f")
    changes = [
        line
        for line in difflib.ndiff(el.describe(before).splitlines(), el.describe(after).splitlines())
        if line[0] in "+-"
    ]
    assert changes == [
        "- wedge.slope = 0.1 (learned)",
        "+ wedge.slope = 0.2 (learned)",
        "- relay.lens.f = 200000.0 µm",
        "+ relay.lens.f = 200000.0 µm (learned)",
    ]


def test_a_changed_pixel_changes_the_description():
    before = model()
    phase = before.mask.phase[...]
    after = el.replace(before, {"mask.phase": phase.at[3, 3].add(1e-3)})
    assert el.describe(before) != el.describe(after)


def test_an_array_is_described_by_range_and_checksum():
    lines = el.describe(el.PhaseMask(nnx.Param(jnp.ones((16, 16))))).splitlines()
    (line,) = (line for line in lines if line.startswith("phase"))
    assert re.fullmatch(r"phase = \(16, 16\) float32, 1 rad, sha256 [0-9a-f]{12} \(learned\)", line)


def test_any_module_is_described():
    text = el.describe(nnx.Linear(1, 1, rngs=nnx.Rngs(0)))
    assert "bias = [0.0] (learned)" in text.splitlines()
    with pytest.raises(TypeError, match="describe: `model` must be a flax nnx module"):
        el.describe(3)
