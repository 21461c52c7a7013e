"""Fields: one editor for every kind of setting, and forms of them."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from jaxwave.cli.settings import Option
from jaxwave.napari._qt import QtCore, QtWidgets
from jaxwave.zernike import zernike_index, zernike_name

_NUMBER = re.compile(r"\s*([-+]?\d*\.?\d+(?:[eE][-+]?\d+)?)\s*(.*?)\s*$")
_WRONG = "border: 1px solid #d9534f;"
_OPEN = ("microscope", "voxel", "stack", "pupil", "deconvolution")  # groups that are shown at first
_MODES = [zernike_name(*zernike_index(k, convention="osa")) for k in range(3, 28)]


def stepped(text: str, steps: int, kind: str) -> str:
    """A number with its unit, moved by steps that go with its size."""
    match = _NUMBER.match(text)
    if match is None:
        return text
    try:
        value, unit = Decimal(match.group(1)), match.group(2)
    except InvalidOperation:
        return text
    if kind in ("integer", "amount") and not unit:
        step = Decimal(2 if kind == "amount" else 1)  # an odd width stays odd
    elif not value:
        step, unit = (Decimal(10), "nm") if kind == "length" else (Decimal("0.1"), unit)
    else:
        digits = 2 if kind == "number" else 1
        step = Decimal(10) ** (math.floor(math.log10(abs(value))) - digits)
    moved = format((value + steps * step).normalize(), "f")
    return f"{moved} {unit}".strip()


class _Line(QtWidgets.QLineEdit):
    """A line that tells when its text has changed and is complete."""

    changed = QtCore.Signal()

    def __init__(self, option: Option) -> None:
        super().__init__()
        self._last = ""
        self.setPlaceholderText(_default(option))
        self.editingFinished.connect(self._finish)

    def _finish(self) -> None:
        if self.text() != self._last:
            self._last = self.text()
            self.changed.emit()

    def value(self) -> str | None:
        return self.text().strip() or None

    def show_value(self, value: object) -> None:
        self.setText("" if value is None else str(value))
        self._last = self.text()


class _Number(QtWidgets.QAbstractSpinBox):
    """A number with its unit; arrows and the wheel move it."""

    changed = QtCore.Signal()

    def __init__(self, option: Option) -> None:
        super().__init__()
        self._option, self._last, self._empty = option, "", _default(option)
        self.setFocusPolicy(QtCore.Qt.FocusPolicy.StrongFocus)
        self.lineEdit().setPlaceholderText(self._empty)
        self.editingFinished.connect(self._finish)

    def stepBy(self, steps: int) -> None:
        text = self.lineEdit().text() or self._empty
        self.lineEdit().setText(stepped(text, steps, self._option.kind))
        self._finish()

    def show_default(self, text: str | None) -> None:
        self._empty = text or _default(self._option)
        self.lineEdit().setPlaceholderText(self._empty)

    def stepEnabled(self) -> Any:
        flags = QtWidgets.QAbstractSpinBox.StepEnabledFlag
        return flags.StepUpEnabled | flags.StepDownEnabled

    def wheelEvent(self, event: Any) -> None:
        # Scrolling over a form moves no number that is not being edited.
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()

    def _finish(self) -> None:
        if self.lineEdit().text() != self._last:
            self._last = self.lineEdit().text()
            self.changed.emit()

    def value(self) -> str | None:
        return self.lineEdit().text().strip() or None

    def show_value(self, value: object) -> None:
        self.lineEdit().setText("" if value is None else str(value))
        self._last = self.lineEdit().text()


class _Choice(QtWidgets.QComboBox):
    """One of several words; the default counts as not given."""

    changed = QtCore.Signal()

    def __init__(self, option: Option) -> None:
        super().__init__()
        self._default = option.default
        self.setFocusPolicy(QtCore.Qt.FocusPolicy.StrongFocus)
        self.addItems([*([""] if option.default is None else []), *option.choices])
        self.show_value(None)
        self.currentIndexChanged.connect(lambda _: self.changed.emit())

    def wheelEvent(self, event: Any) -> None:
        event.ignore()

    def value(self) -> str | None:
        text = self.currentText()
        return None if text in ("", self._default) else text

    def show_value(self, value: object) -> None:
        blocked = self.blockSignals(True)
        self.setCurrentText(str(value if value is not None else self._default or ""))
        self.blockSignals(blocked)


class _File(QtWidgets.QWidget):
    """A line with a button that looks for a file."""

    changed = QtCore.Signal()

    def __init__(self, option: Option) -> None:
        super().__init__()
        self._line = _Line(option)
        button = QtWidgets.QToolButton(text="…", toolTip="look for a file")
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._line)
        layout.addWidget(button)
        self._line.changed.connect(self.changed)
        button.clicked.connect(self._look)
        self.value, self.show_value = self._line.value, self._line.show_value

    def _look(self) -> None:
        path, _ = QtWidgets.QFileDialog.getOpenFileName(self, "File")
        if path:
            self.show_value(path)
            self.changed.emit()


class _Mode(QtWidgets.QWidget):
    """One aberration: a mode, by name, pair or number, and its length."""

    changed = QtCore.Signal()

    def __init__(self, text: str, option: Option) -> None:
        super().__init__()
        name, _, length = text.partition("=")
        self._name = QtWidgets.QComboBox(editable=True)
        self._name.addItems(_MODES)
        self._name.setCurrentText(name)
        self._name.setSizePolicy(
            QtWidgets.QSizePolicy.Policy.Ignored, QtWidgets.QSizePolicy.Policy.Fixed
        )
        self._name.setMinimumWidth(150)
        self._name.lineEdit().setCursorPosition(0)
        self._name.activated.connect(lambda _: self._name.lineEdit().setCursorPosition(0))
        self._name.setToolTip("a name, a pair n,m, or a number with its convention")
        self._length = _Number(dataclasses.replace(option, kind="length", default=None))
        self._length.show_value(length)
        self._length.setMinimumWidth(105)
        self.gone = QtWidgets.QToolButton(text="×", toolTip="leave this mode out")
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for part, share in ((self._name, 5), (self._length, 4), (self.gone, 0)):
            layout.addWidget(part, share)
        self._name.currentIndexChanged.connect(lambda _: self.changed.emit())
        self._name.lineEdit().editingFinished.connect(self.changed)
        self._length.changed.connect(self.changed)

    def value(self) -> str:
        return f"{self._name.currentText().strip()}={self._length.value() or ''}"


class _Modes(QtWidgets.QWidget):
    """Aberrations, one in a row."""

    changed = QtCore.Signal()

    def __init__(self, option: Option) -> None:
        super().__init__()
        self._option, self._rows = option, []
        self._told: list[str] | None = None
        self._add = QtWidgets.QPushButton("add a mode")
        self._layout = QtWidgets.QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(2)
        self._layout.addWidget(self._add)
        self._add.clicked.connect(self._more)

    def _more(self) -> None:
        self._insert("primary spherical=0 nm")
        self._tell()

    def _insert(self, text: str) -> None:
        row = _Mode(text, self._option)
        self._rows.append(row)
        self._layout.insertWidget(len(self._rows) - 1, row)
        row.changed.connect(self._tell)
        row.gone.clicked.connect(lambda: self._remove(row))

    def _remove(self, row: _Mode) -> None:
        self._rows.remove(row)
        row.setParent(None)
        row.deleteLater()
        self._tell()

    def _tell(self) -> None:
        if self.value() != self._told:
            self._told = self.value()
            self.changed.emit()

    def value(self) -> list[str] | None:
        return [row.value() for row in self._rows] or None

    def show_value(self, value: Any) -> None:
        for row in self._rows:
            row.setParent(None)
            row.deleteLater()
        self._rows = []
        for text in value or []:
            self._insert(text)
        self._told = self.value()


class _Words(_Line):
    """Several words in one line."""

    def value(self) -> Any:
        words = self.text().replace(",", " ").split()
        return words or None

    def show_value(self, value: Any) -> None:
        super().show_value(" ".join(map(str, value or [])) or None)


def _default(option: Option) -> str:
    """What an empty field shows: the default, or what a text looks like."""
    if option.default is None:
        return ""
    if isinstance(option.default, list):
        return " ".join(map(str, option.default))
    unit = " µm" if option.kind == "length" else ""
    return (f"{option.default:g}" if unit else str(option.default)) + unit


_EDITORS: dict[str, Any] = {
    "length": _Number,
    "number": _Number,
    "integer": _Number,
    "amount": _Number,
    "choice": _Choice,
    "path": _File,
    "mask": _File,
    "map": _File,
    "texts": _Modes,
    "terms": _Modes,
    "numbers": _Words,
}


class Form(QtWidgets.QWidget):
    """The fields of a table, under the headings of the command line.

    Args:
        table: The settings.
        first: Name of a heading that is shown open, beside the usual ones.
    """

    changed = QtCore.Signal()

    def __init__(self, table: Sequence[Option], *, parent: object = None) -> None:
        super().__init__(parent)
        self._fields: dict[str, Any] = {}
        self._help: dict[str, str] = {}
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.setSpacing(2)
        for group in dict.fromkeys(option.group for option in _sorted(table)):
            box = _Section(group, opened=group in _OPEN)
            layout.addWidget(box)
            for option in table:
                if option.group == group:
                    box.add(option, self._field(option))
        layout.addStretch()

    def _field(self, option: Option) -> Any:
        field = _EDITORS.get(option.kind, _Line)(option)
        field.setObjectName(option.name)
        field.setToolTip(option.help)
        field.changed.connect(self.changed)
        self._fields[option.name], self._help[option.name] = field, option.help
        return field

    def field(self, name: str) -> Any:
        """The editor of one setting."""
        return self._fields[name]

    def values(self) -> dict[str, Any]:
        """What is filled in, by name."""
        found = {name: field.value() for name, field in self._fields.items()}
        return {name: value for name, value in found.items() if value is not None}

    def show_values(self, values: Mapping[str, Any]) -> None:
        """Fills in the fields, and empties all others."""
        for name, field in self._fields.items():
            field.show_value(values.get(name))
        self.changed.emit()

    def show_effective(self, values: Mapping[str, Any]) -> None:
        """Shows in empty fields what follows from the others, as the objective gives the aperture.

        Args:
            values: Texts by name; a field without one shows its default.
        """
        for name, field in self._fields.items():
            if isinstance(field, _Number):
                field.show_default(values.get(name))

    def mark(self, names: Sequence[str], text: str = "") -> None:
        """Frames the fields that a message names."""
        for name, field in self._fields.items():
            wrong = name in names
            field.setStyleSheet(_WRONG if wrong else "")
            field.setToolTip(text if wrong else self._help[name])


def _sorted(table: Sequence[Option]) -> list[Option]:
    """What has no heading comes last."""
    return sorted(table, key=lambda option: option.group == "options")


class _Section(QtWidgets.QWidget):
    """A heading that opens and closes its fields."""

    def __init__(self, title: str, *, opened: bool) -> None:
        super().__init__()
        self._head = QtWidgets.QToolButton(text=title, checkable=True, autoRaise=True)
        self._head.setToolButtonStyle(QtCore.Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._head.setSizePolicy(
            QtWidgets.QSizePolicy.Policy.Expanding, QtWidgets.QSizePolicy.Policy.Fixed
        )
        self._body = QtWidgets.QWidget()
        self._form = QtWidgets.QFormLayout(self._body)
        self._form.setContentsMargins(12, 0, 0, 6)
        self._form.setVerticalSpacing(3)
        self._form.setFieldGrowthPolicy(
            QtWidgets.QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow
        )
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self._head)
        layout.addWidget(self._body)
        self._head.toggled.connect(self._open)
        self._head.setChecked(opened)
        self._open(opened)

    def _open(self, opened: bool) -> None:
        arrows = QtCore.Qt.ArrowType
        self._head.setArrowType(arrows.DownArrow if opened else arrows.RightArrow)
        self._body.setVisible(opened)

    def add(self, option: Option, field: Any) -> None:
        label = QtWidgets.QLabel(option.name, toolTip=option.help)
        if isinstance(field, _Modes):  # its rows take the whole width
            self._form.addRow(label)
            self._form.addRow(field)
        else:
            self._form.addRow(label, field)
