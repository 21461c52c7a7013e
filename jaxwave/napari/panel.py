"""What the widgets share: a form, work in another thread, buttons, and how errors are shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from jaxwave.cli.settings import Option, Settings, UsageError
from jaxwave.napari import fields
from jaxwave.napari._qt import Image, QtWidgets, show_error
from jaxwave.napari.editors import Form
from jaxwave.napari.work import Work

_KIND = "TOML (*.toml)"
_WIDTH = 345  # pixels, so that a row of aberrations has room


class Panel(QtWidgets.QWidget):
    """A widget of the viewer: fields above, buttons and a line of words below.

    Args:
        viewer: The viewer.
        table: The fields.
        function: What is computed, see :class:`Work`.
        title: How notifications begin.
    """

    def __init__(
        self,
        viewer: Any,
        table: Sequence[Option],
        function: Callable[[Any, Callable[..., None]], Any],
        title: str,
    ) -> None:
        super().__init__()
        self._viewer, self._table, self._title = viewer, table, title
        self._told = ""
        self.form = Form(table)
        self.work = Work(function, self)
        self.status = QtWidgets.QLabel(wordWrap=True)
        self.status.setTextInteractionFlags(
            self.status.textInteractionFlags().TextSelectableByMouse
        )
        self.bar = QtWidgets.QProgressBar(textVisible=False, maximumHeight=6)
        self.bar.setVisible(False)
        self.work.done.connect(self._show)
        self.work.failed.connect(self._fail)
        self.work.busy.connect(self._wait)
        self.work.progress.connect(self._advance)

    def _lay_out(self, *rows: object) -> None:
        """The fields, which scroll, and the rows below them: widgets, or lists of buttons."""
        area = QtWidgets.QScrollArea(widgetResizable=True)
        area.setFrameShape(QtWidgets.QFrame.Shape.NoFrame)
        area.setWidget(self.form)
        area.setMinimumWidth(_WIDTH)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(6, 4, 6, 4)
        for row in (area, *rows, self.bar, self.status):
            if isinstance(row, list):
                line = QtWidgets.QHBoxLayout()
                for widget in row:
                    line.addWidget(widget)
                layout.addLayout(line)
            else:
                layout.addWidget(row, int(row is area))

    def _button(self, text: str, action: Callable[[], Any], tip: str = "") -> Any:
        button = QtWidgets.QPushButton(text, toolTip=tip)
        button.clicked.connect(lambda: action())
        return button

    def _files(self, command: str) -> list[Any]:
        """Buttons that read and write settings."""
        what = f"settings of jaxwave {command} (TOML)"
        return [
            self._button("Open…", self.load, f"read {what}"),
            self._button("Save…", self.save, f"write {what}"),
        ]

    def _wait(self, busy: bool) -> None:
        """Shows that something is computed; how far, where that is known."""
        self.bar.setVisible(busy)
        self.bar.setRange(0, 0)

    def _advance(self, parts: tuple) -> None:
        """Shows how far the work is: parts that are done, and all."""
        done, total = parts
        self.bar.setRange(0, total)
        self.bar.setValue(done)

    def _show(self, answer: Any) -> None:
        """Shows what was computed."""
        raise NotImplementedError

    def _say(self, text: str) -> None:
        self._told = ""
        self.status.setText(text)

    def _fail(self, error: BaseException) -> None:
        """A notification, once for one mistake, and frames around the fields that it names."""
        text, names = fields.sentence(error, self._table)
        self.form.mark(names, text)
        self.status.setText(text)
        if text != self._told:
            self._told = text
            show_error(f"{self._title}: {text}")

    # -- settings --------------------------------------------------------------------------

    def _settings(self) -> Settings:
        """What the fields say, for a file."""
        raise NotImplementedError

    def load(self, path: str | None = None) -> None:
        """Reads settings from a TOML file of the command line; asks for it where none is named."""
        if path is None:
            path, _ = QtWidgets.QFileDialog.getOpenFileName(self, "Settings", "", _KIND)
        if not path:
            return
        try:
            values = fields.read(path, self._table)
        except UsageError as error:
            self._fail(error)
            return
        self.form.show_values(values)

    def save(self, path: str | None = None) -> None:
        """Writes the settings as a TOML file of the command line."""
        if path is None:
            path, _ = QtWidgets.QFileDialog.getSaveFileName(self, "Settings", "job.toml", _KIND)
        if not path:
            return
        try:
            fields.write(path, self._table, self._settings())
        except (UsageError, OSError) as error:
            self._fail(error)
            return
        self._say(f"settings are in {path}")


class LayerChoice(QtWidgets.QComboBox):
    """The open images, by name.

    Args:
        viewer: The viewer.
        tip: What the layer is for.
    """

    def __init__(self, viewer: Any, tip: str) -> None:
        super().__init__(toolTip=tip)
        self._viewer = viewer
        self.setSizeAdjustPolicy(
            QtWidgets.QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.setMinimumContentsLength(8)
        for event in (viewer.layers.events.inserted, viewer.layers.events.removed):
            event.connect(self._list)
        self._list()

    def _list(self, event: Any = None) -> None:
        """Lists the layers again; the chosen one stays."""
        try:
            chosen = self.currentData()
        except RuntimeError:  # the widget was closed
            return
        images = [layer for layer in self._viewer.layers if isinstance(layer, Image)]
        blocked = self.blockSignals(True)
        self.clear()
        for layer in images:
            self.addItem(layer.name, layer)
        self.setCurrentIndex(images.index(chosen) if chosen in images else len(images) - 1)
        self.blockSignals(blocked)

    def showPopup(self) -> None:
        """Shows the layers by their names of now."""
        self._list()
        super().showPopup()

    def layer(self) -> Any:
        """The chosen layer, or None."""
        return self.currentData()

    def choose(self, layer: Any) -> None:
        """Chooses a layer."""
        self._list()
        self.setCurrentIndex(self.findText(layer.name))
