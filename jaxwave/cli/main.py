"""The parser of the command line, and what happens to errors and signals."""

from __future__ import annotations

import argparse
import importlib
import os
import re
import signal
import sys
import textwrap
import traceback
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from jaxwave.cli import cache, checks, early, instruments, lightfield_checks, options, terminal
from jaxwave.cli.settings import Option, UsageError, add_options

_DESCRIPTION = "Calibrates microscopes from measured beads, and writes the PSFs that come out."
_EPILOG = """\
example:
  jaxwave calibrate beads.tif --na 0.85 --wavelength "520 nm" --pixel "130 nm" --dz "300 nm" -o out

Lengths carry their unit ("520 nm", "0.52 um"); a bare number is micrometers.
Exit codes: 0 done (all fitted beads are good), 1 failed (no bead is good), 2 wrong settings,
3 some beads are good, 130 interrupted, 143 terminated.
Compiled programs are kept in {cache} and make the next
run faster; JAX_COMPILATION_CACHE_DIR names another folder, JAX_ENABLE_COMPILATION_CACHE=false
keeps none.
"""
_COMMANDS: dict[str, tuple[str, str, tuple[Option, ...], str]] = {
    "calibrate": (
        "fit the pupil of a microscope to beads",
        "Finds the beads in stacks, fits the microscope's pupil to each and writes numbers with "
        "errors, the calibrated PSF and an HTML page. A bad bead never stops the others.",
        options.CALIBRATE,
        """\
examples:
  jaxwave calibrate beads.tif --na 0.85 --wavelength "520 nm" --pixel "130 nm" --dz "300 nm" -o out
  jaxwave calibrate day1/*.tif --na 1.2 --n 1.33 --wavelength "610 nm" -o day1/psf
  jaxwave calibrate --config job.toml --order 6

job.toml holds the same settings: na = 0.85, wavelength = "520 nm", files = ["beads.tif"]
The names of files in it are relative to it.
""",
    ),
    "resume": (
        "go on with the beads that are not done",
        "Goes on with a calibration that was stopped: beads that are done stay as they are.",
        (),
        "example:\n  jaxwave resume out\n",
    ),
    "report": (
        "write the HTML pages of finished beads again",
        "Writes report.html again from the numbers in a result folder, for one bead or a batch.",
        (),
        "example:\n  jaxwave report out\n",
    ),
    "export": (
        "write the calibrated PSF, pupil and modes for other programs",
        "Writes what was calibrated in the formats of other programs. The PSF is computed for the "
        "voxel that is asked for, not interpolated, and has unit sum.",
        options.EXPORT,
        """\
examples:
  jaxwave export out --psf psf.ome.tif --like image.tif
  jaxwave export out --psf psf.zarr --pixel "65 nm" --dz "200 nm" --size 65 --planes 41
  jaxwave export out --pupil pupil.csv --coefficients zernikes.json
""",
    ),
    "sweep": (
        "compute a function for many settings, with many workers",
        "Computes a function or a model for every setting that a file lists. Workers share one "
        "folder; one that is killed loses its chunk to another, and the same command goes on.",
        (),
        """\
example:
  jaxwave sweep job.toml --workers 4

job.toml:
  function = "microscope.py:image"      # or "package.module:name"
  kind = "grid"                         # or "list", "random" or "sobol" with points = 1000
  folder = "sweeps"                     # chunks go there, under a name made of all of this
  reduce = ["mean", "argmin"]           # without it every result is kept
  out = "result.npz"                    # or .csv, .nc, .zarr
  [settings]
  na = {start = 1.0, stop = 1.45, points = 100}
  n_s = [1.33, 1.38]
  [cluster]
  timeout_min = 60                      # what submitit is told with --cluster
Exit code 3: some settings failed, and their rows are NaN.
""",
    ),
    "psf": (
        "compute the PSF of a microscope from its numbers",
        "Computes the light of an emitter on the camera, or that of a focused beam, from numbers "
        "alone; exact at any aperture, behind any layers.",
        options.PSF,
        """\
examples:
  jaxwave psf --objective "60x/1.4 oil" --camera "6.5 um" --wavelength "600 nm" --dz "100 nm"
  jaxwave psf --na 1.4 --n 1.518 --wavelength "600 nm" --pixel "65 nm" --dz "100 nm" \\
      --n-s 1.33 --n-g 1.52 --t-s "5 um" --zernike "primary spherical=20 nm" -o psf.ome.tif
  jaxwave psf --objective "UPLXAPO60XO" --camera "Prime 95B" --wavelength "600 nm" \\
      --dz "100 nm" -o psf_3dcal.mat
  jaxwave psf --na 1.3 --n 1.518 --wavelength "775 nm" --pixel "20 nm" --dz "50 nm" \\
      --kind focus --polarization circular --mask vortex --integrate none --picture donut.png
""",
    ),
    "lightfield calibrate": (
        "find the lenslets on a raw image",
        "Finds pitch, turn and place of the lens array on a flat field or another raw image, and "
        "writes them with a picture.",
        options.LATTICE,
        """\
examples:
  jaxwave lightfield calibrate flat.tif -o lattice.json
  jaxwave lightfield calibrate flat.tif --dark dark.tif --pitch "100 um" --camera-pitch "6.5 um"
""",
    ),
    "lightfield reconstruct": (
        "compute the volume behind a raw light field",
        "Computes the PSF of the microscope and the volume whose light field is most likely the "
        "image (Richardson and Lucy). Writes the volume, a picture, and the settings as TOML. "
        "Several frames of one file make numbered volumes.",
        options.VOLUME,
        """\
example:
  jaxwave lightfield reconstruct raw.tif --lattice lattice.json --na 0.45 --wavelength "525 nm" \\
      --magnification 20 --pitch "100 um" --f "2.5 mm" --z-min "-40 um" --z-max "40 um" \\
      --dz "10 um" -o volume.ome.tif
  jaxwave lightfield reconstruct --config volume.toml --steps 40 -o more.ome.tif
""",
    ),
}
_GROUPS = {"lightfield": "raw images of light-field microscopes, and the volumes behind them"}
_CHECKS = {**checks.CHECKS, **lightfield_checks.CHECKS}


_USAGE = {
    "sweep": "TOML [--workers N] [--cluster NAME]",
    "calibrate": "FILE [FILE ...] --na NUMBER --wavelength LENGTH [options]",
    "export": "FOLDER [--psf FILE] [--pupil FILE] [--coefficients FILE] [options]",
    "psf": "--objective TEXT --camera TEXT --wavelength LENGTH --dz LENGTH [options]",
    "lightfield calibrate": "IMAGE [-o FILE] [options]",
    "lightfield reconstruct": """\
IMAGE [--lattice FILE] --na NUMBER --wavelength LENGTH
           --magnification NUMBER --pitch LENGTH --f LENGTH --z-min LENGTH --z-max LENGTH
           --dz LENGTH [options]""",
}


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Keeps examples as they are written, with room for the flags."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30, width=92)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, with the flag that may be meant."""

    words: Sequence[str] = ()

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # As Python 3.14 has it: -40um is a value, too, where earlier versions know -40 only.
        self._negative_number_matcher = re.compile(r"-\.?\d")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """Remembers what was typed, for the hints of errors."""
        self.words = sys.argv[1:] if args is None else list(args)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Ends with exit code 2."""
        name = self.prog.partition(" ")[2] or next((w for w in self.words if w in _COMMANDS), "")
        own = _COMMANDS[name][2] if name in _COMMANDS else ()
        tables = [own] if own else [table for _, _, table, _ in _COMMANDS.values()]
        flags = [option.flag for table in tables for option in table]
        hint = early.hint(message, self.words, flags, _COMMANDS)
        terminal.warn(f"{message}.{hint} {self.prog} --help lists the flags.")
        raise SystemExit(2)


class _List(argparse.Action):
    """Prints the instruments that are known by name, as --version prints versions."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: Any, values: Any, option: Any = None
    ) -> None:
        """Ends with exit code 0."""
        terminal.say(instruments.table(values))
        parser.exit(0)


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    style = _Formatter
    place = cache.folder() or "no folder, as this user has no home,"
    epilog = _EPILOG.format(cache=place)
    top = _Parser("jaxwave", description=_DESCRIPTION, epilog=epilog, formatter_class=style)
    top.add_argument("--version", action="store_true", help="print the versions and exit")
    top.add_argument(
        "--report", action="store_true", help="with --version: all that a report needs"
    )
    commands = top.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    groups = {}
    for name in _COMMANDS:
        group, _, action = name.rpartition(" ")
        if group and group not in groups:
            about = _GROUPS[group]
            inner = commands.add_parser(group, help=about, description=about, formatter_class=style)
            groups[group] = inner.add_subparsers(metavar="ACTION", title="actions", required=True)
        _add_command(groups[group] if group else commands, name, action)
    return top


def _add_command(commands: Any, name: str, action: str) -> None:
    """Adds the parser of one command, which may belong to a group."""
    short, long, table, epilog = _COMMANDS[name]
    sub = commands.add_parser(
        action,
        help=short,
        usage=f"jaxwave {name} {_USAGE[name]}" if name in _USAGE else None,
        description=textwrap.fill(long, 88),
        epilog=epilog,
        formatter_class=_Formatter,
    )
    sub.set_defaults(command=name)
    again = "replace files that are there"
    if name == "calibrate":
        sub.add_argument("files", nargs="*", metavar="FILE", help="stacks of beads")
        again = "replace results of other settings"
    elif name in lightfield_checks.CHECKS:
        sub.add_argument("image", nargs="*", metavar="IMAGE", help="raw image of the camera")
    elif name == "sweep":
        _add_sweep(sub)
    elif name == "psf":
        sub.add_argument("--show", action="store_true", help="open the picture")
        sub.add_argument(
            "--list",
            action=_List,
            choices=("objectives", "cameras"),
            help="print what is known by name, and end",
        )
    else:
        sub.add_argument("folder", metavar="FOLDER", help="result folder of a calibration")
    if name in ("calibrate", "psf") or name in lightfield_checks.CHECKS:
        sub.add_argument("--config", metavar="TOML", help="file with settings; flags win")
    if name == "export":
        sub.add_argument("--best", action="store_true", help="take the best bead of a batch")
    if name not in ("resume", "report", "sweep"):
        sub.add_argument("--force", action="store_true", help=again)
    sub.add_argument("--debug", action="store_true", help="show the traceback of an error")
    add_options(sub, table)


def _add_sweep(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("job", metavar="TOML", help="file that names the function and its settings")
    sub.add_argument(
        "--workers", type=int, default=1, metavar="N", help="processes that share it (default: 1)"
    )
    sub.add_argument(
        "--cluster",
        metavar="NAME",
        help='submit the workers with submitit: "slurm", "local" or "auto"',
    )


def main(words: Sequence[str] | None = None, *, load: Callable[[], None] | None = None) -> int:
    """Runs a command and returns its exit code; ``load`` is called when the arguments are right."""
    top = parser()
    try:
        arguments = top.parse_args(words)
    except SystemExit as stop:  # argparse has said what is wrong, or printed the help
        return int(stop.code or 0)
    if arguments.report and not arguments.version:
        terminal.warn("--report goes with --version: jaxwave --version --report.")
        return 2
    if arguments.command is None and not arguments.version:
        top.print_help()
        return 2
    return _guarded(arguments, load or _nothing)


def _nothing() -> None:
    """Everything is loaded already."""


def _run(arguments: argparse.Namespace, load: Callable[[], None]) -> int:
    """Checks the arguments, then loads what computes, then runs the command."""
    if arguments.version:
        load()
        if arguments.report:
            terminal.say(importlib.import_module("jaxwave.cli.machine").report())
            return 0
        results = importlib.import_module("jaxwave.io.results")
        terminal.say(", ".join(f"{name} {text}" for name, text in results.versions().items()))
        return 0
    arguments.settings = _CHECKS[arguments.command](arguments)
    cache.use()
    load()
    warned = importlib.import_module("jaxwave._check").JaxwaveWarning
    warnings.simplefilter("default", warned)
    group, _, action = arguments.command.rpartition(" ")
    module = group or {"resume": "calibrate"}.get(action, action)
    run = getattr(importlib.import_module(f"jaxwave.cli.{module}"), action)
    return int(run(arguments) or 0)


def _guarded(arguments: argparse.Namespace, load: Callable[[], None]) -> int:
    """Runs a command; what goes wrong becomes one sentence and an exit code."""
    table = _COMMANDS[arguments.command][2] if arguments.command else ()
    table = table or options.CALIBRATE

    def show_warning(message: object, *_: object, **__: object) -> None:
        terminal.warn(f"warning: {terminal.in_flags(str(message), table)}")

    try:
        with warnings.catch_warnings():
            warnings.showwarning = show_warning  # type: ignore[assignment]
            return _run(arguments, load)
    except KeyboardInterrupt:
        terminal.warn("interrupted")
        return 128 + signal.SIGINT
    except BrokenPipeError:  # the reader of the output went away
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 1
    except Exception as error:
        if getattr(arguments, "debug", False):
            traceback.print_exc()
        else:
            terminal.warn(_sentence(error, table))
        return 2 if isinstance(error, UsageError) else 1


def _sentence(error: BaseException, table: tuple[Option, ...]) -> str:
    expected = UsageError | ValueError | TypeError | OSError | ImportError | RuntimeError
    text = str(error)
    if isinstance(error, ModuleNotFoundError) and error.name:
        return (
            f"the command line needs {error.name.split('.')[0]}, which is not installed. Run "
            'pip install "jaxwave[all]".'
        )
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror + (f": {error.filename}" if error.filename else "")
    text = " ".join(text.split()) or type(error).__name__
    exhausted = "RESOURCE_EXHAUSTED" in text
    if not exhausted and (not isinstance(error, expected) or len(text) > 1000):
        return f"{type(error).__name__}: {text[:600]} (--debug shows where)"
    return terminal.in_flags(text, table)
