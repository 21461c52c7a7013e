"""Spatial light modulators from camera images: what a device does, its zero order, its correction.

Show the known patterns (:func:`gratings`), take an image of each in the focus of a lens
(:class:`ModulatorBench`), and :func:`measure_modulator` finds the device with error bars; the
result (:class:`ModulatorFit`) predicts and removes its zero order.
"""

from __future__ import annotations

from jaxwave.modulators.bench import ModulatorBench, gratings
from jaxwave.modulators.fit import ModulatorFit, measure_modulator

__all__ = ["ModulatorBench", "ModulatorFit", "gratings", "measure_modulator"]
