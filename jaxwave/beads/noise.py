"""The noise of a bead's stack, estimated from the stack itself."""

import numpy as np
from jax.typing import ArrayLike

from jaxwave import _check


def noise_variance(
    stack: ArrayLike, *, model_error: float = 0.02
) -> tuple[np.ndarray, float, float]:
    r"""Estimates the variance of every pixel from the stack itself.

    .. math:: V = \sigma_b^2 + \frac{\sigma_b^2}{b} (d - b)_+ + \epsilon^2 (d - b)_+^2

    The border gives the background b and its variance; the light adds shot noise at the border's
    ratio of variance to counts, and the model is trusted to a share of the light. Valid where
    the border holds mainly background, and where the background is mostly light.

    Args:
        stack: Data, ``(z, y, x)`` [counts].
        model_error: Share of the signal to which the model is trusted [1].

    Returns:
        The variance, ``(z, y, x)`` [counts²], the background and its noise [counts].

    Raises:
        ValueError: If the stack has fewer than three axes.

    Example:
        >>> data = np.random.default_rng(0).normal(100, 10, (4, 32, 32))
        >>> variance, background, noise = noise_variance(data)
        >>> bool(abs(background - 100) < 3), bool(abs(noise - 10) < 2)
        (True, True)

    References:
        J. R. Janesick, *Photon Transfer*, SPIE Press (2007), Ch. 4.
    """
    _check.at_least("noise_variance", "stack", stack, 3, "(z, y, x)")
    data = np.asarray(stack, np.float64)
    border = data[:, :, [0, -1]]
    background = float(np.median(border))
    # Differences of neighbors along the border are blind to a slow background.
    steps = np.diff(border, axis=1).ravel() / np.sqrt(2)
    noise = 1.4826 * float(np.median(np.abs(steps - np.median(steps))))
    noise = max(noise, 1e-5 * float(np.ptp(data)), float(np.finfo(np.float32).tiny))
    signal = np.maximum(data - background, 0)
    shot = noise**2 / max(background, noise)
    return noise**2 + shot * signal + (model_error * signal) ** 2, background, noise
