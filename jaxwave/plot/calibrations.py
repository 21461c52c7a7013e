"""One page that shows a whole calibration."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from jax.typing import ArrayLike

from jaxwave.plot import _canvas, fields, fits, stacks

_PAGE = 10.0  # inches


def plot_calibration(
    data: ArrayLike,
    model: ArrayLike,
    spacing: Sequence[float],
    *,
    pupil: ArrayLike,
    coefficients: ArrayLike,
    modes: Sequence[tuple[int, int]],
    errors: ArrayLike | None = None,
    loss: ArrayLike,
    heldout_loss: ArrayLike | None = None,
    heldout_steps: ArrayLike | None = None,
    wavelength: float | str | None = None,
    mask: ArrayLike | None = None,
    pupil_spacing: float | None = None,
    rms: float | None = None,
    sqrt: bool = True,
    label: str = "counts",
    path: str | os.PathLike | None = None,
) -> Any:
    """Plots a calibration on one page: images, pupil, loss and aberrations.

    Valid for one stack and one pupil; the parts are those of :func:`plot_comparison`,
    :func:`plot_pupil`, :func:`plot_history` and :func:`plot_zernikes`.

    Args:
        data: Measured values, ``(z, y, x)`` [counts].
        model: Fitted values, ``(z, y, x)`` [counts].
        spacing: Voxel size (dz, dy, dx) [µm].
        pupil: Complex pupil function, ``(y, x)`` [none].
        coefficients: Optical path differences, ``(modes,)`` [µm].
        modes: The modes as pairs (n, m).
        errors: Standard errors of the coefficients, ``(modes,)`` [µm].
        loss: Loss at every step, ``(steps,)`` [any unit].
        heldout_loss: Held-out NMSE [none], ``(steps,)``, or ``(reports,)`` with their steps; it has
            an axis of its own.
        heldout_steps: Steps of the held-out values, ``(reports,)`` [none].
        wavelength: Vacuum wavelength [µm]; if given, the phase is shown as optical path [nm].
        mask: True inside the pupil's aperture, ``(y, x)`` [none].
        pupil_spacing: Sample spacing of the pupil [pupil radii].
        rms: Rms wavefront error [µm], the only one on the page; by default that of the pupil
            inside the mask, weighted by the amplitude. It needs a wavelength.
        sqrt: Compares the square roots of the images.
        label: Name and unit of the values.
        path: File to save to (png, pdf or svg).

    Returns:
        The matplotlib Figure.

    Raises:
        ValueError: If a part does not have the shape that its own function needs, or the rms comes
            without a wavelength.
        ImportError: If matplotlib is not installed.

    Example:
        >>> import numpy as np
        >>> stack = np.ones((5, 8, 8))
        >>> parts = {"pupil": np.ones((9, 9), complex), "coefficients": [0.02], "modes": [(4, 0)]}
        >>> figure = plot_calibration(stack, stack, (0.3, 0.1, 0.1), loss=[1.0, 0.1], **parts)
        >>> len(figure.axes)
        20
    """
    where = "plot_calibration"
    comparison = stacks.draw_comparison(
        where, data, model, spacing, sqrt=sqrt, label=label, longest=_PAGE - 2.2
    )
    if rms is not None and wavelength is None:
        raise ValueError(f"{where}: `rms` is an optical path; pass `wavelength` with it.")
    plane = fields.draw_pupil(
        where, pupil, spacing=pupil_spacing, mask=mask, wavelength=wavelength, panel=1.9, rms=rms
    )
    size = (_PAGE - plane.width - 2.0, 1.9)
    history = fits.draw_history(where, loss, heldout_loss, heldout_steps, size=size, apart=True)
    pitch = min(0.6, (_PAGE - 0.75) / max(len(modes), 1))
    bars = fits.draw_zernikes(
        where, coefficients, modes, errors, pitch=max(pitch, 0.15), title="Zernike modes"
    )
    return _canvas.render(where, [[comparison], [plane, history], [bars]], path)
