"""The tables of settings of every command."""

from __future__ import annotations

from jaxwave.cli.settings import Option

_MICROSCOPE = (
    Option("na", "number", "numerical aperture", group="microscope"),
    Option("n", "number", "refractive index of immersion and sample", 1.0, group="microscope"),
    Option("wavelength", "length", "vacuum wavelength of the emission", group="microscope"),
)
_ENGRAVED = (
    Option(
        "objective",
        "text",
        "what is engraved, such as '60x/1.4 oil': gives --na, --n and the magnification",
        group="microscope",
    ),
    Option(
        "camera",
        "text",
        "width of its pixels, such as '6.5 um', or its name: gives --pixel",
        group="microscope",
    ),
    Option("magnification", "number", "of the image on the camera", group="microscope"),
    Option(
        "tube_lens",
        "length",
        "focal length behind an objective of another maker",
        group="microscope",
    ),
)
_MODEL = Option(
    "model",
    "choice",
    "with polarization or without",
    "vectorial",
    ("vectorial", "scalar"),
    "microscope",
)

_COVERSLIP = (
    Option("n_g", "number", "refractive index of the coverslip, if not n", group="coverslip"),
    Option(
        "t_g", "length", "thickness of the coverslip; by default the design's", group="coverslip"
    ),
    Option(
        "n_g_design",
        "number",
        "index of the coverslip that the objective is made for; by default n_g",
        group="coverslip",
    ),
    Option(
        "t_g_design",
        "length",
        "thickness of the coverslip that the objective is made for, or its collar set to; by "
        "default 170 um",
        group="coverslip",
    ),
    Option(
        "n_i_design",
        "number",
        "index of the immersion that the objective is made for; by default n",
        group="coverslip",
    ),
    Option(
        "t_i_design",
        "length",
        "thickness of that immersion (working distance); by default 100 um",
        group="coverslip",
    ),
)
_FIT = Option(
    "fit",
    "texts",
    "what makes the spherical aberration: t_g, n_g, t_g_design (the collar), n, n_s or t_s, with "
    "its tolerance if it is known",
    group="coverslip",
    show="NAME[=TOLERANCE]",
)

CALIBRATE = (
    Option("files", "paths", "stacks of beads"),
    Option("out", "path", "folder for the results", "results", group="options", show="FOLDER"),
    *_MICROSCOPE,
    *_ENGRAVED,
    _MODEL,
    Option("pixel", "length", "pixel in the sample; by default from the file", group="stack"),
    Option("dz", "length", "distance of the planes; by default from the file", group="stack"),
    Option(
        "stage",
        "choice",
        "order of the planes: along the light's way, or against it",
        "forward",
        ("forward", "reverse"),
        "stack",
    ),
    Option("axes", "text", "letters of the stored axes, such as CZYX", group="stack"),
    Option(
        "select",
        "texts",
        "entry of another axis, such as C=0; P is the image",
        group="stack",
        show="AXIS=N",
    ),
    Option("name", "text", "array that is meant where a file holds several", group="stack"),
    Option("nan", "choice", "NaN in the data", "error", ("error", "mask"), "stack"),
    Option(
        "missing",
        "choice",
        "planes that are not in the file; trim keeps those before a gap",
        "error",
        ("error", "trim", "fill"),
        "stack",
    ),
    Option("max_bytes", "number", "largest stack in memory", 2.0**32, group="stack", show="BYTES"),
    Option(
        "size",
        "amount",
        "width of a bead's window, in pixels or as '6 um'; by default what its light needs",
        group="beads",
        show="WIDTH",
    ),
    Option("radius", "length", "spots closer than this are one bead", group="beads"),
    Option(
        "beads",
        "text",
        "fit only the beads at these pixels",
        group="beads",
        show="Y,X;Y,X",
    ),
    Option(
        "keep", "choice", "fit beads that would be rejected", "good", ("good", "all"), group="beads"
    ),
    Option("threshold", "number", "lowest peak over the noise", 8.0, group="beads"),
    Option("bead", "length", "diameter of the beads; 0 is a point", 0.0, group="beads"),
    Option("n_s", "number", "refractive index of the sample, if not n", group="beads"),
    Option("t_s", "length", "depth of the beads behind the coverslip", 0.0, group="beads"),
    *_COVERSLIP,
    _FIT,
    Option("most", "integer", "fit at most so many beads of a file", group="beads"),
    Option(
        "camera_offset",
        "map",
        "counts of a dark pixel, a number or a file with a map",
        group="camera",
        show="COUNTS",
    ),
    Option(
        "camera_gain",
        "map",
        "electrons of one count, a number or a file with a map",
        group="camera",
        show="ELECTRONS",
    ),
    Option(
        "read_noise",
        "map",
        "read noise in electrons, a number or a file with a map",
        group="camera",
        show="ELECTRONS",
    ),
    Option(
        "quantum_efficiency",
        "map",
        "electrons of one photon, a number or a file with a map",
        group="camera",
        show="SHARE",
    ),
    Option("excess_noise", "number", "2 for a camera that multiplies electrons", group="camera"),
    Option(
        "known",
        "terms",
        "aberrations added on purpose: modes such as '2,2=15 nm', or a CSV with n, m, nm, plane",
        group="fit",
        show="MODE=LENGTH",
    ),
    Option("order", "integer", "highest radial order of the Zernike modes", 8, group="fit"),
    Option(
        "gain",
        "choice",
        "gain and background of every plane, or of the stack",
        "per-plane",
        ("per-plane", "one"),
        "fit",
    ),
    Option("drift", "choice", "drift of the bead", "fit", ("fit", "none"), "fit"),
    Option(
        "blur",
        "text",
        "Gaussian blur: fit, none, or a fixed sigma such as '60 nm'",
        "fit",
        group="fit",
        show="SIGMA",
    ),
    Option(
        "known_exactly",
        "texts",
        "numbers that are not fitted, as given: pixel, dz, na; a stack whose aberrations are large "
        "tells them apart badly",
        group="fit",
        show="NAME",
    ),
    Option("heldout", "numbers", "planes that test the fit; by default every other", group="fit"),
    Option(
        "steps",
        "numbers",
        "steps with Zernike modes, and with the free pupil",
        [100, 40],
        group="fit",
    ),
    Option(
        "note", "text", "what the report shall say at its top, such as who measured", show="TEXT"
    ),
    Option(
        "pages",
        "choice",
        "HTML pages of single beads; some: all of up to five, else the best",
        "some",
        ("some", "all", "none"),
        "options",
    ),
)

EXPORT = (
    Option(
        "psf",
        "texts",
        "PSF of unit sum: .ome.tif, .tif, .zarr or .npz; .mat for SMAP and DECODE, .h5 as uiPSF "
        "writes it, .yaml with the widths for picasso",
        show="FILE",
    ),
    Option("pupil", "texts", "pupil: .npz, .csv, .json, or .dat of Zygo", show="FILE"),
    Option("coefficients", "texts", "Zernike modes: .csv or .json", show="FILE"),
    Option(
        "slm",
        "texts",
        "levels that flatten the measured wavefront: .bmp, .png or .tif; the table of phases is "
        "written beside it as .csv",
        group="phase device",
        show="FILE",
    ),
    Option("slm_size", "text", "its pixels", group="phase device", show="ROWSxCOLUMNS"),
    Option("slm_diameter", "number", "pixels across the pupil on it", group="phase device"),
    Option(
        "slm_table",
        "path",
        "phase of each level; by default 256 levels of one turn",
        group="phase device",
        show="CSV",
    ),
    Option(
        "bead",
        "text",
        "bead of a batch; by default the mean of the good ones",
        group="options",
        show="NAME",
    ),
    Option("like", "path", "take the voxel of this image", group="voxel", show="IMAGE"),
    Option("pixel", "length", "pixel of the PSF; by default that of the fit", group="voxel"),
    Option("dz", "length", "distance of the planes; by default that of the fit", group="voxel"),
    Option("size", "integer", "width in pixels", group="voxel"),
    Option("planes", "integer", "number of planes", group="voxel"),
    Option("axes", "text", "letters of the image's axes", group="voxel"),
    Option("select", "texts", "entry of another axis of the image", group="voxel", show="AXIS=N"),
)

PSF = (
    Option(
        "out",
        "path",
        "file to write: .ome.tif, .tif, .zarr, .npz; .mat (SMAP, DECODE), .h5 (uiPSF), .yaml "
        "(picasso)",
        "psf.ome.tif",
        show="FILE",
    ),
    Option("save", "path", "write the settings, for --config", show="TOML"),
    Option("picture", "path", "draw three sections: .png, .pdf or .svg", show="FILE"),
    Option(
        "unit",
        "choice",
        "sum or peak is one, or the share of the light that is collected",
        "sum",
        ("sum", "peak", "share"),
    ),
    *_MICROSCOPE,
    *_ENGRAVED,
    _MODEL,
    Option("band", "length", "width of the emission filter", 0.0, group="light"),
    Option(
        "mode",
        "choice",
        "microscope: a camera, a laser focus with a pinhole, or with two photons, or a light sheet",
        "widefield",
        ("widefield", "confocal", "two-photon", "light-sheet"),
        "scanning",
    ),
    Option(
        "excitation",
        "length",
        "vacuum wavelength of the laser that scans; --polarization, --filling and --mask are those "
        "of its light",
        group="scanning",
    ),
    Option(
        "pinhole",
        "text",
        "diameter of the confocal pinhole, in Airy units (1.22 wavelength / na) such as '1 AU', or "
        "in the sample such as '0.5 um'",
        group="scanning",
        show="WIDTH",
    ),
    Option(
        "sheet",
        "length",
        "thickness of the light sheet, full width at half maximum",
        group="scanning",
    ),
    Option(
        "kind",
        "choice",
        "image of an emitter, or light that the objective focuses",
        "emission",
        ("emission", "focus"),
        "light",
    ),
    Option(
        "dipole",
        "text",
        "direction of a fixed emitter: x, y, z, or three numbers; by default it rotates",
        group="light",
        show="X,Y,Z",
    ),
    Option(
        "polarization",
        "text",
        "of the focused light: x, y, circular, radial, azimuthal, or two numbers such as 1,1j",
        "x",
        group="light",
        show="EX,EY",
    ),
    Option(
        "filling",
        "number",
        "the focused beam is a Gaussian of this 1/e radius, in pupil radii",
        group="light",
    ),
    Option(
        "zernike",
        "texts",
        "aberrations, such as 'primary spherical=20 nm', '2,2=15 nm', or '11=20 nm' with "
        "--convention",
        group="pupil",
        show="MODE=LENGTH",
    ),
    Option(
        "convention",
        "choice",
        "numbering of modes that are single numbers",
        None,
        ("osa", "noll", "fringe"),
        "pupil",
    ),
    Option(
        "mask",
        "mask",
        "vortex, half-moon or top-hat, with a charge, angle in degrees or radius such as "
        "'vortex=2'; or a file of phases in radians, or of complex values",
        group="pupil",
        show="MASK",
    ),
    Option(
        "apodization",
        "choice",
        "how the objective spreads light over its angles",
        "aplanatic",
        ("aplanatic", "herschel", "none"),
        "pupil",
    ),
    Option("n_s", "number", "refractive index of the sample, if not n", group="sample"),
    Option("t_s", "length", "depth of the focus behind the coverslip", 0.0, group="sample"),
    Option(
        "motion",
        "choice",
        "what moves from plane to plane behind an interface",
        "stage",
        ("stage", "emitter"),
        "sample",
    ),
    *_COVERSLIP,
    Option("bead", "length", "diameter of a bead instead of a point", 0.0, group="spot"),
    Option("blur", "length", "sigma of a Gaussian blur in the sample", 0.0, group="spot"),
    Option("pixel", "length", "pixel of the PSF", group="voxel"),
    Option("dz", "length", "distance of the planes", group="voxel"),
    Option("size", "amount", "width in pixels, or as '6 um'", 65, group="voxel", show="WIDTH"),
    Option("planes", "integer", "number of planes", 41, group="voxel"),
    Option(
        "integrate",
        "choice",
        "light in every pixel, or the value in its middle",
        "pixel",
        ("pixel", "none"),
        "voxel",
    ),
)

_RAW = Option("image", "paths", "raw image of the camera behind the lens array")
_LAYOUT = Option(
    "layout", "choice", "how the lenslets lie", "square", ("square", "hexagonal"), "lens array"
)
_SOURCE = tuple(option for option in CALIBRATE if option.name in ("axes", "select", "name"))

LATTICE = (
    _RAW,
    Option("out", "path", "file to write: .json", "lattice.json", show="FILE"),
    Option("dark", "path", "image without light, to be subtracted", show="FILE"),
    _LAYOUT,
    Option(
        "pitch",
        "length",
        "distance of the lenslets, with --camera-pitch; by default it is searched",
        group="lens array",
    ),
    Option("camera_pitch", "length", "pixels of the camera", group="lens array"),
    *_SOURCE,
)

VOLUME = (
    _RAW,
    Option(
        "out", "path", "file to write: .ome.tif, .tif, .zarr or .npz", "volume.ome.tif", show="FILE"
    ),
    Option(
        "lattice",
        "path",
        "file of jaxwave lightfield calibrate; by default the lattice is found in the image",
        show="FILE",
    ),
    Option("dark", "path", "image without light: what no voxel gives", show="FILE"),
    Option("background", "number", "light that no voxel gives [counts]", 0.0, show="COUNTS"),
    *_MICROSCOPE,
    _MODEL,
    Option("magnification", "number", "of objective and tube lens", group="microscope"),
    Option("pitch", "length", "distance of the lenslets", group="lens array"),
    Option("f", "length", "focal length of the lenslets", group="lens array"),
    _LAYOUT,
    Option(
        "camera_distance",
        "length",
        "from the lenslets to the camera; by default f",
        group="lens array",
    ),
    Option(
        "camera_pitch", "length", "pixels of the camera, to check the lattice", group="lens array"
    ),
    Option(
        "z_min", "length", "first depth, farther from the objective is positive", group="volume"
    ),
    Option("z_max", "length", "last depth", group="volume"),
    Option("dz", "length", "distance of the depths", group="volume"),
    Option(
        "pixels",
        "integer",
        "pixels of a lenslet (of its width) in the volume, odd; by default the camera's",
        group="volume",
    ),
    Option(
        "crop",
        "integer",
        "use only so many pixels each way, around the middle",
        group="volume",
    ),
    Option("steps", "integer", "steps of Richardson and Lucy", 20, group="volume"),
    Option(
        "cutoff",
        "choice",
        "filter against aliases: what the lenslets sample, or none",
        "sampling",
        ("sampling", "none"),
        "volume",
    ),
    Option(
        "memory",
        "number",
        "bytes for the PSF's transfer; what is more is computed again in every step",
        2.0**32,
        group="volume",
        show="BYTES",
    ),
    *_SOURCE,
)
