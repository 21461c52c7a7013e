"""Deconvolution of layers: of planes one by one, or of a whole stack; no screen is needed."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.tree_util import Partial

from jaxwave._files import size_text
from jaxwave.cli.settings import Option, Settings, UsageError, gather
from jaxwave.deconvolution import richardson_lucy, total_variation, wiener
from jaxwave.napari.layers import array_of, finite, voxel
from jaxwave.numerics import fast_len

METHODS = ("richardson_lucy", "wiener", "total_variation")
_BOUNDARIES = ("reflect", "edge", "zero", "periodic")
_CHUNK = 5  # steps between two reports
_ALIKE = 0.02  # of voxel sizes
_COPIES = 12  # of the padded stack, which a step holds at once

FIELDS = (
    Option("method", "choice", "how the object is found", METHODS[0], METHODS, "deconvolution"),
    Option(
        "extent",
        "choice",
        "the stack as a whole (richardson_lucy), or every plane with the PSF's brightest plane",
        "stack",
        ("stack", "planes"),
        "deconvolution",
    ),
    Option("steps", "integer", "of richardson_lucy; 5 times as many of total_variation", 20,
           group="deconvolution"),
    Option(
        "weight",
        "number",
        "wiener: variance of the noise over that of the scene; total_variation: standard deviation "
        "of the noise, in counts, times a few tenths",
        0.01,
        group="deconvolution",
    ),
    Option("background", "number", "counts without light", 0.0, group="deconvolution"),
    Option("boundary", "choice", "what is beyond the image", "reflect", _BOUNDARIES,
           "deconvolution"),
)  # fmt: skip

Report = Callable[[int, int], None]


@dataclasses.dataclass(frozen=True)
class Job:
    """What is deconvolved with what, how.

    Args:
        image: Counts, ``(..., y, x)``.
        psf: ``(z, y, x)`` or ``(y, x)``, of unit sum.
        settings: Of :data:`FIELDS`.
        note: What was decided, in words.
    """

    image: np.ndarray
    psf: np.ndarray
    settings: Settings
    note: str


def job(image: Any, psf: Any, given: dict[str, Any]) -> Job:
    """Checks two layers and the texts of the fields.

    Raises:
        UsageError: If a layer does not fit, with what does.
    """
    settings = gather(FIELDS, given)
    _check_numbers(settings)
    seen = finite(array_of(image, "image", 2), image.name, "image")
    kernel = finite(array_of(psf, "psf", 2, 3), psf.name, "psf")
    if image is psf:
        raise UsageError("psf: the layer is the image itself; choose the layer of the PSF.")
    if kernel.min() < -1e-3 * kernel.max() or not kernel.sum() > 0:
        raise UsageError(f"psf: {psf.name!r} must be an intensity, not negative, with some light.")
    whole = kernel.ndim == 3 and len(kernel) > 1 and seen.ndim >= 3
    whole = whole and settings["extent"] == "stack"
    if whole and settings["method"] != "richardson_lucy":
        raise UsageError(
            f"--method: {settings['method']} works plane by plane; choose --extent planes, or "
            "richardson_lucy for the stack as a whole."
        )
    notes = _voxels(image, psf, whole)
    if kernel.ndim == 3 and not whole:
        brightest = int(kernel.max(axis=(1, 2)).argmax())
        kernel = kernel[brightest]
        notes.append(f"plane by plane, with plane {brightest} of the PSF")
    kernel = np.maximum(kernel, 0)
    made = Job(seen, kernel / kernel.sum(dtype=np.float64).astype(np.float32), settings, "")
    _require_memory(made)
    return dataclasses.replace(made, note="; ".join(notes))


def _check_numbers(settings: Settings) -> None:
    if settings["steps"] < 1:
        raise UsageError(f"--steps must be at least 1, got {settings['steps']}.")
    if not 0 < settings["weight"] < float("inf"):
        raise UsageError(f"--weight must be positive, got {settings['weight']:g}.")
    if not 0 <= settings["background"] < float("inf"):
        raise UsageError(f"--background must be zero or more, got {settings['background']:g}.")


def _voxels(image: Any, psf: Any, whole: bool) -> list[str]:
    """Requires equal voxels, as far as both layers tell theirs."""
    mine, theirs = voxel(image), voxel(psf)
    if mine is None or theirs is None:
        silent = image.name if mine is None else psf.name
        return [f"{silent!r} has no scale; its voxels are taken to be those of the other layer"]
    axes = ("dz", "pixel", "pixel")[-3 if whole else -2 :]
    for axis, have, need in zip(axes, theirs[-len(axes) :], mine[-len(axes) :], strict=True):
        if abs(have / need - 1) > _ALIKE:  # false for what is no length
            raise UsageError(
                f"psf: its {axis} is {1e3 * have:.4g} nm, that of the image {1e3 * need:.4g} nm. "
                f"Compute the PSF with {axis} = {1e3 * need:.6g} nm, or correct a layer's scale."
            )
    return []


def _require_memory(made: Job) -> None:
    shape = made.image.shape[-made.psf.ndim :]
    padded = np.prod([fast_len(n + m - 1) for n, m in zip(shape, made.psf.shape, strict=True)])
    need = 4.0 * float(padded) * _COPIES + made.image.nbytes
    try:
        have = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):  # Windows: then the system tells
        return
    if need > 0.8 * have:
        raise UsageError(
            f"image: {shape} with this PSF takes about {size_text(need)} of memory, the computer "
            f"has {size_text(have)}. Crop the layer, or choose --extent planes."
        )


# -- computing -----------------------------------------------------------------------------


def deconvolve(made: Job, report: Report) -> np.ndarray:
    """The object, shaped like the image; ``report(done, all)`` may raise to end it."""
    rank = made.psf.ndim
    leading = made.image.shape[:-rank]
    result = np.empty(made.image.shape, np.float32)
    places = list(np.ndindex(*leading))
    rounds = _rounds(made.settings)
    for number, place in enumerate(places):
        for done, scene in enumerate(_one(made, made.image[place]), 1):
            report(number * rounds + done, len(places) * rounds)
            result[place] = scene
    return result


def _rounds(settings: Settings) -> int:
    return -(-settings["steps"] // _CHUNK) if settings["method"] == "richardson_lucy" else 1


def _one(made: Job, image: np.ndarray) -> Iterator[Array]:
    """The object of one plane or stack, better and better."""
    choices = made.settings
    boundary, background = choices["boundary"], choices["background"]
    if choices["method"] == "wiener":
        yield wiener(image - background, made.psf, choices["weight"], boundary=boundary)
    elif choices["method"] == "total_variation":
        yield total_variation(
            image - background,
            made.psf,
            choices["weight"],
            steps=5 * choices["steps"],
            boundary=boundary,
        )
    else:
        psf: Any = made.psf
        if psf.ndim == 3:
            spread, *pair = _imaging(image.shape, psf.shape, boundary)
            psf = tuple(Partial(f, spread(psf)) for f in pair)
        scene = None
        for done in range(0, choices["steps"], _CHUNK):
            scene = richardson_lucy(
                np.maximum(image, 0),
                psf,
                steps=min(_CHUNK, choices["steps"] - done),
                start=scene,
                background=background,
                **({} if made.psf.ndim == 3 else {"boundary": boundary}),
            )
            yield scene


@functools.lru_cache(8)
def _imaging(
    shape: tuple[int, ...], psf: tuple[int, ...], boundary: str
) -> tuple[Callable[..., Array], Callable[..., Array], Callable[..., Array]]:
    """Spectrum of a PSF ``(z, y, x)`` centered at N // 2, a stack's convolution, its adjoint.

    Beyond the stack is what ``boundary`` says: it gains a margin on each side as wide as the PSF
    reaches, so nothing wraps around.
    """
    middle = [m // 2 for m in psf]
    before = [m - 1 - c for m, c in zip(psf, middle, strict=True)]
    modes = {"reflect": "symmetric", "edge": "edge", "zero": "constant", "periodic": "wrap"}
    widths = list(zip(before, middle, strict=True))
    size = [fast_len(n + m - 1) for n, m in zip(shape, psf, strict=True)]
    cut = tuple(slice(m - 1, m - 1 + n) for n, m in zip(shape, psf, strict=True))

    def spread(kernel: Any) -> Array:
        return jnp.fft.rfftn(jnp.asarray(kernel), size)

    def project(spectrum: Array, scene: Array) -> Array:
        wide: Any = jnp.pad(scene, widths, mode=modes[boundary])
        return jnp.fft.irfftn(jnp.fft.rfftn(wide, size) * spectrum, size)[cut]

    def backproject(spectrum: Array, image: Array) -> Array:
        (back,) = jax.linear_transpose(functools.partial(project, spectrum), image)(image)
        return back

    return spread, project, backproject
