"""The widget "PSF": every setting of ``jaxwave psf``, and the PSF that changes with them."""

from __future__ import annotations

from typing import Any

from jaxwave.cli import checks
from jaxwave.cli.settings import Settings
from jaxwave.napari import compute, fields
from jaxwave.napari._qt import QtWidgets
from jaxwave.napari.panel import Panel

_FIRST = {"objective": "60x/1.4 oil", "camera": "6.5 um", "wavelength": "600 nm", "dz": "100 nm"}
_BUSY = "computing; the first PSF of a kind takes some seconds"


class PsfWidget(Panel):
    """Computes the PSF of a microscope from its numbers.

    Args:
        napari_viewer: Where the layer goes.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(
            napari_viewer, fields.PSF, lambda given, _: compute.point_spread(given), "PSF"
        )
        self._layer: Any = None
        self._limits: list[float] | None = None
        self.live = QtWidgets.QCheckBox("follow changes", checked=True)
        self._lay_out(self.live, [self._button("Compute", self.compute), *self._files("psf")])
        self.form.changed.connect(self._change)
        self.form.show_values(_FIRST)

    # -- computing -------------------------------------------------------------------------

    def compute(self) -> None:
        """Computes the PSF now."""
        self.work.ask(self.form.values(), delay=0)

    def _change(self) -> None:
        self.form.mark([])
        if self.live.isChecked():
            self.work.ask(self.form.values())

    def _wait(self, busy: bool) -> None:
        super()._wait(busy)
        if busy and not self._told:
            self.status.setText(_BUSY)

    def _show(self, answer: tuple) -> None:
        settings, (data, options, _) = answer
        self.form.show_effective(fields.derived(settings, fields.PSF))
        layer = self._layer
        if layer is None or layer not in self._viewer.layers:
            self._layer = layer = self._viewer.add_image(data, **options)
            self._viewer.dims.set_point(self._viewer.dims.ndim - 3, 0.0)
        else:
            own = self._limits == list(layer.contrast_limits)
            layer.data = data
            layer.scale, layer.translate = options["scale"], options["translate"]
            layer.metadata = options["metadata"]
            if own:  # nobody has moved the sliders
                layer.reset_contrast_limits()
        self._limits = list(layer.contrast_limits)
        dz, dy, _ = options["scale"]
        planes, rows, columns = data.shape
        self._say(
            f"{planes} planes of {rows} x {columns} pixels, {1e3 * dz:.4g} nm and "
            f"{1e3 * dy:.4g} nm apart"
        )

    def _settings(self) -> Settings:
        return checks.microscope(self.form.values())
