"""How well a fit describes its data: one rule for the fit, its page and its table."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from jax.typing import ArrayLike

from jaxwave import _check
from jaxwave.beads.model import PRIORS, BeadModel

_MOST_NOISE = 0.9  # NMSE; noise alone has one, and millions of pixels know it to a percent
_MOST_UNEXPLAINED, MOST_CHI2 = 0.05, 2.0  # NMSE, and chi-squared a degree of freedom
_FAIR = 0.02, 1.5
_MOST_LEFT_OUT = 0.2  # of the peak's pixels
_MOST_CORE = 0.03  # NMSE there
_MOST_WIDE = 2.0  # times that: less may be the scale of the pixels, which is hard to tell apart
_WIDE = 0.22  # of wavelength/na: the standard deviation of the PSF itself


class Fitted(Protocol):
    """What is judged: a fit, before anybody has seen it."""

    @property
    def model(self) -> BeadModel:
        """The microscope."""

    @property
    def parameters(self) -> dict[str, Any]:
        """Scaled parameters by name."""

    @property
    def values(self) -> dict[str, Any]:
        """The same with their units."""

    @property
    def image(self) -> np.ndarray:
        """The fitted stack."""

    @property
    def background(self) -> np.ndarray:
        """Background of every plane."""

    @property
    def scores(self) -> dict[str, float]:
        """NMSE and chi-squared by name."""


def described(score: float, floor: float, chi2: float) -> str:
    """How well a model describes its data: ``"good"``, ``"fair"``, ``"bad"`` or ``"noisy"``.

    The noise has to be left, whatever its size; a model is good that leaves little more: a few
    percent of the light, or no more than the noise again.

    Args:
        score: NMSE of the held-out planes.
        floor: What the noise alone would leave of it.
        chi2: Chi-squared for each degree of freedom of the held-out planes.
    """
    if not np.isfinite(score):
        return "bad"
    if floor > _MOST_NOISE:
        return "noisy"
    for word, share, times in (("bad", _MOST_UNEXPLAINED, MOST_CHI2), ("fair", *_FAIR)):
        if score - floor > share and chi2 > times:
            return word
    return "good"


def wide_blur(pixel: float, focus: float, sigma: ArrayLike, *, times: float = 1.0) -> float:
    """The standard deviation of a blur that is wider than the PSF, else zero [µm].

    Args:
        pixel: Camera pixel [µm].
        focus: Wavelength over aperture [µm].
        sigma: Standard deviations of the blur along y and x [pixels].
        times: How many times as wide it has to be.
    """
    width = pixel * float(np.sqrt(np.mean(np.square(sigma))))
    return width if width > times * max(_WIDE * focus, 0.9 * pixel) else 0.0


def judge(where: str, fit: Fitted, mask: np.ndarray) -> None:
    """Warns of a fit whose numbers should not be believed."""
    _judge(where, fit)
    _judge_peak(where, fit, mask)
    _judge_core(where, fit)


def _judge_peak(where: str, fit: Fitted, mask: np.ndarray) -> None:
    """Warns where much of the peak was left out, as by saturation."""
    light = fit.image - fit.background[:, None, None]
    left_out = float(np.mean(mask[light > 0.5 * light.max()] == 0))
    if left_out > _MOST_LEFT_OUT:
        _check.warn(
            where,
            f"{left_out:.0%} of the bead's peak (above half of its height) was left out, being "
            "saturated or masked: its amplitudes are not reliable. Record it with less light.",
        )


def _judge_core(where: str, fit: Fitted) -> None:
    """Warns of a spot that is no single small bead: its middle is not as the fit says."""
    scores = fit.scores
    if scores["core_chi_squared"] > MOST_CHI2 and scores["core_unexplained"] > _MOST_CORE:
        _check.warn(
            where,
            f"the middle of the spot is not that of one bead: {scores['core_unexplained']:.1%} of "
            f"its light is left (chi-squared {scores['core_chi_squared']:.3g}). Two beads may "
            "stand closer than they are resolved.",
        )
    focus = fit.model.wavelength / float(fit.values["na"])
    blur = fit.values["blur_sigma_pixels"]
    if sigma := wide_blur(fit.model.pixel, focus, blur, times=_MOST_WIDE):
        _check.warn(
            where,
            f"the bead is larger than the PSF: the blur has a standard deviation of "
            f"{1e3 * sigma:.0f} nm, as a bead of {2 * np.sqrt(5) * sigma:.2g} µm in diameter makes "
            "it. Pass its diameter as `bead_diameter`, or take smaller beads.",
        )


def _judge(where: str, fit: Fitted) -> None:
    """Warns of a fit that does not describe the data, so that its numbers are not believed."""
    scores = fit.scores
    names = ("heldout_per_plane_gain", "noise_floor", "reduced_chi_squared")
    word = described(*(scores[name] for name in names))
    far = [
        name
        for name, width in PRIORS.items()
        if name in ("pixel", "dz", "na") and abs(float(fit.parameters[name])) > 4 * width
    ]
    if word in ("bad", "noisy") or far:
        remark = f" The fit pulled {', '.join(far)} far from what was given." if far else ""
        _check.warn(
            where,
            "the model does not describe the data: held-out NMSE "
            f"{scores['heldout_per_plane_gain']:.2g}, of which the noise explains "
            f"{scores['noise_floor']:.2g} (reduced chi-squared "
            f"{scores['reduced_chi_squared']:.3g}).{remark} Check na, n, wavelength, pixel and dz, "
            "that the microscope is a widefield one, and that the window holds one bead alone.",
        )
