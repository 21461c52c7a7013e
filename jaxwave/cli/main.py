"""The parser of the command line, and what happens to errors and signals."""

import argparse
import difflib
import importlib
import os
import signal
import sys
import textwrap
import traceback
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from jaxwave.cli import cache, checks, options, terminal
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
    "psf": (
        "compute the PSF of a microscope from its numbers",
        "Computes the PSF of a freely rotating dipole, or of the scalar model, from numbers alone.",
        options.PSF,
        """\
example:
  jaxwave psf --na 1.4 --n 1.518 --wavelength "600 nm" --pixel "65 nm" --dz "100 nm" \\
      --zernike "primary spherical=20 nm" -o psf.ome.tif
""",
    ),
}


_USAGE = {
    "calibrate": "FILE [FILE ...] --na NUMBER --wavelength LENGTH [options]",
    "export": "FOLDER [--psf FILE] [--pupil FILE] [--coefficients FILE] [options]",
    "psf": "--na NUMBER --wavelength LENGTH --pixel LENGTH --dz LENGTH [options]",
}


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Keeps examples as they are written, with room for the flags."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30, width=92)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, with the flag that may be meant."""

    def error(self, message: str) -> NoReturn:
        """Ends with exit code 2."""
        flags = [option.flag for _, _, table, _ in _COMMANDS.values() for option in table]
        wrong = [word for word in message.split() if word.startswith("--")]
        near = difflib.get_close_matches(wrong[0], flags, n=1) if wrong else []
        hint = f" Did you mean {near[0]}?" if near and near[0] not in wrong else ""
        terminal.warn(f"{message}.{hint} {self.prog} --help lists the flags.")
        raise SystemExit(2)


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    style = _Formatter
    place = cache.folder() or "no folder, as this user has no home,"
    epilog = _EPILOG.format(cache=place)
    top = _Parser("jaxwave", description=_DESCRIPTION, epilog=epilog, formatter_class=style)
    top.add_argument("--version", action="store_true", help="print the versions and exit")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, (short, long, table, epilog) in _COMMANDS.items():
        sub = commands.add_parser(
            name,
            help=short,
            usage=f"jaxwave {name} {_USAGE[name]}" if name in _USAGE else None,
            description=textwrap.fill(long, 88),
            epilog=epilog,
            formatter_class=style,
        )
        if name == "calibrate":
            sub.add_argument("files", nargs="*", metavar="FILE", help="stacks of beads")
            sub.add_argument("--config", metavar="TOML", help="file with settings; flags win")
            sub.add_argument(
                "--force", action="store_true", help="replace results of other settings"
            )
        elif name != "psf":
            sub.add_argument("folder", metavar="FOLDER", help="result folder of a calibration")
        if name == "export":
            sub.add_argument("--best", action="store_true", help="take the best bead of a batch")
        if name in ("export", "psf"):
            sub.add_argument("--force", action="store_true", help="replace files that are there")
        sub.add_argument("--debug", action="store_true", help="show the traceback of an error")
        add_options(sub, table)
    return top


def main(words: Sequence[str] | None = None, *, load: Callable[[], None] | None = None) -> int:
    """Runs a command and returns its exit code; ``load`` is called when the arguments are right."""
    top = parser()
    try:
        arguments = top.parse_args(words)
    except SystemExit as stop:  # argparse has said what is wrong, or printed the help
        return int(stop.code or 0)
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
        results = importlib.import_module("jaxwave.io.results")
        terminal.say(", ".join(f"{name} {text}" for name, text in results.versions().items()))
        return 0
    arguments.settings = checks.CHECKS[arguments.command](arguments)
    cache.use()
    load()
    warned = importlib.import_module("jaxwave._check").JaxwaveWarning
    warnings.simplefilter("default", warned)
    module = {"resume": "calibrate", "psf": "export"}.get(arguments.command, arguments.command)
    run = getattr(importlib.import_module(f"jaxwave.cli.{module}"), arguments.command)
    return int(run(arguments) or 0)


def _guarded(arguments: argparse.Namespace, load: Callable[[], None]) -> int:
    """Runs a command; what goes wrong becomes one sentence and an exit code."""
    table = _COMMANDS[arguments.command][2] if arguments.command else ()
    table = table or options.CALIBRATE

    def show_warning(message: Any, *_: Any, **__: Any) -> None:
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
