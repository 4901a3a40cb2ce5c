"""What an artifact's manifest says, as far as results are read by it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from lightmobile.device_bench.schema_fields import Bytes, Count, Figure, Name, Part, Positive

if TYPE_CHECKING:
    from lightmobile.export.manifest import Manifest

__all__ = ["ArtifactFacts", "Cost", "Placement", "Proof", "facts_of"]


class Cost(Part):
    """What one inference of the deployed network costs, counted and not measured.

    Bytes are what the artifact's precision makes of them. `activation_bytes` and `weight_bytes`
    are the ideal traffic: every operator reads its inputs and weights once and writes its output
    once, and a slice or a concatenation that a clever kernel could do without is free.
    """

    macs: Count = Field(description="multiply-accumulates of convolutions and matrix products")
    params: Count
    activations: Count = Field(
        description="elements that convolutions, linear layers and pools write"
    )
    activation_bytes: Bytes
    weight_bytes: Bytes
    lowered_bytes: Bytes | None = Field(
        default=None,
        description="traffic of the operators in the file, copies counted; None where unreadable",
    )
    working_set_bytes: Bytes = Field(
        default=0, description="activations of the operator that touches most"
    )

    @property
    def ideal_bytes(self) -> int:
        """The ideal traffic of activations and weights."""
        return self.activation_bytes + self.weight_bytes


class Placement(Part):
    """Which operators of the artifact a delegate takes."""

    delegate: Name = ""
    subgraphs: Count = 0
    delegated: Count = Field(default=0, description="operators")
    undelegated: dict[Name, Count] = Field(default={}, description="operator -> count")


class Proof(Part):
    """How close the artifact was to PyTorch when it was exported."""

    method: Name
    max_abs: Figure
    rel_l2: Figure
    sqnr_db: float | None = None
    top1_agreement: Annotated[float, Field(ge=0, le=1)] | None = None


class ArtifactFacts(Part):
    """What the manifest says: sizes, cost, placement and parity."""

    input_shape: tuple[Positive, ...] = ()
    file_bytes: Bytes
    weights: Name = Field(default="", description="untrained, checkpoint or module")
    cost: Cost | None = None
    placement: Placement | None = None
    proof: Proof | None = None


def facts_of(manifest: Manifest) -> ArtifactFacts:
    """Return what a store keeps of `manifest`."""
    cost, parity = manifest.cost, manifest.parity
    placed = manifest.placements[0] if manifest.placements else None
    placement = proof = None
    if placed:
        placement = Placement(
            delegate=placed.delegate,
            subgraphs=placed.delegated_subgraphs,
            delegated=sum(placed.delegated.values()),
            undelegated=placed.undelegated,
        )
    if parity:
        proof = Proof(
            method=parity.method,
            max_abs=parity.max_abs,
            rel_l2=parity.rel_l2,
            sqnr_db=parity.sqnr_db,
            top1_agreement=parity.top1_agreement,
        )
    return ArtifactFacts(
        input_shape=manifest.inputs[0].shape if manifest.inputs else (),
        file_bytes=manifest.file_bytes,
        weights=manifest.weights.source,
        cost=Cost(**{name: getattr(cost, name) for name in Cost.model_fields}) if cost else None,
        placement=placement,
        proof=proof,
    )
