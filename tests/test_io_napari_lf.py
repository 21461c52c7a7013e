"""Calibrations of napari-LF: written as that program writes them, read without unpickling."""

import os
import pickle
import sys
import types

import numpy as np
import pytest

from jaxwave import io as jio
from jaxwave import lightfield
from jaxwave.io._pickled import decoded

h5py = pytest.importorskip("h5py")
NU, NV, NZ = 3, 3, 2
Z = [-10.0, 5.0]
RNG = np.random.default_rng(3)


def database(monkeypatch, fine=3):
    """napari-LF's own class, by its name, with PSFs that differ everywhere."""
    module = types.ModuleType("lflib.optics")
    kind = type("PsfDatabase", (), {"__module__": "lflib.optics"})
    module.PsfDatabase = kind
    monkeypatch.setitem(sys.modules, "lflib", types.ModuleType("lflib"))
    monkeypatch.setitem(sys.modules, "lflib.optics", module)
    db = kind()
    db.nu, db.nv, db.supersample_factor, db.raw_splats = NU, NV, fine, {}
    db.z_coords, db.max_coefficient = np.array(Z), np.float32(2.0)
    db.psf_coordinates, db.psf_coefficients = {}, {}
    for x, y, z in np.ndindex(fine, fine, NZ):
        uvst = np.stack(
            [RNG.integers(0, NU, 9), RNG.integers(0, NV, 9), RNG.integers(-2, 3, 9),
             RNG.integers(-1, 2, 9)], 1,
        ).astype(np.int32)  # fmt: skip
        db.psf_coordinates[x, y, z] = uvst
        db.psf_coefficients[x, y, z] = RNG.uniform(0.5, 1, 9).astype(np.float32)
    return db


def written(path, db, protocol=4):
    optics = {
        "objective_na": 1.2, "objective_magnification": 60.0, "medium_index": 1.35,
        "ulens_pitch": 100.0, "pixel_size": 33.0, "ulens_focal_length": 2500.0,
        "center_wavelength": 593.0, "tubelens_focal_length": 200.0, "ulens_profile": "rect",
    }  # fmt: skip
    with h5py.File(path, "w") as file:
        group = file.create_group("optics")
        group.attrs.update(optics)
        file.create_group("geometry").attrs.update({"nu": NU, "nv": NV, "ns": 7, "nt": 5})
        file["geometry/reverseCoefficients"] = np.arange(6.0).reshape(3, 2)
        if db is not None:
            data = np.frombuffer(pickle.dumps(db, protocol), np.uint8)
            file.create_group("psf").create_dataset("psf_db", data=data, compression="gzip")
    return path


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_numbers_come_out_of_every_protocol(protocol):
    value = {
        ("a", 1): np.arange(6, dtype=np.int32).reshape(2, 3),
        "f": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "n": [None, True, -5, 2**40, 0.25, np.float32(0.5), b"bytes", "µ"],
    }
    back = decoded(pickle.dumps(value, protocol))
    assert list(back) == list(value)
    for key in (("a", 1), "f"):
        np.testing.assert_array_equal(back[key], value[key])
    assert back["n"] == value["n"]


def test_the_light_falls_where_napari_lf_puts_it(tmp_path, monkeypatch):
    db = database(monkeypatch)
    found = jio.read_napari_lf(written(tmp_path / "a.lfc", db))
    monkeypatch.undo()
    assert found.optics["na"] == 1.2 and found.optics["wavelength"] == pytest.approx(0.593)
    assert found.optics["tube_lens"] == pytest.approx(200e3)
    np.testing.assert_array_equal(found.z, Z)
    assert found.lattice.shape == (3, 2) and found.lenslet == (3, 3)
    # their projection, term by term: voxel (s - s_i) k + dx lights the pixel (s, u)
    lenses = 9
    volume = RNG.uniform(size=(NZ, lenses * 3, lenses * 3))
    need = np.zeros((lenses * NV, lenses * NU))
    for (dx, dy, z), uvst in db.psf_coordinates.items():
        light = db.psf_coefficients[dx, dy, z]
        for (u, v, s_i, t_i), share in zip(uvst, light / light.sum(), strict=True):
            for s, t in np.ndindex(lenses, lenses):
                y, x = (t - t_i) * 3 + dy, (s - s_i) * 3 + dx
                if 0 <= y < volume.shape[1] and 0 <= x < volume.shape[2]:
                    need[t * NV + v, s * NU + u] += share * volume[z, y, x]
    got = np.zeros_like(need)
    psf = found.psf()
    half = [n // 2 for n in psf.shape]
    for z, y, x in np.ndindex(volume.shape):  # the definition of a LightFieldPSF
        h = np.asarray(psf.values)[z, (y - 13) % 3, (x - 13) % 3]
        for j, i in np.argwhere(h):
            place = y + j - half[0], x + i - half[1]
            if min(place) >= 0 and max(place) < 27:
                got[place] += h[j, i] * volume[z, y, x]
    np.testing.assert_allclose(got, need, atol=1e-5)
    assert isinstance(psf, lightfield.LightFieldPSF) and psf.period == (3, 3)


def test_nothing_is_called(tmp_path, monkeypatch):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "boom"),)

    with h5py.File(written(tmp_path / "a.lfc", None), "a") as file:
        file["psf/psf_db"] = np.frombuffer(pickle.dumps(Bomb()), np.uint8)
    with pytest.raises(ValueError, match=r"the PSF of 'a\.lfc' is not read: it is no data"):
        jio.read_napari_lf(tmp_path / "a.lfc")
    assert not (tmp_path / "boom").exists()
    db = database(monkeypatch)
    db.psf_coordinates[0, 0, 0] = Bomb()
    with pytest.raises(ValueError, match="read_napari_lf: the PSF of"):
        jio.read_napari_lf(written(tmp_path / "b.lfc", db))
    assert not (tmp_path / "boom").exists()


def test_what_is_missing_or_damaged_is_told(tmp_path, monkeypatch):
    bare = jio.read_napari_lf(written(tmp_path / "a.lfc", None))
    assert not bare.z.size and bare.optics["pitch"] == 100
    with pytest.raises(ValueError, match="voxels must be as wide as pixels"):
        bare.psf()
    coarse = jio.read_napari_lf(written(tmp_path / "b.lfc", database(monkeypatch, fine=1)))
    assert coarse.values.shape == (2, 1, 1, 9, 15)
    with pytest.raises(ValueError, match="a supersampling of as many"):
        coarse.psf()
    db = database(monkeypatch)
    del db.psf_coordinates[1, 2, 0]
    with pytest.raises(ValueError, match="it has 17 of 18 places"):
        jio.read_napari_lf(written(tmp_path / "c.lfc", db))
    with pytest.raises(ValueError, match="larger `max_bytes`"):
        jio.read_napari_lf(tmp_path / "b.lfc", max_bytes=100)
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file["a"] = 1
    with pytest.raises(ValueError, match=r"'d\.h5' is no calibration of napari-LF"):
        jio.read_napari_lf(tmp_path / "d.h5")
    data = pickle.dumps(database(monkeypatch))
    for place in range(0, len(data), 37):
        with pytest.raises(ValueError):
            decoded(data[:place])


def test_a_psf_goes_to_napari_lf_and_comes_back(tmp_path, monkeypatch):
    values = RNG.uniform(size=(2, 3, 3, 7, 8)) * (RNG.uniform(size=(2, 3, 3, 7, 8)) < 0.4)
    values /= values.sum(axis=(-2, -1), keepdims=True)
    psf = lightfield.LightFieldPSF(values, z=[-3.0, 4.0], pixel=0.55)
    like = written(tmp_path / "like.lfc", None)
    path = jio.write_napari_lf(tmp_path / "a.lfc", psf, like=like)
    back = jio.read_napari_lf(path)
    found = back.psf()
    assert back.lattice.shape == (3, 2) and found.period == (3, 3)
    np.testing.assert_array_equal(back.z, [-3.0, 4.0])
    h, need = np.asarray(found.values), np.asarray(psf.values)
    top, left = h.shape[3] // 2 - 7 // 2, h.shape[4] // 2 - 8 // 2
    cut = h[..., top : top + 7, left : left + 8]
    np.testing.assert_allclose(cut, need, atol=1e-7)
    assert h.sum() == pytest.approx(cut.sum(), rel=1e-6)
    # napari-LF unpickles: its class, with the attributes that its projectors read
    kind = type(database(monkeypatch))
    with h5py.File(path) as file:
        db = pickle.loads(file["psf/psf_db"][()].tobytes())
        assert dict(file["rayspread"].attrs) == {
            "num_z_slices": 2, "um_per_z_slice": 7.0, "z_center": 0.5
        }  # fmt: skip
    assert type(db) is kind and (db.nx, db.ny, db.nz, db.ns, db.nt) == (21, 15, 2, 7, 5)
    assert db.psf_coordinates[0, 2, 1].dtype == np.int32 and set(db.psf_coordinates) == {
        (x, y, z) for x in range(3) for y in range(3) for z in range(2)
    }
    with pytest.raises(ValueError, match=r"period of the lenslets .*\(3, 3\) pixels, got \(1, 1\)"):
        jio.write_napari_lf(
            path, lightfield.LightFieldPSF(values[:, :1, :1], z=[0, 1], pixel=1.0), like=like
        )
