"""The widget "Calibrate": from the stack of beads that is open to PSF, pupil and report."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Any

import numpy as np

from jaxwave.cli import options
from jaxwave.cli.settings import Settings, UsageError, gather
from jaxwave.napari import beads, fields, results
from jaxwave.napari._qt import QtWidgets, show_info
from jaxwave.napari.panel import LayerChoice, Panel

_COLORS = {
    "skipped": "#999999",
    "good": "#2ca02c",
    "ok": "#2ca02c",
    "waiting": "#2ca02c",
    "poor": "#ff9f1c",
}
_BAD = "#d9534f"


class CalibrateWidget(Panel):
    """Fits the pupil of the microscope to the beads of a layer.

    Args:
        napari_viewer: Where the layers are.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer, fields.CALIBRATE, self._compute, "Calibrate")
        self._points: Any = None
        self._beads = 0
        self.stack = LayerChoice(napari_viewer, "the stack of beads (z, y, x)")
        self.folder = QtWidgets.QLineEdit(placeholderText="folder for the results")
        self.force = QtWidgets.QCheckBox("replace earlier results")
        self.spots = self._button("Find beads", self.search, "shows the spots, fits nothing")
        self.run = self._button("Calibrate", self.compute)
        self.stop = self._button("Cancel", self.cancel, "jaxwave resume goes on with the folder")
        self.page = self._button("Report", self.show_report, "opens report.html of the folder")
        self.stop.setEnabled(False)
        top = QtWidgets.QWidget()
        rows = QtWidgets.QFormLayout(top)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.addRow("stack", self.stack)
        place = QtWidgets.QHBoxLayout()
        place.addWidget(self.folder)
        place.addWidget(self._button("…", self._look))
        rows.addRow("folder", place)
        self._lay_out(
            self.force, [self.spots, self.run, self.stop], [self.page, *self._files("calibrate")]
        )
        self.layout().insertWidget(0, top)
        self.form.changed.connect(lambda: self.form.mark([]))

    def _look(self) -> None:
        path = QtWidgets.QFileDialog.getExistingDirectory(self, "Folder for the results")
        if path:
            self.folder.setText(path)

    # -- computing -------------------------------------------------------------------------

    def search(self) -> None:
        """Finds the beads."""
        self.work.ask(("find", self.stack.layer(), self.form.values(), None, False), delay=0)

    def compute(self) -> None:
        """Calibrates."""
        if not self.folder.text().strip():
            self._fail(UsageError("folder: name a folder for the results."))
            return
        folder = Path(self.folder.text().strip()).expanduser().absolute()
        given = self.form.values()
        self._beads = 0
        asked = ("fit", self.stack.layer(), given, folder, self.force.isChecked())
        self.work.ask(asked, delay=0)

    @staticmethod
    def _compute(request: tuple, report: Any) -> tuple:
        """In the other thread."""
        kind, layer, given, folder, force = request
        if kind == "find":
            return layer, beads.find(layer, given), None, None, []
        found, code = beads.calibrate(layer, given, folder, report, force=force)
        made = results.layers_of(folder) if code in (0, 1, 3) and _fitted(found) else []
        return layer, found, folder, code, made

    def cancel(self) -> None:
        """Stops; beads that are done stay in the folder."""
        self.work.cancel()
        self._say("canceled; beads that are done are in the folder, jaxwave resume goes on")

    def _wait(self, busy: bool) -> None:
        super()._wait(busy)
        for button in (self.spots, self.run):
            button.setEnabled(not busy)
        self.stop.setEnabled(busy)
        if busy:
            self._say("reading the stack and looking for beads")

    def _advance(self, parts: tuple) -> None:
        if not self.work.running:  # what was canceled still says something
            return
        kind, *rest = parts
        if kind == "found":
            self._draw(self.stack.layer(), rest[0])
            self._say(f"{rest[0].text}. Compiling the fit; the first bead takes longer")
        elif kind == "step":
            stage, step, steps = rest
            self.bar.setRange(0, steps)
            self.bar.setValue(step)
            self.status.setText(f"bead {self._beads + 1}: {stage}, step {step} of {steps}")
        elif "held-out NMSE" in rest[0] or "failed" in rest[0]:
            self._beads += 1

    # -- showing ---------------------------------------------------------------------------

    def _show(self, answer: tuple) -> None:
        layer, found, folder, code, made = answer
        self._draw(layer, found)
        if folder is None:
            self._say(found.text)
            return
        for data, options_, _ in made:
            self._viewer.add_image(data, **options_)
        fates = [spot.fate for spot in found.spots]
        counts = ", ".join(f"{fates.count(fate)} {fate}" for fate in dict.fromkeys(fates))
        self._say(f"{counts}; results in {folder}")
        if code == 0:
            show_info(f"Calibrate: {counts}; report.html in {folder}")
        else:
            reasons = sorted({spot.why for spot in found.spots if spot.fate in ("poor", "failed")})
            text = f"{counts}: {'; '.join(reasons[:3])}"
            self._fail(RuntimeError(text) if code == 1 else UserWarning(text))

    def _draw(self, layer: Any, found: beads.Found) -> None:
        """The spots over the stack, in all of its planes: windows, numbers and reasons."""
        spots = found.spots
        places = np.array([spot.place for spot in spots], float).reshape(-1, 2)
        fates = [spot.fate for spot in spots]
        short = [
            f"{spot.number} {spot.why.split(':')[0] or (spot.fate if spot.fate != 'good' else '')}"
            for spot in spots
        ]
        options_ = {
            "features": {
                "number": [spot.number for spot in spots],
                "fate": fates,
                "why": [spot.why for spot in spots],
                "label": short,
            },
            "border_color": [_COLORS.get(fate, _BAD) for fate in fates] or "white",
            "size": found.size,
        }
        if self._points is not None and self._points in self._viewer.layers:
            self._viewer.layers.remove(self._points)
        self._points = self._viewer.add_points(
            places,
            name="beads",
            symbol="square",
            face_color="transparent",
            border_width=0.04,
            scale=layer.scale[-2:],
            translate=layer.translate[-2:],
            units=layer.units[-2:],
            text={"string": "{label}", "color": "yellow", "size": 9, "anchor": "upper_left"},
            **options_,
        )

    def show_report(self) -> None:
        """Opens the report of the folder in the browser."""
        page = Path(self.folder.text().strip()).expanduser().absolute() / "report.html"
        if not self.folder.text().strip() or not page.is_file():
            self._fail(UsageError("folder: it holds no report.html; calibrate first."))
        elif not webbrowser.open(page.as_uri()):
            self._say(f"nothing opens pages here; the report is {page}")

    def _settings(self) -> Settings:
        return gather(options.CALIBRATE, self.form.values())


def _fitted(found: beads.Found) -> bool:
    return any(spot.fate in ("ok", "poor") for spot in found.spots)
