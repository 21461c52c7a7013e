"""The widgets in napari itself, by its own fixtures; they need napari and a screen (or Xvfb)."""

import importlib.util
import os
import sys

import numpy as np
import pytest

if importlib.util.find_spec("napari") is None or importlib.util.find_spec("pytestqt") is None:
    pytest.skip("napari and pytest-qt are not installed", allow_module_level=True)
if sys.platform.startswith("linux") and not (
    os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
):
    pytest.skip("there is no screen", allow_module_level=True)

# Warnings are the viewer's own and those of its packages.
pytestmark = pytest.mark.filterwarnings("ignore")

SMALL = {"na": "0.8", "wavelength": "600 nm", "pixel": "100 nm", "dz": "300 nm"}
SMALL |= {"planes": "3", "size": "15", "model": "scalar", "integrate": "none"}


@pytest.fixture
def told(monkeypatch):
    """Notifications that the widgets show."""
    texts = []
    from jaxwave.napari import panel

    monkeypatch.setattr(panel, "show_error", texts.append)
    return texts


@pytest.fixture
def psf(make_napari_viewer, qtbot, told):
    """The widget "PSF" with a small PSF in its viewer."""
    from jaxwave.napari.psf import PsfWidget

    viewer = make_napari_viewer()
    widget = PsfWidget(viewer)
    viewer.window.add_dock_widget(widget, name="PSF")
    widget.form.show_values(SMALL)
    finish(qtbot, widget)
    yield widget
    leave(qtbot, widget)


def leave(qtbot, widget):
    """Cancels, and lets threads end before the viewer does."""
    from qtpy.QtCore import QThreadPool

    widget.work.cancel()
    QThreadPool.globalInstance().waitForDone(60_000)
    finish(qtbot, widget)


def finish(qtbot, widget):
    qtbot.waitUntil(lambda: not widget.work.running, timeout=120_000)
    qtbot.wait(10)


def test_the_layer_follows_the_fields(psf, qtbot, told):
    (layer,) = psf._viewer.layers
    before = np.array(layer.data)
    assert before.shape == (3, 15, 15) and before.sum() == pytest.approx(1, rel=1e-5)
    assert [str(unit) for unit in layer.units] == ["micrometer"] * 3
    psf.form.field("dz").stepBy(3)
    assert psf.form.field("dz").value() == "330 nm"
    psf.form.field("planes").show_value("5")
    psf.form.changed.emit()
    finish(qtbot, psf)
    assert psf._viewer.layers[:] == [layer] and layer.data.shape == (5, 15, 15)
    assert layer.scale[0] == pytest.approx(0.33) and layer.translate[0] == pytest.approx(-0.66)
    np.testing.assert_allclose(layer.data[2] / layer.data.max(), before[1] / before.max(), 1e-5)
    psf._viewer.layers.clear()  # a layer that somebody removed comes again
    psf.compute()
    finish(qtbot, psf)
    assert len(psf._viewer.layers) == 1 and not told


def test_mistakes_name_their_field_once(psf, qtbot, told):
    for name in ("wavelength", "wavelength", "na"):
        psf.form.field(name).show_value({"wavelength": "600", "na": "1.2"}[name])
        psf.form.changed.emit()
        finish(qtbot, psf)
    assert len(told) == 1 and "wavelength '600 nm'" in told[0]
    assert psf.form.field("wavelength").styleSheet() and "600 nm" in psf.status.text()
    psf.form.field("wavelength").show_value("600 nm")
    psf.form.changed.emit()
    finish(qtbot, psf)
    assert len(told) == 2 and "numerical aperture 1.2" in told[1]
    assert psf.form.field("na").styleSheet() and not psf.form.field("wavelength").styleSheet()


def test_fast_changes_compute_the_last_one(psf, qtbot):
    asked = []
    work, function = psf.work, psf.work._function
    work._function = lambda given, report: asked.append(given["dz"]) or function(given, report)
    for dz in range(301, 341):
        psf.form.field("dz").show_value(f"{dz} nm")
        psf.form.changed.emit()
        qtbot.wait(1)
    finish(qtbot, psf)
    assert psf._viewer.layers[0].scale[0] == pytest.approx(0.34)
    assert len(asked) < 10 and asked[-1] == "340 nm"
    psf.live.setChecked(False)
    psf.form.field("dz").stepBy(1)
    assert not psf.work.running
    psf.compute()
    finish(qtbot, psf)
    assert psf._viewer.layers[0].scale[0] == pytest.approx(0.35)


def test_settings_are_saved_and_read(psf, qtbot, told, tmp_path):
    psf.form.field("zernike").show_value(["2,2=15 nm", "primary spherical=5 nm"])
    psf.save(str(tmp_path / "psf.toml"))
    saved = psf.form.values()
    psf.form.show_values({})
    finish(qtbot, psf)
    assert psf.form.values() == {} and "must be given" in told[-1]
    psf.load(str(tmp_path / "psf.toml"))
    assert psf.form.values() == saved
    (tmp_path / "wrong.toml").write_text("naa = 1")
    psf.load(str(tmp_path / "wrong.toml"))
    assert "naa" in told[-1]


def test_closed_while_it_computes(make_napari_viewer, qtbot, told):
    from jaxwave.napari.psf import PsfWidget

    viewer = make_napari_viewer()
    widgets = [PsfWidget(viewer) for _ in range(2)]
    docks = [viewer.window.add_dock_widget(w, name=str(k)) for k, w in enumerate(widgets)]
    for widget in widgets:
        widget.form.show_values(SMALL)
        widget.compute()
    qtbot.waitUntil(lambda: widgets[0].work._running, timeout=5000)
    viewer.window.remove_dock_widget(docks[0])
    widgets[0].close()
    widgets[0].deleteLater()
    finish(qtbot, widgets[1])
    qtbot.wait(300)
    assert len(viewer.layers) == 1 and not told


# -- deconvolution -------------------------------------------------------------------------


@pytest.fixture
def deconvolve(make_napari_viewer, qtbot, told):
    """The widget "Deconvolve" with an image and a PSF in its viewer."""
    from jaxwave.napari.deconvolve import DeconvolveWidget

    viewer = make_napari_viewer()
    widget = DeconvolveWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Deconvolve")
    psf = np.zeros((5, 5), np.float32)
    psf[1:4, 1:4] = [[1, 2, 1], [2, 4, 2], [1, 2, 1]]
    image = np.random.default_rng(0).poisson(50, (16, 16)).astype(np.uint16)
    viewer.add_image(psf, name="PSF", scale=(0.1, 0.1), units=("um", "um"))
    viewer.add_image(image, name="cell", scale=(100, 100), units=("nm", "nm"), translate=(5, 7))
    yield widget
    leave(qtbot, widget)


def test_an_image_is_deconvolved(deconvolve, qtbot, told):
    assert (deconvolve.image.layer().name, deconvolve.psf.layer().name) == ("cell", "PSF")
    for method in ("wiener", "richardson_lucy", "richardson_lucy"):
        deconvolve.form.show_values({"method": method, "steps": "7"})
        deconvolve.compute()
        finish(qtbot, deconvolve)
    names = ["PSF", "cell", "cell wiener", "cell richardson_lucy"]
    assert [layer.name for layer in deconvolve._viewer.layers] == names
    made = deconvolve._viewer.layers[-1]
    assert made.data.shape == (16, 16) and made.data.std() > deconvolve.image.layer().data.std()
    np.testing.assert_allclose(made.translate, (5, 7))
    assert str(made.units[0]) == "nanometer" and "done" in deconvolve.status.text() and not told


def test_layers_that_do_not_fit_are_told(deconvolve, qtbot, told):
    viewer = deconvolve._viewer
    viewer.add_image(np.zeros((8, 8, 3), np.uint8), name="picture", rgb=True)
    deconvolve.image.choose(viewer.layers["picture"])
    deconvolve.compute()
    finish(qtbot, deconvolve)
    deconvolve.image.choose(viewer.layers["cell"])
    deconvolve.psf.choose(viewer.layers["cell"])
    deconvolve.compute()
    finish(qtbot, deconvolve)
    deconvolve.psf.choose(viewer.layers["PSF"])
    deconvolve.form.show_values({"steps": "0"})
    deconvolve.compute()
    finish(qtbot, deconvolve)
    assert deconvolve.form.field("steps").styleSheet()
    viewer.layers.clear()
    deconvolve.form.show_values({})
    deconvolve.compute()
    finish(qtbot, deconvolve)
    parts = ("RGB", "the image itself", "steps must be", "choose a layer")
    assert len(told) == 4 and all(part in text for part, text in zip(parts, told, strict=True))


def test_cancel(deconvolve, qtbot, told):
    deconvolve.form.show_values({"steps": "100000"})
    deconvolve.compute()
    qtbot.waitUntil(lambda: deconvolve.bar.maximum() == 20000, timeout=60_000)
    assert deconvolve.stop.isEnabled() and not deconvolve.run.isEnabled()
    deconvolve.stop.click()
    assert not deconvolve.work.running and deconvolve.status.text() == "canceled"
    qtbot.wait(200)
    assert len(deconvolve._viewer.layers) == 2 and deconvolve.run.isEnabled() and not told


# -- beads ---------------------------------------------------------------------------------


@pytest.fixture
def calibrate(make_napari_viewer, qtbot, told):
    """The widget "Calibrate" with a stack of beads in its viewer."""
    from test_napari import NUMBERS, beads_field

    from jaxwave.napari.calibrate import CalibrateWidget

    viewer = make_napari_viewer()
    widget = CalibrateWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Calibrate")
    viewer.add_image(beads_field(), name="beads", scale=(300, 130, 130), units=("nm",) * 3)
    widget.form.show_values(NUMBERS | {"order": "2", "steps": ["3", "0"]})
    yield widget
    leave(qtbot, widget)


def test_spots_are_drawn_with_their_fate(calibrate, qtbot, told, tmp_path):
    for _ in range(2):
        calibrate.search()
        finish(qtbot, calibrate)
    stack, points = calibrate._viewer.layers
    assert list(points.features["fate"]).count("good") == 2 and len(points.data) == 3
    assert any("cut by the edge" in label for label in points.features["label"])
    np.testing.assert_allclose(points.scale, stack.scale[1:])
    good = [bool(fate == "good") for fate in points.features["fate"]]
    assert len({tuple(c) for c in points.border_color[good]}) == 1
    assert tuple(points.border_color[good.index(False)]) not in {
        tuple(c) for c in points.border_color[good]
    }
    assert "3 spots found, 2 good" in calibrate.status.text() and not told
    calibrate.compute()
    assert "folder" in told[-1]
    calibrate.folder.setText(str(tmp_path))
    calibrate.show_report()
    assert "no report.html" in told[-1]
    calibrate.form.show_values({})
    calibrate.compute()
    finish(qtbot, calibrate)
    assert "na and wavelength must be given" in told[-1]
    assert calibrate.form.field("na").styleSheet()
    assert not list(tmp_path.glob("*.html"))


def test_settings_of_a_calibration(calibrate, told, tmp_path):
    from jaxwave.cli import options
    from jaxwave.cli.settings import gather

    calibrate.save(str(tmp_path / "job.toml"))
    saved = gather(options.CALIBRATE, {}, str(tmp_path / "job.toml"))
    assert (saved["na"], saved["wavelength"], saved["steps"]) == (0.8, 0.5, [3, 0])
    before = calibrate.form.values()
    calibrate.form.show_values({})
    calibrate.load(str(tmp_path / "job.toml"))
    assert calibrate.form.values() == before | {"steps": ["3", "0"]} and not told


def test_a_calibration_is_canceled(calibrate, qtbot, told, tmp_path):
    calibrate.folder.setText(str(tmp_path / "out"))
    calibrate.compute()
    qtbot.waitUntil(lambda: len(calibrate._viewer.layers) == 2, timeout=60_000)
    calibrate.stop.click()
    assert "canceled" in calibrate.status.text() and calibrate.run.isEnabled()
    qtbot.wait(100)
    assert len(calibrate._viewer.layers) == 2 and not told


@pytest.mark.slow
def test_beads_are_calibrated(calibrate, qtbot, told, tmp_path, monkeypatch):
    from jaxwave.napari import calibrate as module

    opened = []
    monkeypatch.setattr(module.webbrowser, "open", lambda page: opened.append(page) or True)
    calibrate.folder.setText(str(tmp_path / "out"))
    calibrate.compute()
    qtbot.waitUntil(lambda: "step" in calibrate.status.text(), timeout=120_000)
    finish(qtbot, calibrate)
    names = [layer.name.split()[0] for layer in calibrate._viewer.layers]
    assert names == ["beads", "beads", "PSF", "pupil", "pupil"]
    fates = set(calibrate._viewer.layers[1].features["fate"])
    assert "rejected" in fates and fates <= {"ok", "poor", "rejected"}
    calibrate.show_report()
    assert opened == [(tmp_path / "out" / "report.html").as_uri()]


# -- the manifest --------------------------------------------------------------------------


def test_the_viewer_offers_widgets_readers_and_the_writer(make_napari_viewer, qtbot, tmp_path):
    import npe2
    from test_napari import MANIFEST

    viewer = make_napari_viewer()
    plugins = npe2.PluginManager.instance()
    if "jaxwave" not in plugins:
        with plugins.events.plugins_registered.blocked():  # viewers of earlier tests listen still
            plugins.register(npe2.PluginManifest.from_file(MANIFEST))
    for name in ("PSF", "Calibrate", "Deconvolve"):
        _, widget = viewer.window.add_plugin_dock_widget("jaxwave", name)
        widget.work.cancel()
    data = np.random.default_rng(0).normal(size=(3, 5, 6)).astype(np.float32)
    viewer.add_image(data, name="stack", scale=(300, 110, 120), units=("nm",) * 3)
    for ending in ("npz", "ome.tif"):
        path = str(tmp_path / f"stack.{ending}")
        assert viewer.layers["stack"].save(path, plugin="jaxwave") == [path]
        (layer,) = viewer.open(path, plugin="jaxwave")
        np.testing.assert_array_equal(layer.data, data)
        np.testing.assert_allclose(layer.scale, (0.3, 0.11, 0.12))
        assert str(layer.units[0]) == "micrometer"
