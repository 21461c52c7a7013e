"""The first sentence of a report: what the microscope is like, and what could be turned."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from jaxwave.beads.judge import described, wide_blur
from jaxwave.beads.spherical import read_departures
from jaxwave.beads.spherical import sentence as layers_sentence

# What usually makes an aberration, and what changes it, by the azimuthal order of its modes.
_CAUSES = {
    "spherical aberration": "the correction collar, the coverslip's thickness, the index of the "
    "immersion or the depth of the beads",
    "coma": "the alignment of the objective, or a coverslip that is tilted",
    "astigmatism": "a stressed or tilted plane element, such as a dichroic mirror, or the "
    "alignment of relay lenses",
    "trefoil": "a stressed mirror or objective",
    "higher modes": "the surfaces of the optics, or a refractive sample",
}
_UNTRUSTED = {
    "bad": "The model does not describe this stack",
    "noisy": "This stack is nearly all noise",
}
_MARECHAL = 14  # a wavefront of wavelength/14 rms has a Strehl ratio of 0.8


def kinds(modes: list[Mapping[str, Any]]) -> dict[str, float]:
    """Rms of the kinds of aberration [nm], the largest first."""
    names = {0: "spherical aberration", 1: "coma", 2: "astigmatism", 3: "trefoil"}
    squares: dict[str, float] = {}
    for mode in modes:
        kind = names.get(abs(mode["m"]), "higher modes")
        squares[kind] = squares.get(kind, 0.0) + mode["opd_nm"] ** 2
    return {k: math.sqrt(v) for k, v in sorted(squares.items(), key=lambda item: -item[1])}


def sentence(result: Mapping[str, Any]) -> str:
    """Whether the microscope is diffraction-limited, what dominates, and what could be turned."""
    wavelength = 1e3 * result["model"]["objective"]["wavelength"]
    rms = result["rms_wavefront_nm"]
    if not math.isfinite(rms):
        return "The fit is not finite: nothing can be said about the microscope."
    if result.get("noise_floor_nmse") is not None and _word(result) in _UNTRUSTED:
        return f"{_UNTRUSTED[_word(result)]}: nothing can be said about the microscope."
    if result.get("settings", {}).get("status") == "poor":
        return "This fit says nothing about the microscope; the reason stands below."
    limited = rms <= wavelength / _MARECHAL
    word = "Diffraction-limited" if limited else "Not diffraction-limited"
    waves = f"{rms:.0f} nm rms, {rms / wavelength:.3f} waves"
    side = "below" if limited else "above"
    text = f"{word}: the wavefront error is {waves}, {side} a fourteenth of a wave"
    parts = kinds(result["zernikes"])
    if not parts:
        return text + "."
    (name, size), *rest = parts.items()
    text += f"; {name} dominates with {size:.0f} nm"
    text += f", then {rest[0][0]} with {rest[0][1]:.0f} nm." if rest else "."
    if not limited:
        text += f" Look at {_CAUSES[name]}."
    return text + _layers(result) + _large_bead(result)


def _layers(result: Mapping[str, Any]) -> str:
    """What the spherical aberration says of the layers, if that was asked."""
    said = layers_sentence(read_departures(result))
    return f" {said}" if said else ""


def _large_bead(result: Mapping[str, Any]) -> str:
    """Says of a bead that it is larger than the PSF, as far as its blur tells."""
    values, model = result.get("parameters", {}), result["model"]
    if "blur_sigma_pixels" not in values:
        return ""
    focus = model["objective"]["wavelength"] / float(values["na"])
    sigma = wide_blur(model["pixel"], focus, values["blur_sigma_pixels"])
    if not sigma:
        return ""
    return (
        f" The bead is larger than the PSF, or the pixel is not what was given: the blur of "
        f"{1e3 * sigma:.0f} nm is that of a bead of {2 * math.sqrt(5) * sigma:.2g} µm."
    )


def scale(result: Mapping[str, Any]) -> str:
    """How good the fit is, against the noise of this stack."""
    floor = result.get("noise_floor_nmse")
    if floor is None:
        return "held-out NMSE"
    return f"held-out NMSE: {_word(result)}; the noise of this stack alone leaves {floor:.4f}"


def _word(result: Mapping[str, Any]) -> str:
    """How well the fit describes the data, by the same rule as the fit's own warning."""
    chi2 = result.get("reduced_chi_squared")
    known = result["heldout_nmse"], result["noise_floor_nmse"]
    return described(*known, math.inf if chi2 is None else chi2)
