"""``jaxwave calibrate`` and ``jaxwave resume``: from files to a folder of calibrated beads."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import hashlib
import json
import os
import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from jaxwave import io, report
from jaxwave._files import remove_temporary, sha256
from jaxwave.beads import (
    BeadModel,
    BeadOutcome,
    Camera,
    fit_beads,
    shared_start,
)
from jaxwave.beads.model import blur_parameter
from jaxwave.calibration.run_folder import RunFolder
from jaxwave.cli import batch, checks, early, finding, names, options, outputs, progress
from jaxwave.cli.outputs import JOB
from jaxwave.cli.settings import (
    Settings,
    UsageError,
    differences,
    gather,
    inputs,
    write_toml,
)
from jaxwave.cli.terminal import count, in_flags, say, warn
from jaxwave.compute import tune_cpu
from jaxwave.report.field import draw_field

_DRIFT = ("drift_y", "drift_x", "drift_z")


@dataclasses.dataclass(frozen=True)
class _Task:
    """One bead that is to be fitted."""

    name: str
    folder: Path
    row: dict[str, Any]
    window: io.Stack
    z: np.ndarray
    model: BeadModel
    provenance: dict[str, str]
    job: str
    camera: Camera | None


def calibrate(arguments: argparse.Namespace) -> int:
    """Calibrates the beads of the files, into a folder of their results."""
    settings = arguments.settings
    folder, force = Path(settings["out"]), arguments.force
    job = folder / JOB
    own = arguments.config is not None and outputs.same(arguments.config, job)
    if job.is_file() and (own or (outputs.is_our_job(job) and not force)):
        _require_same(settings, job, own=own)
    reads = inputs(options.CALIBRATE, settings.values)
    if arguments.config is not None and not own:
        reads.append(arguments.config)
    outputs.claim(folder, [folder], reads, force=force, own=own)
    report.prepare(folder)
    with RunFolder(folder) as run:
        rows, tasks = _find(settings, folder)
        _claim_beads(folder, tasks, reads, force=force)
        if not own:
            write_toml(job, options.CALIBRATE, settings)
        return _run(settings, folder, run, rows, tasks)


def _require_same(settings: Settings, job: Path, *, own: bool) -> None:
    """Requires that the settings of a folder are those of this run."""
    earlier = gather(options.CALIBRATE, {}, str(job))
    if own:  # a user may have written patterns and folders
        earlier.values["files"] = names.expand(earlier["files"] or [])
    other = differences(earlier, settings)
    if other:
        last = "." if own else ", or replace them with --force."
        raise UsageError(
            f"{str(job.parent)!r} holds results of other settings: {'; '.join(other)}. Choose "
            f"another folder with -o{last}"
        )


def _claim_beads(folder: Path, tasks: list[_Task], reads: list[str], *, force: bool) -> None:
    """Requires that the folders of the beads may be written, and clears what a kill left."""
    places = [task.folder for task in tasks if task.folder != folder]
    outputs.claim(folder, places, reads, force=force)
    for place in places:
        remove_temporary(place)


def resume(arguments: argparse.Namespace) -> int:
    """Goes on with the beads that are not done."""
    folder, settings = Path(arguments.folder), arguments.settings
    reads = inputs(options.CALIBRATE, settings.values)
    fix = f"Move it away, or take another folder: jaxwave calibrate --config {folder / JOB} -o ..."
    outputs.claim(folder, [folder], reads, force=False, own=True, fix=fix)
    report.prepare(folder)
    with RunFolder(folder) as run:
        rows, tasks = _find(settings, folder)
        _claim_beads(folder, tasks, reads, force=False)
        done = 0
        for task in tasks:
            finished = _finished(task)
            if finished is not None:
                task.row.update(finished, folder=os.path.relpath(task.folder, folder))
                done += 1
        say(f"{done} of {count(len(tasks), 'bead')} {'is' if done == 1 else 'are'} done already")
        return _run(settings, folder, run, rows, tasks)


def _blur(settings: Settings, pixel: float) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What the blur starts from, and whether it stays there."""
    sigma = checks.blur(settings["blur"])
    if sigma is None:
        return {}, ()
    return {"blur": blur_parameter(np.full(2, sigma / pixel))}, ("blur",)


# -- the batch -----------------------------------------------------------------------------


def _run(
    settings: Settings,
    folder: Path,
    run: RunFolder,
    rows: list[dict[str, Any]],
    tasks: list[_Task],
) -> int:
    if not tasks:
        batch.write(folder, rows)
        say(batch.text(rows))
        raise RuntimeError(_nothing(rows))
    with contextlib.suppress(OSError):  # tells who writes here from now on
        batch.write(folder, rows)
    tune_cpu()
    waiting = [task for task in tasks if task.row["status"] == "waiting"]
    with progress.shown() as bar:
        for task, outcome in _fit(settings, waiting, _first_start(tasks), _Stopper(run, bar)):
            _keep(settings, task, outcome, alone=len(tasks) == 1)
            with contextlib.suppress(OSError):  # tried again after the next bead and at the end
                batch.write(folder, rows)
            if len(tasks) > 1:
                say(batch.line(task.row))
    return _end(settings, folder, rows, tasks)


class _Stopper:
    """Passes progress on, and ends the run where a signal asked for it."""

    def __init__(self, run: RunFolder, bar: Any) -> None:
        self._run, self._bar = run, bar

    def __call__(self, *parts: Any) -> None:
        self._bar(*parts)
        if self._run.stop_signal is not None:
            warn(f"stopped; go on with: jaxwave resume {shlex.quote(str(self._run.path))}")
            raise SystemExit(self._run.exit_code)


def _find(settings: Settings, folder: Path) -> tuple[list[dict[str, Any]], list[_Task]]:
    """Reads the files and finds their beads: rows of the table, and what is to be fitted."""
    rows: list[dict[str, Any]] = []
    found: list[tuple[dict[str, Any], finding.Field, Any]] = []
    for path, stem in zip(settings["files"], names.stems(settings["files"]), strict=True):
        try:
            field = finding.read_field(settings, path)
        except (ValueError, TypeError, OSError, MemoryError) as error:
            if len(settings["files"]) == 1:
                raise
            reason = in_flags(str(error), options.CALIBRATE)
            rows.append(batch.row(stem, path, status="failed", reason=reason))
            continue
        say(field.stack.describe())
        good = sum(bead.ok for bead in field.beads)
        spots = f"{len(field.beads)} spot{'s' * (len(field.beads) != 1)} found, {good} good"
        say(f"  {spots}, windows of {field.size} pixels")
        _draw(field, folder / f"{stem}.field.png")
        kept = 0
        for number, bead in enumerate(field.beads, 1):
            row = batch.row(f"{stem}-{number:03d}", path, bead=bead)
            rows.append(row)
            wanted = bead.ok or settings["keep"] == "all"
            if wanted and settings["most"] is not None and kept >= settings["most"]:
                row.update(status="skipped", reason="more beads than --most")
            elif wanted:
                kept += 1
                row["status"] = "waiting"  # also what would be rejected (--keep all)
                found.append((row, field, bead))
    return rows, list(_tasks(settings, folder, found, rows))


def _draw(field: finding.Field, picture: Path) -> None:
    """Draws the field before anything is fitted; somebody else's picture stays."""
    if picture.exists() and not outputs.is_our_picture(picture):
        warn(f"warning: {str(picture)!r} is there already; the field is not drawn")
        return
    try:
        picture.parent.mkdir(parents=True, exist_ok=True)  # somebody may have removed it
        draw_field(field.stack, field.beads, field.size, picture)
    except OSError as error:
        warn(f"warning: the field is not drawn: {error.strerror or error}")


def _tasks(
    settings: Settings, folder: Path, found: list[Any], rows: list[dict[str, Any]]
) -> Iterator[_Task]:
    alone = len(found) == 1
    for row, field, bead in found:
        stack = field.stack
        try:
            window = finding.window_of_bead(settings, field, bead)
            dz, dy, dx = stack.spacing
            if abs(dy / dx - 1) > 1e-3:
                raise ValueError(f"the pixels must be square, got {dy:g} x {dx:g} µm.")
            early.planes(settings, dz)
            model = BeadModel(
                finding.objective(settings),
                pixel=dx,
                shape=(window.shape[1], window.shape[2]),
                order=settings["order"],
                vectorial=settings["model"] == "vectorial",
                bead_diameter=settings["bead"],
            )
        except (ValueError, UsageError) as error:
            if len({r["file"] for r in rows}) == 1:
                raise ValueError(str(error)) from None  # the file's numbers, no wrong flag
            row.update(status="failed", reason=in_flags(str(error), options.CALIBRATE))
            continue
        z = (np.arange(len(window.data)) - len(window.data) // 2) * dz
        z = -z if settings["stage"] == "reverse" else z  # the images alone cannot tell
        place = folder if alone else folder / row["bead"]
        said = _provenance(settings, window)
        seen = finding.camera_of(field, bead)
        job = _job(settings, row, stack)
        yield _Task(row["bead"], place, row, window, z, model, said, job, seen)


# What does not change how one bead is fitted.
_BESIDE = ("out", "pages", "files", "most", "threshold", "note")


def _job(settings: Settings, row: dict[str, Any], stack: io.Stack) -> str:
    """Checksum of what one fit depends on: settings, contents of files, the place in the stack."""
    own = {name: value for name, value in settings.values.items() if name not in _BESIDE}
    tables = [sha256(Path(path)) for path in inputs(options.CALIBRATE, own)]
    found = [own, stack.sha256, row["z"], row["y"], row["x"], *tables]
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()


def _provenance(settings: Settings, window: io.Stack) -> dict[str, str]:
    lengths = ("wavelength", "bead", "t_s", "t_g", "t_g_design", "t_i_design", "radius")
    units = dict.fromkeys(lengths, " µm")
    names = (
        "na",
        "n",
        "wavelength",
        "model",
        "bead",
        "n_s",
        "t_s",
        "stage",
        "size",
        "order",
        "gain",
        "blur",
        "drift",
    )
    layers = [k for k in (*checks.LAYERS, "fit") if settings[k] is not None and k != "n_s"]
    own = {
        name: f"{settings[name]}{units.get(name, '')}, {settings.origin(name)}"
        for name in (*names, *layers)
    }
    notes = {f"note {k}": text for k, text in enumerate(window.notes, 1)}
    source = {"file": f"{window.path}, sha256 {window.sha256}", "type": window.file_dtype}
    with contextlib.suppress(OSError):
        day = time.gmtime(os.path.getmtime(window.path))
        source["date"] = f"{time.strftime('%Y-%m-%d', day)}, when the file was written"
    return {**own, **window.provenance, **notes, **source}


def _finished(task: _Task) -> dict[str, Any] | None:
    """The row of a bead that is done, or None."""
    try:
        result = json.loads((task.folder / "result.json").read_text(encoding="utf-8"))
        return batch.numbers(result) if result["settings"]["job"] == task.job else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _first_start(tasks: list[_Task]) -> dict[str, Any] | None:
    """The pupil of the first bead that was fitted well, as an uninterrupted batch would use."""
    for task in tasks:
        if task.row["status"] == "ok":
            try:
                return shared_start(report.load_bead_fit(task.folder).fit)
            except (OSError, ValueError):
                continue
    return None


def _fit(
    settings: Settings, tasks: list[_Task], start: dict[str, Any] | None, progress: Any
) -> Iterator[tuple[_Task, BeadOutcome]]:
    """Fits beads of equal shape together, so that nothing compiles twice."""
    groups: dict[Any, list[_Task]] = {}
    for task in tasks:
        groups.setdefault((task.model, tuple(task.z)), []).append(task)
    for (model, z), group in groups.items():
        blur, frozen = _blur(settings, model.pixel)
        frozen += _DRIFT if settings["drift"] == "none" else ()
        frozen += checks.exact(settings["known_exactly"])
        if start is not None and not _fits(start, model):
            start = None
        outcomes = fit_beads(
            [task.window.data for task in group],
            np.asarray(z),
            model,
            names=[task.name for task in group],
            weights=[_weight(task.window) for task in group],
            cameras=[task.camera for task in group],
            known=finding.known(settings, model, len(z)),
            layers=checks.departures(settings),
            steps=tuple(settings["steps"]),  # type: ignore[arg-type]
            later_steps=min(20, sum(settings["steps"])),
            start=start,
            always=blur,
            freeze=frozen,
            heldout=settings["heldout"],
            per_plane_gain=settings["gain"] == "per-plane",
            progress=progress,
        )
        for task, outcome in zip(group, outcomes, strict=True):
            if start is None and outcome.status == "ok" and outcome.fit is not None:
                start = shared_start(outcome.fit)
            yield task, outcome


def _fits(start: dict[str, Any], model: BeadModel) -> bool:
    return all(np.shape(start[k]) == v.shape for k, v in model.start().items() if k in start)


def _weight(window: io.Stack) -> np.ndarray:
    """Zero where a value cannot be used: masked or saturated."""
    return 1.0 - (window.mask | window.saturated)


# -- results -------------------------------------------------------------------------------


def _keep(settings: Settings, task: _Task, outcome: BeadOutcome, *, alone: bool) -> None:
    """Writes what a bead gave, and fills its row."""
    reason = in_flags(outcome.reason, options.CALIBRATE, size=task.window.shape[1])
    task.row.update(status=outcome.status, reason=reason)
    if outcome.fit is None:
        return
    _make_again(settings)
    page = alone or settings["pages"] == "all"
    shown = {k: v for k, v in settings.values.items() if v is not None}
    try:
        result = report.save_bead_fit(
            task.folder,
            outcome.fit,
            np.where(_weight(task.window) > 0, task.window.data, np.nan),
            task.z,
            settings={**shown, "status": outcome.status, "reason": reason, "job": task.job},
            provenance=task.provenance,
            name=task.name,
            page=page,
        )
    except Exception as error:  # the others may still find room
        text = getattr(error, "strerror", None) or str(error) or type(error).__name__
        task.row.update(status="failed", reason=f"cannot be saved: {text}")
        return
    task.row.update(batch.numbers(result))
    task.row["folder"] = os.path.relpath(task.folder, settings["out"])


def _make_again(settings: Settings) -> None:
    """Says when somebody has removed the folder of results meanwhile, and makes it again."""
    folder = Path(settings["out"])
    if (folder / JOB).is_file():
        return
    warn(f"warning: {str(folder)!r} was removed while the fit was running; it is made again")
    with contextlib.suppress(OSError):  # then saving the bead says what is wrong
        report.prepare(folder)
        write_toml(folder / JOB, options.CALIBRATE, settings)


def _end(settings: Settings, folder: Path, rows: list[dict[str, Any]], tasks: list[_Task]) -> int:
    """The table, the page of the batch, and the exit code."""
    say(batch.text(rows))
    batch.write(folder, rows)
    done = [task for task in tasks if task.row["status"] in ("ok", "poor")]
    if len(tasks) > 1 and done:
        few = len(done) <= 5
        best = min(done, key=lambda task: task.row["heldout_nmse"])
        for task in done:
            if settings["pages"] == "some" and (few or task is best):
                batch.page_of(task.folder)
        batch.summary(folder, rows)
    unsaved = [task for task in tasks if str(task.row["reason"]).startswith("cannot be saved")]
    say(f"results in {folder}")
    good = sum(task.row["status"] == "ok" for task in tasks)
    if unsaved or not good:
        return 1
    return 0 if good == len(tasks) else 3


def _nothing(rows: list[dict[str, Any]]) -> str:
    reasons = sorted({str(row["reason"]) for row in rows if row["reason"]})
    return f"0 of {count(len(rows), 'bead')} kept, because: {'; '.join(reasons[:5])}"
