"""No offset or length of a damaged file leads out of it."""

from __future__ import annotations

from pathlib import Path

import flatbuffers
import numpy as np
import pytest

from lightmobile.errors import VerificationError
from lightmobile.export.verification import pte, tflite
from lightmobile.export.verification.accelerators import VulkanDelegate
from lightmobile.export.verification.flatbuffer import Table, cut, shaped
from tests.verification.conftest import Exported


def build() -> bytes:
    """Write a table: a number, a string, numbers, and two tables with a number each."""
    builder = flatbuffers.Builder()
    tables = []
    for value in (7, -8):
        builder.StartObject(2)
        builder.PrependInt32Slot(1, value, 0)
        tables.append(builder.EndObject())
    builder.StartVector(4, 2, 4)
    for table in reversed(tables):
        builder.PrependUOffsetTRelative(table)
    vector = builder.EndVector()
    text = builder.CreateString("größer")
    numbers = builder.CreateNumpyVector(np.array([1, 2**40], np.uint64))
    builder.StartObject(4)
    builder.PrependInt16Slot(0, -3, 0)
    builder.PrependUOffsetTRelativeSlot(1, text, 0)
    builder.PrependUOffsetTRelativeSlot(2, numbers, 0)
    builder.PrependUOffsetTRelativeSlot(3, vector, 0)
    builder.Finish(builder.EndObject(), b"TEST")
    return bytes(builder.Output())


def test_a_sound_buffer_is_read() -> None:
    root = Table.root(memoryview(build()), b"TEST")
    assert root.integer(0, "h") == -3
    assert root.text(1) == "größer"
    assert root.numbers(2, "<u8") == [1, 2**40]
    assert [table.integer(1, "i") for table in root.tables(3)] == [7, -8]


def test_absent_fields_have_defaults() -> None:
    root = Table.root(memoryview(build()), b"TEST")
    assert root.integer(9, "i", 5) == 5
    assert root.table(9) is None
    assert (root.text(9), root.numbers(9, "<i4"), root.tables(9)) == ("", [], [])


def test_another_format_is_refused() -> None:
    with pytest.raises(ValueError, match="does not begin as a ET12 file"):
        Table.root(memoryview(build()), b"ET12")


def test_any_damaged_byte_is_read_or_refused() -> None:
    sound = build()
    for place in range(len(sound)):
        for value in (0x00, 0x7F, 0x80, 0xFF):
            damaged = bytearray(sound)
            damaged[place] = value
            read_all(damaged)


def read_all(damaged: bytearray) -> None:
    try:
        root = Table.root(memoryview(damaged), b"TEST")
        root.integer(0, "h")
        root.text(1)
        root.numbers(2, "<u8")
        for table in root.tables(3):
            table.integer(1, "i")
    except ValueError:
        pass


@pytest.mark.parametrize(("start", "size"), [(-1, 1), (0, 5), (5, 0), (2, -1), (2**63, 2**63)])
def test_cut_stays_inside(start: int, size: int) -> None:
    with pytest.raises(ValueError, match="outside of it"):
        cut(memoryview(b"1234"), start, size)


@pytest.mark.parametrize("shape", [(2**32, 2**32), (-1, -4), (5,)])
def test_shapes_that_cannot_be_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"cannot be|outside of it"):
        shaped(memoryview(bytes(16)), "<f4", shape)


READERS = {"tflite": tflite.constants, "vulkan": VulkanDelegate}


def test_damaged_artifacts_are_read_or_refused(exported: Exported, tmp_path: Path) -> None:
    """Whatever lies at a place of the file, the readers answer or raise what is caught."""
    if exported.manifest.backend == "coreml":
        pytest.skip("Core ML packages have another reader")
    reader = READERS.get(exported.manifest.backend, pte.constants)
    sound = exported.path.read_bytes()
    rng = np.random.default_rng(0)
    damaged = tmp_path / exported.path.name
    refused = 0
    for _ in range(200):
        data = bytearray(sound)
        for place in rng.integers(len(data), size=8):
            data[place] = rng.integers(256)
        damaged.write_bytes(data)
        try:
            reader(damaged)
        except (ValueError, IndexError, VerificationError):
            refused += 1
    assert refused < 200
