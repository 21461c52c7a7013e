"""One HTML page about a calibrated bead, with its pictures inside."""

from __future__ import annotations

import html
import os
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jax.typing import ArrayLike

from jaxwave import grid
from jaxwave._files import atomic
from jaxwave.beads import BeadFit, noise_variance
from jaxwave.beads.ties import Tie, pulled, sentence
from jaxwave.plot import fields, fits, stacks
from jaxwave.report import charts, verdict
from jaxwave.report.quality import PsfQuality
from jaxwave.report.style import STYLE


class Html(str):
    """Text that is HTML already; everything else is escaped."""

    __slots__ = ()


def escape(value: object) -> str:
    """Text that HTML takes as text."""
    return html.escape(str(value))


def link(folder: str, text: str) -> Html:
    """A link to a file beside the page, whatever its name."""
    address = escape(urllib.parse.quote(os.fsencode(folder)))
    return Html(f'<a href="{address}">{escape(text)}</a>')


def number(value: Any, digits: int = 3) -> str:
    """A number for people, with a true minus; a dash if there is none."""
    if value is None or not np.isfinite(value):
        return "–"
    text = f"{value:.{digits}g}"
    if 1e-5 <= abs(value) < 1e7:  # 33660, not 3.366e+04
        text = np.format_float_positional(float(text), trim="-")
    return text.replace("-", "−")


def fixed(value: object, places: int) -> str:
    """A number with a fixed count of decimals; a dash if there is none."""
    if value is None or not np.isfinite(value):
        return "–"
    return f"{value:.{places}f}".replace("-", "−")


def table(
    head: Iterable[str],
    rows: Iterable[Iterable[Any] | Html],
    numbers: Iterable[int] = (),
    *,
    kind: str = "",
) -> str:
    """An HTML table; cells, and rows that bring their own, are escaped unless they are Html."""
    right = set(numbers)

    def cell(tag: str, k: int, value: object) -> str:
        kind = ' class="number"' if k in right else ""
        text = value if isinstance(value, Html) else escape(value)
        return f"<{tag}{kind}>{text}</{tag}>"

    top = "".join(cell("th", k, v) for k, v in enumerate(head))
    body = "".join(
        row
        if isinstance(row, Html)
        else "<tr>" + "".join(cell("td", k, v) for k, v in enumerate(row)) + "</tr>\n"
        for row in rows
    )
    which = f' class="{kind}"' if kind else ""
    return f"<table{which}><thead><tr>{top}</tr></thead><tbody>\n{body}</tbody></table>"


def document(title: str, body: str) -> str:
    """A whole HTML document with the style inside."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body><main>\n{body}\n</main></body>\n</html>\n"
    )


def section(title: str, body: str, *, kind: str = "") -> str:
    """One box of the page."""
    heading = f"<h2>{escape(title)}</h2>\n" if title else ""
    return f'<section class="{kind}">{heading}{body}</section>'


def card(value: str, label: str) -> str:
    """One number of the top row."""
    return f'<div class="card"><b>{escape(value)}</b><span>{escape(label)}</span></div>'


def write_report(
    path: str | os.PathLike,
    fit: BeadFit,
    stack: ArrayLike,
    *,
    z: ArrayLike,
    result: Mapping[str, Any],
) -> Path:
    """Writes the page of a calibrated bead: one HTML file, pictures inside, no network.

    Valid for what :func:`save_bead_fit` wrote; the same input gives the same page.

    Args:
        path: File to write, usually ``report.html``.
        fit: The fit.
        stack: The data that were fitted, NaN where left out, ``(z, y, x)`` [counts].
        z: Nominal positions of the planes, ``(z,)`` [µm].
        result: What stands in ``result.json``.

    Returns:
        The path that was written.

    Raises:
        ImportError: If matplotlib is not installed.
        OSError: If the file cannot be written.

    Example:
        >>> write_report.__name__
        'write_report'
    """
    data, z = np.asarray(stack), np.asarray(z)
    title = result.get("name") or "Bead"
    quality = quality_of(result["psf"])
    body = "\n".join(
        [
            _head(title, result),
            _warning(result),
            _images(fit, data, z),
            _pupil(fit, result),
            _modes(fit, result),
            _performance(fit, data, quality, result.get("raw", {})),
            _parameters(result),
            _origin(result),
        ]
    )
    text = document(f"{title}: calibrated PSF", body).encode(errors="backslashreplace")
    return atomic("write_report", path, lambda stream: stream.write(text))


def quality_of(saved: Mapping[str, Any]) -> PsfQuality:
    """The quality as it stands in ``result.json``, with arrays again."""
    names = ("frequency", "mtf_x", "mtf_y", "mtf_ideal", "z", "crlb_um")
    arrays = {k: np.asarray(saved[k], np.float64) for k in names}
    return PsfQuality(**{**saved, **arrays})


def _index(objective: Mapping[str, Any]) -> float:
    """Index of the immersion."""
    return objective["n"] if objective["layers"] is None else objective["layers"]["n_i"]


def about(result: Mapping[str, Any], file: str = "") -> str:
    """What was measured with what: model and objective, then file, date, engraving and note."""
    model = result["model"]
    objective = model["objective"]
    kind = "vectorial" if model["vectorial"] else "scalar"
    line = (
        f"{kind} pupil model, NA {number(objective['na'])}, index {number(_index(objective), 4)}, "
        f"{fixed(1e3 * objective['wavelength'], 0)} nm, "
        f"{len(result['gain_counts'])} planes of {model['shape'][0]} × {model['shape'][1]} pixels"
    )
    return f'<p class="soft">{escape(line)}{_source(result, file)}</p>'


def _head(title: str, result: Mapping[str, Any]) -> str:
    widths = result["psf"]["fwhm_um"]
    cards = [
        card(fixed(result["heldout_nmse"], 4), verdict.scale(result)),
        card(fixed(result["strehl_ratio"], 2), "Strehl ratio"),
        card(f"{fixed(result['rms_wavefront_nm'], 1)} nm", "rms wavefront error, by amplitude"),
        *(
            card(
                f"{fixed(1e3 * widths[a]['fitted'], 0)} nm",
                f"FWHM {a}, without aberrations {fixed(1e3 * widths[a]['ideal'], 0)} nm",
            )
            for a in "xyz"
        ),
    ]
    return (
        f"<h1>{escape(title)}</h1>\n<p><b>{escape(verdict.sentence(result))}</b></p>\n"
        f"{about(result)}\n"
        f'<div class="cards">{"".join(cards)}</div>'
    )


def _source(result: Mapping[str, Any], file: str = "") -> str:
    """The file, its date, and what the operator noted."""
    origins, settings = result.get("provenance", {}), result.get("settings", {})
    path = str(origins.get("file", "")).rpartition(", sha256")[0]
    parts = [file or os.path.basename(path), str(origins.get("date", "")).partition(",")[0]]
    parts = [*parts, settings.get("objective"), settings.get("note")]
    told = ", ".join(str(part) for part in parts if part)
    return f"<br>{escape(told)}" if told else ""


def _warning(result: Mapping[str, Any]) -> str:
    reason = result["settings"].get("reason", "")
    return section("Do not trust this fit", f"<p>{escape(reason)}</p>", kind="warning") * bool(
        reason
    )


def _images(fit: BeadFit, data: np.ndarray, z: np.ndarray) -> str:
    dz, left_out = float(np.mean(np.abs(np.diff(z)))), int(np.count_nonzero(np.isnan(data)))
    spacing = (dz, fit.model.pixel, fit.model.pixel)
    drawing = stacks.draw_comparison(
        "write_report", shown(fit, data), fit.image, spacing, sqrt=True, longest=8.8
    )
    picture = charts.picture(drawing, "measured, fitted and residual planes", vector=False)
    caption = (
        "Square roots of the counts, in which photon noise is the same everywhere. Measurement "
        "and fit share one color scale; the residual has its own."
    )
    caption += f" {left_out} values that the fit left out show the fit." * bool(left_out)
    body = f'<div class="wide">{picture}</div>\n<p class="soft">{caption}</p>'
    return section("Measured, fitted, residual", body, kind="images")


def shown(fit: BeadFit, data: np.ndarray) -> np.ndarray:
    """The data with the fit in place of what was left out, so that it does not set the scale."""
    return np.where(np.isnan(data), fit.image, data)


def _pupil(fit: BeadFit, result: Mapping[str, Any]) -> str:
    wavelength = fit.model.wavelength
    plane = fields.draw_pupil(
        "write_report",
        fit.pupil_amplitude * np.exp(2j * np.pi * fit.pupil_opd / wavelength),
        spacing=fit.model.step / fit.model.na,
        mask=inside(fit),
        wavelength=wavelength,
        panel=2.0,
        rms=1e-3 * result["rms_wavefront_nm"],
    )
    history = fits.draw_history(
        "write_report",
        fit.history["loss"],
        fit.history["heldout_loss"],
        fit.history["report_steps"],
        size=(2.3, 1.9),
        apart=True,
    )
    pictures = charts.picture(plane, "amplitude and phase of the pupil", vector=False)
    curve = charts.picture(history, "loss after every step")
    caption = f"{escape(fit.reason)}, {number(fit.seconds)} s"
    return section(
        "Pupil and the way to it",
        f'<div class="row"><figure>{pictures}</figure><figure>{curve}'
        f"<figcaption>{caption}</figcaption></figure></div>",
        kind="pupil",
    )


def inside(fit: BeadFit) -> np.ndarray:
    """Where the pupil grid lies within the aperture, without its partly covered rim."""
    place = grid.indices(fit.model.samples) * fit.model.step
    radius = np.hypot(place[:, None], place[None, :])
    return radius <= float(fit.values["na"]) - fit.model.step


def _modes(fit: BeadFit, result: Mapping[str, Any]) -> str:
    values, errors = fit.values["zernike_um"], fit.errors["zernike_um"]
    pitch = max(min(0.6, 10.6 / max(len(values), 1)), 0.15)
    bars = fits.draw_zernikes(
        "write_report", values, fit.model.modes, errors, pitch=pitch, title="Zernike modes"
    )
    picture = charts.picture(bars, "Zernike coefficients with their errors")
    largest = max((abs(row["opd_nm"]) for row in result["zernikes"]), default=1.0) or 1.0
    rows = [
        (
            row["name"],
            f"({row['n']}, {row['m']})".replace("-", "−"),
            row["osa"],
            row["noll"],
            row["fringe"],
            f"{fixed(row['opd_nm'], 2)} ± {fixed(row['error_nm'], 2)}",
            fixed(1e-3 * row["opd_nm"] / fit.model.wavelength, 4),
            Html(f'<i class="bar" style="width:{40 * abs(row["opd_nm"]) / largest:.0f}px"></i>'),
        )
        for row in result["zernikes"]
    ]
    head = ("mode", "(n, m)", "OSA", "Noll", "Fringe", "path [nm]", "waves", "")
    half = (len(rows) + 1) // 2
    halves = [table(head, part, (2, 3, 4, 5, 6)) for part in (rows[:half], rows[half:]) if part]
    note = (
        "Orthonormal modes (rms one over the pupil), optical path; piston, tilt and the true "
        "defocus are position, not aberration. Errors: one standard deviation, the larger of that "
        "of the noise and that of the scatter from plane to plane; the free maps of the pupil "
        "count as unknown in the modes that follow these."
    )
    return section(
        "Aberrations",
        f'<div class="wide bars">{picture}</div><p class="soft">{note}</p>'
        f"<details open><summary>All modes with their OSA/ANSI, Noll and Fringe numbers</summary>"
        f'<div class="row modes wide">{"".join(halves)}</div></details>',
    )


def _performance(
    fit: BeadFit, data: np.ndarray, quality: PsfQuality, raw: Mapping[str, float]
) -> str:
    rows = [
        (
            axis,
            fixed(1e3 * raw.get(f"fwhm_{axis}_um", np.nan), 0),
            *(fixed(1e3 * w[k], 0) for k in ("fitted", "ideal", "formula")),
        )
        for axis, w in quality.fwhm_um.items()
    ]
    head = ("FWHM [nm]", "measured, raw", "fitted PSF", "no aberrations", "formula")
    widths = table(head, rows, (1, 2, 3, 4))
    variance, _, _ = noise_variance(shown(fit, data), model_error=0.0, cutoff=fit.model.cutoff)
    normal = (data - fit.image) / np.sqrt(variance)
    normal = normal[np.isfinite(normal)]
    cutoff = 2 * float(fit.values["na"]) / fit.model.wavelength
    photons = (
        f"Lowest standard deviation (Cramér-Rao) for {number(quality.photons, 6)} photons on "
        f"{number(quality.background)} background photons in a pixel, brightness and background "
        "unknown too, no read noise."
    )
    figures = (
        (
            charts.mtf(quality, cutoff),
            "Modulation transfer in the best plane; dotted: the limit 2 NA/λ.",
        ),
        (charts.bounds(quality), photons),
        (charts.residuals(normal), "Residuals in units of the estimated noise of each pixel."),
    )
    boxes = "".join(
        f"<figure>{charts.picture(drawing, text)}<figcaption>{escape(text)}</figcaption></figure>"
        for drawing, text in figures
    )
    note = (
        "Raw: lines through the brightest voxel, with bead, pixel and noise in them. The fitted "
        "PSF with its blur, without the camera's pixel, and the same microscope without "
        "aberrations; formula: 0.51 λ/NA and 0.88 λ/(n − √(n² − NA²))."
    )
    if raw:
        note += (
            f" Lateral asymmetry {fixed(raw['asymmetry'], 2)} (1 is round); the peak is "
            f"{number(raw['signal_to_background'])} times the background, with the camera's offset."
        )
    return section(
        "What it resolves and localizes",
        f'<div class="row">{boxes}</div><div class="wide">{widths}</div><p class="soft">{note}</p>',
        kind="resolves",
    )


_UNITS = {"_um": " [µm]", "_nm": " [nm]", "_pixels": " [pixels]", "_counts": " [counts]"}


def _label(name: str) -> str:
    for ending, unit in _UNITS.items():
        if name.endswith(ending):
            return name.removesuffix(ending).replace("_", " ") + unit
    return name.replace("_", " ")


def _pairs(values: ArrayLike, errors: ArrayLike) -> str:
    columns = zip(np.atleast_1d(values), np.atleast_1d(errors), strict=True)
    return ",  ".join(f"{number(v, 4)} ± {number(e, 2)}" for v, e in columns)


_FACTORS = ("pixel_factor", "dz_factor", "blur_sigma_pixels")


def _lengths(result: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The fitted factors as the lengths that they mean."""
    values, errors = result["parameters"], result["errors"]
    pixel = 1e3 * result["model"]["pixel"]
    factor, error = (float(part["pixel_factor"]) for part in (values, errors))
    yield "pixel in the sample [nm]", f"{_pairs(pixel * factor, pixel * error)}, given {pixel:.4g}"
    factor, error = (float(part["dz_factor"]) for part in (values, errors))
    off, bar = 100 * (factor - 1), 100 * error
    yield "distance of the planes, against what was given [%]", f"{off:+.2f} ± {number(bar, 2)}"
    blur = [pixel * np.asarray(part["blur_sigma_pixels"]) for part in (values, errors)]
    yield "blur beside the pixel, standard deviation y, x [nm]", _pairs(*blur)


def _parameters(result: Mapping[str, Any]) -> str:
    values, errors = result["parameters"], result["errors"]
    names = [k for k in values if k not in ("amplitude_modes", *_FACTORS)]
    rows = [(_label(k), _pairs(values[k], errors[k])) for k in names]
    rows += list(_lengths(result))
    gain, background = (np.asarray(result[f"{k}_counts"]) for k in ("gain", "background"))
    for name, array in (("gain [counts]", gain), ("background [counts]", background)):
        low, middle, high = (number(q, 4) for q in np.quantile(array, (0, 0.5, 1)))
        rows.append((name, f"{middle} in the middle, from {low} to {high} over the planes"))
    scores = {
        "held-out NMSE, gain of every plane": result["heldout_nmse"],
        "held-out NMSE, one gain": result["heldout_nmse_one_gain"],
        "fitted NMSE": result["fitted_nmse"],
        "NMSE that the noise alone leaves": result.get("noise_floor_nmse"),
        "chi-squared for each degree of freedom": result.get("reduced_chi_squared"),
        "errors of the modes by drawing the planes anew, over the bars (1 is as good, median)": (
            result.get("bootstrap_over_error")
        ),
    }
    rows += [(name, number(score, 4)) for name, score in scores.items()]
    if result["scores"].get("photons") is not None:
        rows.append(
            ("photons through the pupil in a plane", number(result["scores"]["photons"], 4))
        )
    said = sentence(Tie(tuple(t["names"]), t["correlation"]) for t in result.get("ties", ()))
    moved = pulled(values, float(result["model"]["objective"]["na"]))
    note = "".join(f'<p class="soft">{escape(text)}</p>' for text in (said, moved) if text)
    body = f'<div class="numbers">{table(("parameter", "value ± error"), rows)}</div>'
    return section("Fitted numbers", body + note)


def _flat(name: str, parts: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Nested settings under dotted names."""
    for key, value in parts.items():
        if isinstance(value, Mapping):
            yield from _flat(f"{name}.{key}", value)
        else:
            yield f"{name}.{key}", value


def _origin(result: Mapping[str, Any]) -> str:
    said = result["provenance"].items()
    rows = [(name, "not given" if text == "None, default" else text) for name, text in said]
    origins = table(("number", "origin"), rows, kind="flow")
    parts = [section("Where every number came from", origins)] * bool(rows)
    settings = {**result["settings"], **dict(_flat("model", result["model"]))}
    lines = [
        (k, Html(f"<code>{escape(v)}</code>")) for k, v in settings.items() if v not in ("", None)
    ]
    versions = ", ".join(f"{k} {v}" for k, v in result.get("versions", {}).items())
    body = table(("setting", "value"), lines, kind="flow")
    body += f'<p class="soft">{escape(versions)}; every setting stands in result.json</p>'
    return "\n".join([*parts, section("Exact settings and versions", body, kind="exact")])
