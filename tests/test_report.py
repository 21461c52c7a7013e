"""Numbers of the result folder against their definitions (the folder: test_examples)."""

from types import SimpleNamespace

import numpy as np
import pytest

from jaxwave import report


def test_wavefront_quality_is_weighted_and_blind_to_piston():
    rng = np.random.default_rng(0)
    amplitude, opd = rng.uniform(0, 1, (9, 9)), 0.02 * rng.normal(size=(9, 9))
    model = SimpleNamespace(wavelength=0.6)
    weight = amplitude / amplitude.sum()
    need = np.sqrt(np.sum(weight * opd**2) - np.sum(weight * opd) ** 2)
    for piston in (0.0, 0.3):
        fit = SimpleNamespace(pupil_amplitude=amplitude, pupil_opd=opd + piston, model=model)
        rms, strehl = report.wavefront_quality(fit)
        assert rms == pytest.approx(need, rel=1e-9)
        # Marechal: exp(-(2 pi W/lambda)^2), fourth order in the phase
        assert strehl == pytest.approx(np.exp(-((2 * np.pi * need / 0.6) ** 2)), abs=2e-3)
