"""The table of a batch: CSV for programs, columns for people, a page that links the beads."""

from __future__ import annotations

import csv
import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np

from jaxwave import io, report
from jaxwave.cli.outputs import TABLE
from jaxwave.cli.terminal import count
from jaxwave.plot import fits
from jaxwave.report import charts, mean, page, verdict
from jaxwave.report.folder import is_guarded, write_table

_NUMBERS = ("heldout_nmse", "strehl", "rms_nm", "fwhm_x_nm", "fwhm_y_nm", "fwhm_z_nm", "seconds")
_SHOWN = ("bead", "status", "heldout_nmse", "strehl", "rms_nm", "fwhm_x_nm", "fwhm_z_nm", "reason")
_MOST_FIELDS = 12  # pictures on the page
_PAGES = (
    "Beads without a link have no page of their own yet; jaxwave report FOLDER writes one for each."
)
_MOST_FILES = 3  # named at the top
_FATES = "numbers are those of the table; crosses are spots that were left out, and why."
_TEXTS = ("bead", "file", "status", "reason", "folder")
_TITLES = {
    "heldout_nmse": "held-out NMSE",
    "strehl": "Strehl ratio",
    "rms_nm": "wavefront rms [nm]",
    "fwhm_x_nm": "FWHM x [nm]",
    "fwhm_y_nm": "FWHM y [nm]",
    "fwhm_z_nm": "FWHM z [nm]",
}
_FORMS = {"heldout_nmse": ".4f", "strehl": ".2f", "snr": ".0f", "seconds": ".1f"}


def row(name: str, path: str, *, bead: Any = None, status: str = "", reason: str = "") -> dict:
    """A row of the table, before the fit."""
    center = ("", "", "") if bead is None else tuple(round(c, 2) for c in bead.center)
    if bead is not None:
        status, reason = ("waiting", "") if bead.ok else ("rejected", bead.rejected)
    return {
        "bead": name,
        "file": path,
        **dict(zip(("z", "y", "x"), center, strict=True)),
        "snr": "" if bead is None else round(bead.snr, 1),
        "status": status,
        **dict.fromkeys(_NUMBERS, ""),
        "reason": " ".join(reason.split()),
        "folder": "",
    }


def numbers(result: dict[str, Any]) -> dict[str, Any]:
    """The numbers of a finished bead for its row."""
    widths = result["psf"]["fwhm_um"]
    return {
        "status": result["settings"]["status"],
        "reason": result["settings"]["reason"],
        "heldout_nmse": result["heldout_nmse"],
        "strehl": result["strehl_ratio"],
        "rms_nm": result["rms_wavefront_nm"],
        **{f"fwhm_{axis}_nm": 1e3 * (widths[axis]["fitted"] or np.nan) for axis in "xyz"},
        "seconds": result["fit_seconds"],
    }


def read(folder: Path) -> list[dict[str, Any]]:
    """The rows of ``beads.csv`` as they were before they were written."""
    with (folder / TABLE).open(encoding="utf-8-sig", newline="") as stream:
        rows = [*csv.DictReader(stream)]
    return [{name: value(name, row.get(name) or "") for name in row if name} for row in rows]


def value(name: str, text: str) -> float | str:
    """A cell as it was before; a name that looks like a number stays a name."""
    if is_guarded(text):
        return text[1:]
    if name in _TEXTS:
        return text
    try:
        return float(text)
    except ValueError:
        return text


def write(folder: Path, rows: list[dict[str, Any]]) -> None:
    """Writes the table as ``beads.csv``."""
    write_table(folder / TABLE, rows)


def _cell(name: str, value: object) -> str:
    if isinstance(value, float):
        return format(value, _FORMS.get(name, ".1f"))
    return str(value)


def text(rows: list[dict[str, Any]]) -> str:
    """The table in columns, and how many beads have which status."""
    cells = [_SHOWN, *([_cell(name, r[name]) for name in _SHOWN] for r in rows)]
    widths = [max(len(line[k]) for line in cells) for k in range(len(_SHOWN))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) for line in cells]
    states = [r["status"] for r in rows]
    counts = ", ".join(f"{states.count(s)} {s}" for s in dict.fromkeys(states))
    return "\n".join([*(line.rstrip() for line in lines), f"{count(len(rows), 'bead')}: {counts}"])


def line(r: dict[str, Any]) -> str:
    """One finished bead."""
    parts = [r["bead"], r["status"]]
    if isinstance(r["heldout_nmse"], float):
        parts.append(f"held-out NMSE {r['heldout_nmse']:.4f}")
    return "  ".join([*parts, str(r["reason"])]).rstrip()


def page_of(folder: Path) -> Path:
    """Writes the page of one bead from its folder."""
    saved = report.load_bead_fit(folder)
    return report.write_report(
        folder / "report.html", saved.fit, saved.data, z=saved.z, result=saved.result
    )


def summary(folder: Path, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean and scatter over the good beads, as ``result.json`` and ``report.html``."""
    good = [r for r in rows if r["status"] == "ok"]
    beads = [report.load_bead_fit(folder / r["folder"]) for r in good]
    scores = [r["heldout_nmse"] for r in good]
    result: dict[str, Any] = {
        "beads": len(rows),
        "good_beads": len(good),
        "means": mean.widths(rows),
        "heldout_nmse": float(np.median(scores)) if scores else None,
        "heldout_nmse_meaning": "median over the good beads",
        "table": rows,
        "versions": io.results.versions(),
    }
    top, chart = _means(folder, good, beads, result) if beads else ("", "")
    io.write_json(folder / "result.json", result)
    _write_page(folder, rows, result, top, chart)
    return result


def _means(
    folder: Path, rows: list[dict[str, Any]], beads: list[Any], result: dict[str, Any]
) -> tuple[str, str]:
    """Writes the mean pupil and PSF with their spread; returns their two parts of the page."""
    same = mean.alike(beads)
    rows = [row for row, bead in zip(rows, beads, strict=True) if any(bead is b for b in same)]
    one = mean.mean_bead(same)
    spread = mean.spread_of(same, one)
    modes = one.fit.model.modes
    result["mean"] = {"beads": len(same), **mean.summary_of(one)}
    result["zernikes"] = [
        {"n": row["n"], "m": row["m"], "mean_nm": row["opd_nm"], "sd_nm": row["sd_nm"]}
        for row in one.result["zernikes"]
    ]
    io.save_arrays(folder / "mean.npz", dataclasses.asdict(spread))
    step = float(np.mean(np.abs(np.diff(one.z))))
    spacing = (step, one.fit.model.pixel, one.fit.model.pixel)
    io.write_stack(folder / "psf.ome.tif", spread.psf, spacing=spacing)
    write_table(folder / "zernikes.csv", one.result["zernikes"])
    pitch = max(min(0.6, 10.6 / len(modes)), 0.15)
    sds = 1e-3 * np.array([row["sd_nm"] for row in one.result["zernikes"]])
    values = one.fit.values["zernike_um"]
    bars = fits.draw_zernikes("summary", values, modes, sds, pitch=pitch, title="Zernike modes")
    picture = charts.picture(bars, "mean Zernike coefficients and their scatter")
    note = (
        f"Mean over {count(len(same), 'good bead')}; the bars are the standard deviation from "
        "bead to bead."
    )
    shared = "The pupil and the PSF of the mean modes and maps; below, from bead to bead."
    where = "Places in pixels of the field; each color bar spans its mode's own values."
    parts = (
        ("Mean pupil and mean PSF", mean.picture_of(spread, one.fit), shared),
        ("Aberrations that the beads share", picture, note),
        ("Aberrations over the field", mean.map_of(rows, same), where),
    )
    chart = "\n".join(
        page.section(
            title, f'<div class="wide">{image}</div><p class="soft">{told}</p>', kind="means"
        )
        for title, image, told in parts
    )
    return _top(rows, same[0].result, {**one.result, **result["mean"]}), chart


def _top(rows: list[dict[str, Any]], first: dict[str, Any], one: dict[str, Any]) -> str:
    """The first sentence, of the mean over the good beads, and what was measured with what."""
    said = verdict.sentence({"model": first["model"], **one})
    files = [*dict.fromkeys(os.path.basename(str(row["file"])) for row in rows)]
    named = ", ".join(files[:_MOST_FILES])
    named += f" and {count(len(files) - _MOST_FILES, 'more file')}" * (len(files) > _MOST_FILES)
    mean_of = f"Mean of {count(one['beads'], 'good bead')}: {said[0].lower()}{said[1:]}"
    return f"<p><b>{page.escape(mean_of)}</b></p>\n{page.about(first, named)}"


def _fields(folder: Path, rows: list[dict[str, Any]]) -> str:
    """The pictures of the fields that lie in the folder."""
    stems = dict.fromkeys(row["bead"].rpartition("-")[0] for row in rows)
    pictures = [f"{stem}.field.png" for stem in stems if (folder / f"{stem}.field.png").is_file()]
    boxes = ""
    for name in pictures[:_MOST_FIELDS]:
        image = charts.embedded((folder / name).read_bytes(), "png", "spots that were found", 800)
        told = page.escape(f"{name.removesuffix('.field.png')}: {_FATES}")
        boxes += f"<figure>{image}<figcaption>{told}</figcaption></figure>"
    if len(pictures) > _MOST_FIELDS:
        boxes += f"<p>{len(pictures) - _MOST_FIELDS} more lie beside this page, *.field.png.</p>"
    return page.section("The field", f'<div class="row">{boxes}</div>', kind="field") * bool(
        pictures
    )


def _every_bead(folder: Path, rows: list[dict[str, Any]]) -> str:
    """The table of all beads; a reason stands below its bead, as wide as the numbers."""
    names = ("bead", "status", "heldout_nmse", "strehl", "rms_nm")
    names += ("fwhm_x_nm", "fwhm_y_nm", "fwhm_z_nm")
    titles = [_TITLES.get(name, name) for name in names]
    lines: list[Any] = []
    linked = 0
    for r in rows:
        cells = [_cell(name, r[name]) for name in names]
        if r["folder"] and (folder / r["folder"] / "report.html").is_file():
            cells[0] = page.link(f"{r['folder']}/report.html", r["bead"])
            linked += 1
        lines.append(cells)
        if r["reason"]:
            why = f'<td colspan="7"><div>{page.escape(r["reason"])}</div></td>'
            lines.append(page.Html(f'<tr class="why"><td></td>{why}</tr>\n'))
    table = page.table(titles, lines, range(2, 8), kind="beads")
    fitted = sum(bool(r["folder"]) for r in rows)
    told = "" if linked == fitted else f'<p class="soft">{_PAGES}</p>'
    return page.section("Every bead", f'<div class="wide">{table}</div>{told}')


def _write_page(
    folder: Path, rows: list[dict[str, Any]], result: dict[str, Any], top: str, chart: str
) -> None:
    score = result["heldout_nmse"]
    cards = [
        page.card(f"{result['good_beads']} of {len(rows)}", "beads are good"),
        page.card(page.fixed(score, 4), "error on planes not fitted (NMSE), median"),
    ]
    for name, both in result["means"].items():
        places = 2 if name == "strehl" else 0
        text = " ± ".join(page.fixed(both[part], places) for part in ("mean", "sd"))
        cards.append(page.card(text, f"{_TITLES[name]}, mean and deviation of the good beads"))
    body = [
        f'<h1>{count(len(rows), "bead")}</h1>{top}<div class="cards">{"".join(cards)}</div>',
        _every_bead(folder, rows),
        _fields(folder, rows),
        chart,
    ]
    text = page.document(count(len(rows), "bead"), "\n".join(body))
    data = text.encode(errors="backslashreplace")
    page.atomic("report", folder / "report.html", lambda stream: stream.write(data))
