"""The bead fit: synthetic truth is recovered; the measured stack reaches its number."""

from pathlib import Path
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

from jaxwave import io, psf
from jaxwave._check import JaxwaveWarning
from jaxwave.beads import bars, judge
from jaxwave.beads import fit as bead_fit
from jaxwave.beads.basis import pupil_basis
from jaxwave.beads.find import cut_bead, mass_center
from jaxwave.beads.fit import fit_bead
from jaxwave.beads.model import SCALES, BeadModel, bead_stack
from jaxwave.beads.noise import Camera, noise_variance

SMALL = BeadModel(
    psf.Objective(na=0.8, wavelength=0.5, n=1.0),
    pixel=0.13,
    shape=(24, 25),
    order=4,
    pupil_samples=32,
    vectorial=False,
)
Z = (np.arange(11) - 5) * 0.3


def _synthetic(seed: int = 0, photons: float = 3e5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = np.zeros(len(SMALL.modes))
    truth[SMALL.modes.index((2, 2))] = 0.02
    truth[SMALL.modes.index((3, 1))] = -0.015
    truth[SMALL.modes.index((4, 0))] = 0.025
    start = SMALL.start(0.1)
    start["zernike"] = jnp.asarray(truth / SCALES["zernike"], jnp.float32)
    start["x"] = jnp.float32(0.5)
    clean = photons * np.asarray(bead_stack(SMALL, start, Z, pupil_basis(SMALL))) + 100
    return rng.poisson(clean).astype(float), truth


@pytest.fixture(scope="module")
def recovered():
    data, truth = _synthetic()
    return fit_bead(data, Z, SMALL, steps=(60, 0), model_error=0.0), truth


def test_recovers_the_aberrations_within_their_errors(recovered) -> None:
    fit, truth = recovered
    off = fit.values["zernike_um"] - truth
    assert np.abs(off).max() < 1e-3  # one nanometer at 3e5 photons a plane
    assert np.abs(off / fit.errors["zernike_um"]).max() < 5
    assert fit.values["x_um"] == pytest.approx(0.05, abs=1e-3)
    assert fit.values["z_um"] == pytest.approx(0.1, abs=0.01)
    np.testing.assert_allclose(fit.gain, 3e5, rtol=0.02)
    # Each has 0.5 to 1.3 of its own; the width of the spot moves all of them as much together.
    np.testing.assert_allclose(fit.background, 100, atol=4)


def test_predicts_the_planes_that_it_has_not_seen(recovered) -> None:
    fit, _ = recovered
    np.testing.assert_array_equal(fit.heldout, np.arange(1, 11, 2))
    # shot noise alone: sum of variances over sum of squares, about 3e-4 here
    assert fit.scores["heldout_per_plane_gain"] < 2 * fit.scores["fitted_per_plane_gain"] < 2e-3


def test_bad_pixels_of_zero_weight_do_not_matter(recovered) -> None:
    data, truth = _synthetic()
    weight = np.ones_like(data)
    data[4, 10, 11], weight[4, 10, 11] = np.nan, 0
    data[6, 3, 3], weight[6, 3, 3] = 1e9, 0
    fit = fit_bead(data, Z, SMALL, steps=(60, 0), model_error=0.0, weight=weight)
    assert np.abs(fit.values["zernike_um"] - truth).max() < 1e-3


def _counts(gain: float, offset: float) -> tuple[np.ndarray, np.ndarray]:
    """Counts of a smooth spot on a camera, and their true variance."""
    rng, read, dark = np.random.default_rng(1), 1.6, 2.0
    y, x = np.mgrid[:48, :45]
    electrons = 900 * np.exp(-((y - 24) ** 2 + (x - 20) ** 2) / 18) * np.ones((9, 1, 1)) + dark
    counts = rng.poisson(electrons) + rng.normal(0, read, electrons.shape)
    return counts / gain + offset, (electrons + read**2) / gain**2


@pytest.mark.parametrize(("gain", "offset"), [(0.46, 100.0), (2.1, 400.0), (1.0, 0.0)])
@pytest.mark.parametrize("cutoff", [None, 0.42])
def test_the_noise_is_found_whatever_the_offset(gain, offset, cutoff) -> None:
    counts, variance = _counts(gain, offset)
    found, background, _ = noise_variance(counts, model_error=0.0, cutoff=cutoff)
    assert found[4, 24, 20] == pytest.approx(variance[4, 24, 20], rel=0.3)
    assert background == pytest.approx(offset + 2 / gain, abs=0.5 / gain)


def test_the_noise_of_a_known_camera() -> None:
    counts, variance = _counts(0.46, 100.0)
    camera = Camera(offset=100.0, gain=0.46 * np.ones((48, 45)), read_noise=1.6)
    found, _, _ = noise_variance(counts, model_error=0.0, camera=camera)
    assert found.mean() == pytest.approx(variance.mean(), rel=0.05)
    assert found[:, 24, 20].mean() == pytest.approx(variance[4, 24, 20], rel=0.05)
    assert camera.cut(slice(3, 9), slice(2, 4)).shape == (6, 2)
    assert float(Camera(gain=0.5, quantum_efficiency=0.8).photons(8.0)) == 5.0
    with pytest.raises(ValueError, match=r"maps of `camera` must match .*\(48, 45\), got \(6, 2\)"):
        noise_variance(counts, camera=camera.cut(slice(3, 9), slice(2, 4)))
    with pytest.raises(ValueError, match=r"the maps have different shapes"):
        Camera(offset=np.ones((3, 3)), gain=np.ones((2, 3)))


def test_weights_do_not_know_the_noise_of_their_pixel() -> None:
    """Weights from the counts themselves make the mean of a wing 1.08 electrons too low."""
    y, x = np.indices((48, 45)) - 22.0
    light = 400 * np.exp(-(y**2 + x**2) / 2 / 7.0**2)
    counts = np.random.default_rng(6).poisson(light + 20, (40, 48, 45)).astype(float)
    wing = (light > 4) & (light < 100)
    for camera in (None, Camera(offset=0.0, gain=1.0, read_noise=0.0)):
        variance, _, _ = noise_variance(counts, model_error=0.0, camera=camera)
        weight = 1 / variance[:, wing]
        off = np.sum(weight * (counts - light - 20)[:, wing]) / np.sum(weight)
        assert abs(off) < 0.25
        assert variance[:, 22, 22].mean() == pytest.approx(420, rel=0.1)


def test_the_fit_sees_a_camera_of_equal_pixels() -> None:
    """Photons times efficiency over gain, and the offset, are what a pixel counts."""
    rng = np.random.default_rng(4)
    photons = rng.uniform(50, 900, (11, 1, 1)) * np.ones(SMALL.shape)  # of an even light
    gain, efficiency = rng.uniform(0.4, 0.5, SMALL.shape), rng.uniform(0.6, 0.9, SMALL.shape)
    offset = rng.uniform(95, 105, SMALL.shape)
    camera = Camera(offset=offset, gain=gain, read_noise=1.6, quantum_efficiency=efficiency)
    counts = photons * efficiency / gain + offset
    problem = bead_fit._problem(
        "test", SMALL, counts, np.arange(11.0), np.ones_like(counts), 0.0, camera, None
    )
    even = problem["data"] - offset.mean()
    np.testing.assert_allclose(camera.photons(even), photons, rtol=1e-5)
    np.testing.assert_allclose(camera.uneven(problem["data"]), counts, rtol=1e-6)
    electrons = photons * efficiency + 1.6**2 + gain**2 / 12
    need = electrons / efficiency**2  # photons squared
    got = camera.photons(1.0) ** 2 * problem["variance"]
    np.testing.assert_allclose(got, need, rtol=1e-4)


def test_a_spot_wider_than_the_psf_is_said_to_be_that() -> None:
    def fit(blur, core=0.0):
        scores = {"core_chi_squared": 9.0, "core_unexplained": core}
        values = {"na": np.array(0.8), "blur_sigma_pixels": np.full(2, blur)}
        return SimpleNamespace(model=SMALL, values=values, scores=scores)

    judge._judge_core("fit_bead", fit(0.6))
    with pytest.warns(
        JaxwaveWarning, match=r"larger than the PSF: .* 312 nm, as a bead of 1\.4 µm"
    ):
        judge._judge_core("fit_bead", fit(2.4))
    with pytest.warns(JaxwaveWarning, match=r"5\.0% of its light is left .* Two beads may"):
        judge._judge_core("fit_bead", fit(0.6, 0.05))


def test_known_aberrations_are_not_fitted_again() -> None:
    known = SMALL.opd([[0.03 * k] for k in range(-5, 6)], [(3, -1)])  # another one in every plane
    truth = SMALL.start(0.1) | {"x": jnp.float32(0.5)}
    values = np.zeros(len(SMALL.modes))
    values[SMALL.modes.index((2, 2))] = 0.02
    truth["zernike"] = jnp.asarray(values / SCALES["zernike"], jnp.float32)
    clean = 3e5 * np.asarray(bead_stack(SMALL, truth, Z, pupil_basis(SMALL), opd=known)) + 100
    data = np.random.default_rng(5).poisson(clean)
    fit = fit_bead(data, Z, SMALL, steps=(60, 0), model_error=0.0, known=known)
    off = fit.values["zernike_um"] - values
    assert np.sqrt(np.sum(off**2)) < 2e-3
    # the light that reaches the border of so small a window counts as noise there
    assert fit.scores["reduced_chi_squared"] == pytest.approx(1, abs=0.3)
    with pytest.raises(ValueError, match=r"`known` must be a map \(32, 32\) on the model's pupil"):
        fit_bead(data, Z, SMALL, known=known[:3])


def test_a_killed_fit_goes_on_to_the_same_numbers(tmp_path) -> None:
    data, _ = _synthetic()

    def stop(stage: str, step: int, *_: object) -> None:
        if (stage, step) == ("free pupil", 10):
            raise KeyboardInterrupt

    options = {"steps": (20, 20), "model_error": 0.0}
    with pytest.raises(KeyboardInterrupt):
        fit_bead(data, Z, SMALL, checkpoint=tmp_path, progress=stop, **options)
    again = fit_bead(data, Z, SMALL, checkpoint=tmp_path, resume=True, **options)
    whole = fit_bead(data, Z, SMALL, **options)
    np.testing.assert_array_equal(again.values["zernike_um"], whole.values["zernike_um"])
    assert len(again.history["loss"]) == 40


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stack": np.ones((11, 9, 9))}, r"model's \(24, 25\) pixels, got the shape \(11, 9, 9\)"),
        ({"z": Z[:5]}, r"one number per plane \(11,\), got \(5,\)"),
        ({"z": np.zeros(11)}, "`z` must be different for every plane"),
        (
            {"heldout": np.arange(1, 10)},
            "needs at least 3 fitted planes at different z, got 2 of 11",
        ),
        ({"heldout": [2, 99]}, "`heldout` must be between 0 and 10, got 99 at index .1,."),
        ({"heldout": [-1]}, "`heldout` must be between 0 and 10, got -1"),
        ({"heldout": []}, "`heldout` must be numbers of planes"),
        ({"heldout": [0.5]}, "`heldout` must be numbers of planes"),
        ({"steps": (0, 0)}, "`steps` must be two counts"),
        ({"steps": (-3, 5)}, "`steps` must be two counts"),
        ({"stack": np.full((11, 24, 25), np.nan)}, r"6600 NaN or infinite values.*\(0, 0, 0\)"),
        ({"weight": np.ones((2, 2))}, "`weight` must match the stack"),
    ],
)
@pytest.mark.filterwarnings("ignore:All-NaN")
def test_errors(change: dict, message: str) -> None:
    data, _ = _synthetic()
    arguments = {"stack": data, "z": Z, "model": SMALL, **change}
    with pytest.raises(ValueError, match=message):
        fit_bead(**arguments)


@pytest.mark.slow
def test_the_measured_bead() -> None:
    path = Path(__file__).parents[2] / "examples" / "data" / "bead_air_na085.tif"
    with pytest.warns(JaxwaveWarning, match=r"0\.13 µm by your argument and 0\.05417 µm"):
        stack = io.read_stack(path, pixel="130 nm", dz="300 nm")
    data = np.asarray(cut_bead(stack, mass_center(stack), 64).data)
    model = BeadModel(psf.Objective(na=0.85, wavelength=0.52, n=1.0), pixel=0.13, shape=(64, 64))
    fit = fit_bead(data, (np.arange(25) - 12) * 0.3, model)
    assert fit.scores["heldout_one_gain"] <= 0.0105
    assert fit.scores["heldout_per_plane_gain"] <= 0.0071
    # the same score by hand, as the data's own README defines it
    b = np.median(np.concatenate([data[:, :, 0], data[:, :, -1]]))
    rest = sum(
        np.linalg.lstsq(
            np.stack([fit.image[k].ravel(), np.ones(64 * 64)], -1).astype(float),
            data[k].ravel().astype(float),
            rcond=None,
        )[1].item()
        for k in range(1, 25, 2)
    )
    light = np.sum((data[1::2].astype(float) - b) ** 2)
    assert fit.scores["heldout_per_plane_gain"] == pytest.approx(rest / light, rel=1e-2)


def test_a_fit_without_error_bars_is_kept(monkeypatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ValueError("standard_errors: the data cannot tell a, b apart.")

    monkeypatch.setattr(bars, "grouped_errors", refuse)
    data, _ = _synthetic()
    with pytest.warns(JaxwaveWarning, match="no error bars: .* cannot tell a, b apart"):
        fit = fit_bead(data, Z, SMALL, steps=(10, 0))
    assert np.all(np.isinf(fit.errors["zernike_um"]))
    assert fit.scores["fitted_per_plane_gain"] < 0.1


@pytest.mark.parametrize("start", [None, {}, {"blur": np.zeros(2, np.float32)}])
def test_the_scale_is_held_until_aberrations_are_known(monkeypatch, start) -> None:
    """It would imitate them; what starts from another bead's pupil has them."""
    stages = []

    def ended(pieces, problem, parameters, legs, *_):
        steps = np.diag(bead_fit._held(pieces, parameters))
        sizes = [np.size(parameters[name]) for name in sorted(pieces.named)]
        moves = dict(zip(sorted(pieces.named), np.split(steps, np.cumsum(sizes)), strict=False))
        assert all(np.all(moves[name] == 0) for name in ("pixel", "dz", "na"))
        assert all(np.all(moves[name] == 1) for name in ("zernike", "drift_y", "y", "blur"))
        stages.extend(legs)
        raise StopIteration

    monkeypatch.setattr(bead_fit, "_descended", ended)
    with pytest.raises(StopIteration):
        fit_bead(_synthetic()[0], Z, SMALL, start=start, steps=(60, 0))
    assert [leg.round for leg in stages] == [False, True]
    stages.clear()
    with pytest.raises(StopIteration):
        fit_bead(_synthetic()[0], Z, SMALL, start=SMALL.start(0.0), steps=(60, 0))
    assert [leg.round for leg in stages] == [True, True]
    assert [leg.round for leg in bead_fit._legs((10, 0), near=False)] == [True]


def test_tolerances_count_as_often_as_the_doubt_says() -> None:
    """And nothing else does: pixel, distance of planes and aperture are what makers give."""
    data, _ = _synthetic()
    mask = np.ones_like(data)
    problem = bead_fit._problem("fit_bead", SMALL, data, Z, mask, 0.0, None, None)
    pieces = bead_fit.make_pieces(SMALL, (0, 2, 4, 6, 8, 10), (1, 3, 5, 7, 9), True)
    off = {"pixel": 0.7, "dz": -0.4, "na": 1.1, "z": 0.3, "x": 2.0, "blur": 1.5}
    p = {k: v + off.get(k, 0.0) for k, v in SMALL.start(0.0).items()} | {"maps": np.float32(0)}
    one, nine = (
        float(pieces.loss(p, problem | {"doubt": np.float32(doubt)})) for doubt in (1.0, 9.0)
    )
    pixels = 6 * 24 * 25
    assert (nine - one) * pixels == pytest.approx(8 * (0.7**2 + 0.4**2 + 1.1**2), rel=0.02)
