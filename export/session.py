"""From a model's name to verified artifacts: one call, one process a target."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from safetensors import SafetensorError

from lightmobile.errors import DelegationError, LightmobileError, UsageError
from lightmobile.export import cache
from lightmobile.export.artifact import (
    Artifact,
    disk_error,
    file_name,
    install,
    out_of_memory,
    sha256_of,
)
from lightmobile.export.calibration import PHOTOS, Calibration
from lightmobile.export.crew import Crew
from lightmobile.export.delegation import require_delegate, require_whole
from lightmobile.export.job import Job
from lightmobile.export.manifest import manifest_path, read_manifest
from lightmobile.export.precision import PRECISIONS
from lightmobile.export.spec import ExportSpec, target_info
from lightmobile.export.targets import BUILT_IN
from lightmobile.models.bridges.function import is_function, search_path
from lightmobile.models.hub import Download, download
from lightmobile.models.registry import model_info

if TYPE_CHECKING:
    from lightmobile.export.crew import Report
    from lightmobile.export.spec import IO, Layout
    from lightmobile.models.registry import ModelFacts

__all__ = ["export"]


def export(
    model: str,
    *,
    targets: Sequence[str] | Literal["all"] = "all",
    backend: str | None = None,
    precision: str | None = None,
    checkpoint: str | Path | None = None,
    pretrained: bool = False,
    untrained: bool = False,
    input_size: tuple[int, int] | None = None,
    batch: int = 1,
    layout: Layout | None = None,
    io: IO | None = None,
    calibration: str | Path = PHOTOS,
    calibration_samples: int | None = None,
    keep_fp: Sequence[str] = (),
    min_sqnr: float | None = None,
    require_full_delegation: bool = False,
    overrides: Mapping[str, Any] | None = None,
    output_dir: str | Path = "lightmobile-out",
    seed: int = 0,
    use_cache: bool = True,
    verbose: bool = False,
    log: str | Path | None = None,
    progress: Callable[[str, str], None] | None = None,
) -> list[Artifact]:
    """Lower a model to files for mobile runtimes, each verified against PyTorch.

    Parameters
    ----------
    model
        One of `lightmobile.models.list_models`, ``timm:NAME``, or a function of your own that
        returns a module, as ``package.module:function``.
    targets
        ``executorch``, ``coreml``, ``tflite``, those of plug-ins, or ``"all"`` built-in ones.
    backend, precision, layout, io
        The default of each target where None; every target asked for must be able to do it.
    checkpoint
        File with trained weights. Without it the weights are made from `seed`, scaled so that
        the model's answers vary enough to be compared, and the manifests say ``untrained``; but
        a function of your own brings its weights.
    pretrained
        Use the weights that the model's authors, or timm's, published on the Hugging Face hub.
    untrained
        Make weights from `seed` for a function of your own too.
    input_size
        Height and width in pixels; the model's own where None.
    batch
        Images per inference.
    calibration
        A folder of images that show the ranges of activations to int8, or ``photos``: random
        crops of two photographs.
    calibration_samples
        How many images at most; 128 where None.
    keep_fp
        Layers that quantization leaves alone, by their names in the deployed module.
    min_sqnr
        What a quantized artifact has to keep, in dB, instead of its precision's bar.
    require_full_delegation
        Whether an operator that an artifact's own delegate leaves is an error.
    overrides
        Options of the model, such as ``{"num_classes": 10}`` or ``{"features_only": True}``.
    output_dir
        Folder that receives ``<slug>.<backend>.<precision>.<ext>`` and the manifests.
    use_cache
        Take what was exported before with the same sources, weights, options and versions.
    verbose, log
        Show what the exporters print on standard error; append it to a file.
    progress
        Called with a target and its phase (``importing``, ``waiting``, ``lowering``,
        ``verifying``, then ``done`` or ``cached``), also from other threads, one at a time.

    Returns
    -------
    list of Artifact
        In the order of `targets`.

    Raises
    ------
    UsageError
        Unknown words, weights that do not fit or cannot be fetched, a folder that cannot be
        written.
    VerificationError
        An artifact does not compute what PyTorch computes; it is not kept.
    DelegationError
        A delegate leaves operators, and `require_full_delegation` is set; it is not kept.
    InternalError
        An exporter failed.

    Notes
    -----
    A failure of one target does not stop the others: their artifacts are in place when the
    first error is raised.
    """
    started = time.perf_counter()
    facts = model_info(model).at(input_size)
    specs = _specs(
        targets,
        backend=backend or "",
        precision=precision or "",
        layout=layout or "nchw",
        io=io or "float32",
        keep_fp=tuple(keep_fp),
        min_sqnr=min_sqnr,
        # The model's own size, said or not, is one and the same export.
        input_size=None if facts == model_info(model) else facts.input_size,
        batch=batch,
    )
    if require_full_delegation:
        for spec in specs:
            require_delegate(spec)
    options = dict(overrides or {})
    weights = _Weights.of(facts, checkpoint, pretrained=pretrained, untrained=untrained, seed=seed)
    # Taken before anything is made: sources edited meanwhile made no part of it. Nobody knows all
    # the sources that a user's function is made of.
    images = _calibration(specs, calibration, calibration_samples, seed)
    keys = {
        spec.target: cache.key_of(facts, options, spec, weights.identity, images.get(spec.target))
        for spec in specs
        if not is_function(model)
    }
    report = progress or _unheard
    folder = Path(output_dir)
    with _stage(folder) as stage:
        session = _Session(
            facts,
            options,
            weights,
            images,
            keys,
            require_full_delegation,
            folder,
            stage,
            report,
            started,
        )
        missing = [spec for spec in specs if not (use_cache and session.take_cached(spec))]
        if missing:
            session.make(missing, verbose=verbose, log=Path(log) if log else None)
        if session.failures:
            raise session.failures[0]
    return [session.artifacts[spec.target] for spec in specs]


@dataclass(frozen=True)
class _Weights:
    """Where the weights come from; `identity` goes into the key of the cache."""

    checkpoint: Download | None
    untrained: bool
    seed: int
    identity: dict[str, Any]

    @classmethod
    def of(
        cls,
        facts: ModelFacts,
        checkpoint: str | Path | None,
        *,
        pretrained: bool,
        untrained: bool,
        seed: int,
    ) -> _Weights:
        if seed < 0:
            raise UsageError(f"A seed of {seed} is none", fix="Give 0 or more")
        if (checkpoint is not None) + pretrained + untrained > 1:
            raise UsageError(
                "The weights can come from one place only",
                fix="Give one of --checkpoint, --pretrained and --untrained",
            )
        if pretrained:
            found = download(facts)
        elif checkpoint is not None:
            path = Path(checkpoint)
            if not path.is_file():
                raise UsageError(f"There is no checkpoint {path}", fix="Give a file of weights")
            found = Download(path, path.name)
        else:
            return cls(None, untrained, seed, {"seed": seed})
        identity = {"checkpoint": found.name, "sha256": sha256_of(found.path)}
        return cls(found, untrained, seed, identity)


@dataclass
class _Session:
    """One call of `export`: what it was asked, and the artifacts that are in place so far.

    `images`, `keys` and `artifacts` are by target; without a key the cache is left alone.
    """

    facts: ModelFacts
    overrides: dict[str, Any]
    weights: _Weights
    images: dict[str, Calibration]
    keys: dict[str, str]
    require_full_delegation: bool
    folder: Path
    stage: Path
    report: Report
    started: float
    artifacts: dict[str, Artifact] = field(default_factory=dict)
    failures: list[LightmobileError] = field(default_factory=list)

    def take_cached(self, spec: ExportSpec) -> bool:
        """Put the artifact of `spec` in place if the cache has it, and it is as asked for."""
        key = self.keys.get(spec.target)
        hit = cache.find(key, self._name(spec)) if key else None
        if hit is None:
            return False
        if self.require_full_delegation:
            try:
                require_whole(hit.name, read_manifest(hit).placements)
            except DelegationError as error:
                self.failures.append(error)
                return True
        copies = self.stage / "cached" / spec.target
        copies.mkdir(parents=True)
        for source in (hit, manifest_path(hit)):
            cache.copy(source, copies / source.name)
        self._put(copies / hit.name, cached=True)
        return True

    def make(self, specs: Sequence[ExportSpec], *, verbose: bool, log: Path | None) -> None:
        """Make the artifacts of `specs` side by side, each in place as soon as it is verified."""
        crew = Crew(self.stage, self.report)
        with _logs_kept(crew, verbose=verbose, log=log), crew:
            for spec in specs:
                crew.start(self._job(spec))
            self._prepare(crew, specs[0])
            for worker, failure in crew.results():
                if failure:
                    # The first is raised when the others are done; each is told as it comes.
                    self.report(worker.job.spec.target, f"refused: {failure.why or failure.what}")
                    self.failures.append(failure)
                else:
                    artifact = worker.folder / worker.job.name
                    if key := self.keys.get(worker.job.spec.target):
                        cache.store(key, artifact)
                    self._put(artifact, cached=False)

    def _prepare(self, crew: Crew, spec: ExportSpec) -> None:
        # torch is imported here, while the workers import their exporters.
        from lightmobile.export.verification.reference import make_reference
        from lightmobile.models.prepared import prepare, save_deployed
        from lightmobile.models.threads import one_thread

        weights = self.stage / "weights.safetensors"
        reference = self.stage / "reference.safetensors"
        with one_thread():
            prepared = prepare(
                self.facts.name,
                checkpoint=self.weights.checkpoint,
                untrained=self.weights.untrained,
                seed=self.weights.seed,
                input_size=spec.input_size,
                overrides=self.overrides,
            )
            save_deployed(prepared, weights)
            crew.tell(weights=str(weights), source=prepared.weights)
            make_reference(
                prepared.training,
                prepared.deployed,
                prepared.facts,
                prepared.facts.input_size,
                self.weights.seed,
            ).save(reference)
        crew.tell(reference=str(reference))

    def _put(self, artifact: Path, *, cached: bool) -> None:
        manifest = read_manifest(artifact)
        place = self.folder / artifact.name
        install(artifact, place)
        install(manifest_path(artifact), manifest_path(place))
        assert manifest.parity is not None  # noqa: S101 - no worker leaves without
        self.artifacts[manifest.target] = Artifact(
            path=place,
            manifest=manifest_path(place),
            model=manifest.model,
            target=manifest.target,
            backend=manifest.backend,
            precision=manifest.precision,
            bytes=manifest.file_bytes,
            cached=cached,
            seconds=time.perf_counter() - self.started,
            parity=manifest.parity,
            placements=manifest.placements,
        )
        self.report(manifest.target, "cached" if cached else "done")

    def _job(self, spec: ExportSpec) -> Job:
        return Job(
            model=self.facts.name,
            overrides=self.overrides,
            spec=spec,
            name=self._name(spec),
            input_size=self.facts.input_size,
            preprocessing=asdict(self.facts.preprocessing),
            output_dir=str(self.folder.resolve()),
            search_path=search_path(self.facts.name),
            calibration=self.images.get(spec.target),
            require_full_delegation=self.require_full_delegation,
        )

    def _name(self, spec: ExportSpec) -> str:
        suffix = target_info(spec.target).suffix
        features = bool(self.overrides.get("features_only"))
        return file_name(self.facts.name, spec, suffix, features_only=features)


def _specs(targets: Sequence[str] | str, **choices: Any) -> list[ExportSpec]:
    if isinstance(targets, str):
        targets = BUILT_IN if targets == "all" else (targets,)
    if not targets:
        raise UsageError("There is no target", fix=f"Use {', '.join(BUILT_IN)} or all")
    return [ExportSpec(target, **choices) for target in dict.fromkeys(targets)]


def _calibration(
    specs: Sequence[ExportSpec], source: str | Path, samples: int | None, seed: int
) -> dict[str, Calibration]:
    targets = [spec.target for spec in specs if PRECISIONS[spec.precision].calibrated]
    if not targets and (source != PHOTOS or samples is not None):
        raise UsageError(
            "Nothing here is calibrated",
            why=f"The precisions are {', '.join(spec.precision for spec in specs)}",
            fix="Leave --calibration out, or give --precision int8",
        )
    return dict.fromkeys(targets, Calibration.of(source, samples, seed)) if targets else {}


def _unheard(_target: str, _phase: str) -> None:
    """Report to nobody."""


@contextmanager
def _stage(folder: Path) -> Iterator[Path]:
    """Make `folder`, and for as long as the block runs a hidden folder in it to work in.

    Folders that were made for this and hold nothing in the end are taken away again.
    """
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            prefix=".lightmobile-", dir=folder, ignore_cleanup_errors=True
        ) as stage:
            yield Path(stage).resolve()
    except OSError as error:
        raise disk_error(error, folder) from None
    except MemoryError as error:
        raise out_of_memory(error) from None
    except (SafetensorError, UsageError) as error:
        # safetensors writes in Rust, whose message has the number of the system's error.
        if number := re.search(r"\(os error (\d+)\)", str(error)):
            code = int(number[1])
            raise disk_error(OSError(code, os.strerror(code)), folder) from None
        raise
    finally:
        with suppress(OSError):
            for each in made:
                each.rmdir()


@contextmanager
def _logs_kept(crew: Crew, *, verbose: bool, log: Path | None) -> Iterator[None]:
    """Gather what the workers' exporters printed once the block has ended, and they with it."""
    try:
        file = log.open("a", encoding="utf-8") if log else None
    except OSError as error:
        raise UsageError(f"{log} cannot be written", why=error.strerror or str(error)) from None
    with file or nullcontext():
        try:
            yield
        finally:
            for worker in crew.workers:
                for sink in (file, sys.stderr if verbose else None):
                    if sink:
                        sink.write(f"--- {worker.job.name}\n{worker.log()}\n")
            crew.close()
