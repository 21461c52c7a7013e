"""Materials against catalog values, against another measurement of water, and their limits."""

import jax
import numpy as np
import pytest

import jaxwave as jw

D, E, F, C = 0.58756, 0.54607, 0.48613, 0.65627  # Fraunhofer lines [µm]
# n_d and Abbe number of data sheets
CATALOG = {
    "N-BK7": (1.51680, 64.17),
    "N-K5": (1.52249, 59.48),
    "N-BAK4": (1.56883, 55.98),
    "N-BAF10": (1.67003, 47.11),
    "F2": (1.62004, 36.37),
    "N-SF11": (1.78472, 25.68),
    "fused silica": (1.45846, 67.8),
    "calcium fluoride": (1.43384, 95.0),
}


@pytest.mark.parametrize("name", CATALOG)
def test_catalog_values(name, x64):
    n_d, n_f, n_c = jw.refractive_index(name, np.array([D, F, C]))
    assert float(n_d) == pytest.approx(CATALOG[name][0], abs=1.1e-5)
    assert float((n_d - 1) / (n_f - n_c)) == pytest.approx(CATALOG[name][1], abs=0.1)


@pytest.mark.parametrize(
    ("name", "wavelength", "n", "tolerance"),
    [
        ("PMMA", D, 1.4914, 1e-3),  # Sultanova, table 1, to the residual of the fit
        ("polystyrene", D, 1.5916, 1e-3),
        ("polycarbonate", D, 1.5849, 1e-3),
        ("immersion oil", E, 1.5180, 1e-6),
        ("air", 0.5893, 1.0002773, 5e-7),
        ("glycerol", 0.5893, 1.4722, 3e-4),
    ],
)
def test_single_values(name, wavelength, n, tolerance, x64):
    assert float(jw.refractive_index(name, wavelength)) == pytest.approx(n, abs=tolerance)


@pytest.mark.parametrize(
    ("temperature", "terms"),
    [
        (
            20.0,
            [
                (0.5684027565, 0.005101829712),
                (0.1726177391, 0.01821153936),
                (0.02086189578, 0.02620722293),
                (0.1130748688, 10.69792721),
            ],
        ),
        (
            24.0,
            [
                (0.566695982, 0.005084151894),
                (0.1731900098, 0.01818488474),
                (0.02095951857, 0.02625439472),
                (0.1125228406, 10.73842352),
            ],
        ),
    ],
)
def test_water_against_daimon_and_masumura(temperature, terms, x64):
    """Appl. Opt. 46, 3811 (2007), relative to vacuum; ours is the formula of IAPWS."""
    wavelength = np.linspace(0.3, 0.9, 7)
    square = wavelength**2
    need = np.sqrt(1 + sum(b * square / (square - c) for b, c in terms))
    got = jw.refractive_index("water", wavelength, temperature=temperature)
    np.testing.assert_allclose(got * jw.refractive_index("air", wavelength), need, atol=5e-5)


def test_water_by_its_check_value(x64):
    """IAPWS R9-97 at 25 °C, one atmosphere and 0.5893 µm: 1.3328582."""
    n = jw.refractive_index("water", 0.5893, temperature=25.0) * jw.refractive_index("air", 0.5893)
    assert float(n) == pytest.approx(1.3328582, abs=5e-7)


def test_glass_changes_with_temperature_as_the_data_sheet_says(x64):
    # N-BK7, absolute, +20 ... +40 °C: 1.6e-6 / K at e, 2.1e-6 / K at g
    for wavelength, rise in ((E, 1.6e-6), (0.43583, 2.1e-6)):
        cold, warm = jw.refractive_index("N-BK7", wavelength, temperature=np.array([20.0, 40.0]))
        assert float(warm - cold) / 20 == pytest.approx(rise, abs=0.06e-6)


def test_each_number_of_the_heat_counts_as_the_data_sheet_defines_it(x64):
    """SCHOTT, TIE-19: one number of the formula at a time, at a change of -30 and +25 K."""
    wavelength, change, pole = 0.61, np.array([-30.0, 25.0]), 0.23
    n = np.sqrt(1 + 1.2 * wavelength**2 / (wavelength**2 - 0.011))
    rises = (change, change**2, change**3, change, change**2)
    for k, rise in enumerate(rises):
        heat = np.eye(6)[k] * 1e-6 + np.eye(6)[5] * pole
        glass = jw.Material("a", "sellmeier", (1.2, 0.011), (0.4, 1.0), "me", 22.0, tuple(heat))
        got = jw.refractive_index(glass, wavelength, temperature=22.0 + change) - n
        weight = 1 if k < 3 else 1 / (wavelength**2 - pole**2)
        np.testing.assert_allclose(got, 1e-6 * weight * rise * (n**2 - 1) / (2 * n), rtol=1e-8)


def test_limits_are_errors_and_traced_ones_are_nan():
    with pytest.raises(ValueError, match=r"`wavelength` of 'N-BK7' must be from 0.3 to 2.5 µm"):
        jw.refractive_index("N-BK7", np.array([0.5, 0.2]))
    with pytest.raises(ValueError, match=r"of 'water' must be from 0 to 40 °C, got 90"):
        jw.refractive_index("water", 0.5, temperature=90.0)
    with pytest.raises(ValueError, match=r"'SU-8' changes with the temperature is not known"):
        jw.refractive_index("SU-8", 0.5, temperature=30.0)
    with pytest.raises(ValueError, match=r"no material 'NBK7'. Did you mean 'N-BK7'"):
        jw.refractive_index("NBK7", 0.5)
    with pytest.raises(ValueError, match="500 looks like nanometres"):
        jw.refractive_index("N-BK7", 500)
    with pytest.raises(ValueError, match="`formula` must be one of 'sellmeier', 'cauchy'"):
        jw.refractive_index(jw.Material("a", "sellmaier", (1.0, 0.0), (0.3, 1.0), "me"), 0.5)
    index = jax.jit(jax.vmap(jax.value_and_grad(lambda w: jw.refractive_index("N-BK7", w))))
    n, slope = index(np.array([0.3, 0.58756, 2.5, 2.6, 0.2, 1.0]))
    assert np.isnan(n[3]) and np.isnan(n[4]) and np.all(np.isfinite(n[np.array([0, 1, 2, 5])]))
    assert np.all(np.isfinite(slope)) and np.all(slope[np.array([0, 1, 2, 5])] < 0)


def test_every_material_is_named_and_sourced():
    for name in jw.materials():
        of = jw.material(name.upper())
        n = jw.refractive_index(name, np.linspace(*of.limits, 7))
        assert np.all(n >= 1) and np.all(np.diff(n) < 1e-6) and of.source


def test_the_limits_themselves_are_inside():
    for name in jw.materials():
        of = jw.material(name)
        if of.thermal is not None or name == "water":
            for temperature in of.range:  # -40 °C is one
                assert np.isfinite(jw.refractive_index(of, of.limits[0], temperature=temperature))
