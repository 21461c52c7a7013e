"""Many stacks, one pupil: known responses are recovered, and a real mirror is predicted."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxwave as jw
from jaxwave import elements, psf
from jaxwave.beads.basis import pupil_basis
from jaxwave.beads.model import SCALES, BeadModel, bead_stack
from jaxwave.beads.stacks import fit_stacks, predict_stacks

SMALL = BeadModel(
    psf.Objective(na=0.8, wavelength=0.5, n=1.0),
    pixel=0.13,
    shape=(24, 25),
    order=4,
    pupil_samples=32,
    vectorial=False,
)
Z = (np.arange(7) - 3) * 0.5
COMMANDS = np.array([[-20, 0], [20, 0], [0, -3], [0, 0], [0, 3.0]])  # two units that differ
UNSEEN = np.array([[10, 0], [-10, 1.5]])
PHOTONS, BACKGROUND = 3e5, 100.0
DATA = Path(__file__).parents[2] / "examples" / "data" / "deformable_mirror.npz"


def truth() -> tuple[np.ndarray, np.ndarray]:
    """Coefficients at rest [µm], and per unit of the commands."""
    rest, answer = np.zeros(len(SMALL.modes)), np.zeros((2, len(SMALL.modes)))
    for mode, opd in {(2, 2): 0.02, (3, 1): -0.015, (4, 0): 0.025}.items():
        rest[SMALL.modes.index(mode)] = opd
    for mode, opd in {(2, -2): 0.03, (3, 3): -0.02}.items():
        answer[0, SMALL.modes.index(mode)] = opd / 20
    for mode, opd in {(2, 2): -0.025, (3, -1): 0.02, (4, 0): 0.01}.items():
        answer[1, SMALL.modes.index(mode)] = opd / 3
    return rest, answer


def position(commands: np.ndarray) -> np.ndarray:
    """Where the bead is: it also answers with defocus and tilt, as behind a real mirror."""
    first, second = (commands / (20, 3)).T
    return np.stack([0.05 * first, 0.03 + 0 * first, 0.2 * second], axis=-1)


def simulate(commands: np.ndarray, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rest, answer = truth()
    stacks = []
    for command, place in zip(commands, position(commands), strict=True):
        own = {"zernike": rest + command @ answer}
        own["y"], own["x"], own["z"] = place
        p = {k: jnp.asarray(v / SCALES[k], jnp.float32) for k, v in own.items()}
        clean = bead_stack(SMALL, {**SMALL.start(), **p}, Z, pupil_basis(SMALL))
        stacks.append(rng.poisson(PHOTONS * np.asarray(clean) + BACKGROUND))
    return np.stack(stacks).astype(float)


def test_an_idle_response_may_be_frozen():
    stacks = simulate(np.zeros((1, 2)), 0)
    fit = fit_stacks(stacks, Z, SMALL, freeze=("response", "pixel", "dz", "na"), steps=1)
    assert fit.responses.shape == (0, len(SMALL.modes)) and "responses" not in fit.errors


OPTIONS = dict(commands=COMMANDS, starts=2, key=jax.random.key(3), steps=120, model_error=0.0)


@pytest.fixture(scope="module")
def fit():
    return fit_stacks(simulate(COMMANDS, 0), Z, SMALL, **OPTIONS)


@pytest.fixture(scope="module")
def unseen():
    return simulate(UNSEEN, 1)


def test_recovers_wavefront_and_responses_from_both_starts(fit) -> None:
    rest, answer = truth()
    # one nanometer, of responses of tens, at 3e5 photons a plane
    assert np.abs(fit.zernike - rest).max() < 1e-3
    assert np.abs((fit.responses - answer) * [[20], [3]]).max() < 1e-3
    assert fit.starts.shape == (2,) and fit.starts.max() < 1.05 * fit.starts.min()


def test_tilt_and_defocus_of_a_response_are_the_position(fit) -> None:
    assert (2, 0) not in fit.model.modes
    np.testing.assert_allclose(fit.position[:, :2], position(COMMANDS)[:, :2], atol=2e-3)
    np.testing.assert_allclose(fit.position[:, 2], position(COMMANDS)[:, 2], atol=0.01)


def test_predicts_other_commands_of_both_actuators_at_once(fit, unseen) -> None:
    right, none, wrong = (
        predict_stacks(fit, unseen, Z, commands=sign * UNSEEN, model_error=0.0)
        for sign in (1, 0, -1)
    )
    # shot noise alone, of expected variance = mean counts
    noise = np.sum(unseen, axis=(1, 2, 3)) / np.sum((unseen - BACKGROUND) ** 2, axis=(1, 2, 3))
    np.testing.assert_allclose(right.nmse, noise, rtol=0.15)
    assert np.all(right.nmse < 0.3 * none.nmse) and np.all(none.nmse < wrong.nmse)
    np.testing.assert_allclose(right.position, position(UNSEEN), atol=0.01)
    assert right.image.shape == unseen.shape


def test_influence_function_is_the_difference_of_wavefronts(fit) -> None:
    modes, (_, answer) = pupil_basis(SMALL)["phase"], truth()
    inside = fit.opd() != 0
    expected = np.einsum("k,kyx->yx", answer[1], modes)
    found = fit.response_opd(1)
    assert np.sqrt(np.mean((found - expected)[inside] ** 2)) * 3 < 2e-3
    np.testing.assert_allclose(fit.opd([0, 3]) - fit.opd(), 3 * found, atol=1e-6)


def test_same_key_same_result(fit) -> None:
    again = fit_stacks(simulate(COMMANDS, 0), Z, SMALL, **OPTIONS)
    np.testing.assert_array_equal(again.responses, fit.responses)
    np.testing.assert_array_equal(again.starts, fit.starts)


def test_bad_pixels_of_zero_weight_do_not_matter(fit, unseen) -> None:
    data, weight = unseen.copy(), np.ones_like(unseen)
    data[0, 3, 12, 11], weight[0, 3, 12, 11] = np.nan, 0
    data[1, 2, 3, 4], weight[1, 2, 3, 4] = 1e9, 0
    options = dict(commands=UNSEEN, model_error=0.0)
    clean = predict_stacks(fit, unseen, Z, **options)
    masked = predict_stacks(fit, data, Z, weight=weight, **options)
    np.testing.assert_allclose(masked.position, clean.position, atol=3e-3)
    np.testing.assert_allclose(masked.nmse, clean.nmse, rtol=0.05)


STACKS = np.random.default_rng(0).poisson(100.0, (5, 7, 24, 25)).astype(float)


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        (dict(commands=COMMANDS[:3]), "one row for each of the 5 stacks"),
        (dict(commands=np.ones((5, 1))), "tell the 1 actuators .* apart"),
        (dict(commands=COMMANDS[:, [0, 0]]), "tell the 2 actuators .* apart"),
        (dict(commands=COMMANDS * np.nan), "commands"),
        (dict(z=Z[:3]), "one number per plane"),
        (dict(stacks=STACKS[:, :, :20]), "Cut the beads"),
        (dict(stacks=STACKS * np.nan), "stacks"),
        (dict(weight=np.ones(3)), "must match the stacks"),
        (dict(start={"zernike": np.zeros(3)}), "must have the shape"),
        (dict(start={"zernik": np.zeros(3)}), "zernike"),
        (dict(freeze=["blurr"]), "blur"),
        (dict(starts=0), "starts"),
    ],
)
@pytest.mark.filterwarnings("ignore:All-NaN")
def test_says_what_is_wrong(changed, match) -> None:
    given = {"stacks": STACKS, "z": Z, "model": SMALL, "commands": COMMANDS, **changed}
    stacks, z, model = (given.pop(name) for name in ("stacks", "z", "model"))
    with pytest.raises(ValueError, match=f"^fit_stacks: .*{match}"):
        fit_stacks(stacks, z, model, **given)


def test_a_prediction_needs_the_commands_of_the_fit(fit, unseen) -> None:
    with pytest.raises(ValueError, match="the 2 actuators of the fit"):
        predict_stacks(fit, unseen, Z, commands=UNSEEN[:, :1])


MIRROR = BeadModel(
    psf.Objective(na=1.2, wavelength=0.532, n=1.333),
    pixel=0.08,
    shape=(64, 64),
    order=8,
    vectorial=False,
)
PLANES = np.arange(-3.0, 4.0)


@pytest.fixture(scope="module")
def mirror():
    """The measured stacks and voltages, and which of them are held out."""
    with np.load(DATA, allow_pickle=False) as file:
        stacks, volts = file["stacks"], file["volts"]
    return stacks, volts, np.abs(volts).max(axis=1) == 0.015


@pytest.fixture(scope="module")
def from_flat(mirror):
    stacks, volts, held = mirror
    return fit_stacks(stacks[~held], PLANES, MIRROR, commands=volts[~held], model_error=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_measured_mirror_is_predicted_from_any_start(seed: int, mirror, from_flat) -> None:
    stacks, volts, held = mirror
    # 20 nm in every mode, 130 nm together, of the wavefront and of both responses
    normal = jax.random.normal(jax.random.key(seed), (3, len(MIRROR.modes)))
    fit = fit_stacks(
        stacks[~held],
        PLANES,
        MIRROR,
        commands=volts[~held],
        start={"zernike": 0.4 * normal[0], "response": 0.4 * normal[1:]},
        model_error=0.1,
    )
    predicted, still, wrong = (
        predict_stacks(fit, stacks[held], PLANES, commands=k * volts[held], model_error=0.1).nmse
        for k in (1, 0, -1)
    )
    assert fit.nmse.mean() < 0.03 and predicted.max() < 0.03
    assert predicted.mean() < 1.15 * fit.nmse.mean()
    assert np.all(predicted < 0.6 * still) and np.all(predicted < 0.3 * wrong)
    # and all starts end at the same wavefronts: within 5 nm of 200 and 60 nm
    assert np.linalg.norm(fit.zernike - from_flat.zernike) < 5e-3
    off = np.linalg.norm(fit.responses - from_flat.responses, axis=1) * fit.command_scale
    assert np.all(off < 5e-3), off


def test_a_fit_is_an_element(fit) -> None:
    """A deformable mirror in a field of its own samples does what the fit says of commands."""
    ny, nx, spacing, radius, commands = 30, 25, (110.0, 130.0), 1500.0, np.array([0.4, -0.7])
    mirror = elements.DeformableMirror(commands, fit.influence((ny, nx), spacing, radius))
    light = jw.plane_wave((ny, nx), spacing=spacing, wavelength=0.6)
    got = np.angle(np.asarray(mirror(light).u / light.u)) * 0.6 / (2 * np.pi)
    y, x = (np.arange(ny) - ny // 2)[:, None] * 110 / 1500, (np.arange(nx) - nx // 2) * 130 / 1500
    inside = np.hypot(y, x) <= 1
    modes = np.asarray(jw.zernike_polynomials(SMALL.modes, y, x))
    need = np.tensordot(commands @ fit.responses, modes, 1)
    off = np.angle(np.exp(2j * np.pi * (got - need) / 0.6))
    assert np.abs(off[inside]).max() < 1e-4 and np.ptp(need[inside]) > 0.01
    model = fit.model
    own = fit.influence((model.samples,) * 2, model.step, model.na)[1]
    seen = fit.response_opd(1) != 0
    np.testing.assert_allclose(own[seen], fit.response_opd(1)[seen], atol=2e-6)
