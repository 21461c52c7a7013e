"""How a microscope is found from its three images: few numbers, more numbers, then a free pupil."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxwave import calibration as cal
from jaxwave import losses
from waveblocks import model as m
from waveblocks import truth as t

SQUARES = cal.least_squares(m.residuals)
MODES = {"low": 0.1, "high": 0.1, "more": 0.1}
SCALES = {"shift": 1.0, "stretch": 0.01, "defocus": 0.1, "light": 0.01, "zero": 0.1, **MODES}
METHOD = {"optimizer": cal.levenberg_marquardt(), "scales": SCALES}
FREE = {"optimizer": cal.lbfgs(), "scales": {"free": 0.3, "gain": 0.03}, "report_every": 20}
SPREAD = {"defocus": 0.3, "low": 0.8, "high": 0.3}
BASIC = ["shift", "stretch", "defocus", "light"]
FEW = [*BASIC, "low"]
PHASE = ["shift", "defocus", "light", "low"]
MANY = [*FEW, "high"]


def first_guess(data: m.Numbers) -> m.Numbers:
    """The best of 50 stretches and defoci, displaced to where the image in focus fits best."""
    p = m.start()
    p["shift"] = jnp.asarray(_displacement(data), jnp.float32)
    sizes = np.log([0.75, 0.87, 1.0, 1.12, 1.25])
    tries = jnp.asarray([(a, b, d) for a in sizes for b in sizes for d in (-0.25, 0.25)])
    best = tries[int(jnp.argmin(_losses(p, tries.astype(jnp.float32), data)))]
    return {**p, "stretch": best[:2], "defocus": best[2]}


@jax.jit
def _losses(p: m.Numbers, tries: jax.Array, data: m.Numbers) -> jax.Array:
    def loss(x: jax.Array) -> jax.Array:
        return SQUARES({**p, "stretch": x[:2], "defocus": x[2]}, data)

    return jax.lax.map(loss, tries)


def _displacement(data: m.Numbers) -> np.ndarray:
    """Peak of the correlation of the image with the ideal microscope's."""
    size = (m.GRID, m.GRID)
    ideal = np.conj(np.fft.rfft2(np.asarray(_ideal(data["setup"])), size))
    lag = np.fft.rfft2(data["images"][1], size) * ideal
    near = np.fft.fftshift(np.fft.irfft2(lag))[m.GRID // 2 - 22 :, m.GRID // 2 - 22 :][:45, :45]
    return np.array(np.unravel_index(near.argmax(), near.shape)) - 22


@jax.jit
def _ideal(setup: m.Numbers) -> jax.Array:
    return m.images(m.start(), setup)[1]


def twin(p: m.Numbers) -> m.Numbers:
    """The conjugate pupil, rotated by half a turn: alike in focus, mirrored in depth."""
    modes = [(2, 0), *m.LOW, *m.HIGH]
    turned = cal.twin_start(jnp.concatenate([p["defocus"][None], p["low"], p["high"]]), modes)
    low, high = turned[1 : 1 + len(m.LOW)], turned[1 + len(m.LOW) :]
    return {**p, "defocus": turned[0], "low": low, "high": high}


def data_of(images: np.ndarray, target: np.ndarray, noise: bool) -> m.Numbers:
    """Everything a fit is given."""
    unit = images.max() / t.PEAK if noise else 1e-4 * images.max()
    sigma = np.sqrt(np.maximum(images, 20 * unit) * unit) if noise else np.full_like(images, unit)
    return {
        "setup": m.setup(target),
        "images": images.astype(np.float32),
        "sigma": sigma.astype(np.float32),
    }


def fit_pupil(data: m.Numbers, target: np.ndarray, *, free: int = 0) -> m.Numbers:
    """Levenberg-Marquardt with 6, 13, 30 and 68 numbers, as many as the images ask for.

    Numbers that explain less than Bayes' criterion asks of them are left out again: they would only
    follow the noise. Both twins are tried where 30 numbers explain little; then ``free`` steps of
    L-BFGS with every sample of the pupil, and other starts where these explain little.
    """
    learn = partial(cal.calibrate, loss=SQUARES, data=data, steps=16, report_every=1, **METHOD)
    fit = learn(first_guess(data), learn=BASIC, tolerance=0.02)
    if not explained(fit, data):
        fit = learn(fit.model, learn=FEW, tolerance=0.02)
    few, stretch = fit, np.exp(fit.model["stretch"])
    data["setup"] = m.setup(target, stretch)
    fit = learn(few.model, learn=MANY, tolerance=0.05)
    asked = 0.5 * len(m.HIGH) * np.log(data["images"].size)
    if explained(few, data) and few.loss - fit.loss < asked:
        return few.model
    if not explained(fit, data):
        other = learn(twin(fit.model), learn=MANY, tolerance=0.1)
        fit = min(fit, other, key=lambda one: one.loss)
        usual, wide = data["setup"], m.setup(target, stretch, more=True)
        data["setup"] = wide
        fit = _widened(learn, fit.model, data, free)
        if not explained(fit, data):  # a valley of its own
            data["setup"] = usual
            starts = cal.random_starts(jax.random.key(0), few.model, 8, spread=SPREAD)
            other = learn(few.model, starts=starts, learn=MANY, tolerance=0.1)
            data["setup"] = wide
            other = _widened(learn, other.model, data, free)
            fit = min(fit, other, key=lambda one: one.loss)
    return fit.model


def _widened(
    learn: Callable[..., cal.Calibration], p: m.Numbers, data: m.Numbers, free: int
) -> cal.Calibration:
    """More modes, then every sample."""
    fit = learn({**p, "more": jnp.zeros(len(m.MORE))}, learn=[*MANY, "more"], tolerance=0.05)
    if not free:
        return fit
    return cal.calibrate(fit.model, SQUARES, data, learn=["free", "gain"], steps=free, **FREE)


def explained(fit: cal.Calibration, data: m.Numbers) -> bool:
    """Whether the differences are about as large as expected."""
    return fit.loss < data["images"].size


def fit_mask(data: m.Numbers, target: np.ndarray, key: jax.Array) -> m.Numbers:
    """A known microscope with an unknown mask: scattered starts, more and more modes, all samples.

    Only the phase is learned. What explains the images is kept; else other starts are tried.
    """
    data["setup"] = m.setup(target, more=True)
    start = {**m.start(), "more": jnp.zeros(len(m.MORE))}
    learn = partial(cal.calibrate, loss=SQUARES, data=data, report_every=1, **METHOD)
    spread = {"shift": 6.0, "defocus": 0.4, "low": 1.2}
    fits = []
    for part in (None, *jax.random.split(key, 3)):  # the ideal microscope leads there mostly
        starts = [] if part is None else cal.random_starts(part, start, 8, spread=spread)
        fit = learn(start, starts=starts, learn=PHASE, steps=6)
        fit = learn(fit.model, learn=[*PHASE, "high"], steps=8, tolerance=0.05)
        fit = learn(fit.model, learn=[*PHASE, "high", "more"], steps=12, tolerance=0.05)
        fits.append(cal.calibrate(fit.model, SQUARES, data, learn="free", steps=40, **FREE))
        if fits[-1].loss < 50 * data["images"].size:
            break
    best = min(fits, key=lambda fit: fit.loss)
    return best.model


def fit_told_mask(data: m.Numbers, told: np.ndarray) -> m.Numbers:
    """A modulator that shows what it was told, its zero order, and the errors of the optics."""
    start = {**m.start(), "free": jnp.asarray(told, jnp.float32)}
    learn = partial(cal.calibrate, loss=SQUARES, data=data, steps=16, report_every=1, **METHOD)
    rough = learn(start, learn=[*PHASE, "zero"], tolerance=0.02)
    return learn(rough.model, learn=[*PHASE, "high", "zero"], tolerance=0.01).model


def fit_free_form(images: np.ndarray, target: np.ndarray, steps: int = 600) -> jax.Array:
    """The way of 2020: every pixel of the field, by Adam from the ideal field."""
    data = {"setup": m.free_form_setup(target), "images": images.astype(np.float32)}
    rate = optax.cosine_decay_schedule(3e-3, steps)
    ideal = {"u": m.ideal_field()}
    return cal.calibrate(ideal, _nmse, data, optimizer=optax.adam(rate), steps=steps).model["u"]


def _nmse(p: m.Numbers, data: m.Numbers) -> jax.Array:
    return losses.nmse(m.free_form_images(p["u"], data["setup"]), data["images"]).mean()


def fit_free_mask(images: np.ndarray, target: np.ndarray, steps: int = 600) -> tuple:
    """The way of 2020: every pixel of the mask, by Adam from 2.5 pi; images and phase."""
    data = {"setup": m.setup(target), "images": images.astype(np.float32)}
    rate = optax.cosine_decay_schedule(0.1, steps)
    start = {**m.start(), "free": jnp.full((m.BOX, m.BOX), 2.5 * np.pi)}
    adam = {"optimizer": optax.adam(rate), "steps": steps}
    found = cal.calibrate(start, _mask_nmse, data, learn="free", **adam).model
    return m.images(found, data["setup"]), found["free"]


def _mask_nmse(p: m.Numbers, data: m.Numbers) -> jax.Array:
    return losses.nmse(m.images(p, data["setup"]), data["images"]).mean()
