"""The widget "Deconvolve": the object behind an image, with the PSF of another layer."""

from __future__ import annotations

import time
from typing import Any

from jaxwave.napari import deblur
from jaxwave.napari._qt import QtWidgets
from jaxwave.napari.panel import LayerChoice, Panel


class DeconvolveWidget(Panel):
    """Deconvolves an image or a stack.

    Args:
        napari_viewer: Where the layers are.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer, deblur.FIELDS, self._compute, "Deconvolve")
        self._started, self._note = 0.0, ""
        self.image = LayerChoice(napari_viewer, "counts of the camera, (y, x) or a stack")
        self.psf = LayerChoice(napari_viewer, "the PSF with the same voxels")
        top = QtWidgets.QWidget()
        rows = QtWidgets.QFormLayout(top)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.addRow("image", self.image)
        rows.addRow("PSF", self.psf)
        self.run = self._button("Deconvolve", self.compute)
        self.stop = self._button("Cancel", self.cancel)
        self.stop.setEnabled(False)
        self._lay_out([self.run, self.stop])
        self.layout().insertWidget(0, top)
        self.form.changed.connect(lambda: self.form.mark([]))
        napari_viewer.layers.events.inserted.connect(self._guess)
        self._guess()

    def _guess(self, event: object = None) -> None:
        """The PSF is the layer that is called so, the image another one."""
        try:
            names = [self.psf.itemText(k) for k in range(self.psf.count())]
        except RuntimeError:  # the widget was closed
            return
        psfs = [k for k, name in enumerate(names) if "psf" in name.lower()]
        if psfs and self.psf.currentIndex() not in psfs:
            self.psf.setCurrentIndex(psfs[-1])
        if psfs and self.image.currentIndex() in psfs and len(psfs) < len(names):
            others = [k for k in range(len(names)) if k not in psfs]
            self.image.setCurrentIndex(others[-1])

    def compute(self) -> None:
        """Deconvolves the chosen layer."""
        image, psf = self.image.layer(), self.psf.layer()
        self._started = time.monotonic()
        self.work.ask((image, psf, self.form.values()), delay=0)

    def _compute(self, request: tuple, report: Any) -> tuple:
        image, psf, given = request
        made = deblur.job(image, psf, given)
        return image, made, deblur.deconvolve(made, report)

    def cancel(self) -> None:
        """Stops."""
        self.work.cancel()
        self._say("canceled")

    def _wait(self, busy: bool) -> None:
        super()._wait(busy)
        self.run.setEnabled(not busy)
        self.stop.setEnabled(busy)
        if busy:
            self._say("computing; the first image of a size takes some seconds more")

    def _show(self, answer: tuple) -> None:
        image, made, data = answer
        name = f"{image.name} {made.settings['method']}"
        place = {n: getattr(image, n) for n in ("scale", "translate", "rotate", "shear", "units")}
        layer = next((x for x in self._viewer.layers if x.name == name), None)
        if layer is not None and layer.data.shape == data.shape:
            layer.data = data
            layer.reset_contrast_limits()
        else:
            kept = {"method": made.settings["method"], **made.settings.values}
            self._viewer.add_image(
                data, name=name, colormap=image.colormap.name, metadata={"jaxwave": kept}, **place
            )
        seconds = time.monotonic() - self._started
        self._say(f"done in {seconds:.1f} s" + (f"; {made.note}" if made.note else ""))
