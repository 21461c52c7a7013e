"""Objectives and cameras by the names of their makers.

Magnification, aperture and immersion of objectives are what the makers engrave on them and print
in their catalogs (Nikon, CFI60 objectives; Evident, UIS2 objectives). Tube lenses are those of the
makers' infinity systems. Pixels, peak quantum efficiencies and read noises of cameras are typical
values, rounded, of the data sheets that bear their names. Pixels are exact; efficiency and noise
change with the wavelength, the mode and the version, so a fit takes those that are measured
(``--read-noise``, ``--quantum-efficiency``), never these. None is what is not stated; a camera that
multiplies its electrons has less than one electron of noise.
"""

from __future__ import annotations

from typing import NamedTuple


class Objective(NamedTuple):
    """What the maker states: magnification, numerical aperture, immersion."""

    maker: str
    magnification: float
    na: float
    immersion: str


class Camera(NamedTuple):
    """Pixel [µm], peak quantum efficiency, read noise [electrons], whether electrons multiply."""

    pixel: float
    efficiency: float | None
    read_noise: float | None
    multiplies: bool = False


# Indices that objectives are designed for: oil by ISO 8036 (n_e = 1.518), water at 23 °C, glycerol
# of 80 %, silicone oil as its makers state it.
IMMERSIONS = {
    "air": 1.0, "dry": 1.0, "water": 1.333, "w": 1.333, "wi": 1.333, "glycerol": 1.45,
    "glyc": 1.45, "silicone": 1.405, "sil": 1.405, "oil": 1.518,
}  # fmt: skip
TUBES = {
    "nikon": 200.0, "leica": 200.0, "mitutoyo": 200.0, "thorlabs": 200.0, "olympus": 180.0,
    "evident": 180.0, "zeiss": 165.0,
}  # fmt: skip

OBJECTIVES = {
    name: Objective(maker, float(magnification), float(na), immersion)
    for maker, rows in {
        "Nikon": (
            "CFI Plan Fluor 10X|10|0.30|air", "CFI Plan Apo Lambda 10X|10|0.45|air",
            "CFI Plan Apo Lambda 20X|20|0.75|air", "CFI Plan Apo Lambda D 20X|20|0.80|air",
            "CFI Plan Apo Lambda 40XC|40|0.95|air", "CFI Plan Apo Lambda 60X Oil|60|1.40|oil",
            "CFI Plan Apo Lambda D 60X Oil|60|1.42|oil",
            "CFI Plan Apo Lambda 100X Oil|100|1.45|oil",
            "CFI Plan Apo Lambda D 100X Oil|100|1.45|oil", "CFI Apo TIRF 60XC Oil|60|1.49|oil",
            "CFI Apo TIRF 100XC Oil|100|1.49|oil", "CFI SR HP Apo TIRF 100XC Oil|100|1.49|oil",
            "CFI Plan Apo VC 60XC WI|60|1.20|water", "CFI SR Plan Apo IR 60XC WI|60|1.27|water",
            "CFI Apo LWD Lambda S 40XC WI|40|1.15|water", "CFI Apo NIR 60X W|60|1.00|water",
            "CFI75 Apo 25XC W|25|1.10|water", "CFI Plan Apo Lambda S 25XC Sil|25|1.05|silicone",
            "CFI Plan Apo Lambda S 40XC Sil|40|1.25|silicone",
            "CFI SR HP Plan Apo Lambda S 100XC Sil|100|1.35|silicone",
        ),
        "Evident": (
            "UPLXAPO10X|10|0.40|air", "UPLXAPO20X|20|0.80|air", "UPLXAPO40X|40|0.95|air",
            "UPLXAPO40XO|40|1.40|oil", "UPLXAPO60XO|60|1.42|oil", "UPLXAPO100XO|100|1.45|oil",
            "UPLSAPO20X|20|0.75|air", "UPLSAPO60XO|60|1.35|oil", "UPLSAPO100XO|100|1.40|oil",
            "UPLSAPO60XW|60|1.20|water", "UPLSAPO30XS|30|1.05|silicone",
            "UPLSAPO60XS2|60|1.30|silicone", "UPLSAPO100XS|100|1.35|silicone",
            "UPLAPO60XOHR|60|1.50|oil", "UPLAPO100XOHR|100|1.50|oil",
            "UAPON100XOTIRF|100|1.49|oil", "UAPON150XOTIRF|150|1.45|oil",
            "APON60XOTIRF|60|1.49|oil", "PLAPON60XO|60|1.42|oil", "XLPLN25XWMP2|25|1.05|water",
            "LUMPLFLN40XW|40|0.80|water", "LUMPLFLN60XW|60|1.00|water",
        ),
    }.items()
    for name, magnification, na, immersion in (row.split("|") for row in rows)
}  # fmt: skip

CAMERAS = {
    "Andor iXon Ultra 888": Camera(13.0, 0.95, None, multiplies=True),
    "Andor iXon Ultra 897": Camera(16.0, 0.90, None, multiplies=True),
    "Andor Sona 4.2B-11": Camera(11.0, 0.95, 1.6),
    "Andor Sona 4.2B-6": Camera(6.5, 0.95, None),
    "Andor Zyla 4.2": Camera(6.5, 0.72, 0.9),
    "Andor Zyla 4.2 PLUS": Camera(6.5, 0.82, 0.9),
    "Andor Zyla 5.5": Camera(6.5, 0.60, 0.9),
    "Hamamatsu ORCA-Flash4.0": Camera(6.5, 0.72, 1.3),
    "Hamamatsu ORCA-Flash4.0 V3": Camera(6.5, 0.82, 0.8),
    "Hamamatsu ORCA-Fusion": Camera(6.5, 0.80, 0.7),
    "Hamamatsu ORCA-Fusion BT": Camera(6.5, 0.95, 0.7),
    "Hamamatsu ORCA-Quest": Camera(4.6, 0.90, 0.27),
    "PCO edge 4.2": Camera(6.5, 0.82, 0.8),
    "PCO edge 5.5": Camera(6.5, 0.60, 1.1),
    "Photometrics CoolSNAP HQ2": Camera(6.45, 0.62, 4.5),
    "Photometrics Evolve 512": Camera(16.0, 0.90, None, multiplies=True),
    "Photometrics Kinetix": Camera(6.5, 0.95, 0.7),
    "Photometrics Prime 95B": Camera(11.0, 0.95, 1.3),
    "Photometrics Prime BSI": Camera(6.5, 0.95, 1.0),
}


def table(kind: str) -> str:
    """What is known about ``"objectives"`` or ``"cameras"``, in columns."""
    rows: list[tuple[str, ...]]
    if kind == "objectives":
        rows = [("objective", "magnification", "NA", "immersion", "index", "tube lens [mm]")]
        for name, o in OBJECTIVES.items():
            index, tube = IMMERSIONS[o.immersion], TUBES[o.maker.lower()]
            numbers = (f"{o.magnification:g}", f"{o.na:.2f}", o.immersion, f"{index:g}")
            rows.append((f"{o.maker} {name}", *numbers, f"{tube:g}"))
    else:
        rows = [("camera", "pixel [µm]", "peak efficiency", "read noise [e]")]
        for name, c in CAMERAS.items():
            noise = "multiplies" if c.multiplies else c.read_noise
            rest = (f"{v}" if v is not None else "-" for v in (c.pixel, c.efficiency, noise))
            rows.append((name, *rest))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(w.ljust(n) for w, n in zip(r, widths, strict=True)).rstrip() for r in rows)
    return "\n".join(lines)
