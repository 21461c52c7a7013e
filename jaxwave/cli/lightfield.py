"""``jaxwave lightfield``: from a raw image to its lattice, and from there to a volume."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
from jax.typing import ArrayLike

from jaxwave import io
from jaxwave import lightfield as lf
from jaxwave._files import sha256
from jaxwave.cli import checks, options, outputs, progress
from jaxwave.cli.lightfield_checks import stem
from jaxwave.cli.settings import Settings, UsageError, write_toml
from jaxwave.cli.terminal import say, warn
from jaxwave.io._raw import Request
from jaxwave.io.reader import _load
from jaxwave.lightfield.projector import memory
from jaxwave.psf import Objective
from jaxwave.report import lightfield as pictures

_PARTS = 10  # reports of the progress
_MOST_BYTES = 2.0**34  # of a raw file
_SAME_PITCH = 0.03
_FEWEST = 3  # cells each way
_LATTICE = ("pitch", "phi", "y", "x", "layout")


def calibrate(arguments: argparse.Namespace) -> int:
    """Finds the lattice of an image and writes it with a picture."""
    settings = arguments.settings
    path, out = Path(settings["image"][0]), Path(settings["out"])
    reads = [path, *([settings["dark"]] if settings["dark"] else [])]
    for name in (out, stem(str(out)) + ".png"):
        outputs.spare(name, reads, "Choose another name with -o.")
    image = _frames(path, settings).mean(axis=0)
    if settings["dark"]:
        image = image - _dark(settings, image.shape)
    pitch = settings["pitch"] and settings["pitch"] / settings["camera_pitch"]
    lattice = _found(path, image, pitch, settings["layout"])
    numbers = {name: getattr(lattice, name) for name in _LATTICE}
    say(
        io.write_json(
            out,
            {
                "lattice": numbers,
                "meaning": "pixels and radians; y and x from the pixel N // 2 of the image",
                "shape": image.shape,
                "image": path.name,
                "sha256": sha256(path),
                "versions": io.results.versions(),
            },
        )
    )
    say(pictures.draw_lattice(image, lattice, Path(stem(str(out)) + ".png")))
    say(_described(lattice, image.shape, settings["pitch"]))
    return 0


def _found(path: Path, image: np.ndarray, pitch: float | None, layout: str) -> lf.Lattice:
    try:
        return lf.find_lattice(image, pitch=pitch, layout=layout)
    except ValueError as error:
        raise ValueError(str(error).replace("`image`", repr(path.name))) from None


def _described(lattice: lf.Lattice, shape: tuple[int, ...], pitch: float | None) -> str:
    """The lattice in words."""
    y, x = np.broadcast_to(np.asarray(lattice.pitch, float), (2,))
    text = (
        f"{len(lattice.centers(shape))} lenslets, pitch {y:.4f} x {x:.4f} pixels (y, x), turned by "  # type: ignore[arg-type]
        f"{1e3 * float(lattice.phi):.2f} mrad"
    )
    return text + (f"; a pixel is {pitch / math.sqrt(y * x):.4f} µm" if pitch else "")


# -- files ---------------------------------------------------------------------------------


def _frames(path: Path, settings: Settings) -> np.ndarray:
    """Raw images of a file, ``(frames, y, x)``."""
    axes, chosen = settings["axes"], checks.chosen(settings["select"])
    where = path.name
    ask = Request(where, _MOST_BYTES, axes, settings["name"], chosen, fields=True)
    raw = _load(ask, path)
    array, letters = raw.array, (axes or raw.axes or "").upper()
    if array.ndim < 2 or array.dtype.kind not in "fiub":
        raise ValueError(
            f"{path.name!r} must hold images of real numbers, got the shape {array.shape} of "
            f"{array.dtype}."
        )
    if len(letters) != array.ndim or not {"Y", "X"} <= set(letters):
        letters = "NMLKJ"[: array.ndim - 2] + "YX"
    for letter, index in chosen.items():
        if letter in letters:
            array = np.take(array, index, letters.index(letter))
            letters = letters.replace(letter, "")
    order = [k for k, letter in enumerate(letters) if letter not in "YX"]
    array = array.transpose(*order, letters.index("Y"), letters.index("X"))
    if sum(n > 1 for n in array.shape[:-2]) > 1 or ("C" in letters and array.shape[0] > 1):
        raise ValueError(
            f"{path.name!r} has the shape {raw.array.shape} with the axes {raw.axes}; frames have "
            "one axis. Choose an entry of the others with --select, such as --select C=0."
        )
    array = array.reshape(-1, *array.shape[-2:]).astype(np.float32)
    if not np.all(np.isfinite(array)):
        raise ValueError(f"{path.name!r} holds NaN or infinity. Save the image again.")
    return array


def _dark(settings: Settings, shape: tuple[int, ...]) -> np.ndarray:
    path = Path(settings["dark"])
    dark = _frames(path, settings).mean(axis=0)
    if dark.shape != shape:
        raise ValueError(f"--dark: {path.name!r} has {dark.shape} pixels, the image {shape}.")
    return dark


def _lattice(settings: Settings, image: np.ndarray) -> lf.Lattice:
    """The lattice of a file, or that of the image itself."""
    path = Path(settings["image"][0])
    if settings["lattice"] is None:
        warn("no --lattice: the lenslets are searched on the image itself; a flat field is safer")
        camera = settings["camera_pitch"]
        pitch = None if camera is None else settings["pitch"] / camera
        return _found(path, image, pitch, settings["layout"])
    source = Path(settings["lattice"])
    try:
        saved = json.loads(source.read_text(encoding="utf-8"))
        lattice = lf.Lattice(**{name: saved["lattice"][name] for name in _LATTICE})
        shape = tuple(saved["shape"])
    except (ValueError, TypeError, KeyError, UnicodeDecodeError) as error:
        raise UsageError(
            f"--lattice: {source.name!r} is no file of jaxwave lightfield calibrate ({error})."
        ) from None
    if shape != image.shape:
        raise UsageError(
            f"--lattice: {source.name!r} belongs to images of {shape} pixels, and {path.name!r} "
            f"has {image.shape}. Calibrate with a flat field of this camera's region."
        )
    return lattice


# -- volumes -------------------------------------------------------------------------------


def reconstruct(arguments: argparse.Namespace) -> int:
    """Computes the volume behind a raw image and writes it with a picture and the settings."""
    settings = arguments.settings
    path, base = Path(settings["image"][0]), stem(settings["out"])
    images = _frames(path, settings)
    names = _names(settings, len(images), force=arguments.force)
    lattice = _lattice(settings, images.mean(axis=0))
    cell = _cell(lattice, settings["pixels"])
    cells = _cells(lattice, images.shape[1:], settings["crop"])
    if min(cells) < _FEWEST:
        raise ValueError(
            f"{path.name!r} shows {cells[0]} x {cells[1]} whole cells of the lattice; at least "
            f"{_FEWEST} each way are needed."
        )
    shape = (cells[0] * cell[0], cells[1] * cell[1])

    def straightened(raw: np.ndarray) -> np.ndarray:
        return np.maximum(np.asarray(lf.rectify(raw, lattice, pixels=cell, shape=shape)), 0)

    straight = straightened(images)
    scope = _microscope(settings, lattice, cell)
    share = math.prod(float(c) / n for c, n in zip(lattice.cell, cell, strict=True))
    background = settings["background"] * share
    if settings["dark"]:
        background = background + straightened(_dark(settings, images.shape[1:]))
    z = _depths(settings)
    volume, error = _deconvolved(settings, scope, z, straight, background)
    pixel = np.broadcast_to(np.asarray(scope.pixel_in_sample, float), (2,))
    spacing = (settings["dz"], *map(float, pixel))
    for name, one in zip(names, volume, strict=True):
        say(io.write_stack(name, one, spacing=spacing))
    job = Path(base + ".toml")
    if arguments.config is None or not outputs.same(arguments.config, job):
        again = f"lightfield reconstruct --config {job.name}"
        write_toml(job, options.VOLUME, settings, again)
    picture = Path(base + ".png")
    say(pictures.draw_volume(straight[0], volume[0], z, spacing, picture))
    say(f"{len(z)} depths of {volume.shape[-2]} x {volume.shape[-1]} voxels, error of the image's "
        f"prediction (NMSE) {error:.3g}")  # fmt: skip
    return 0


def _names(settings: Settings, count: int, *, force: bool) -> list[str]:
    """Files for the volumes, none of which is read."""
    out, base = settings["out"], stem(settings["out"])
    digits = len(str(count - 1))
    numbered = [f"{base}-{k:0{digits}d}{out[len(base) :]}" for k in range(count)]
    names = [out] if count == 1 else numbered
    reads = [settings["image"][0], *(settings[n] for n in ("lattice", "dark") if settings[n])]
    for name in (*names, base + ".png", base + ".toml"):
        outputs.spare(name, reads, "Choose another name with -o.")
    if count > 1:
        checks.free(names, force=force)
    return names


def _cells(lattice: lf.Lattice, shape: tuple[int, ...], crop: int | None) -> tuple[int, int]:
    """Cells of the lattice each way, around its center, that lie in the image as a whole."""
    turn = abs(math.sin(float(lattice.phi)))
    most = [min(n, crop or n) for n in shape]
    found = []
    for axis, place in enumerate((lattice.y, lattice.x)):
        room = shape[axis] - 2 * abs(float(place)) - turn * most[1 - axis]
        found.append(int(min(room, most[axis]) / float(lattice.cell[axis])))
    return found[0], found[1]


def _cell(lattice: lf.Lattice, pixels: int | None) -> tuple[int, int]:
    """Whole pixels of the rectangle that repeats."""
    tall, wide = (float(c) for c in lattice.cell)
    nearest = tuple(2 * (round(c) // 2) + 1 for c in (tall, wide))
    if pixels is None:
        return nearest  # type: ignore[return-value]
    return (2 * round(pixels * tall / wide / 2 - 0.5) + 1, pixels)


def _microscope(
    settings: Settings, lattice: lf.Lattice, cell: tuple[int, int]
) -> lf.LightFieldMicroscope:
    """The microscope as its rectified images see it."""
    pitch, camera = settings["pitch"], settings["camera_pitch"]
    mean = math.sqrt(math.prod(np.broadcast_to(np.asarray(lattice.pitch, float), (2,))))
    if camera is not None and abs(mean * camera / pitch - 1) > _SAME_PITCH:
        raise UsageError(
            f"the lattice has {mean:.4g} pixels and --pitch {pitch:g} µm, so a pixel is "
            f"{pitch / mean:.4g} µm, and not --camera-pitch {camera:g} µm."
        )
    array = lf.LensArray(settings["f"], pitch=pitch, layout=lattice.layout)
    objective = Objective(settings["na"], settings["wavelength"], n=settings["n"])
    return lf.LightFieldMicroscope(
        objective,
        settings["magnification"],
        array,
        [p / n for p, n in zip(array.period, cell, strict=True)],
        camera_distance=settings["camera_distance"],
        emitter="scalar" if settings["model"] == "scalar" else "rotating",
    )


def _depths(settings: Settings) -> np.ndarray:
    span = settings["z_max"] - settings["z_min"]
    return settings["z_min"] + settings["dz"] * np.arange(int(span / settings["dz"] + 1.001))


def _psf(
    scope: lf.LightFieldMicroscope,
    z: np.ndarray,
    kernel: tuple[int, int],
    report: Callable[..., None],
) -> lf.LightFieldPSF:
    """The PSF, depth by depth, so that one sees how long it takes."""
    values = []
    for k in range(len(z)):
        values.append(np.asarray(scope.psf(z[k : k + 1], shape=kernel).values))
        report("PSF", k + 1, len(z), math.nan, math.nan)
    return lf.LightFieldPSF(np.concatenate(values), z, scope.pixel_in_sample)


def _deconvolved(
    settings: Settings,
    scope: lf.LightFieldMicroscope,
    z: np.ndarray,
    images: np.ndarray,
    background: ArrayLike,
) -> tuple[np.ndarray, float]:
    """Volumes ``(frames, planes, y, x)`` and the error of the prediction."""
    shape = images.shape[-2:]
    kernel = scope._kernel("reconstruct", z)
    period = tuple(round(p) for p in scope.period)
    need = memory((len(z), *period, *kernel), shape)  # type: ignore[arg-type]
    if need > settings["memory"]:
        raise ValueError(
            f"one depth takes {need:.3g} bytes, and --memory is {settings['memory']:.3g}. Pass a "
            "smaller --crop, fewer --pixels, or more --memory."
        )
    planes = int(settings["memory"] // need)
    text = f"the PSF of {len(z)} depths is computed, then {settings['steps']} steps"
    with progress.shown(text) as report:
        psf = _psf(scope, z, kernel, report)
        projector = lf.Projector(psf, shape, planes if planes < len(z) else None)  # type: ignore[arg-type]
        cutoff = lf.sampling_cutoff(scope, z) if settings["cutoff"] == "sampling" else None
        volume, done, steps = None, 0, settings["steps"]
        while done < steps:
            part = min(math.ceil(steps / _PARTS), steps - done)
            volume = lf.richardson_lucy(
                projector, images, steps=part, start=volume, background=background, cutoff=cutoff
            )
            done += part
            seen = np.asarray(projector.project(volume)) + background
            error = float(((seen - images) ** 2).sum() / (images**2).sum())
            report("volume", done, steps, error, math.nan)
    return np.asarray(volume), error
