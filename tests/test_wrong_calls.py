"""Calls that a newcomer types wrong: the error speaks of what was typed, and tells what to type."""

import jax
import jax.numpy as jnp
import pytest

import jaxwave as jw
from jaxwave import beads, calibration, io, psf, report
from jaxwave import elements as el

OIL = psf.Objective(na=1.3, wavelength=0.52, n=1.518)
TO = psf.Window((16, 16), spacing=0.05)
SCOPE = psf.Microscope(na=1.3, wavelength=0.52, n=1.518, pixel=0.1, shape=(16, 16))
FIELD = jw.plane_wave((16, 16), spacing=0.5, wavelength=0.5)
LENS = el.learn(el.ThinLens(200.0), "f")
KEY = jax.random.key(0)
NAMES = dict(jax=jax, jnp=jnp, jw=jw, psf=psf, el=el, calibration=calibration, oil=OIL, to=TO)
NAMES |= dict(scope=SCOPE, field=FIELD, lens=LENS, key=KEY, beads=beads, io=io, report=report)
BEAD = beads.BeadModel(psf.Objective(0.9, 0.5), pixel=0.1, shape=(16, 16))
STACK, Z = jax.random.uniform(KEY, (5, 16, 16)), jnp.arange(5.0)
NAMES |= dict(stack=STACK, z=Z, bead=BEAD)

# What is typed -> what the error must say, in this order.
CALLS = {
    # an objective, a window, a pupil
    "psf.focus(to, oil)": "focus: `objective` must be psf.Objective(...), got Window",
    "psf.focus(oil, (16, 16))": "focus: `window` must be psf.Window(...), got tuple",
    "psf.focus(oil, to, lambda x: x)": "focus: `pupil` must be a function of (y, x), got one",
    "psf.focus(oil, to, 'clear')": "focus: `pupil` must be a function or samples, got 'clear'",
    "psf.focus(oil, to, (1.0, 0.0))": "focus: `pupil` must be.*got the shape (2,)",
    "psf.focus(oil, to, jnp.ones((2, 2)))": "focus: `pupil` must have at least (8, 8) samples",
    "psf.focus(oil, to, polarization='x')": "focus: `polarization`.*'radial'.*(1, 0), got 'x'",
    "psf.focus(oil, to, polarization=(1, 0, 0))": "focus: `polarization`.*2 components (ex, ey)",
    "psf.focus(oil, to, nodes='many')": "focus: `nodes` must be.*got 'many'",
    "psf.emitter_image(oil, to, dipole=(0, 0, 0))": "emitter_image: `dipole`.*direction (x, y, z)",
    "psf.emitter_image(oil, to, dipole='z')": "emitter_image: `dipole` must be 3 numbers (x, y, z)",
    "psf.Objective(NA=1.3, wavelength=0.52)": "Objective: .*'NA'. Did you mean 'na'?",
    "psf.Objective(na=1.6, wavelength=0.52, n=1.5)": "Objective: `na` must be below.*Pass.*`n`",
    "psf.Objective(na=1.3, wavelength=520)": "Objective: `wavelength`.*pass 0.52 or '520 nm'",
    "psf.Objective(na=1.3, wavelength='520')": "Objective: `wavelength`.*Write 520.*or '520 nm'",
    "psf.Objective(na='1.3', wavelength=0.52)": "Objective: `na` must be a number, got the text",
    "psf.Objective(na=None, wavelength=0.52)": "Objective: `na` must be a number, got None",
    "psf.Objective(na=1.3, wavelength=0.52, layers=1.33)": "Objective: `layers`.*psf.Layers",
    "psf.Window((16, 16, 3), spacing=0.05)": "Window: `shape` must be two integers (ny, nx)",
    "psf.Window((16, 16), spacing=0.05, z=['0', '1'])": "Window: `z`: .*got '0'. Write 0 for micro",
    "psf.top_hat(0.1, 0.2, radius=-1)": "top_hat: `radius` must be positive, got -1",
    "psf.half_moon(0.1, 0.2, angle=1j)": "half_moon: `angle` must be real, got complex128",
    # a microscope
    "scope.psf(['0', '1 um'])": "Microscope.psf: `z`: .*got '0'",
    "scope.psf(coefficients=[0.1], modes='ansi')": "Microscope.psf: `modes`.*convention='ansi'",
    "scope.psf(coefficients=[0.1], modes=['defocus'])": "psf: `modes`.*zernike_mode('defocus')",
    "scope.psf(coefficients=[0.1], modes=[4])": "Microscope.psf: `modes`.*convention='osa', 'noll'",
    "scope.psf(coefficients=[0.1], modes=(2, 2), convention=None)": "one mode pass [(2, 2)]",
    "scope.psf(coefficients=[0.1], modes=[4], convention='wyant')": "psf: `convention`.*'fringe'",
    "scope.psf(coefficients=[0.1], modes=[(2, 2)], convention='osa')": "psf: `convention` goes wi",
    "scope.psf(coefficients=[0.1], modes=[(2, 1)])": "Microscope.psf: a mode.*got (2, 1)",
    "scope.psf(coefficients=[0.1, 0.2], modes=[(2, 2)])": "Microscope.psf: `coefficients`.*1 modes",
    "scope.psf(coefficients={(2, 2): 0.1})": "Microscope.psf: `coefficients`.*modes=[*d]",
    "scope.psf(jnp.zeros((2, 2, 2)), coefficients=jnp.zeros((3, 1)), modes=[(2, 2)])": (
        "Microscope.psf: the batch axes.*`z` (2, 2), `coefficients` (3,)"
    ),
    "scope.psf(dipole=(1, 0))": "Microscope.psf: `dipole` must have 3 components (x, y, z)",
    "scope.image(jnp.ones((16, 16)), 0)": "Microscope.image: `volume`.*(..., z, y, x)",
    "psf.Microscope(na=1, wavelength=0.5, shape=9, pixel_size=0.1)": "Microscope.*mean 'pixel'?",
    "psf.Microscope(na=1, wavelength=0.5, shape=9, pixel=100)": "Microscope: `pixel`.*'100 nm'",
    "psf.Microscope(na=1, wavelength=0.5, shape=9, pitch=6)": "Microscope: .*`magnification`",
    "psf.emitters_image(scope, jnp.zeros((5, 2)), 1)": "emitters_image: `positions`.*(z, y, x)",
    "psf.emitters_image(oil, jnp.zeros((5, 3)), 1)": "emitters_image: `microscope` must be psf.Mic",
    # sources, propagation, lenses, masks
    "jw.plane_wave('16x16', spacing=0.5, wavelength=0.5)": "plane_wave: `shape`.*got '16x16'",
    "jw.plane_wave(16, spacing=(1, 1, 1), wavelength=0.5)": "plane_wave: `spacing`.*(dy, dx)",
    "jw.plane_wave(16, spacing=None, wavelength=0.5)": "plane_wave: `spacing` must be a number",
    "jw.coordinates((4, 4), -1.0)": "coordinates: `spacing` must be positive, got -1.0",
    "jw.angular_spectrum(10, field)": "angular_spectrum: `field` must be a Field, got int. Make",
    "jw.angular_spectrum(field, '10 mn')": "angular_spectrum: `z`.*got '10 mn'. The units are pm",
    "jw.angular_spectrum(field, 10, n='glass')": "angular_spectrum: `n` must be a number",
    "jw.fresnel(field, None)": "fresnel: `z` must be a number, got None",
    "jw.thin_lens(field, f=0)": "thin_lens: `f` must be other than zero",
    "jw.phase_mask(field, jnp.ones((8, 8)))": "phase_mask: `phase`.*(16, 16) samples, got (8, 8)",
    "jw.phase_mask(field, None)": "phase_mask: `phase` must be an array.*got None",
    "jw.phase_mask(field, [[1, 2], [3]])": "phase_mask: `phase`.*rows of different lengths",
    "jw.opd_mask(field, 'flat')": "opd_mask: `opd` must be an array.*got the text 'flat'",
    "jw.zernike_opd([0.1], 'noll', 0.0, 0.0)": "zernike_opd: `modes`.*convention='noll'",
    # sensors: whatever draws takes its key first
    "jw.camera(field, 10)": "camera: `key` must be a random key, such as.*got Field",
    "jw.camera(key, field)": "camera: `photons` must be numbers, got Field. Take the intensity",
    "jw.shot_noise(42, jnp.ones((4, 4)))": "shot_noise: `key`.*jax.random.key(42), got the number",
    "jw.speckle(7, 16, spacing=1, wavelength=1, na=0.1)": "speckle: `key`.*jax.random.key(7)",
    # elements and calibration
    "el.ThinLens(focal=3)": "ThinLens: there is no argument 'focal'.*arguments are: f, n",
    "el.System([el.ThinLens(200.0)])": "System: .*got list. Pass.*one by one: System(*elements)",
    "el.learn(el.ThinLens(200.0), 'g')": "learn: no parameter matches 'g'.*are: f, n",
    "calibration.calibrate(lens, lambda m: 1.0, key=3)": "calibrate: `key`.*jax.random.key(3)",
    "calibration.calibrate(lens, lambda m: 1.0, optimizer='adam')": "`optimizer`.*optax.adam(0.01)",
    "calibration.minimize(3, jnp.ones(3))": "minimize: `loss` must be a function of (parameters)",
    "calibration.minimize(lambda p: p, jnp.ones(3))": "minimize: the loss must be a real scalar",
    "calibration.minimize(lambda p: 1.0, jnp.ones(3), steps=0)": "minimize: `steps` must be",
    "calibration.uncertainty(lens, None, 0)": "uncertainty: `residuals` must be a function, got No",
    "calibration.profile_likelihood(el.ThinLens(9.0), max, 0, name='f')": "profile_likelihood: not",
    "calibration.least_squares(3)": "least_squares: `residuals` must be a function, got 3",
    "calibration.joint_loss(None)": "joint_loss: `loss` must be a function, got None",
    "calibration.fisher_information(None, 1.0)": "fisher_information: `expected` must be a functio",
    "calibration.cramer_rao('x', 1.0)": "cramer_rao: `expected` must be a function, got 'x'",
    "calibration.localization_bound(0, (0, 0, 0), photons=9)": "localization_bound: `psf` must be ",
    "calibration.standard_errors(None, 1.0)": "standard_errors: `residuals` must be a function",
    "calibration.random_starts(key, lens, 3, spread=1.0)": "random_starts: `spread` must be a dict",
    # beads
    "beads.fit_bead(bead, z, stack)": "fit_bead: `model` must be beads.BeadModel(...), got ArrayIm",
    "beads.fit_bead(stack, z, scope.objective)": "`model` must be beads.BeadModel(...), got Object",
    "beads.fit_bead(stack, '0.2 um', bead)": "fit_bead: `z` must be real numbers, got '0.2 um'",
    "beads.fit_bead(None, z, bead)": "fit_bead: `stack` must be real numbers, got None",
    "beads.fit_bead(stack, z, bead, steps=(0, 0))": "fit_bead: `steps`.*two counts, not both zero",
    "beads.fit_bead(stack, z, bead, steps=10)": "fit_bead: `steps` must be two counts.*got 10",
    "beads.fit_bead(stack, z, bead, camera=100)": "fit_bead: `camera`.*beads.Camera(...).*got 100",
    "beads.fit_bead(stack, z, bead, weight='x')": "fit_bead: `weight` must be real numbers, got 'x",
    "beads.fit_bead(stack, z, bead, known='x')": "fit_bead: `known` must be real numbers, got 'x'",
    "beads.fit_bead(stack, z, bead, start=3)": "fit_bead: `start` must be a dict.*by name, got 3",
    "beads.fit_beads([stack], z, None)": "fit_beads: `model` must be beads.BeadModel(...), got Non",
    "beads.fit_beads(None, z, bead)": "fit_beads: `stacks` must be a list of stacks.*got NoneType",
    "beads.fit_stacks([stack], z, None)": "fit_stacks: `model` must be beads.BeadModel(...), got N",
    "beads.predict_stacks(bead, [stack], z)": "predict_stacks: `fit` must be what fit_stacks retur",
    "beads.shared_start(bead)": "shared_start: `fit` must be what fit_bead returns, got BeadModel",
    "beads.cut_bead(stack, None, 8)": "cut_bead: `center` must be real numbers, got None",
    "beads.cut_bead(stack, 12, 8)": "cut_bead: `center` must be (y, x) or (z, y, x)",
    "beads.find_beads(stack, size=8, radius='1 um')": "find_beads: `radius`.*'1 um'",
    "beads.bead_window(stack, na=0.9, n=1.0, wavelength=0.5)": "bead_window: `stack`.*io.Stack(arr",
    "beads.bead_at(stack, None, 8)": "bead_at: `place` must be (y, x) [pixels], got None",
    "beads.pupil_basis(None)": "pupil_basis: `model` must be beads.BeadModel(...), got None",
    "beads.bead_stack(bead, None, z, {})": "bead_stack: `parameters` must be a dict as of model.st",
    "beads.noise_variance(stack, camera=3)": "noise_variance: `camera` must be beads.Camera(...)",
    "beads.noise_variance(stack, model_error='x')": "noise_variance: `model_error`.*'x'",
    "beads.solve_gain_background(stack, stack[:3], stack)": "solve_gain_background: the batch axes",
    "beads.Camera('dark.tif')": "Camera: `offset` must be real numbers, got 'dark.tif'",
    "beads.Camera(offset='100')": "Camera: `offset` must be real numbers, got '100'",
    "beads.Camera(read_noise=None)": "Camera: `read_noise` must be real numbers, got None",
    "beads.BeadModel(bead.objective, pixel=None, shape=(9, 9))": "BeadModel: `pixel`.*got None",
    "beads.BeadModel(bead.objective, 0.1, (16, 16), order='8')": "BeadModel: `order` must be an in",
    # files
    "io.save_arrays('a.npz', [stack])": "save_arrays: `arrays` must be a dict of arrays.*got list",
    "io.save_arrays({'a': stack}, 'a.npz')": "save_arrays: `arrays` must be a dict.*got 'a.npz'",
    "io.save_arrays(None, {'a': stack})": "save_arrays: `path` must be the name of a file.*NoneTyp",
    "io.load_arrays(None)": "load_arrays: `path` must be the name of a file or a folder, got NoneT",
    "io.read_psf(None)": "read_psf: `path` must be the name of a file or a folder, got NoneType",
    "io.write_heights(stack[0], 'a.tif', spacing=1.0)": "write_heights: `path` must be the name of",
    "io.write_levels(None, stack[0])": "write_levels: `path` must be the name of a file",
    "report.load_bead_fit(None)": "load_bead_fit: `path` must be the name of a file or a folder, g",
    "el.save_model(lens, 'lens.json')": "save_model: `path` must be the name of a file.*got ThinLe",
    "el.load_model(3)": "load_model: `path` must be the name of a file or a folder, got int",
    "jw.sweep(lambda na: na, [1, 2])": "sweep: `settings` must be a dict of values by name",
    "jw.sweep(lambda na: na, {'NA': [1.0, 2.0]})": "sweep: .*no parameter 'NA'. It has: na",
}


@pytest.mark.parametrize("call", CALLS)
def test_the_error_speaks_of_what_was_typed(call):
    with pytest.raises((TypeError, ValueError)) as caught:
        eval(call, dict(NAMES))
    place, parts = 0, CALLS[call].split(".*")
    for part in parts:
        place = str(caught.value).find(part, place)
        assert place >= 0, f"no {part!r} in: {caught.value}"
