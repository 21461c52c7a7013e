"""What the README promises: lines that run, one command each to run and to test."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SETUP = "python3 -m venv .venv && .venv/bin/pip install "


def section(title: str) -> str:
    (text,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", README, re.MULTILINE | re.DOTALL)
    return text


def command(title: str) -> str:
    """The only line of the only block of a section."""
    blocks = FENCED.findall(section(title))
    assert len(blocks) == 1, f"'## {title}' must have one fenced block, has {len(blocks)}"
    lines = blocks[0][1].splitlines()
    assert len(lines) == 1, f"'## {title}' must have one command line, has {len(lines)}"
    return lines[0]


@pytest.mark.parametrize("title", ["Run it", "Test it"])
def test_one_command_does_all(title):
    assert command(title).startswith(SETUP), "the command must make its own virtual environment"
    assert "://" not in command(title)


def test_ci_runs_the_command_for_tests():
    assert (ROOT / ".ci" / "run").read_text().splitlines()[-1] == command("Test it")


def test_requirements_are_pinned():
    for path in (ROOT / "requirements").glob("*.txt"):
        for line in path.read_text().splitlines():
            line = line.split("#")[0].strip()
            assert not line or line.startswith("-r ") or "==" in line, f"{path.name}: {line}"


def test_twelve_lines(capsys):
    ((_, code), *_) = [block for block in FENCED.findall(README) if block[0] == "python"]
    lines = [line for line in code.splitlines() if line.strip()]
    assert len(lines) == 12, f"the first example must have twelve lines, has {len(lines)}"
    exec(compile(code, "README.md", "exec"), {})
    field, ring, slope = capsys.readouterr().out.splitlines()
    measured, theory = map(float, re.findall(r"([\d.]+) µm", ring))
    assert abs(measured - theory) <= 0.1  # half a sample
    # The peak grows with the fourth power of the radius, pi^2 r^4 / (lambda f L)^2.
    peak = (3.14159265 * 4000**2 / (0.532 * 180e3 * 256 * 50)) ** 2
    assert float(slope.split(":")[1]) == pytest.approx(4 * peak / 4000, rel=1e-3)
    comment = re.search(r"# (Field\(.*\))", code)
    assert comment and comment[1] == field


def test_the_microscope_in_a_few_lines(capsys):
    code = next(code for kind, code in FENCED.findall(README) if kind == "python" and "psf" in code)
    exec(compile(code, "README.md", "exec"), {})
    stack, slope = capsys.readouterr().out.splitlines()
    assert stack.startswith("(3, 64, 64)")
    # An objective of 1.4 in oil collects (1 - cos theta) / 2 of an emitter's light, 0.307.
    assert float(stack.split()[-1]) == pytest.approx(0.307, rel=0.03)
    assert float(slope.split()[-3]) < 0  # astigmatism lowers the peak


def test_learning_in_twelve_lines(capsys):
    ((_, code),) = FENCED.findall(section("Learn from images"))
    assert len([line for line in code.splitlines() if line.strip()]) == 12
    exec(compile(code, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert "stop   CircularAperture(radius=" in printed
    for name, truth in (("free.z", 21000), ("stop.radius", 100)):
        value, error = map(float, re.search(rf"{name} += ([\d.]+) ± ([\d.]+) µm", printed).groups())
        assert abs(value - truth) < 3 * error < 0.01 * truth
        if name in code.splitlines()[-1]:
            promised = re.search(rf"{name} = (\d+) ± (\d+) µm", code)
            assert abs(value - float(promised[1])) < error / 4  # rounding differs between machines
            assert error == pytest.approx(float(promised[2]), abs=1)


@pytest.mark.slow
def test_many_settings(capsys):
    ((_, code),) = FENCED.findall(section("Many settings"))
    names: dict = {}
    exec(compile(code, "README.md", "exec"), names)
    first, last = capsys.readouterr().out.splitlines()
    assert first.endswith("60 settings (20, 3, 128, 128)") and "Memory: " in last
    # On the axis behind a hole, 4 sin^2 of half the Fresnel number times pi.
    settings = names["brightest"].settings
    axis = 4 * np.sin(np.pi * settings["radius"] ** 2 / (2 * 0.532 * settings["z"])) ** 2
    assert axis[int(names["brightest"].values)] > 0.98 * axis.max()


def test_a_torch_network_in_twelve_lines():
    torch = pytest.importorskip("torch")
    ((_, code),) = FENCED.findall(section("A torch network on top"))
    assert len([line for line in code.splitlines() if line.strip()]) == 12
    torch.manual_seed(0)
    names: dict = {}
    exec(compile(code, "README.md", "exec"), names)
    # Better than the best constant, whose error is the variance of the target.
    assert names["loss"].item() < names["target"].var(correction=0).item()
    assert names["phase"].detach().std() > 0.1


def test_links_lead_somewhere():
    texts = [README, (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")]
    links = [link for text in texts for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text)]
    assert links
    missing = [link for link in links if not (ROOT / link).exists()]
    assert not missing, f"these links lead nowhere: {missing}"


def test_commands_are_understood():
    """The lines at the command line name commands and flags that exist, with values that read."""
    from jaxwave.cli import main, options
    from jaxwave.cli.settings import gather

    (block,) = FENCED.findall(section("At the command line"))
    tables = {"calibrate": options.CALIBRATE, "export": options.EXPORT, "psf": options.PSF}
    tables |= {"lightfield calibrate": options.LATTICE, "lightfield reconstruct": options.VOLUME}
    for line in block[1].splitlines():
        program, *words = shlex.split(line)
        assert program == "jaxwave"
        arguments = main.parser().parse_args(words)
        settings = gather(tables[arguments.command], vars(arguments))
        assert "command line" in settings.origins.values()


def test_the_first_lines_lead_to_pictures(tmp_path, monkeypatch):
    """The first line installs; of the four readers' lines two are commands, one is run here."""
    from jaxwave.cli.main import parser

    assert FENCED.findall(README)[0][1] == 'pip install "jaxwave[all]"\n'
    lines = re.findall(r"^\| an? .* \| `(.*)` \|$", README, re.MULTILINE)
    programs = {line.split()[0] for line in lines}
    assert programs == {"jaxwave", "python"} and len(lines) == 3
    for line in lines:
        program, *words = shlex.split(line)
        if program == "jaxwave":
            assert parser().parse_args(words).command
            continue
        monkeypatch.chdir(tmp_path)
        exec(words[-1], {})
        assert (tmp_path / "airy.png").stat().st_size > 10_000


def test_numbers_are_those_of_the_stored_run():
    stored = json.loads((ROOT / "benchmarks" / "stored.json").read_text(encoding="utf-8"))
    (times,) = [row["times"] for row in stored["rows"] if row["question"] == "sweep"]
    claimed = float(
        re.search(r"take ([\d.]+) times less CPU time\s+than a loop in torch", README)[1]
    )
    assert claimed == round(times["torch, a loop, one thread"] / times["jw.sweep"], 1)


@pytest.mark.slow
def test_main_job(tmp_path):
    """The command's last part, with this interpreter and the results in a folder of the test."""
    python, *arguments = shlex.split(command("Run it").split(" && ")[-1])
    assert python == ".venv/bin/python"
    script, *rest = arguments
    run = subprocess.run(
        [sys.executable, str(ROOT / script), *rest], cwd=tmp_path, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout + run.stderr
    (result,) = tmp_path.rglob("result.json")
    assert json.loads(result.read_text())["heldout_nmse"] <= 0.0071
    assert list(result.parent.glob("*.png")), "the job must end in a picture"
