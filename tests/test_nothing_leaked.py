"""What a name or a message says stays text: in pages, in tables, in files of any machine."""

import csv
import io
import json
import re
import subprocess
import sys
import uuid
import zlib
from pathlib import Path

import numpy as np
import pytest

from jaxwave import elements
from jaxwave import io as jio
from jaxwave.cli import batch, export, outputs
from jaxwave.report import page
from jaxwave.report.folder import write_table

tifffile = pytest.importorskip("tifffile")
NASTY = "<img src=x onerror=alert(1)>\"'&"


@pytest.mark.parametrize("place", ["name", "file", "reason", "folder"])
def test_the_page_of_a_batch_escapes_everything(tmp_path, place):
    values = {"name": "a-001", "file": "/d/a.tif", "reason": "x", "folder": "a-001"}
    values[place] = NASTY
    row = batch.row(values["name"], values["file"], status="failed", reason=values["reason"])
    row["folder"] = values["folder"].replace("/", "")
    (tmp_path / row["folder"]).mkdir()
    (tmp_path / row["folder"] / "report.html").write_text("x")
    batch.summary(tmp_path, [row])
    text = (tmp_path / "report.html").read_text()
    assert "<img src=x" not in text and not re.search(r"<[^>]*onerror=alert\(1\)>[^>]*\"", text)
    links = re.findall(r'href="([^"]*)"', text)
    assert len(links) == 1 and not {"<", ">", "'", " "} & set(links[0])


def test_a_cell_is_html_only_by_its_type():
    text = page.table([NASTY], [[NASTY], [page.Html("<b>x</b>")]])
    assert "<img" not in text and "<b>x</b>" in text


@pytest.mark.parametrize("text", ["=1+1", "+1", "-poke_-0.0150", "@SUM(A1)", "\tx", "'=1"])
def test_a_cell_is_no_formula_and_reads_back(tmp_path, text):
    path = write_table(tmp_path / "a.csv", [{"bead": text, "value": -0.5}])
    [row] = csv.DictReader(io.StringIO(path.read_bytes().decode(), newline=""))
    assert row["bead"].startswith("'") and row["value"] == "-0.5"
    assert batch.value("bead", row["bead"]) == text
    assert batch.value("value", row["value"]) == -0.5


def test_the_table_of_a_batch_reads_back(tmp_path):
    """Names that begin as formulas, or look like numbers, name the same folder again."""
    rows = [
        batch.row(f"{stem}-001", f"/d/{stem}.tif", reason="x,\ny", status="ok")
        | {"folder": f"{stem}-001", "heldout_nmse": 0.02 + k, "snr": 12.0}
        for k, stem in enumerate(["-0.0150", "1e", "'=1", "plain"])
    ]
    batch.write(tmp_path, rows)
    assert outputs.is_ours(tmp_path), "its first line tells who wrote it"
    assert batch.read(tmp_path) == rows
    assert export.bead_folder(tmp_path, None) == tmp_path / "-0.0150-001"
    assert export.bead_folder(tmp_path, "1e-001") == tmp_path / "1e-001"


def test_names_that_are_no_text_are_written(tmp_path):
    name = "caf\udce9"
    write_table(tmp_path / "a.csv", [{"bead": name}])
    assert (
        json.loads(jio.write_json(tmp_path / "a.json", {"file": name}).read_text())["file"] == name
    )
    row = batch.row(name, name, status="failed", reason=name)
    batch.write(tmp_path, [row])
    batch.summary(tmp_path, [row])
    assert "caf\\udce9" in (tmp_path / "report.html").read_text()


# -- no machine, no moment -----------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.ome.tif", "a.tif", "a.npz", "a.zarr"])
def test_equal_stacks_give_equal_bytes(tmp_path, name):
    array = np.random.default_rng(0).normal(size=(5, 8, 9))
    found = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        path = jio.write_stack(tmp_path / folder / name, array, spacing=(0.3, 0.13, 0.14))
        parts = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
        found.append([part.read_bytes() for part in parts])
    assert found[0] == found[1]
    network_card = f"{uuid.getnode():012x}".encode()
    assert not any(network_card in part for part in found[0])


def test_another_stack_has_another_identity(tmp_path):
    texts = set()
    for value, dz in ((0, 0.3), (1, 0.3), (1, 0.4)):
        path = tmp_path / "a.ome.tif"
        jio.write_stack(path, np.full((3, 8, 8), value), spacing=(dz, 0.1, 0.1))
        with tifffile.TiffFile(path) as file:
            texts.add(re.search('UUID="([^"]+)"', file.ome_metadata).group(1))
    assert len(texts) == 3


# -- memory --------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["V1500000000", "U400000000", "1000000000i4", "(9,9)f4", "O", ""])
def test_a_model_holds_numbers_only(tmp_path, dtype):
    """In a process of its own, whose memory can be looked at."""
    path = elements.save_model(tmp_path / "lens.json", elements.ThinLens("200 mm"))
    model = json.loads(path.read_text())
    model["model"]["fields"]["f"]["dtype"] = dtype
    path.write_text(json.dumps(model))
    with pytest.raises(ValueError, match="has no numbers for 'f'"):
        elements.load_model(path)


def test_arrays_beside_a_model_are_not_larger_than_their_file(tmp_path):
    path = elements.save_model(tmp_path / "m.json", elements.PhaseMask(np.zeros((8, 8))))
    [beside] = tmp_path.glob("*.npz")
    np.savez_compressed(beside, **{"phase": np.zeros((1 << 12, 1 << 12))})
    model = json.loads(path.read_text())
    model["arrays"]["sha256"] = __import__("hashlib").sha256(beside.read_bytes()).hexdigest()
    path.write_text(json.dumps(model))
    with pytest.raises(ValueError, match="more than the limit"):
        elements.load_model(path)


CHAIN = """
import resource, struct, sys, time, zlib
from pathlib import Path
import numpy as np
from jaxwave import io

def ifd(tags, following):
    body = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return struct.pack("<H", len(tags)) + body + struct.pack("<I", following)

def chain(pages, tags, blob):
    at = 8 + pages * (2 + 12 * 9 + 4)
    body = b"II*\\0\\x08\\0\\0\\0"
    size = [(256, 4, 1, 16), (257, 4, 1, 16), (258, 3, 1, 16)]
    for k in range(pages):
        following = 8 + (k + 1) * (2 + 12 * 9 + 4) if k < pages - 1 else 0
        body += ifd([*size, *tags(at), (262, 3, 1, 1)][:9], following)
    return body + blob

def deflated(mib):
    pack, one = zlib.compressobj(1), bytes(1 << 20)
    return b"".join(pack.compress(one) for _ in range(mib)) + pack.flush()

plain = [(277, 3, 1, 1), (279, 4, 1, 512)]
raw = (259, 3, 1, 1)
big = b"A" * (4 << 20)
packed, half = deflated(600), deflated(300)
links = np.zeros(1_000_000, dtype=[("c", "<u2"), ("n", "<u4")])
links["n"] = 8 + 6 * (np.arange(len(links)) + 1)
links["n"][-1] = 0

def strip(data, rows=16, width=16):
    def tags(at):
        end = [(277, 3, 1, 1), (278, 4, 1, rows), (279, 4, 1, len(data))]
        return [(259, 3, 1, 8), (273, 4, 1, at), *end]
    return tags

wide = chain(3, strip(half, 1000), half)
wide = wide.replace(struct.pack("<HHII", 256, 4, 1, 16), struct.pack("<HHII", 256, 4, 1, 1000))
wide = wide.replace(struct.pack("<HHII", 257, 4, 1, 16), struct.pack("<HHII", 257, 4, 1, 1000))
FILES = {
    "offsets": chain(60, lambda at: [raw, (270, 2, 4, 0), (273, 4, 1 << 20, at), *plain], big),
    "texts": chain(300, lambda at: [raw, (270, 2, 4 << 20, at), (273, 4, 1, 8), *plain], big),
    "empty": b"II*\\0\\x08\\0\\0\\0" + links.tobytes(),
    "strips": chain(3, strip(packed), packed),
    "wide": wide,
}
before = resource.getrusage(resource.RUSAGE_SELF)
for name, data in FILES.items():
    path = Path(sys.argv[1]) / f"{name}.tif"
    path.write_bytes(data)
    start = time.process_time()
    try:
        io.read_stack(path, pixel=0.13, dz=0.3, max_bytes=1e8)
        said = "nothing"
    except ValueError as error:
        said = str(error)
    print(name, round(time.process_time() - start, 2), said.replace(str(path), ""), sep=" | ")
print("memory", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before.ru_maxrss, sep=" | ")
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="measures memory as POSIX does")
def test_small_files_do_not_become_gigabytes(tmp_path):
    """Tags that pages share, chains of empty pages, strips that inflate past their page."""
    run = subprocess.run(
        [sys.executable, "-c", CHAIN, str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    lines = {line.split(" | ")[0]: line.split(" | ")[1:] for line in run.stdout.splitlines()}
    assert set(lines) == {"offsets", "texts", "empty", "strips", "wide", "memory"}, run.stderr
    assert int(lines.pop("memory")[0]) < 300_000, "kB"
    for name, (seconds, said) in lines.items():
        assert float(seconds) < 10, name
        assert said.startswith("read_stack: "), said
    assert "longer than the file" in lines["offsets"][1]
    assert "no readable TIFF page" in lines["empty"][1]
    assert "a compressed piece is longer than what it holds" in lines["strips"][1]
    assert "a compressed piece holds more than it should" in lines["wide"][1]


# -- compressed chunks ---------------------------------------------------------------------


def deflated(mib, wbits=15):
    """Zeros, packed so tightly that they look harmless."""
    pack, one = zlib.compressobj(9, zlib.DEFLATED, wbits), bytes(1 << 20)
    return b"".join(pack.compress(one) for _ in range(mib)) + pack.flush()


@pytest.mark.slow
def test_chunks_of_hdf5_do_not_inflate(tmp_path):
    h5py = pytest.importorskip("h5py")
    for side, mib, message in ((16, 20, "is longer than"), (700, 290, "holds more than")):
        with h5py.File(tmp_path / "a.h5", "w") as file:
            shape, chunk = (2, side, side), (1, side, side)
            data = file.create_dataset("data", shape, "u2", chunks=chunk, compression="gzip")
            for k in range(2):
                data.id.write_direct_chunk((k, 0, 0), deflated(mib))
        with pytest.raises(ValueError, match=f"a compressed piece {message}"):
            jio.read_stack(tmp_path / "a.h5", pixel=0.13, dz=0.3)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["Gzip", "Zstd", "Blosc", "whole"])
def test_chunks_of_zarr_do_not_inflate(tmp_path, kind):
    zarr = pytest.importorskip("zarr")
    numcodecs = pytest.importorskip("numcodecs")
    array = np.arange(2 * 300 * 300, dtype=np.uint16).reshape(2, 300, 300)
    codec = getattr(zarr.codecs, f"{kind}Codec")() if kind != "whole" else zarr.codecs.ZstdCodec()
    path = tmp_path / "a.zarr"
    options = dict(shape=array.shape, chunks=(1, 300, 300), dtype="u2", compressors=codec)
    zarr.create_array(str(path), dimension_names=list("zyx"), **options)[...] = array
    if kind == "whole":
        assert jio.read_stack(path, pixel=0.13, dz=0.3).shape == array.shape
        return
    zeros = np.zeros(300 << 20, np.uint8)
    bomb = deflated(300, 31) if kind == "Gzip" else getattr(numcodecs, kind)().encode(zeros)
    for k in range(2):
        (path / "c" / str(k) / "0" / "0").write_bytes(bomb)
    with pytest.raises(ValueError, match=r"a compressed piece (holds|claims|is longer)"):
        jio.read_stack(path, pixel=0.13, dz=0.3)


def test_a_giant_chunk_of_a_small_array(tmp_path):
    zarr = pytest.importorskip("zarr")
    path = tmp_path / "a.zarr"
    zarr.create_array(str(path), shape=(3, 8, 8), chunks=(3, 8, 8), dtype="u2")[...] = 1
    about = json.loads((path / "zarr.json").read_text())
    about["chunk_grid"]["configuration"]["chunk_shape"] = [30000, 80000, 80000]
    (path / "zarr.json").write_text(json.dumps(about))
    with pytest.raises(ValueError, match=r"a chunk' needs 384 .*B of memory|a chunk' needs"):
        jio.read_stack(path, pixel=0.13, dz=0.3, axes="ZYX")
