"""``jaxwave psf``: the point-spread function of a microscope from its numbers."""

from __future__ import annotations

import argparse
import functools
import math
import os
import tempfile
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

import jaxwave.psf as optics
from jaxwave import io
from jaxwave.cli import checks, finding, formats, options, scan_checks, scanning
from jaxwave.cli.settings import Settings, UsageError, write_toml
from jaxwave.cli.terminal import say, warn
from jaxwave.numerics import gauss_legendre
from jaxwave.psf.objective import Pupil

_WAVELENGTHS = 7  # of a band, by Gauss and Legendre
_MARGIN = 8  # pixels around the picture


def psf(arguments: argparse.Namespace) -> int:
    """Computes the PSF, writes it and draws it."""
    settings = arguments.settings
    try:
        stack = point_spread(settings)
    except TypeError as error:
        raise UsageError(str(error)) from None
    spacing = (settings["dz"], settings["pixel"], settings["pixel"])
    microscope = {name: settings[name] for name in ("wavelength", "na", "n")}
    say(formats.write_psf(settings["out"], stack, spacing, optics=microscope))
    if settings["save"] is not None:
        kept = [option for option in options.PSF if option.name not in checks.OUTPUTS]
        write_toml(Path(settings["save"]), kept, settings, "psf --config job.toml")
        say(Path(settings["save"]))
    if settings["picture"] is not None or arguments.show:
        _draw(settings, stack, spacing, show=arguments.show)
    return 0


def point_spread(settings: Settings) -> np.ndarray:
    """The PSF ``(z, y, x)`` that the settings ask for."""
    size = checks.pixels_of(settings)
    planes = settings["planes"]
    z = (np.arange(planes) - planes // 2) * settings["dz"]
    if settings["mode"] in scan_checks.SCANNING:
        slices = _slices(settings, min(settings["wavelength"], settings["excitation"]))
        seen = scanning.scanned(settings, z, size, *_lights(settings), slices)
        stack: Any = np.asarray(seen, np.float64)
    else:
        stack = sum(
            share * np.asarray(_one_color(settings, wavelength, z, size), np.float64)
            for wavelength, share in _band(settings)
        )
    scale = {"sum": stack.sum(), "peak": stack.max(), "share": 1.0}[settings["unit"]]
    return np.asarray(stack / scale)


def _band(settings: Settings) -> list[tuple[float, float]]:
    """Wavelengths of the filter and their shares."""
    middle, width = settings["wavelength"], settings["band"]
    if not width:
        return [(middle, 1.0)]
    t, w = gauss_legendre(_WAVELENGTHS)
    return [(float(middle + width / 2 * a), float(b / 2)) for a, b in zip(t, w, strict=True)]


def _one_color(settings: Settings, wavelength: float, z: np.ndarray, size: int) -> Array:
    """Light in the pixels, or the intensity at their middles times their area."""
    seen = {"apodization": settings["apodization"], "motion": settings["motion"]}
    objective = finding.objective(settings, wavelength=wavelength, **seen)
    pixel, blur = settings["pixel"], settings["blur"]
    window = optics.Window((size, size), spacing=pixel, z=z)
    if settings["integrate"] == "pixel":
        # The shortest wavelength of a band decides, so that all colors share one program; pixels
        # near the rim see what lies beyond it.
        finest = settings["wavelength"] - settings["band"] / 2
        wider = (size + 2 * _MARGIN, size + 2 * _MARGIN)
        scope = optics.Microscope(settings["na"], finest, wider, pixel, n=settings["n"])
        window = scope.window(z)
    pupil, verb = _pupil(settings), _verb(settings, settings["kind"])

    def point(heights: Array) -> Array:
        here = optics.Window(window.shape, spacing=window.spacing, z=heights)
        return _sheet(settings, heights) * verb(objective, here, pupil)

    stack = point(jnp.asarray(z))
    if settings["bead"]:
        stack = optics.bead_intensity(
            point,
            z,
            diameter=settings["bead"],
            spacing=window.spacing,
            slices=_slices(settings, wavelength),
        )
    if settings["integrate"] == "pixel":
        shape = (size, size)
        return optics.integrate_pixels(
            stack, shape, spacing=window.spacing, pixel=pixel, sigma=blur
        )
    stack = optics.gaussian_blur(stack, spacing=pixel, sigma=blur) if blur else stack
    return stack * pixel**2


def _sheet(settings: Settings, z: Array) -> Any:
    """Light of a sheet at heights, ``(z, 1, 1)``; 1 without one."""
    if settings["sheet"] is None:
        return 1.0
    return jnp.exp(-4 * math.log(2) * (z / settings["sheet"]) ** 2)[..., None, None]


def _lights(settings: Settings) -> tuple[scanning.Light, scanning.Light]:
    """The laser's light, and an emitter's in the mean of its band, in any window."""
    seen = {"apodization": settings["apodization"], "motion": settings["motion"]}
    laser = finding.objective(settings, wavelength=settings["excitation"], **seen)
    pupil, focused = _pupil(settings), _verb(settings, "focus")
    plain, emitted = _aberrated(settings, None), _verb(settings, "emission")

    def detect(window: optics.Window) -> Array:
        parts = [
            share
            * emitted(finding.objective(settings, wavelength=wavelength, **seen), window, plain)
            for wavelength, share in _band(settings)
        ]
        return jnp.sum(jnp.stack(parts), axis=0)

    return (lambda window: focused(laser, window, pupil)), detect


def _slices(settings: Settings, wavelength: float) -> int:
    """Slices of a bead, some for every depth of focus."""
    n, na = settings["n"], settings["na"]
    depth = wavelength / (n - math.sqrt(max(n * n - na * na, 0.0)))
    return 5 + round(8 * settings["bead"] / depth)


# -- the microscope ------------------------------------------------------------------------


def _verb(settings: Settings, kind: str) -> Callable[..., Array]:
    """The function of psf that makes this light."""
    if settings["model"] == "scalar":
        return optics.scalar_focus_intensity
    if kind == "focus":
        light = checks.polarization(settings["polarization"])
        if isinstance(light, str):
            whole = {
                "radial": optics.radial_polarization,
                "azimuthal": optics.azimuthal_polarization,
            }
            return lambda o, w, pupil: optics.focus_intensity(o, w, _jones(whole[light], pupil))
        return lambda o, w, pupil: optics.focus_intensity(o, w, pupil, polarization=light)
    dipole = checks.direction(settings["dipole"])
    return lambda o, w, pupil: optics.emitter_image(o, w, pupil, dipole=dipole)


# Programs are found again by the identity of the functions in them, so each is made once.
_kept = functools.lru_cache(64)


@_kept
def _turned(whole: Callable[..., Array], factor: Callable[..., Array]) -> optics.JonesPupil:
    return optics.JonesPupil(lambda y, x: whole(y, x) * factor(y, x))


def _open(y: Array, x: Array) -> Array:
    return jnp.ones_like(x * y)


def _jones(whole: Callable[..., Array], pupil: Pupil) -> optics.JonesPupil | optics.ZernikePupil:
    """A pupil of radial or azimuthal light behind a mask."""
    modes: Any = None
    if isinstance(pupil, optics.ZernikePupil):
        modes, pupil = pupil, pupil.pupil
    if pupil is not None and not callable(pupil):
        raise UsageError(
            "--mask: a file goes with linear and circular polarization; radial and azimuthal "
            "light need vortex, half-moon or top-hat."
        )
    made = _turned(whole, _open if pupil is None else pupil)
    return (
        made if modes is None else optics.ZernikePupil(modes.coefficients, modes.modes, pupil=made)
    )


def _pupil(settings: Settings) -> Any:
    """Mask, Gaussian filling and aberrations."""
    mask = _mask(settings["mask"])
    if settings["filling"] is not None:
        mask = _times(mask, settings["filling"])
    return _aberrated(settings, mask)


def _aberrated(settings: Settings, mask: Any) -> Any:
    """A mask with the aberrations of the objective."""
    modes = finding.modes_and_lengths("--zernike", settings["zernike"], settings["convention"])
    if not modes:
        return mask
    return optics.ZernikePupil(np.array(list(modes.values())), tuple(modes), pupil=mask)


def _mask(text: str | None) -> Any:
    if text is None:
        return None
    found = checks.mask(text)
    if found is None:
        return _read_mask(text)
    return _named_mask(*found)


@_kept
def _named_mask(name: str, value: float | None) -> Callable[..., Array]:
    if name == "vortex":
        charge = 1 if value is None else int(value)
        return lambda y, x: optics.vortex(y, x, charge=charge)
    if name == "half-moon":
        angle = math.radians(value or 0.0)
        return lambda y, x: optics.half_moon(y, x, angle=angle)
    radius = math.sqrt(0.5) if value is None else value
    return lambda y, x: optics.top_hat(y, x, radius=radius)


def _times(mask: object, filling: float) -> Any:
    """A mask times a Gaussian beam."""
    if mask is None:
        return optics.RadialPupil(filling=filling)
    if callable(mask):
        return _filled(mask, filling)
    y, x = optics.pupil_coordinates(np.shape(mask))
    return mask * np.asarray(optics.gaussian_pupil(y, x, width=filling))


@_kept
def _filled(mask: Callable[..., Array], filling: float) -> Callable[..., Array]:
    return lambda y, x: mask(y, x) * optics.gaussian_pupil(y, x, width=filling)


def _read_mask(path: str) -> np.ndarray:
    """Phases [rad] or complex values of a pupil, from any file of one array."""
    planes = io.read_psf(path)
    if len(planes) != 1:
        raise UsageError(
            f"--mask: {path!r} must hold one array (y, x), it has {len(planes)} planes."
        )
    return planes[0] if np.iscomplexobj(planes) else np.exp(1j * planes[0])


# -- the picture ---------------------------------------------------------------------------


def _draw(
    settings: Settings, stack: np.ndarray, spacing: tuple[float, float, float], *, show: bool
) -> None:
    """Three sections, in a file and, if it is wanted, on the screen."""
    from jaxwave import plot

    label = {"sum": "share of the light", "peak": "intensity", "share": "share of the power"}
    path = settings["picture"] or os.path.join(tempfile.mkdtemp(prefix="jaxwave-"), "psf.png")
    # Through the axis, also of a ring, in the brightest plane.
    center = (int(stack.max(axis=(1, 2)).argmax()), stack.shape[1] // 2, stack.shape[2] // 2)
    name = label[settings["unit"]]
    plot.plot_orthoslices(stack, spacing, center=center, path=path, sqrt=True, label=name)
    say(path)
    if show and not webbrowser.open(Path(path).resolve().as_uri()):
        warn("nothing opens pictures here; the file above holds it")
