import subprocess
import sys
import threading

import jax.numpy as jnp
import numpy as np
import pytest

import jaxwave.plot as jp
from jaxwave.field import scalar_field, vector_field

pytest.importorskip("matplotlib")
RNG = np.random.default_rng(5)
VOXEL = (0.3, 0.13, 0.13)
MODES = [(2, -2), (2, 2), (3, -1), (3, 1), (4, 0), (7, -3)]


def bead(shape=(9, 20, 24)):
    z, y, x = (
        np.arange(n).reshape(s) - n // 2
        for n, s in zip(shape, np.eye(3, dtype=int) * -2 + 1, strict=True)
    )
    return 100 + 900 * np.exp(-(x**2 + y**2) / 8 - z**2 / 6)


def pupil(size=32, phase=0.5):
    y, x = (np.mgrid[:size, :size] - size // 2) / (size / 2)
    return np.where(x**2 + y**2 <= 1, np.exp(1j * phase * (x**2 - y**2)), 0)


def every_plot(path=None):
    stack = bead()
    parts = {"pupil": pupil(), "coefficients": 0.01 * np.arange(6), "modes": MODES}
    field = scalar_field(RNG.normal(size=(16, 24)) + 0j, spacing=(0.5, 0.25), wavelength=0.5)
    return {
        "field": lambda p=path: jp.plot_field(field, path=p),
        "orthoslices": lambda p=path: jp.plot_orthoslices(stack, VOXEL, path=p),
        "pupil": lambda p=path: jp.plot_pupil(pupil(), path=p),
        "zernikes": lambda p=path: jp.plot_zernikes(0.01 * np.arange(6), MODES, path=p),
        "history": lambda p=path: jp.plot_history([3.0, 2.0, 1.0], path=p),
        "comparison": lambda p=path: jp.plot_comparison(stack, 0.9 * stack, VOXEL, path=p),
        "calibration": lambda p=path: jp.plot_calibration(
            stack, stack, VOXEL, **parts, loss=[1.0, 0.5], path=p
        ),
    }


@pytest.mark.parametrize("name", list(every_plot()))
def test_every_plot_is_saved_atomically(tmp_path, name):
    figure = every_plot()[name](tmp_path / "a.png")
    assert type(figure).__name__ == "Figure"
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize(("ending", "head"), [("pdf", b"%PDF"), ("svg", b"<?xml")])
def test_vector_formats(tmp_path, ending, head):
    path = tmp_path / f"a.{ending}"
    jp.plot_history([3.0, 2.0], path=path)
    assert path.read_bytes().startswith(head)


def test_unknown_format_and_folder(tmp_path):
    with pytest.raises(ValueError, match=r"plot_history: `path` must end in \.png, \.pdf, \.svg"):
        jp.plot_history([1.0], path=tmp_path / "a.bmp")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        jp.plot_history([1.0], path=tmp_path / "no" / "a.png")


def test_no_text_is_cut_off():
    for name, plot in every_plot().items():
        figure = plot()
        figure.canvas.draw()
        width, height = figure.bbox.width, figure.bbox.height
        for ax in figure.axes:
            box = ax.get_tightbbox()
            inside = box.x0 > -1 and box.y0 > -1 and box.x1 < width + 1 and box.y1 < height + 1
            assert inside, (name, ax.get_title(), box)


def test_pyplot_and_displays_are_not_needed():
    code = (
        "import sys, numpy as np, jaxwave.plot as jp\n"
        "assert 'matplotlib' not in sys.modules\n"
        "jp.plot_orthoslices(np.ones((3, 4, 5)), (1, 1, 1))\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_plots_in_threads(tmp_path):
    plots = every_plot()
    threads = [
        threading.Thread(target=plots[name], args=(tmp_path / f"{name}.png",))
        for name in ("pupil", "history", "zernikes")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(tmp_path.iterdir())) == 3


def test_missing_matplotlib_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.delitem(sys.modules, "jaxwave.plot._figure", raising=False)
    with pytest.raises(ImportError, match=r'pip install "jaxwave\[plot\]"'):
        jp.plot_history([1.0])


# -- fields and pupils -------------------------------------------------------------------------


def test_field_axes_are_in_micrometers_and_the_axis_is_at_half():
    field = scalar_field(jnp.ones((7, 10)), spacing=(0.5, 0.25), wavelength=0.5)
    figure = jp.plot_field(field)
    image = figure.axes[0].images[0]
    assert image.get_extent() == [-1.375, 1.125, 1.75, -1.75]
    assert figure.axes[0].get_xlabel() == "x [µm]"
    assert figure.axes[2].images[0].get_clim() == (-np.pi, np.pi)


def test_vector_field_shares_color_limits():
    u = np.stack([np.ones((8, 8)), 0.5 * np.ones((8, 8)), np.zeros((8, 8))]) + 0j
    figure = jp.plot_field(vector_field(u, spacing=0.5, wavelength=0.5))
    limits = [ax.images[0].get_clim() for ax in figure.axes if ax.get_title().endswith("$|E_x|^2$")]
    images = [ax.images[0].get_clim() for ax in figure.axes if "|^2" in ax.get_title()]
    assert limits and images == [(0, 1)] * 3


def test_dark_and_zero_fields():
    figure = jp.plot_field(scalar_field(jnp.zeros((8, 8)), spacing=0.5, wavelength=0.5))
    assert np.ma.getmaskarray(figure.axes[2].images[0].get_array()).all()


def test_field_errors():
    with pytest.raises(TypeError, match="plot_field: `field` must be a Field"):
        jp.plot_field(np.ones((4, 4)))
    field = scalar_field(jnp.ones((2, 4, 4)), spacing=0.5, wavelength=0.5)
    with pytest.raises(ValueError, match=r"batch axes \(2,\).*field\[0\]"):
        jp.plot_field(field)


def test_pupil_phase_scale():
    weak = jp.plot_pupil(pupil(phase=0.5)).axes[2].images[0]
    assert weak.get_cmap().name == "RdBu_r" and weak.get_clim()[1] == pytest.approx(0.5, abs=0.02)
    strong = jp.plot_pupil(pupil(phase=5.0)).axes[2].images[0]
    assert strong.get_cmap().name == "twilight" and strong.get_clim() == (-np.pi, np.pi)
    path = jp.plot_pupil(pupil(phase=0.5), wavelength="500 nm").axes[2].images[0]
    assert path.get_clim()[1] == pytest.approx(0.5 * 500 / (2 * np.pi), rel=0.05)
    assert np.ma.getmaskarray(weak.get_array())[0, 0]


def test_pupil_ignores_piston_and_takes_a_mask():
    figure = jp.plot_pupil(pupil() * np.exp(2.5j), mask=np.abs(pupil()) > 0, spacing=1 / 16)
    assert abs(figure.axes[2].images[0].get_clim()[1]) < 0.6
    assert figure.axes[0].images[0].get_extent()[0] == pytest.approx(-16.5 / 16)


def test_pupil_errors():
    with pytest.raises(ValueError, match=r"must be \(y, x\)"):
        jp.plot_pupil(np.ones(4))
    with pytest.raises(ValueError, match="let light through"):
        jp.plot_pupil(np.zeros((4, 4)))
    with pytest.raises(ValueError, match="`pupil` must be finite"):
        jp.plot_pupil(np.full((4, 4), np.nan))
    with pytest.raises(ValueError, match="`mask` must match"):
        jp.plot_pupil(np.ones((4, 4)), mask=np.ones((3, 3)))


# -- stacks ------------------------------------------------------------------------------------


def test_orthoslices_show_the_brightest_voxel_in_true_proportions():
    figure = jp.plot_orthoslices(bead(), VOXEL)
    xy, yz, xz = (ax.images[0] for ax in figure.axes[:3])
    np.testing.assert_array_equal(xy.get_array(), bead()[4])
    np.testing.assert_array_equal(xz.get_array(), bead()[:, 10])
    np.testing.assert_array_equal(yz.get_array(), bead()[:, :, 12].T)
    assert xy.get_clim() == yz.get_clim() == xz.get_clim()
    for ax in figure.axes[:3]:
        left, right, bottom, top = ax.images[0].get_extent()
        box = ax.get_window_extent()
        assert box.width / box.height == pytest.approx((right - left) / (bottom - top), rel=1e-6)


def test_orthoslices_sqrt_and_center():
    figure = jp.plot_orthoslices(bead(), VOXEL, center=(0, 1, 2), sqrt=True)
    np.testing.assert_allclose(figure.axes[0].images[0].get_array(), np.sqrt(bead()[0]))


def test_scale_bar_is_a_round_length():
    figure = jp.plot_orthoslices(bead(), VOXEL)
    [patch] = figure.axes[0].patches
    assert patch.get_width() == pytest.approx(0.5)
    assert "500 nm" in [text.get_text() for text in figure.axes[0].texts]


def test_comparison_shares_limits_and_centers_the_residual():
    figure = jp.plot_comparison(bead(), 0.9 * bead(), VOXEL, planes=[1, 4])
    images = [ax.images[0] for ax in figure.axes[:9]]
    assert len({image.get_clim() for image in images[:6]}) == 1
    low, high = images[6].get_clim()
    assert low == -high and high == pytest.approx(100, rel=1e-6)
    np.testing.assert_allclose(images[8].get_array(), 0.1 * bead()[:, 10])
    titles = [ax.get_title() for ax in figure.axes[:3]]
    assert titles == ["z = -0.90 µm", "z = 0", "xz"]


def test_comparison_of_square_roots():
    figure = jp.plot_comparison(bead(), 0.81 * bead(), VOXEL, planes=[4], row=3, sqrt=True)
    np.testing.assert_allclose(figure.axes[4].images[0].get_array(), 0.1 * np.sqrt(bead()[4]))


def test_comparison_of_equal_stacks():
    figure = jp.plot_comparison(np.ones((3, 4, 5)), np.ones((3, 4, 5)), VOXEL)
    assert figure.axes[-1].get_ylabel() == "Δ counts"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: jp.plot_orthoslices(bead()[0], VOXEL), r"`psf` must be \(z, y, x\)"),
        (lambda: jp.plot_orthoslices(bead(), 0.1), "`spacing` must be the voxel size"),
        (lambda: jp.plot_orthoslices(bead(), (0.1, 0, 1)), "`spacing` must be positive"),
        (lambda: jp.plot_orthoslices(bead() * np.nan, VOXEL), "`psf` must be finite"),
        (lambda: jp.plot_orthoslices(bead(), VOXEL, center=(9, 0, 0)), "`center` must be a voxel"),
        (lambda: jp.plot_comparison(bead(), bead()[1:], VOXEL), "`model` must match"),
        (lambda: jp.plot_comparison(bead(), bead(), VOXEL, planes=[9]), "must lie within"),
        (lambda: jp.plot_comparison(bead(), bead(), VOXEL, row=99), "must lie within"),
        (lambda: jp.plot_zernikes([1.0], [(2, 0), (2, 2)]), "as many modes"),
        (lambda: jp.plot_zernikes([1.0], [(2, 0)], errors=[1.0, 2.0]), "and 2 errors"),
        (lambda: jp.plot_zernikes([], []), "must be a list of numbers"),
        (lambda: jp.plot_history([]), "`loss` must be a list of numbers"),
        (lambda: jp.plot_history([np.nan]), "finite values, got none"),
        (lambda: jp.plot_history([1.0, 2.0], heldout_loss=[1.0]), "`heldout_steps` must give"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# -- fits --------------------------------------------------------------------------------------


def test_zernikes_are_in_nanometers_with_error_bars():
    figure = jp.plot_zernikes([0.02, -0.01], [(4, 0), (7, -3)], errors=[0.001, 0.002])
    ax = figure.axes[0]
    assert [bar.get_height() for bar in ax.containers[0]] == [20, -10]
    labels = [label.get_text() for label in ax.get_xticklabels()]
    assert "(4, 0)" in labels[0] and "spherical" in labels[0] and labels[1] == "(7, -3)"
    segments = ax.collections[0].get_segments()
    np.testing.assert_allclose([s[:, 1] for s in segments], [[19, 21], [-12, -8]])


def test_rms_leaves_out_piston_and_tilt():
    figure = jp.plot_zernikes(
        [9.0, 9.0, 9.0, 0.03, 0.04], [(0, 0), (1, -1), (1, 1), (2, 0), (4, 0)]
    )
    assert figure.axes[0].get_title() == "rms wavefront error 50.0 nm"


def test_history_marks_the_best_heldout_step():
    held = [2.0, np.nan, 0.5, 0.7]
    ax = jp.plot_history([2.0, 1.0, 0.5, 0.2], heldout_loss=held).axes[0]
    assert ax.get_yscale() == "log"
    ring = ax.lines[-1]
    assert (ring.get_xdata()[0], ring.get_ydata()[0]) == (3, 0.5)
    texts = {text.get_text() for text in ax.texts}
    assert texts == {"fitted 0.2", "held out 0.7"}


def test_history_of_reports_and_of_negative_values():
    ax = jp.plot_history([1.0, -1.0, -2.0], heldout_loss=[0.5], heldout_steps=[2]).axes[0]
    assert ax.get_yscale() == "linear"
    assert jp.plot_history([1.0, 2.0], heldout_loss=[np.nan, np.nan]).axes[0].lines


def test_a_calibration_says_one_rms_and_the_held_out_score_has_its_own_axis():
    stack = bead()
    parts = {"pupil": pupil(), "coefficients": 0.01 * np.arange(6), "modes": MODES}
    history = {"loss": [1.0, 0.5], "heldout_loss": [0.2, 0.1], "wavelength": 0.5, "rms": 0.0412}
    figure = jp.plot_calibration(stack, stack, VOXEL, **parts, **history)
    titles = [ax.get_title(loc=side) for ax in figure.axes for side in ("left", "center", "right")]
    assert [text for text in titles if "rms" in text] == ["phase, rms 41.2 nm"]
    labels = [ax.get_ylabel() for ax in figure.axes]
    assert "loss" in labels and "held-out NMSE" in labels
    with pytest.raises(ValueError, match="pass `wavelength` with it"):
        jp.plot_calibration(stack, stack, VOXEL, **parts, loss=[1.0], rms=0.04)
