"""A file's statements mean what its format says: each length, axis, plane and number of its own.

Every test makes a file that says something another way, with everything distinct (planes, rows,
columns; dz, dy, dx), and asks for the same stack.
"""

import json
import shutil

import numpy as np
import pytest

from jaxwave import io as jio
from jaxwave._check import JaxwaveWarning
from jaxwave.io import _lengths, _ome

tifffile = pytest.importorskip("tifffile")
A = np.random.default_rng(0).integers(90, 4000, (7, 12, 16)).astype(np.uint16)
SIZES = {"pixel": 0.13, "dz": 0.3}
SPACING = (0.3, 0.14, 0.13)


def described(path, text, array=A, resolution=(1 / 0.13, 1 / 0.14), unit=1, **options):
    text = text.encode() if isinstance(text, str) else text
    with tifffile.TiffWriter(path) as file:
        for k, plane in enumerate(array):
            file.write(
                plane,
                description=(
                    (text.encode() if isinstance(text, str) else text) if k == 0 else None
                ),
                metadata=None,
                software=False,
                resolution=resolution,
                resolutionunit=unit,
                contiguous=False,
                **options,
            )
    return path


def imagej(path, lines, **options):
    return described(path, f"ImageJ=1.54f\nimages=7\nslices=7\nloop=false\n{lines}\n", **options)


def same(stack, spacing=SPACING, array=A):
    np.testing.assert_array_equal(stack.data, array)
    np.testing.assert_allclose(stack.spacing, spacing, rtol=1e-5)


# -- units ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "factor"),
    [
        *(("µm", 1), ("μm", 1), ("um", 1), ("Micron", 1), ("microns", 1), ("micrometres", 1)),
        *(("\\u00B5m", 1), ("nanometers", 1e-3), ("nm", 1e-3), ("Å", 1e-4), ("angstrom", 1e-4)),
        *(("Angstroms", 1e-4), ("A", 1e-4), ("pm", 1e-6), ("dm", 1e5), ("km", 1e9), ("Mm", 1e12)),
        *(("meter", 1e6), ("millimetre", 1e3), ("mm", 1e3), ("picometer", 1e-6), ("ft", 304800)),
        *(("thou", 25.4), ("pt", 25400 / 72), ("inches", 25400), ("li", 25400 / 12)),
        *(("pixel", None), ("", None), ("reference frame", None), ("second", None), ("m2", None)),
    ],
)
def test_units_by_symbol_and_name(name, factor):
    got = _lengths.unit_factor(name)
    assert got == (None if factor is None else pytest.approx(factor, rel=1e-9))


@pytest.mark.parametrize(
    ("lines", "spacing"),
    [
        ("unit=micron\nzunit=nm\nspacing=300.0", SPACING),
        ("unit=micron\nyunit=mm\nspacing=0.3", (0.3, 140, 0.13)),
        ("unit=\xb5m\nspacing=0.3", SPACING),
        ("unit=\\u00B5m\nzunit=inch\nspacing=0.00001", (0.254, 0.14, 0.13)),
    ],
)
def test_imagej_has_a_unit_for_every_axis(tmp_path, lines, spacing):
    path = imagej(tmp_path / "a.tif", lines)
    if spacing[1] > 50:
        with pytest.raises(ValueError, match=r"`pixel` is needed.* 140 µm .*absurd"):
            jio.read_stack(path)
        return
    same(jio.read_stack(path), spacing)


def test_imagej_latin_1_and_centimeters(tmp_path):
    text = "ImageJ=1.54f\nimages=7\nslices=7\nunit=\xb5m\nspacing=0.3\n".encode("latin-1")
    same(jio.read_stack(described(tmp_path / "a.tif", text)))
    cm = dict(resolution=(1e4 / 0.13, 1e4 / 0.14), unit=3)
    same(jio.read_stack(imagej(tmp_path / "b.tif", "unit=um\nspacing=0.3", **cm)))


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("unit=pixel\nspacing=0.3", "states ImageJ spacing = 0.3 in the unit 'pixel'"),
        ("spacing=0.3", "in no unit, which is no known length"),
        ("unit=um\nspacing=three", "= three, which is not a number"),
        ("unit=um\nspacing=0", "= 0, which is no length"),
        ("unit=um", "does not state it"),
    ],
)
def test_the_error_quotes_what_the_file_says(tmp_path, lines, words):
    with pytest.raises(ValueError, match=f"`dz` is needed, because 'a.tif' .*{words}"):
        jio.read_stack(imagej(tmp_path / "a.tif", lines), pixel=0.13)


# -- numbers that mean something else ------------------------------------------------------


@pytest.mark.parametrize("dots", [72, 300, 600, 1200])
def test_a_print_resolution_is_no_pixel(tmp_path, dots):
    path = described(tmp_path / "a.tif", None, resolution=(dots, dots), unit=2)
    with pytest.raises(ValueError, match=rf"{dots} dots per inch .*that of a print"):
        jio.read_stack(path, dz=0.3)
    assert "print" in jio.read_stack(path, **SIZES).notes[0]
    path = imagej(tmp_path / "b.tif", "unit=inch\nspacing=0.3", resolution=(dots, dots))
    with pytest.raises(ValueError, match=r"that of a print"):
        jio.read_stack(path, dz=0.3)


def test_a_default_of_one_is_no_pixel(tmp_path):
    path = imagej(tmp_path / "a.tif", "unit=micron\nspacing=1.0", resolution=(1, 1))
    with pytest.raises(ValueError, match=r"states 1 for .*which writers put in where they do not"):
        jio.read_stack(path, dz=0.3)
    assert jio.read_stack(path, **SIZES).spacing == (0.3, 0.13, 0.13)
    path = imagej(tmp_path / "b.tif", "unit=micron\nspacing=1.0")
    assert jio.read_stack(path).spacing[0] == 1.0, "planes may lie 1 µm apart"


@pytest.mark.parametrize(
    ("lines", "data", "note"),
    [
        ("cf=0\nc0=-32768.0\nc1=1.0", A.astype(np.float32) - 32768, "32768 is taken off"),
        ("cf=0\nc0=100\nc1=0.46\nvunit=photons", A, "100 + 0.46 v (photons) is not applied"),
        ("cf=21\nc0=5\nc1=2", A, ""),
        ("cf=0\nc0=0\nc1=1", A, ""),
    ],
)
def test_imagej_calibration_of_values(tmp_path, lines, data, note):
    stack = jio.read_stack(imagej(tmp_path / "a.tif", f"unit=um\nspacing=0.3\n{lines}"))
    np.testing.assert_array_equal(stack.data, data)
    assert any(note in text for text in stack.notes) if note else not stack.notes


# -- other descriptions of TIFF ------------------------------------------------------------


def test_scifio_names_scales_units_and_order(tmp_path):
    text = (
        "SCIFIO=0.42\naxes=X,Y,Z\nlengths=16,12,7\nscales=0.13,140,0.3\nunits=\\u00B5m,nm,micron\n"
    )
    same(jio.read_stack(described(tmp_path / "a.tif", text + "images=7\n", resolution=(1, 1))))
    text = text.replace("X,Y,Z", "X,Y,Channel").replace("0.3\n", "null\n")
    with pytest.warns(JaxwaveWarning, match="stores its 7 planes as C"):
        jio.read_stack(described(tmp_path / "b.tif", text, resolution=(1, 1)), dz=0.3)


def test_what_tifffile_was_told(tmp_path):
    options = dict(photometric="minisblack", resolution=(1 / 0.13, 1 / 0.14), resolutionunit="NONE")
    meta = {"axes": "ZYX", "spacing": 300, "unit": "nm"}
    tifffile.imwrite(tmp_path / "a.tif", A, metadata=meta, **options)
    with pytest.raises(ValueError, match="`pixel` is needed"):
        jio.read_stack(tmp_path / "a.tif")  # 0.13 nm
    tifffile.imwrite(
        tmp_path / "b.tif", A, metadata=meta | {"spacing": 0.3, "unit": "um"}, **options
    )
    same(jio.read_stack(tmp_path / "b.tif"))
    sizes = {"PhysicalSizeZ": 0.3, "PhysicalSizeY": 140, "PhysicalSizeYUnit": "nm"}
    meta = {"axes": "ZYX", "PhysicalSizeX": 0.13, **sizes}
    tifffile.imwrite(tmp_path / "c.tif", A, metadata=meta, photometric="minisblack")
    same(jio.read_stack(tmp_path / "c.tif"))


@pytest.mark.parametrize("text", ['{"shape"', '{"shape": 5}', "[" * 5000, '{"a": [1]}', "{}"])
def test_odd_descriptions_are_no_error(tmp_path, text):
    np.testing.assert_array_equal(
        jio.read_stack(described(tmp_path / "a.tif", text), **SIZES).data, A
    )


# -- OME -----------------------------------------------------------------------------------

HEAD = '<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"{}>'
VOXEL = 'PhysicalSizeX="0.13" PhysicalSizeY="140" PhysicalSizeYUnit="nm" PhysicalSizeZ="0.3"'


def image(k=0, *, z=7, c=1, t=1, sizes=VOXEL, inside="<TiffData/>", order="XYZCT"):
    return (
        f'<Image ID="Image:{k}"><Pixels ID="Pixels:{k}" DimensionOrder="{order}" Type="uint16" '
        f'SizeX="16" SizeY="12" SizeZ="{z}" SizeC="{c}" SizeT="{t}" {sizes}>'
        f'<Channel ID="Channel:{k}:0" SamplesPerPixel="1"/>{inside}</Pixels></Image>'
    )


def block(ifd, count=1, name="", uuid="", first=0):
    inner = f'<UUID FileName="{name}">{uuid}</UUID>' if name or uuid else ""
    return f'<TiffData FirstZ="{first}" IFD="{ifd}" PlaneCount="{count}">{inner}</TiffData>'


def ome(path, images, array=A, uuid=""):
    root = HEAD.format(f' UUID="{uuid}"' if uuid else "")
    return described(path, (root + images + "</OME>").encode(), array, resolution=None)


@pytest.mark.parametrize("first", [0, 1])
def test_each_image_of_ome_has_its_own_voxel(tmp_path, first):
    over = 'PhysicalSizeX="0.65" PhysicalSizeY="0.65" PhysicalSizeZ="1.0"'
    if first == 0:
        text = image(0, z=1, sizes=over, inside=block(0)) + image(1, inside=block(1, 7))
        pages = [A[0] * 0, *A]
    else:
        text = image(0, inside=block(0, 7)) + image(1, z=1, sizes=over, inside=block(7))
        pages = [*A, A[0] * 0]
    same(jio.read_stack(ome(tmp_path / "a.ome.tif", text, pages)))


def test_positions_and_times_are_chosen(tmp_path):
    big = np.concatenate([A + 1000 * k for k in range(4)])
    both = image(0, t=2, inside=block(0, 14)) + image(1, t=2, inside=block(14, 14))
    path = ome(tmp_path / "a.ome.tif", both, big)
    with pytest.raises(ValueError, match=r"holds 2 stacks \(P 0: .*select=\{'P': 0\}"):
        jio.read_stack(path)
    for p in (0, 1):
        for t in (0, 1, -1):
            stack = jio.read_stack(path, select={"P": p, "T": t})
            same(stack, array=A + 1000 * (2 * p + t % 2))
    with pytest.raises(ValueError, match="within the 2 images"):
        jio.read_stack(path, select={"P": 2, "T": 0})
    with pytest.raises(ValueError, match="within the 2 entries of axis T"):
        jio.read_stack(path, select={"P": 0, "T": 2})


def test_planes_lie_where_the_blocks_say(tmp_path):
    text = image(inside="".join(block(6 - k, first=k) for k in range(7)))
    same(jio.read_stack(ome(tmp_path / "a.ome.tif", text)), array=A[::-1])
    text = image(inside=block(0, 5))  # two planes that nothing speaks of were zeros
    with pytest.raises(ValueError, match="declares 7 planes of 384 bytes, 5 readable"):
        jio.read_stack(ome(tmp_path / "b.ome.tif", text))
    stack = jio.read_stack(tmp_path / "b.ome.tif", missing="trim")
    same(stack, array=A[:5])
    assert "5 of 7 planes" in stack.notes[0]


def plane_positions(heights, unit='PositionZUnit="µm"'):
    return "<TiffData/>" + "".join(
        f'<Plane TheZ="{k}" TheC="0" TheT="0" PositionZ="{z}" {unit}/>'
        for k, z in enumerate(heights)
    )


def test_positions_of_the_planes(tmp_path):
    even = 5 + 0.3 * np.arange(7) + 0.004 * np.sin(np.arange(7.0))
    same(jio.read_stack(ome(tmp_path / "a.ome.tif", image(inside=plane_positions(even)))))
    no_z = VOXEL.split(" PhysicalSizeZ")[0]
    text = image(sizes=no_z, inside=plane_positions(1e3 * 0.3 * np.arange(7), 'PositionZUnit="nm"'))
    stack = jio.read_stack(ome(tmp_path / "b.ome.tif", text))
    same(stack)
    assert "OME PositionZ" in stack.provenance["dz"]
    path = ome(tmp_path / "c.ome.tif", image(inside=plane_positions(0.5 * np.arange(7))))
    with pytest.raises(ValueError, match=r"contradicts itself: PhysicalSizeZ is 0\.3 µm.*0\.5 µm"):
        jio.read_stack(path)
    assert "contradicts itself" in jio.read_stack(path, dz=0.5).notes[0]
    for unit in ("", 'PositionZUnit="reference frame"'):  # not a length
        same(jio.read_stack(ome(path, image(inside=plane_positions(2.0 * np.arange(7), unit)))))
    same(jio.read_stack(ome(path, image(inside=plane_positions(np.zeros(7))))))
    uneven = [0, 0.3, 0.6, 0.9, 1.2, 2.5, 2.8]
    path = ome(path, image(sizes=no_z, inside=plane_positions(uneven)))
    with pytest.raises(ValueError, match="planes at uneven distances"):
        jio.read_stack(path)


@pytest.mark.parametrize(
    "pixels",
    ['SizeZ="x"', 'SizeZ="-7"', 'SizeZ="0"', 'DimensionOrder="ZYX"', 'SizeZ="99999999999"'],
)
def test_odd_ome_is_told_in_words(tmp_path, pixels):
    name = pixels.split("=")[0]
    text = image().replace(f'{name}="{dict(SizeZ=7).get(name, "XYZCT")}"', pixels)
    with pytest.raises(ValueError, match=r"contradicts itself|declares"):
        jio.read_stack(ome(tmp_path / "a.ome.tif", text))


def test_planes_that_are_only_claimed_cost_nothing(monkeypatch):
    [claimed] = _ome.parse("f", "a", HEAD.format("") + image(z=10**6) + "</OME>", 7)
    assert len(claimed.planes) == 7 and claimed.planes[0, 0, 6] == ("", "", 6)
    for order in ("XYZCT", "XYTZC", "XYCTZ"):
        text = image(z=5, c=3, t=2, order=order).replace("<TiffData/>", block(4, 9, first=1))
        [found] = _ome.parse("f", "a", HEAD.format("") + text + "</OME>", 40)
        sizes = {"T": 2, "C": 3, "Z": 5}
        every = np.arange(30).reshape([sizes[k] for k in order[:1:-1]])
        every = every.transpose([order[:1:-1].index(k) for k in "TCZ"])
        start = every[0, 0, 1]
        assert {key: place[2] - 4 for key, place in found.planes.items()} == {
            tuple(map(int, np.argwhere(every == start + k)[0])): k for k in range(9)
        }
    monkeypatch.setattr(_ome, "_MOST_PLANES", 1000)
    many = image(z=1000, inside=block(0, 1000) * 1000)
    for text in (many, "".join(image(k, z=1000) for k in range(9))):
        with pytest.raises(ValueError, match="name more than 1000 planes"):
            _ome.parse("f", "a", HEAD.format("") + text + "</OME>", 200)


# -- sets of files -------------------------------------------------------------------------


def ome_set(folder, count=7, companion=False):
    """Planes 0 to 2 in one file, the others in a second one."""
    parts = [("a.ome.tif", "urn:a", 0, 3), ("b.ome.tif", "urn:b", 3, 4)]
    blocks = "".join(
        block(k - start, name=name, uuid=uuid, first=k)
        for name, uuid, start, n in parts
        for k in range(start, start + n)
    )
    text = image(z=count, inside=blocks)
    for name, uuid, start, n in parts:
        own = text
        if companion:
            own = f'<BinaryOnly MetadataFile="set.companion.ome" UUID="{uuid}"/>'
        ome(folder / name, own, A[start : start + n], uuid)
    if companion:
        (folder / "set.companion.ome").write_text(HEAD.format("") + text + "</OME>")
        return folder / "set.companion.ome"
    return folder / "a.ome.tif"


@pytest.mark.parametrize("companion", [False, True])
def test_a_set_of_files_is_read_as_one(tmp_path, companion):
    path = ome_set(tmp_path, companion=companion)
    same(jio.read_stack(path))
    if companion:
        head, _, rest = path.read_text().partition("?>")
        path.write_text(f"{head}?>\n<!-- {'Warning: this is OME-XML. ' * 50} -->\n{rest}")
        same(jio.read_stack(path))
        with pytest.raises(ValueError, match=r"one part of a set that 'set\.companion\.ome'"):
            jio.read_stack(tmp_path / "b.ome.tif")
    else:
        same(jio.read_stack(tmp_path / "b.ome.tif"))
    (tmp_path / "b.ome.tif").rename(tmp_path / "kept.tif")
    with pytest.raises(ValueError, match=r"takes planes from 'b\.ome\.tif', which is missing"):
        jio.read_stack(path)
    ome(tmp_path / "b.ome.tif", image(z=4), A[:4], "urn:other")
    with pytest.raises(ValueError, match="the UUIDs differ"):
        jio.read_stack(path)


@pytest.mark.parametrize("name", ["../b.tif", "/etc/b.tif", "sub\\b.tif", "sub/b.tif", ".."])
def test_a_set_lies_in_one_folder(tmp_path, name):
    text = image(inside=block(0, 3) + block(0, 4, name=name, uuid="urn:b", first=3))
    path = ome(tmp_path / "a.ome.tif", text, A[:3], "urn:a")
    with pytest.raises(ValueError, match="does not lie beside it"):
        jio.read_stack(path)


@pytest.mark.parametrize("place", ["other.tif", "../other.tif"])
def test_planes_of_another_file_alone_are_refused(tmp_path, place):
    (tmp_path / "sub").mkdir()
    ome(tmp_path / "sub" / place, image(), A + 20000, "urn:b")
    text = image(inside=block(0, 7, name=place, uuid="urn:b"))
    with pytest.raises(ValueError, match="holds none of the planes that it declares"):
        jio.read_stack(ome(tmp_path / "sub" / "a.tif", text, uuid="urn:a"))
    renamed = image(inside=block(0, 7, name="before.tif", uuid="urn:a"))
    same(jio.read_stack(ome(tmp_path / "after.tif", renamed, uuid="urn:a")))


@pytest.mark.parametrize(
    "text",
    [
        "ImageJ=1.54f\nimages=10\nchannels=2\nslices=5\nhyperstack=true\n",
        '{"shape": [5, 2, 12, 16], "axes": "ZCYX"}',
        '{"shape": [5, 2, 12, 16]}',
        "SCIFIO=0.44\naxes=X,Y,Channel,Z\nlengths=16,12,2,5\nimages=10\n",
    ],
)
def test_channels_of_a_stopped_acquisition_are_kept_apart(tmp_path, text):
    """Pages run through channels and planes; a plane that lacks a channel goes."""
    data = np.arange(5 * 2 * 12 * 16).reshape(5, 2, 12, 16).astype(np.uint16)
    path = described(tmp_path / "a.tif", text, data.reshape(10, 12, 16))
    with tifffile.TiffFile(path) as file:
        end = file.pages[7].dataoffsets[0] + 9
    path.write_bytes(path.read_bytes()[:end])
    with pytest.raises(ValueError, match="are ambiguous"):
        jio.read_stack(path, missing="trim", **SIZES)
    named = "axes" in text or "channels" in text
    more = {} if named else {"axes": "ZCYX"}
    for c in range(2):
        stack = jio.read_stack(path, missing="trim", select={"C": c}, **more, **SIZES)
        np.testing.assert_array_equal(stack.data, data[:3, c])
        assert "6 of 10 planes are there (missing='trim')" in stack.notes


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_stopped_stack_whose_one_page_stands_for_many(tmp_path, order):
    """As ImageJ writes above 4 GB: one page, then plain planes."""
    data = np.arange(5 * 16 * 17).reshape(5, 16, 17).astype(np.uint16)
    text = "ImageJ=1.54f\nimages=5\nslices=5\n"
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, data[0], description=text, metadata=None, byteorder=order)
    with path.open("ab") as file:
        file.write(data[1:3].astype(f"{order}u2").tobytes() + b"half a plane")
    with pytest.raises(ValueError, match="declares 5 planes"):
        jio.read_stack(path, **SIZES)
    stack = jio.read_stack(path, missing="trim", **SIZES)
    np.testing.assert_array_equal(stack.data, data[:3])


# -- Zarr ----------------------------------------------------------------------------------


def ngff(path, version="0.5", axes="zyx", own=SPACING, common=None, unit="micrometer", at=""):
    zarr = pytest.importorskip("zarr")
    group = zarr.open_group(str(path), mode="w", zarr_format=2 if version == "0.4" else 3)
    node = group.create_group(at) if at else group
    shape = (*(1,) * (len(axes) - 3), *A.shape)
    node.create_array("0", shape=shape, dtype=A.dtype, chunks=shape)[...] = A.reshape(shape)

    def step(scale):
        return [{"type": "scale", "scale": [1] * (len(axes) - 3) + list(scale)}]

    kinds = {"t": "time", "c": "channel"}
    listed = [{"name": k, "type": kinds.get(k, "space")} for k in axes]
    for axis in listed[-3:]:
        axis["unit"] = unit
    one = {"axes": listed, "datasets": [{"path": "0", "coordinateTransformations": step(own)}]}
    if common is not None:
        one["coordinateTransformations"] = step(common)
    attributes = {"multiscales": [{"version": version, **one}]}
    node.attrs.update(
        attributes if version == "0.4" else {"ome": {"version": version, **attributes}}
    )
    return path


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ngff_scales_of_dataset_and_image_multiply(tmp_path, version):
    path = ngff(tmp_path / "a.zarr", version, own=(1, 2, 2), common=(0.3, 0.07, 0.065))
    same(jio.read_stack(path))
    same(jio.read_stack(ngff(tmp_path / "b.zarr", version, own=(1, 1, 1), common=SPACING)))
    path = ngff(tmp_path / "c.zarr", version, own=(3e3, 1.4e3, 1.3e3), unit="angstrom")
    same(jio.read_stack(path))
    path = ngff(tmp_path / "d.zarr", version, own=(1, 1, 1))
    with pytest.raises(ValueError, match="NGFF scale, which writers put in"):
        jio.read_stack(path)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_root_of_bioformats2raw(tmp_path, version):
    path = ngff(tmp_path / "a.zarr", version, "tczyx", at="0")
    same(jio.read_stack(path))
    same(jio.read_stack(path / "0"))
    ngff(tmp_path / "b.zarr", version, "tczyx", at="0")
    shutil.copytree(path / "0", tmp_path / "b.zarr" / "1")
    with pytest.raises(ValueError, match=r"holds 2 stacks \(P 0: image '0', P 1: image '1'\)"):
        jio.read_stack(tmp_path / "b.zarr")
    same(jio.read_stack(tmp_path / "b.zarr", select={"P": 1}))


@pytest.mark.parametrize("folder", ["", "a.zarr"])
def test_a_zarr_in_a_zip(tmp_path, folder):
    ngff(tmp_path / "in" / "a.zarr")
    root = tmp_path / "in" if folder else tmp_path / "in" / "a.zarr"
    same(jio.read_stack(shutil.make_archive(str(tmp_path / "a.zarr"), "zip", root)))


def zarr_array(path, names="zyx", chunks=(2, 12, 16), **options):
    zarr = pytest.importorskip("zarr")
    options = {"dimension_names": list(names), **options}
    zarr.create_array(str(path), shape=A.shape, chunks=chunks, dtype="u2", **options)[...] = A
    return path


def test_a_lost_chunk_is_an_error(tmp_path):
    path = zarr_array(tmp_path / "a.zarr")
    same(jio.read_stack(path, pixel=(0.14, 0.13), dz=0.3))
    (path / "c" / "1" / "0" / "0").unlink()
    (path / "c" / "3" / "0" / "0").unlink()
    with pytest.raises(ValueError, match=r"lacks the chunks 1\.0\.0, 3\.0\.0, which would be read"):
        jio.read_stack(path, **SIZES)
    stack = jio.read_stack(path, missing="trim", **SIZES)
    np.testing.assert_array_equal(stack.data, A[:2])
    stack = jio.read_stack(path, missing="fill", **SIZES)
    assert not stack.data[2:4].any() and "2 chunks are not there" in stack.notes[0]


# -- HDF5 and Imaris -----------------------------------------------------------------------


def test_labels_of_axes_count(tmp_path):
    h5py, zarr = pytest.importorskip("h5py"), pytest.importorskip("zarr")
    same(jio.read_stack(zarr_array(tmp_path / "a.zarr"), dz=0.3, pixel=(0.14, 0.13)))
    group = zarr.open_group(str(tmp_path / "b.zarr"), mode="w", zarr_format=2)
    array = group.create_array("img", shape=A.T.shape, dtype=A.dtype, chunks=A.T.shape)
    array[...] = A.T
    array.attrs["_ARRAY_DIMENSIONS"] = ["x", "y", "z"]
    same(jio.read_stack(tmp_path / "b.zarr", dz=0.3, pixel=(0.14, 0.13)))
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file["stack"] = A.transpose(2, 1, 0)
        for k, letter in enumerate("xyz"):
            file["stack"].dims[k].label = letter
    same(jio.read_stack(tmp_path / "c.h5", dz=0.3, pixel=(0.14, 0.13)))
    resolutions = dict(z=0.3, y=0.14, x=0.13)
    tags = [{"key": k, "resolution": resolutions.get(k, 0), "unit": "um"} for k in "zyxc"]
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file["exported_data"] = A[..., None]
        file["exported_data"].attrs["axistags"] = json.dumps({"axes": tags})
    same(jio.read_stack(tmp_path / "d.h5"))


def test_hdf5_that_states_what_cannot_be_used_is_quoted(tmp_path):
    h5py = pytest.importorskip("h5py")
    tags = [{"key": "z", "resolution": 0.3, "unit": "um"}]
    tags += [{"key": key, "resolution": 0.14, "unit": "px"} for key in "yx"]
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["data"] = A
        file["data"].attrs["axistags"] = json.dumps({"axes": tags})
    with pytest.raises(ValueError, match=r"states axistags = 0\.14 in the unit 'px', which is no"):
        jio.read_stack(tmp_path / "a.h5")
    same(jio.read_stack(tmp_path / "a.h5", pixel=(0.14, 0.13)))
    with h5py.File(tmp_path / "a.h5", "a") as file:  # the other statement can be used
        file["data"].attrs["element_size_um"] = SPACING
    same(jio.read_stack(tmp_path / "a.h5"))


def test_hdf5_that_is_not_all_there(tmp_path):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        data = file.create_dataset("data", A.shape, "u2", chunks=(2, 12, 8))
        data[:4] = A[:4]
    with pytest.raises(ValueError, match=r"has 4 of 8 chunks; the others were never written"):
        jio.read_stack(path, **SIZES)
    np.testing.assert_array_equal(jio.read_stack(path, missing="trim", **SIZES).data, A[:4])
    assert not jio.read_stack(path, missing="fill", **SIZES).data[4:].any()
    with h5py.File(path, "w") as file:
        file.create_dataset("data", A.shape, "u2")
    with pytest.raises(ValueError, match="has 0 of 1 chunks"):
        jio.read_stack(path, **SIZES)


@pytest.mark.parametrize("source", ["private.h5", "lost.h5"])
def test_hdf5_does_not_lead_elsewhere(tmp_path, source):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "private.h5", "w") as file:
        file["data"] = A
    with h5py.File(tmp_path / "a.h5", "w", libver="latest") as file:
        layout = h5py.VirtualLayout(shape=A.shape, dtype="u2")
        layout[...] = h5py.VirtualSource(str(tmp_path / source), "data", shape=A.shape)
        file.create_virtual_dataset("data", layout)
    with pytest.raises(ValueError, match="keeps its data in other files"):
        jio.read_stack(tmp_path / "a.h5", **SIZES)


def test_imaris_has_true_sizes_and_extents(tmp_path):
    """Data are padded to whole chunks; extents run from the first edge to the last one."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.ims", "w") as file:
        padded = np.zeros((8, 16, 16), np.uint16)
        padded[:7, :12, :16] = A
        file["DataSet/ResolutionLevel 0/TimePoint 0/Channel 0/Data"] = padded
        file["DataSet/ResolutionLevel 1/TimePoint 0/Channel 0/Data"] = padded[:, ::2, ::2]
        attributes = file.create_group("DataSetInfo/Image").attrs
        values = dict(X=16, Y=12, Z=7, ExtMin0=10, ExtMin1=20, ExtMin2=-1, Unit="um")
        values |= dict(ExtMax0=10 + 16 * 0.13, ExtMax1=20 + 12 * 0.14, ExtMax2=-1 + 7 * 0.3)
        for key, value in values.items():
            attributes[key] = np.array(list(str(value).encode()), np.uint8).view("S1")
    same(jio.read_stack(tmp_path / "a.ims"))
    with h5py.File(tmp_path / "a.ims", "a") as file:  # as whole strings, which others write
        for key, value in values.items():
            attributes = file["DataSetInfo/Image"].attrs
            attributes[key] = np.bytes_(str(value)) if key < "Y" else str(value)
    same(jio.read_stack(tmp_path / "a.ims"))


def test_channels_of_a_stopped_imaris_file(tmp_path):
    """Channels and times keep the planes that all of them have."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.ims", "w") as file:
        for t, c, planes in ((0, 0, 6), (0, 1, 4), (1, 0, 8), (1, 1, 6)):
            place = f"DataSet/ResolutionLevel 0/TimePoint {t}/Channel {c}/Data"
            data = file.create_dataset(place, (8, 12, 16), "u2", chunks=(2, 12, 16))
            data[:planes] = np.concatenate([A, A[:1]])[:planes] + (10 * t + c)
        attributes = file.create_group("DataSetInfo/Image").attrs
        values = dict(X=16, Y=12, Z=7, ExtMin0=0, ExtMin1=0, ExtMin2=0, Unit="um")
        for key, value in (values | dict(ExtMax0=2.08, ExtMax1=1.68, ExtMax2=2.1)).items():
            attributes[key] = np.bytes_(str(value))
    for t, c in np.ndindex(2, 2):
        stack = jio.read_stack(tmp_path / "a.ims", missing="trim", select={"T": t, "C": c})
        planes = ((6, 4), (7, 6))[t][c]
        np.testing.assert_array_equal(stack.data, A[:planes] + np.uint16(10 * t + c))
    with pytest.raises(ValueError, match=r"shape \(2, 2, 4, 12, 16\) with the axes TCZYX"):
        jio.read_stack(tmp_path / "a.ims", missing="trim")


# -- writing -------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".npy", ".h5", ".mat", ".png", ".nd2", ".jpg", "", ".TIFFF"])
def test_a_suffix_that_is_not_written_is_refused(tmp_path, suffix):
    with pytest.raises(ValueError, match=r"must end in \.ome\.tif, .*\.zarr, \.npz"):
        jio.write_stack(tmp_path / f"psf{suffix}", A, spacing=SPACING)
    assert not list(tmp_path.iterdir())


# -- What a file says elsewhere ------------------------------------------------------------


def said_elsewhere(kind, folder):
    """A stack whose voxel size stands where no rule looks for it."""
    path = folder / f"a.{kind.split()[0]}"
    if kind == "npz":
        np.savez(path, data=A, pixel_size=0.13, z_step=0.3)
    elif kind.startswith("h5"):
        with pytest.importorskip("h5py").File(path, "w") as file:
            made = file.create_dataset("data", data=A)
            if "beside" in kind:
                file["pixel_size"], file["z_step"] = 0.13, 0.3
            else:
                made.attrs["pixel_size"], file.attrs["z_step"] = 0.13, b"0.3"
    elif kind == "zarr":
        zarr = pytest.importorskip("zarr")
        array = zarr.create_array(str(path), shape=A.shape, dtype=A.dtype, chunks=A.shape)
        array[...] = A
        array.attrs.update({"pixel_size": 0.13, "z_step": 0.3})
    elif kind == "mat":
        pytest.importorskip("scipy.io").savemat(path, {"a": A, "pixel_size": 0.13, "z_step": 0.3})
    else:
        words = {"tif json": json.dumps({"pixel_size": 0.13, "z_step": 0.3})}
        text = words.get(kind, "pixel_size = 0.13 um\nz_step = 0.3 um")
        tifffile.imwrite(path, A, description=text, metadata=None, photometric="minisblack")
    return path


@pytest.mark.parametrize("kind", ["npz", "h5", "h5 beside", "zarr", "mat", "tif json", "tif text"])
def test_what_is_said_under_other_names_is_quoted(tmp_path, kind):
    axes = "YXZ" if kind == "mat" else "ZYX"
    with pytest.raises(ValueError, match=r"in a way known here \(it holds .*pixel_size = 0\.13"):
        jio.read_stack(said_elsewhere(kind, tmp_path), axes=axes)


def test_a_free_text_is_quoted(tmp_path):
    tifffile.imwrite(
        tmp_path / "a.tif", A, description="My scope\nPixel size: 130 nm", metadata=None
    )
    with pytest.raises(ValueError, match=r"it holds Pixel size: 130 nm"):
        jio.read_stack(tmp_path / "a.tif")


def test_one_side_of_a_pixel_is_not_both(tmp_path):
    text = image(sizes='PhysicalSizeX="0.13" PhysicalSizeZ="0.3"')
    with pytest.raises(ValueError, match=r"0\.13 µm along x \(OME PhysicalSizeX\) and none along"):
        jio.read_stack(ome(tmp_path / "a.ome.tif", text))


def test_positions_in_no_unit_are_told(tmp_path):
    path = ome(tmp_path / "a.ome.tif", image(inside=plane_positions(0.5 * np.arange(7), "")))
    assert "its planes lie 0.5 in no unit apart" in jio.read_stack(path).notes[0]
    uneven = [0, 0.3, 0.6, 0.9, 1.2, 2.5, 2.8]
    path = ome(path, image(inside=plane_positions(uneven)))
    with pytest.raises(ValueError, match=r"is 0\.3 µm, and its planes lie at uneven distances"):
        jio.read_stack(path)
    even = image(inside=plane_positions(0.3 * np.arange(7), ""))
    assert jio.read_stack(ome(path, even)).notes == ()
    no_z = image(sizes=VOXEL.split(" PhysicalSizeZ")[0], inside=plane_positions(np.arange(7), ""))
    with pytest.raises(ValueError, match=r"states planes 1 in no unit apart \(OME PositionZ\)"):
        jio.read_stack(ome(path, no_z))
    words = image(inside=plane_positions(["low", "high"]))
    same(jio.read_stack(ome(path, words)))


@pytest.mark.parametrize("unit, factor", [(3, 1e4), (4, 1e3), (5, 1.0)])
def test_units_of_resolution_tags(tmp_path, unit, factor):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for plane in A:
            resolution = (factor / 0.13, factor / 0.14)
            file.write(plane, metadata=None, resolution=resolution, resolutionunit=unit)
    same(jio.read_stack(tmp_path / "a.tif", dz=0.3))


def test_a_plate_and_a_lost_array_are_told(tmp_path):
    zarr = pytest.importorskip("zarr")
    group = zarr.open_group(str(tmp_path / "p.zarr"), mode="w")
    group.create_group("B")
    plate = {"wells": [{"path": "B/3"}]}
    group.attrs["ome"] = {"version": "0.5", "plate": plate}
    with pytest.raises(ValueError, match=r"it is a plate; read an image of a well, such as B/3/0"):
        jio.read_stack(tmp_path / "p.zarr")
    image = {"axes": [{"name": k} for k in "zyx"], "datasets": [{"path": "full"}]}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [image]}
    with pytest.raises(ValueError, match=r"\(it lacks 'full'\)\. Copy it again"):
        jio.read_stack(tmp_path / "p.zarr")
