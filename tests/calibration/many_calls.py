"""Calls that `test_processes` makes in one process and in many."""

import argparse
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxwave.calibration import calibrate, normal

COUNT = 7  # neither 2 nor 4 divides it
TRUTH = np.random.default_rng(0).normal(size=(12, 12)).astype(np.float32)
PLACES = np.linspace(-1, 1, COUNT).astype(np.float32)


def image(model: dict, place: jax.Array) -> jax.Array:
    phase = model["phase"] + place * model["bend"] * jnp.linspace(-1, 1, 12) ** 2
    return jnp.abs(jnp.fft.fft2(jnp.exp(1j * phase), norm="ortho")) ** 2


def images(model: dict, places: jax.Array) -> jax.Array:
    return jax.vmap(image, in_axes=(None, 0))(model, places)


def mean_loss(model: dict, data: dict) -> jax.Array:
    return jnp.mean((images(model, data["z"]) - data["image"]) ** 2)


def neither_loss(model: dict, data: dict) -> jax.Array:
    return jnp.sum((images(model, data["z"]) - data["image"]) ** 2) + model["bend"] ** 2


def measured() -> dict:
    truth = {"phase": TRUTH, "bend": np.float32(1.5)}
    return {"z": PLACES, "image": np.asarray(jax.jit(images)(truth, PLACES))}


def fitted(**options) -> list[float]:
    start = {"phase": jnp.asarray(0.7 * TRUTH), "bend": jnp.float32(1.2)}
    found = calibrate(start, mean_loss, measured(), steps=12, **options)
    return [*found.history["loss"].tolist(), float(found.model["bend"])]


def distance(model: dict, data: jax.Array) -> jax.Array:
    return jnp.mean((model["a"] - data) ** 2)


def one_sample() -> list[float]:
    """Fewer samples than processes: the others have none."""
    data = np.float32([[2.0, 3.0]])
    found = calibrate({"a": jnp.float32(1.0)}, distance, data, steps=2)
    return found.history["loss"].tolist()


def joined(process: int, count: int, folder: Path) -> list[float]:
    """Processes that hold their own parts already, with a checkpoint."""
    here = NamedSharding(Mesh(np.array(jax.devices()), ("samples",)), PartitionSpec("samples"))
    data = np.arange(6, dtype=np.float32).reshape(count, -1)[process].reshape(-1, 1)
    whole = jax.make_array_from_process_local_data(here, data)
    found = calibrate({"a": jnp.float32(1.0)}, distance, whole, steps=2, checkpoint=folder)
    return found.history["loss"].tolist()


def results() -> dict[str, list[float]]:
    """Losses and parameters of every kind."""
    return {
        "all": fitted(),
        "one sample": one_sample(),
        "minibatches": fitted(batch_size=3, priors={"bend": normal(1.0, 0.3)}),
    }


def refused(process: int) -> list[str]:
    """What is refused in all processes, in words."""
    start, data = {"phase": jnp.asarray(TRUTH), "bend": jnp.float32(1.2)}, measured()
    own = {name: a[process : process + 3] for name, a in data.items()}  # each its own part
    texts = []
    for loss, given in ((neither_loss, data), (mean_loss, own), (mean_loss, ())):
        try:
            calibrate(start, loss, given, steps=1)
        except (TypeError, ValueError) as error:
            texts.append(str(error))
    return texts


if __name__ == "__main__":
    ask = argparse.ArgumentParser()
    ask.add_argument("process", type=int)
    ask.add_argument("count", type=int)
    ask.add_argument("--address")
    ask.add_argument("--out", type=Path)
    asked = ask.parse_args()
    jax.distributed.initialize(asked.address, asked.count, asked.process)
    content = {"results": results(), "refused": refused(asked.process)}
    content["joined"] = joined(asked.process, asked.count, asked.out / "run")
    (asked.out / f"{asked.process}.json").write_text(json.dumps(content))
