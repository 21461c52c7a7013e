"""``jaxwave psf``: every flag is the function of jaxwave.psf that it names."""

import json
import re
import tomllib

import numpy as np
import pytest

from jaxwave import io as jio
from jaxwave import psf
from jaxwave.cli import catalog, instruments, options
from jaxwave.cli.main import main
from jaxwave.cli.settings import UsageError, gather

HERE = ["--wavelength", "600 nm", "--dz", "200 nm", "--planes", "3", "--size", "15"]
OIL = ["--na", "1.3", "--n", "1.5", "--pixel", "90 nm", *HERE]
Z = 0.2 * (np.arange(3) - 1)


def made(tmp_path, *words, name="psf.npz"):
    assert main(["psf", *words, "-o", str(tmp_path / name)]) == 0
    return jio.read_stack(tmp_path / name).data.astype(float)


def scope(**changes):
    usual = dict(na=1.3, wavelength=0.6, n=1.5, shape=(15, 15), pixel=0.09)
    return psf.Microscope(**(usual | changes))


def near(got, need, tolerance=2e-6):
    need = np.asarray(need, float)
    np.testing.assert_allclose(got, need, atol=tolerance * need.max(), rtol=0)


# -- what is computed ----------------------------------------------------------------------


def test_an_engraved_objective_and_a_camera(tmp_path):
    got = made(tmp_path, "--objective", "Plan Apo 60x/1.40 Oil", "--camera", "6.5 um", *HERE)
    need = scope(na=1.4, n=1.518, pixel=6.5 / 60).psf(Z)
    near(got, need / need.sum())
    assert jio.read_stack(tmp_path / "psf.npz").spacing == pytest.approx((0.2, 6.5 / 60, 6.5 / 60))


def test_behind_layers_with_modes_of_any_numbering(tmp_path):
    words = ["--n-s", "1.36", "--n-g", "1.52", "--t-s", "1.5 um", "--motion", "emitter"]
    words += ["--zernike", "8=30 nm", "oblique astigmatism=-20 nm", "--convention", "noll"]
    got = made(tmp_path, *OIL, *words, "--dipole", "0.3,-0.2,1", "--unit", "share")
    layers = psf.Layers(n_s=1.36, n_g=1.52, n_i=1.5, t_s=1.5)
    microscope = scope(n=None, layers=layers, motion="emitter")
    aberration = dict(coefficients=[0.03, -0.02], modes=[(3, 1), (2, -2)])
    near(got, microscope.psf(Z, dipole=(0.3, -0.2, 1), **aberration))


def second_vortex(y, x):
    return psf.vortex(y, x, charge=2)


def filled_top_hat(y, x):
    return psf.top_hat(y, x, radius=0.6) * np.exp(-(x * x + y * y) / 0.64)


def radial_halves(y, x):
    return psf.radial_polarization(y, x) * np.where(y > 0, -1.0, 1.0)


BEAMS = {
    "--polarization 1,0.5j": dict(polarization=np.array([1, 0.5j]) / 1.25**0.5),
    "--polarization y --mask vortex=2": dict(polarization=(0, 1), pupil=second_vortex),
    "--mask top-hat=0.6 --filling 0.8": dict(pupil=filled_top_hat),
    "--polarization azimuthal": dict(polarization="azimuthal"),
    "--polarization radial --mask half-moon=90": dict(pupil=psf.JonesPupil(radial_halves)),
}


@pytest.mark.parametrize("words", BEAMS)
def test_the_focus_of_a_beam(tmp_path, words):
    points = ["--kind", "focus", "--integrate", "none", "--unit", "peak", "--apodization", "none"]
    got = made(tmp_path, *OIL, *points, *words.split())
    objective = psf.Objective(1.3, 0.6, n=1.5, apodization="none")
    need = psf.focus_intensity(objective, psf.Window((15, 15), 0.09, z=Z), **BEAMS[words])
    near(got, need / need.max(), 2e-5)


def test_a_bead_in_a_band_on_big_pixels(tmp_path):
    """An emission filter, a sphere of 0.4 µm, a blur: against sums over points of the sphere."""
    words = ["--na", "0.8", "--pixel", "200 nm", *HERE, "--model", "scalar", "--band", "60 nm"]
    got = made(tmp_path, *words, "--bead", "400 nm", "--blur", "70 nm", "--unit", "share")
    count, d = 141, 0.04
    fy, fx = np.meshgrid(*[np.fft.fftfreq(count, d)] * 2, indexing="ij")
    # Points that fill the sphere: slices, and in each a grid of points.
    heights = 0.2 * (np.arange(12) + 0.5) / 6 - 0.2
    y, x = np.meshgrid(*[0.4 * (np.arange(40) + 0.5) / 40 - 0.2] * 2, indexing="ij")
    places = [(y**2 + x**2 < 0.04 - h * h) for h in heights]
    wave = np.exp(-2j * np.pi * x[0][:, None] * fx[0])
    disks = np.array([wave.T @ p @ wave for p in places])
    spectrum = disks / sum(p.sum() for p in places)
    spectrum *= np.exp(-2 * (np.pi * 0.07) ** 2 * (fy**2 + fx**2))
    need = 0.0
    for color in np.linspace(0.57, 0.63, 25):
        share = (0.5 if color in (0.57, 0.63) else 1.0) / 24
        window = psf.Window((count, count), d, z=(Z[:, None] - heights).ravel())
        stack = psf.scalar_focus_intensity(psf.Objective(0.8, color), window)
        stack = np.asarray(stack, float).reshape(3, 12, count, count)
        need = need + share * np.fft.ifft2(np.fft.fft2(stack) * spectrum).real.sum(axis=1)
    need = need[:, 33:108, 33:108].reshape(3, 15, 5, 15, 5).sum((2, 4)) * d**2
    near(got, need, 5e-3)


def test_a_mask_from_a_file(tmp_path):
    phase = np.random.default_rng(0).normal(size=(33, 35)) * 0.1 + 0.6 * np.linspace(-1, 1, 35) ** 3
    np.save(tmp_path / "phase.npy", phase)
    got = made(tmp_path, *OIL, "--mask", str(tmp_path / "phase.npy"))
    need = scope().psf(Z, pupil=np.exp(1j * phase))
    near(got, need / need.sum(), 1e-5)


# -- files ---------------------------------------------------------------------------------


def test_settings_go_out_and_come_in(tmp_path, capsys):
    np.save(tmp_path / "phase.npy", np.zeros((9, 9)))
    words = [*OIL, "--mask", str(tmp_path / "phase.npy"), "--zernike", "2,2=15 nm"]
    words += ["--save", str(tmp_path / "job.toml"), "--picture", str(tmp_path / "psf.png")]
    first = made(tmp_path, *words)
    assert (tmp_path / "psf.png").read_bytes().startswith(b"\x89PNG")
    kept = tomllib.loads((tmp_path / "job.toml").read_text())
    assert kept["na"] == 1.3 and "out" not in kept and "picture" not in kept
    again = made(tmp_path, "--config", str(tmp_path / "job.toml"), name="again.ome.tif")
    near(again, first)
    assert main(["psf", *words, "-o", str(tmp_path / "third.npz")]) == 2
    assert "is there already" in capsys.readouterr().err
    assert (
        main(
            ["psf", *OIL, "--mask", str(tmp_path / "phase.npy"), "-o", str(tmp_path / "phase.npy")]
        )
        == 2
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--objective", "a lens"], "--objective must tell magnification/aperture"),
        (["--objective", "60x/1.4"], "names no immersion"),
        (["--camera", "6.5 um"], "--camera needs --objective or --magnification"),
        (["--objective", "40x/0.95", "--camera", "zila"], "or one of Andor iXon"),
        (["--objective", "40x/0.95", "--tube-lens", "200 mm"], "name the maker in --objective"),
        (["--tube-lens", "200 mm"], "--tube-lens matters only with --objective"),
        (["--dipole", "1,0"], "--dipole must be x, y, z, or three numbers"),
        (["--dipole", "x", "--kind", "focus"], "--dipole goes with --kind emission"),
        (["--polarization", "y"], "--polarization goes with --kind focus"),
        (["--dipole", "z", "--model", "scalar"], "--dipole needs --model vectorial"),
        (["--kind", "focus", "--polarization", "up"], "--polarization must be x, y, circular"),
        (["--mask", "vortex=1.5"], "the charge of a vortex is a whole number"),
        (["--mask", "vortx"], "there is no file"),
        (["--zernike", "11=20 nm"], "a single number needs a --convention"),
        (["--band", "700 nm"], "wider than the wavelength"),
        (["--bead", "-1"], "--bead must be zero or more"),
        (["--filling", "0"], "--filling must be positive"),
        (["--size", "wide"], "--size must be a number of pixels or a length"),
        (["--t-g", "0.2 mm"], "--t-g matters only with the coverslip's index"),
    ],
)
def test_mistakes_are_told_in_the_words_of_the_command(
    tmp_path, monkeypatch, capsys, words, message
):
    monkeypatch.chdir(tmp_path)
    assert main(["psf", *OIL, *words]) == 2
    err = capsys.readouterr().err
    assert message in err and len(err.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


# -- the catalogue -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "need"),
    [
        ("60x/1.4 oil", (60, 1.4, 1.518, None)),
        ("Nikon CFI Plan Apo 100x/1.45 Oil", (100, 1.45, 1.518, 200)),
        ("Olympus UPLSAPO 60xW/1.2", (60, 1.2, 1.333, 180)),
        ("zeiss 63 x / 1.30 glycerol", (63, 1.3, 1.45, 165)),
        ("20×/0.75", (20, 0.75, 1.0, None)),
        ("10x NA 0.3 dry", (10, 0.3, 1.0, None)),
        ("UPLXAPO60XO", (60, 1.42, 1.518, 180)),
        ("Olympus uplsapo 60xs2", (60, 1.3, 1.405, 180)),
        ("Nikon CFI SR HP Apo TIRF 100XC Oil", (100, 1.49, 1.518, 200)),
        ("CFI Plan Apo λ 20X", (20, 0.75, 1.0, 200)),
    ],
)
def test_what_is_engraved(text, need):
    found = catalog.objective(text)
    assert (found.magnification, found.na, found.n, found.tube) == need


def test_a_foreign_tube_lens_and_the_name_of_a_camera():
    given = {"objective": "Olympus 60x/1.2 water", "tube_lens": "200 mm", "camera": "prime 95b"}
    settings = gather(options.PSF, given)
    catalog.complete(settings)
    assert settings["pixel"] == pytest.approx(11 / (60 * 200 / 180))
    assert (settings["na"], settings["n"]) == (1.2, 1.333)
    assert settings.origin("pixel") == "camera" and settings.origin("n") == "objective"
    with pytest.raises(UsageError, match="one of"):
        catalog.camera("edge")  # two of them


def test_instruments_by_name_are_listed_and_plausible(capsys):
    for kind in ("objectives", "cameras"):
        assert main(["psf", "--list", kind]) == 0
    listed = capsys.readouterr().out
    for name, made in instruments.OBJECTIVES.items():
        assert name in listed and catalog.objective(f"{made.maker} {name}").na == made.na
        assert made.na < instruments.IMMERSIONS[made.immersion]
        # what a name tells itself: its magnification, and the letter of its immersion
        assert re.search(rf"(?<!\d){made.magnification:g}X", name)
        assert (made.immersion == "oil") == bool(re.search(r"Oil|XO|XC? ?OTIRF|APON60XO", name))
    for name, camera in instruments.CAMERAS.items():
        assert name in listed and catalog.camera(name) == camera.pixel
        assert 3 < camera.pixel < 20 and 0.5 < camera.efficiency < 1
        assert camera.multiplies == ("iXon" in name or "Evolve" in name)
    assert catalog.camera("orca-flash4.0") == 6.5  # not taken for its successor


def test_what_is_given_wins_over_the_catalogue():
    given = {"objective": "60x/1.4 oil", "camera": "6.5 um", "n": "1.515", "pixel": "100 nm"}
    settings = gather(options.CALIBRATE, given)
    catalog.complete(settings)
    assert (settings["na"], settings["n"], settings["pixel"]) == (1.4, 1.515, 0.1)
    json.dumps(settings.values)


# -- microscopes that scan -----------------------------------------------------------------

SCAN = ["--na", "0.6", "--model", "scalar", "--pixel", "90 nm", *HERE]


def airy(shape, pixel, wavelength, na=0.6, finer=1):
    """The Airy pattern of a plane in focus, unit light, at the middles of finer pixels."""
    from scipy.special import j1

    y, x = ((np.arange(n * finer) - (n * finer) // 2) * pixel / finer for n in shape)
    v = 2 * np.pi * na / wavelength * np.maximum(np.hypot(y[:, None], x), 1e-9)
    return np.pi * (na / wavelength) ** 2 * (2 * j1(v) / v) ** 2


def test_a_confocal_microscope_in_focus(tmp_path):
    words = ["--mode", "confocal", "--excitation", "488 nm", "--pinhole", "0.8 AU"]
    h = made(tmp_path, *SCAN, *words, "--unit", "peak")
    # light through the pinhole by a sum over its samples, 9 to a pixel
    wide = airy((45, 45), 0.09, 0.6, finer=9)
    r = (np.arange(405) - 202) * 0.01
    hole = np.hypot(r[:, None], r) < 0.4 * 1.22 * 0.6 / 0.6
    seen = np.fft.ifft2(np.fft.fft2(wide) * np.fft.fft2(np.fft.ifftshift(hole))).real
    need = airy((15, 15), 0.09, 0.488) * seen[202 - 63 : 202 + 64 : 9, 202 - 63 : 202 + 64 : 9]
    # the aperture 0.6 is not paraxial: 2 % of the peak
    np.testing.assert_allclose(h[1], need / need.max(), atol=0.02)
    narrow = airy((15, 15), 0.09, 0.6)
    assert np.abs(h[1] - narrow / narrow.max()).max() > 0.15


@pytest.mark.slow
def test_two_photons_and_a_sheet_are_products(tmp_path):
    laser = ["--polarization", "circular", "--filling", "0.8", "--zernike", "3,1=20 nm"]
    both = made(tmp_path, *OIL, "--mode", "two-photon", "--excitation", "900 nm", *laser)
    bare = ["--wavelength", "900 nm", "--kind", "focus", "--integrate", "none"]
    need = made(tmp_path, *OIL, *bare, *laser, name="b.npz") ** 2
    np.testing.assert_allclose(both, need / need.sum(), atol=2e-4 * both.max())
    sheet = made(tmp_path, *OIL, "--mode", "light-sheet", "--sheet", "0.4 um", name="c.npz")
    wide = made(tmp_path, *OIL, name="d.npz") * np.array([0.5, 1, 0.5])[:, None, None]
    np.testing.assert_allclose(sheet, wide / wide.sum(), atol=1e-5 * sheet.max())


def test_a_wide_pinhole_leaves_the_laser_and_aberrations_act_twice(tmp_path):
    words = ["--mode", "confocal", "--excitation", "600 nm", "--zernike", "3,1=40 nm"]
    small = made(tmp_path, *SCAN, *words, "--pinhole", "0.02 AU")
    focus = [*SCAN, "--kind", "focus", "--integrate", "none", "--zernike", "3,1=40 nm"]
    laser = made(tmp_path, *focus, name="b.npz")
    # a point detector sees what it would light: the square, coma in the same direction
    np.testing.assert_allclose(small, laser**2 / (laser**2).sum(), atol=2e-3 * small.max())
    assert np.abs(small - small[:, :, ::-1]).max() > 0.05 * small.max()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--pinhole", "1 AU"], "--pinhole goes with --mode confocal, not with widefield"),
        (["--mode", "confocal", "--pinhole", "1 AU"], "--mode confocal needs --excitation"),
        (["--mode", "two-photon", "--excitation", "900"], "'900 nm'"),
        (
            ["--mode", "confocal", "--excitation", "488 nm", "--pinhole", "50 um"],
            "at most 10 AU (7.32 µm here)",
        ),
        (
            ["--mode", "confocal", "--excitation", "488 nm", "--pinhole", "wide"],
            "--pinhole must be Airy units such as '1 AU'",
        ),
        (["--mode", "light-sheet"], "needs --sheet"),
        (
            ["--mode", "two-photon", "--excitation", "900 nm", "--dipole", "x"],
            "--dipole goes with --mode widefield",
        ),
        (
            ["--mode", "two-photon", "--excitation", "900 nm", "--integrate", "none"],
            "a scan takes the light at its places",
        ),
    ],
)
def test_what_a_mode_lacks_or_ignores_is_told(tmp_path, capsys, words, message):
    assert main(["psf", *SCAN, "--na", "1.0", "--n", "1.33", *words, "-o", "x.npz"]) == 2
    assert message in capsys.readouterr().err
