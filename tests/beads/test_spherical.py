"""Departures of coverslip, immersion and collar against paths and stacks that are written here."""

import dataclasses
import json

import numpy as np
import pytest
from scipy import ndimage, special

from jaxwave import psf
from jaxwave.beads import BeadModel, fit_bead
from jaxwave.beads.model import SCALES
from jaxwave.beads.spherical import departures, read_departures, sentence, wanted
from jaxwave.report import verdict

WATER, GLASS, NA, LIGHT = 1.333, 1.523, 1.2, 0.52
TRUTH = {"t_g": 170.0, "n_g": GLASS, "t_g_design": 170.0, "n_i": WATER, "n_s": 1.36, "t_s": 3.0}


def microscope(**options) -> BeadModel:
    layers = psf.Layers(n_s=1.36, n_g=GLASS, n_i=WATER, t_s=3.0)
    return BeadModel(psf.Objective(NA, LIGHT, layers=layers), 0.1, (20, 20), **options)


def path(s: np.ndarray, **moved: float) -> np.ndarray:
    """The rays' paths in full, every one of them some hundred micrometers."""
    v = {**TRUTH, **moved}
    focus = v["n_i"] * (
        v["t_g_design"] / GLASS + 100 / WATER - v["t_g"] / v["n_g"] - v["t_s"] / v["n_s"]
    )
    r = lambda n: np.sqrt(n**2 - s**2)  # noqa: E731
    now = v["t_s"] * r(v["n_s"]) + v["t_g"] * r(v["n_g"]) + focus * r(v["n_i"])
    return now - v["t_g_design"] * r(GLASS) - 100 * r(WATER)


def spherical(**moved: float) -> np.ndarray:
    """Modes (4, 0), (6, 0), (8, 0) of what moved, refocused, on a fine grid of the pupil."""
    rho = np.sqrt((np.arange(4000) + 0.5) / 4000)
    t = 2 * rho**2 - 1
    modes = [np.sqrt(n + 1) * special.eval_legendre(n // 2, t) for n in (4, 6, 8)]
    gauge = [np.ones_like(rho), np.sqrt(1 - (NA * rho / moved.get("n_i", WATER)) ** 2)]
    change = path(NA * rho, **moved) - path(NA * rho)
    return np.linalg.lstsq(np.stack(gauge + modes, 1), change, rcond=None)[0][2:]


def asked(model: BeadModel, names, modes: np.ndarray, error: float = 1e-4, tie: float = 0.0):
    zernike = np.zeros(len(model.modes))
    places = [k for k, (_, m) in enumerate(model.modes) if m == 0]
    zernike[places] = modes[: len(places)] / SCALES["zernike"]
    learned = {"zernike": zernike, "dz": np.zeros(())}
    covariance = np.eye(len(zernike) + 1)
    covariance[0, 1 + places[0]] = covariance[1 + places[0], 0] = tie
    errors = {"zernike": np.full(len(zernike), error / SCALES["zernike"]), "dz": np.ones(())}
    return departures(model, wanted("fit_bead", model, names), learned, covariance, errors)


@pytest.mark.parametrize(
    ("name", "by"),
    [("t_g", 6.0), ("n_g", 0.004), ("t_g_design", -7.0), ("n_i", 0.003), ("n_s", 0.008),
     ("t_s", 0.9)],
)  # fmt: skip
def test_a_number_is_found_from_its_path(name, by):
    model = microscope()
    [found] = asked(model, {name: 1e3 * abs(by)}, spherical(**{name: TRUTH[name] + by}))
    assert found.given == pytest.approx(TRUTH[name])
    assert found.value - found.given == pytest.approx(by, rel=2e-3)
    # the bar is that of 10 nm of the objective's own in each of three modes, along the change
    near = spherical(**{name: TRUTH[name] + 0.99 * by})
    slope = (spherical(**{name: TRUTH[name] + by}) - near) / (0.01 * by)
    assert found.error == pytest.approx(0.01 / np.linalg.norm(slope), rel=0.05)


def test_what_cannot_be_told_apart_keeps_its_tolerance_and_is_said():
    model, modes = microscope(), spherical(t_g=176.0)
    glass, collar = asked(model, ["t_g", "t_g_design"], modes)
    assert glass.value - 170 == pytest.approx(3.0, rel=0.1)  # half each, by equal tolerances
    assert collar.value - 170 == pytest.approx(-3.0, rel=0.1)
    assert glass.error == pytest.approx(10 / np.sqrt(2), rel=0.05)
    assert glass.ties[0][0] == "the collar's setting" and glass.ties[0][1] > 0.95
    text = sentence((glass, collar))
    assert text.count("hardly tells apart") == 1 and "thickness and the collar's setting" in text
    [index] = asked(model, {"n_g": 1e-5}, modes)
    assert abs(index.value - index.given) < 1e-5
    assert "next to nothing about the coverslip's index" in sentence([index])
    [tied] = asked(microscope(order=4), {"t_g": 200.0}, modes, error=0.1, tie=0.999)
    assert tied.ties[0][0] == "the distance of the planes"
    assert asked(model, [], modes) == () and sentence(()) == ""


def test_what_was_found_is_saved_and_said_in_the_first_sentence():
    found = asked(microscope(), ["t_g", "n_i"], spherical(t_g=176.0))
    saved = json.loads(json.dumps({"layers": [part._asdict() for part in found]}))
    assert read_departures(saved) == found and read_departures({}) == ()
    result = {
        "model": {"objective": {"wavelength": LIGHT}},
        "rms_wavefront_nm": 40.0,
        "zernikes": [{"m": 0, "opd_nm": 40.0}],
        **saved,
    }
    text = verdict.sentence(result)
    assert text.startswith("Not diffraction-limited") and str(found[0]) in text
    assert "10 nm in each of its modes" in text


def test_numbers_that_change_nothing_are_refused():
    model = microscope()
    air = BeadModel(psf.Objective(0.8, LIGHT, 1.0), 0.1, (20, 20))
    for wrong, names, text in (
        (air, ["t_g"], "changes nothing"),
        (model, ["t_x"], "t_x"),
        (model, {"t_g": 0.0}, "positive"),
        (dataclasses.replace(model, order=3), ["t_g"], "order=4"),
    ):
        with pytest.raises(ValueError, match=text):
            wanted("fit_bead", wrong, names)


def stack(z: np.ndarray, size: int, pixel: float, fine: int = 5, **moved: float) -> np.ndarray:
    """A rotating dipole behind a coverslip, by vectorial integrals in float64, on the pixels."""
    nodes, weight = np.polynomial.legendre.leggauss(240)
    s = NA * (nodes + 1) / 2
    n_s, n_i = TRUTH["n_s"], WATER
    cos = lambda n: np.sqrt(1 - (s / n) ** 2)  # noqa: E731
    t_s = t_p = 1.0
    for a, b in ((n_i, GLASS), (GLASS, n_s)):
        t_s = t_s * 2 * a * cos(a) / (a * cos(a) + b * cos(b))
        t_p = t_p * 2 * a * cos(a) / (b * cos(a) + a * cos(b))
    wave = np.exp(2j * np.pi / LIGHT * (path(s, **moved) + z[:, None] * n_i * (cos(n_i) - 1)))
    wave = wave * s * weight / np.sqrt(cos(n_i))
    r = np.linspace(0, size * pixel, 900)
    kr = 2 * np.pi / LIGHT * np.outer(s, r)
    parts = ((t_p * cos(n_s) + t_s) / 2, t_p * s / n_s, (t_p * cos(n_s) - t_s) / 2)
    fields = [(wave * part) @ special.jv(m, kr) for m, part in enumerate(parts)]
    radial = 2 * abs(fields[0]) ** 2 + abs(fields[1]) ** 2 + 2 * abs(fields[2]) ** 2
    at = ((np.arange(size * fine) + 0.5) / fine - 0.5 - size // 2) * pixel
    radius = np.hypot(at[:, None] - 0.023, at - 0.041)
    planes = np.stack([np.interp(radius, r, row) for row in radial])
    planes = ndimage.gaussian_filter(planes, (0, 0.6 * fine, 0.6 * fine))
    return planes.reshape(len(z), size, fine, size, fine).sum(axis=(2, 4))


@pytest.mark.slow
def test_a_simulated_coverslip_is_found_within_its_bar():
    z = np.linspace(-2.4, 2.4, 17)
    light = stack(z, 20, 0.1, t_g=178.0)
    rng = np.random.default_rng(3)
    data = rng.poisson(60 + light / light.sum(axis=(1, 2)).max() * 1e5).astype(float)
    model = microscope(order=6, margin=6)
    fit = fit_bead(data, z, model, layers=["t_g", "n_i"], steps=(60, 0))
    glass, immersion = fit.layers
    assert fit.scores["reduced_chi_squared"] < 1.3
    assert abs(glass.value - 178) < 2 * glass.error and glass.error < 5
    assert abs(immersion.value - WATER) < 2 * immersion.error <= 0.006
    assert "coverslip's thickness" in str(fit)
