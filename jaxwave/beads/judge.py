"""How well a fit describes its data: one rule for the fit, its page and its table."""

from __future__ import annotations

import numpy as np
from jax.typing import ArrayLike

_MOST_NOISE = 0.9  # NMSE; noise alone has one, and millions of pixels know it to a percent
_MOST_UNEXPLAINED, MOST_CHI2 = 0.05, 2.0  # NMSE, and chi-squared a degree of freedom
_FAIR = 0.02, 1.5
_WIDE = 0.22  # of wavelength/na: the standard deviation of the PSF itself


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
