"""The process that makes artifacts, one after another: ``python -m lightmobile.export.worker``.

It starts before the weights exist, so that importing its exporter overlaps with the making of
them. Of each artifact, one JSON line each comes on standard input: the folder to work in, the job,
where the weights lie, where the reference lies. JSON lines go back: phases, then
``{"done": true}`` or the error, which is its last word. All that the exporters print goes to
standard error. It ends when nobody talks to it any more.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import queue
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from lightmobile.errors import InternalError, LightmobileError
from lightmobile.export.artifact import disk_error, full_disk, out_of_memory, sha256_of, size_of
from lightmobile.export.cache import model_packages, versions_of
from lightmobile.export.calibration import CalibrationImages
from lightmobile.export.delegation import require_whole
from lightmobile.export.job import Job
from lightmobile.export.manifest import (
    CalibrationSource,
    Cost,
    Manifest,
    Preprocessing,
    Quantization,
    WeightSource,
    manifest_path,
)
from lightmobile.export.precision import PRECISIONS
from lightmobile.export.quantization.layers import require_layers
from lightmobile.export.spec import target_info
from lightmobile.export.targets import load_target

if TYPE_CHECKING:
    from torch import nn

    from lightmobile.export.manifest import Parity
    from lightmobile.export.targets import Lowered

__all__ = ["main"]


def main() -> None:
    """Make the artifacts that are asked for, and leave without tidying up."""
    replies = _keep_stdout()
    messages = _read_stdin()

    def reply(**message: Any) -> None:
        sys.stderr.flush()
        replies.write(json.dumps(message) + "\n")
        replies.flush()

    while True:
        os.chdir(json.loads(messages.get()))
        job = Job.from_json(messages.get())
        try:
            _make(job, messages, lambda phase: reply(phase=phase))
        except LightmobileError as error:
            reply(error=error.to_dict())
            break
        except Exception as error:  # noqa: BLE001 - an exporter may raise anything
            with suppress(OSError):
                traceback.print_exc()
            reply(error=_explain(error, Path(job.output_dir)).to_dict())
            break
        reply(done=True)
        _release_memory()
    # Freeing a converter's graphs and unloading its libraries takes up to a second.
    os._exit(0)


def _make(job: Job, messages: queue.SimpleQueue[str], phase: Callable[[str], None]) -> None:
    phase("importing")
    target = load_target(job.spec.target)
    target.preload()

    import torch

    from lightmobile.models.bridges.function import also_search
    from lightmobile.models.prepared import load_deployed

    # The targets share the processor; more threads would only get in each other's way.
    torch.set_num_threads(1)
    phase("waiting")
    prepared = json.loads(messages.get())
    also_search(job.search_path)
    source = WeightSource(**prepared["source"])
    module = load_deployed(
        job.model,
        job.overrides,
        Path(prepared["weights"]),
        input_size=job.input_size,
        seed=source.seed or 0,
    )
    phase("lowering")
    artifact = Path(job.name)
    example = torch.zeros(job.spec.batch, job.preprocessing["channels"], *job.input_size)
    require_layers(module, job.spec.keep_fp)
    lowered = target.lower(module, job.spec, artifact, example, _images(job, phase))
    if job.require_full_delegation:
        require_whole(job.name, lowered.placements)
    _release_memory()
    manifest = _manifest(job, lowered, source, artifact, _cost(job, module, artifact))
    reference = Path(json.loads(messages.get())["reference"])
    phase("verifying")
    parity = _verify(artifact, manifest, module, reference, job.spec.min_sqnr)
    whole = manifest.model_copy(update={"parity": parity})
    manifest_path(artifact).write_text(whole.to_json(), encoding="utf-8")


def _images(job: Job, phase: Callable[[str], None]) -> CalibrationImages | None:
    if job.calibration is None:
        return None

    def report(done: int, samples: int) -> None:
        if 10 * done // samples > 10 * (done - 1) // samples:  # a tenth at a time
            phase(f"calibrating with {samples} images: {done / samples:.0%}")

    recipe = Preprocessing(**job.preprocessing).recipe()
    return CalibrationImages(job.calibration, recipe, job.spec.batch, report)


def _release_memory() -> None:
    # Graphs refer to themselves, so that their copies of the weights outlive them; and glibc keeps
    # what is freed. Verification would come on top of both.
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
        if trim:
            trim(0)


def _cost(job: Job, module: nn.Module, artifact: Path) -> Cost:
    from lightmobile.export.counting import count

    return count(module, job.spec, job.input_size, job.preprocessing["channels"], artifact)


def _manifest(
    job: Job, lowered: Lowered, weights: WeightSource, artifact: Path, cost: Cost
) -> Manifest:
    backend = target_info(job.spec.target).backends[job.spec.backend]
    return Manifest(
        model=job.model,
        overrides=job.overrides,
        target=job.spec.target,
        backend=job.spec.backend,
        precision=job.spec.precision,
        input_size=job.input_size,
        batch=job.spec.batch,
        layout=job.spec.layout,
        weights=weights,
        preprocessing=Preprocessing(**job.preprocessing),
        inputs=lowered.inputs,
        outputs=lowered.outputs,
        file=artifact.name,
        file_sha256=sha256_of(artifact),
        file_bytes=size_of(artifact),
        versions=versions_of(*job.spec.packages, *model_packages(job.model)),
        why_precision=_why(job, backend.precisions[0], backend.why_default),
        quantization=_quantization(job),
        lowering=lowered.lowering,
        placements=lowered.placements,
        cost=cost,
    )


def _quantization(job: Job) -> Quantization | None:
    precision = PRECISIONS[job.spec.precision]
    if not precision.quantized:
        return None
    return Quantization(
        weights=precision.weights,
        activations=precision.activations,
        io=job.spec.io,
        kept=job.spec.keep_fp,
        calibration=CalibrationSource(**job.calibration.identity()) if job.calibration else None,
    )


def _why(job: Job, default: str, why_default: str) -> str:
    if job.spec.precision == default:
        return why_default
    return f"asked for; the default is {default}: {why_default}"


def _verify(
    artifact: Path,
    manifest: Manifest,
    module: nn.Module,
    reference: Path,
    min_sqnr: float | None,
) -> Parity:
    from lightmobile.export.verification.parity import check, comparable_weights
    from lightmobile.export.verification.reference import Reference
    from lightmobile.models.bridges.constants import computed_constants

    weights = comparable_weights(manifest, module)
    computed = computed_constants(module)
    return check(artifact, manifest, Reference.load(reference), weights, computed, min_sqnr)


def _explain(error: Exception, folder: Path) -> LightmobileError:
    if isinstance(error, OSError):
        return disk_error(error, folder)
    if isinstance(error, MemoryError) or "allocate" in str(error):
        return out_of_memory(error)  # torch says it in a RuntimeError
    return full_disk(folder) or InternalError(
        "The exporter failed",
        why=f"{type(error).__name__}: {str(error)[:500]}",
        fix="--log FILE keeps what it printed",
    )


def _keep_stdout() -> TextIO:
    # Exporters, also in C++, print to descriptor 1: replies get a copy, prints go to the log.
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return replies


def _read_stdin() -> queue.SimpleQueue[str]:
    messages: queue.SimpleQueue[str] = queue.SimpleQueue()

    def listen() -> None:
        for line in sys.stdin:
            messages.put(line)
        # The session is gone, however it ended: nobody wants the artifact any more.
        os._exit(1)

    threading.Thread(target=listen, daemon=True).start()
    return messages


if __name__ == "__main__":
    main()
