"""What a user describes once: the objective that makes the light, the window that is looked at."""

from dataclasses import KW_ONLY
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxwave import _check
from jaxwave._noun import noun, number, settle, static
from jaxwave.psf.layers import APODIZATIONS, MOTIONS, Layers


@noun
class Objective:
    r"""An objective of high numerical aperture, in focus or as the lens of a microscope.

    .. math:: \mathbf s = n \sin\theta\,(\cos\phi, \sin\phi), \qquad |\mathbf s| \le \mathrm{NA}

    are its directions, conserved at every plane interface. Valid for objectives that obey the sine
    condition. Every number is a leaf that can be swept, mapped, learned; leading axes are batch
    axes.

    Args:
        na: Numerical aperture, ``(...)``, below the immersion's index; it may exceed the sample's.
        wavelength: Vacuum wavelength, ``(...)`` [µm].
        n: Index of immersion and sample, ``(...)``; 1 by default. Leave it out if there are
            ``layers``.
        layers: Sample, coverslip and immersion, see :func:`coverslip_layers`.
        apodization: "aplanatic", "herschel" or "none", see :func:`apodization`.
        motion: What ``z`` moves where there are layers, "stage" or "emitter", see
            :func:`gibson_lanni_path`.
        transmission: Whether the interfaces of the layers weaken the field
            (:func:`fresnel_transmission`); scalar models leave it out.

    Raises:
        ValueError: If ``na`` is not below the index, a number is not positive or an option does
            not exist.
        TypeError: If something is of the wrong kind.

    Example:
        >>> Objective(na=1.4, wavelength="520 nm", n=1.518)
        Objective(na=1.4, wavelength=0.52 µm, n=1.518)

    References:
        L. Novotny and B. Hecht, *Principles of Nano-Optics*, Sec. 3.5.
    """

    na: ArrayLike
    wavelength: ArrayLike | str
    _: KW_ONLY
    n: ArrayLike | None = None
    layers: Layers | None = None
    apodization: str = static(default="aplanatic")
    motion: str = static(default="stage")
    transmission: bool = static(default=True)

    def __post_init__(self) -> None:
        where = "Objective"
        _check.choice(where, "apodization", self.apodization, APODIZATIONS)
        _check.choice(where, "motion", self.motion, MOTIONS)
        wavelength = _check.wavelength(where, self.wavelength)
        if self.layers is not None and not isinstance(self.layers, Layers):
            raise TypeError(
                f"{where}: `layers` must be Layers, got {type(self.layers).__name__}. Make them "
                "with coverslip_layers."
            )
        if self.layers is not None and self.n is not None:
            raise ValueError(f"{where}: `n` is that of the immersion in `layers`; leave it out.")
        n = self.n if self.n is not None else 1.0 if self.layers is None else None
        index = n if self.layers is None else self.layers.n_i
        _check.positive(where, "n", index)
        _check.numerical_aperture(where, self.na, index)
        settle(
            self,
            na=number(where, "na", self.na),
            wavelength=number(where, "wavelength", wavelength),
            n=None if n is None else number(where, "n", n),
            transmission=bool(self.transmission),
        )

    @property
    def n_i(self) -> Any:
        """Index of the immersion."""
        return self.n if self.layers is None else self.layers.n_i

    @property
    def n_s(self) -> Any:
        """Index of the sample."""
        return self.n if self.layers is None else self.layers.n_s

    def __repr__(self) -> str:
        parts = [f"na={_short(self.na)}", f"wavelength={_short(self.wavelength)} µm"]
        parts += [f"n={_short(self.n)}"] if self.layers is None else ["layers=..."]
        parts += [f"apodization={self.apodization!r}"] if self.apodization != "aplanatic" else []
        parts += [f"motion={self.motion!r}"] if self.motion != "stage" else []
        parts += [] if self.transmission else ["transmission=False"]
        return f"Objective({', '.join(parts)})"


@noun
class Window:
    r"""The samples of a focus or of an image, and the planes in which they lie.

    .. math:: x_j = x + (j - \lfloor N_x/2 \rfloor)\,\Delta x

    in the coordinates of the sample, where the focus or the emitter is the origin. Valid for every
    shape. Every number is a leaf; leading axes are batch axes.

    Args:
        shape: Number of samples (ny, nx).
        spacing: Sample spacing, one number or ``(..., 2)`` as (dy, dx) [µm].
        z: Positions of the planes along the light, one number or ``(..., planes)`` [µm]; with
            layers see :func:`gibson_lanni_path`.
        y: Position of the sample ny // 2, ``(...)`` [µm].
        x: Position of the sample nx // 2, ``(...)`` [µm].

    Raises:
        ValueError: If the shape is not two positive integers or the spacing is not positive.
        TypeError: If a value is not a number.

    Example:
        >>> Window((64, 48), spacing="50 nm", z=[-0.5, 0.0, 0.5])
        Window((64, 48), spacing=0.05 µm, 3 planes)

    References:
        J. W. Goodman, *Introduction to Fourier Optics*, Sec. 2.4.
    """

    shape: tuple[int, int] = static()
    spacing: ArrayLike | str
    _: KW_ONLY
    z: ArrayLike | str = 0.0
    y: ArrayLike | str = 0.0
    x: ArrayLike | str = 0.0

    def __post_init__(self) -> None:
        where = "Window"
        spacing = _check.length(where, "spacing", self.spacing)
        _check.positive(where, "spacing", spacing, unit="µm")
        if np.ndim(spacing) and np.shape(spacing)[-1] != 2:
            raise ValueError(
                f"{where}: `spacing` must be one number or (..., 2) as (dy, dx) [µm], got the "
                f"shape {np.shape(spacing)}. For one number per batch entry pass "
                "spacing[..., None] * ones(2)."
            )
        values = {n: _check.length(where, n, getattr(self, n)) for n in ("z", "y", "x")}
        for name, value in values.items():
            _check.finite(where, name, value, unit="µm")
        settle(
            self,
            shape=_check.grid_shape(where, self.shape),
            spacing=number(where, "spacing", spacing),
            **{name: number(where, name, value) for name, value in values.items()},
        )

    def __repr__(self) -> str:
        parts = [f"{self.shape}", f"spacing={_short(self.spacing)} µm"]
        planes = jnp.shape(self.z)
        parts += [f"{planes[-1]} planes"] if planes else [f"z={_short(self.z)} µm"]
        for name in ("y", "x"):
            value = getattr(self, name)
            if not (_check.is_concrete(value) and np.all(np.asarray(value) == 0)):
                parts.append(f"{name}={_short(value)} µm")
        return f"Window({', '.join(parts)})"


def _short(value: Any) -> str:
    if not _check.is_concrete(value):
        return "traced"
    array = np.asarray(value)
    return f"{float(array):.6g}" if array.ndim == 0 else str(np.round(array, 6).tolist())
