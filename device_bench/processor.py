"""What a processor is called and which instruction sets its kernels can choose, by its system.

The parsers take the text that the system gives, so that one machine can read another's: Linux and
Android write ``/proc/cpuinfo``, macOS answers ``sysctl``, Windows has `IsProcessorFeaturePresent`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

__all__ = [
    "Processor",
    "instruction_sets_of_windows",
    "parse_core_names",
    "parse_cpuinfo",
    "parse_sysctl",
]


@dataclass(frozen=True)
class Processor:
    """A processor's name, and the instruction sets that all its cores have."""

    name: str
    instruction_sets: tuple[str, ...]


class _InstructionSet(NamedTuple):
    """One set: the words that mean it, and Windows' number of it (winnt.h, ``PF_...``)."""

    name: str
    words: frozenset[str]
    windows: int | None = None


# Words: a flag or feature of /proc/cpuinfo, a word of sysctl's machdep.cpu.*features (lower
# case), or a key of sysctl that is 1. Apple's were renamed with macOS 12; both are asked for.
_SETS = (
    _InstructionSet("FMA", frozenset({"fma"})),
    _InstructionSet("F16C", frozenset({"f16c"})),
    _InstructionSet("AVX2", frozenset({"avx2"}), 40),
    _InstructionSet("AVX-512", frozenset({"avx512f"}), 41),
    _InstructionSet("AVX-512-VNNI", frozenset({"avx512_vnni", "avx512vnni"})),
    _InstructionSet("AVX-512-BF16", frozenset({"avx512_bf16"})),
    _InstructionSet("AVX-512-FP16", frozenset({"avx512_fp16"})),
    _InstructionSet("AVX-VNNI", frozenset({"avx_vnni"})),
    _InstructionSet("AMX-BF16", frozenset({"amx_bf16"})),
    _InstructionSet("AMX-INT8", frozenset({"amx_int8"})),
    _InstructionSet("AMX-FP16", frozenset({"amx_fp16"})),
    _InstructionSet(
        "NEON", frozenset({"neon", "asimd", "hw.optional.neon", "hw.optional.advsimd"}), 19
    ),
    _InstructionSet(
        "FP16", frozenset({"asimdhp", "hw.optional.neon_fp16", "hw.optional.arm.feat_fp16"}), 67
    ),
    _InstructionSet("DOTPROD", frozenset({"asimddp", "hw.optional.arm.feat_dotprod"}), 43),
    _InstructionSet("I8MM", frozenset({"i8mm", "hw.optional.arm.feat_i8mm"}), 66),
    _InstructionSet("BF16", frozenset({"bf16", "hw.optional.arm.feat_bf16"}), 68),
    _InstructionSet("SVE", frozenset({"sve"}), 46),
    _InstructionSet("SVE2", frozenset({"sve2"}), 47),
    _InstructionSet("SME", frozenset({"sme", "hw.optional.arm.feat_sme"}), 70),
    _InstructionSet("SME2", frozenset({"sme2", "hw.optional.arm.feat_sme2"}), 71),
)

# Arm's own cores (implementer 0x41), by the part number of MIDR_EL1, as the Linux kernel's
# arch/arm64/include/asm/cputype.h lists them.
_ARM = "0x41"
_ARM_CORES = {
    "0xd03": "Cortex-A53",
    "0xd05": "Cortex-A55",
    "0xd07": "Cortex-A57",
    "0xd08": "Cortex-A72",
    "0xd09": "Cortex-A73",
    "0xd0a": "Cortex-A75",
    "0xd0b": "Cortex-A76",
    "0xd0c": "Neoverse-N1",
    "0xd0d": "Cortex-A77",
    "0xd40": "Neoverse-V1",
    "0xd41": "Cortex-A78",
    "0xd44": "Cortex-X1",
    "0xd46": "Cortex-A510",
    "0xd47": "Cortex-A710",
    "0xd48": "Cortex-X2",
    "0xd49": "Neoverse-N2",
    "0xd4d": "Cortex-A715",
    "0xd4e": "Cortex-X3",
    "0xd4f": "Neoverse-V2",
    "0xd80": "Cortex-A520",
    "0xd81": "Cortex-A720",
    "0xd82": "Cortex-X4",
    "0xd85": "Cortex-X925",
    "0xd87": "Cortex-A725",
}

_MOST_DIGITS = 4  # of a core's number: the kernel knows no ten thousand cores


def parse_cpuinfo(text: str) -> Processor:
    """Return the processor that the text of Linux's or Android's ``/proc/cpuinfo`` describes."""
    blocks = [_fields(block) for block in text.split("\n\n") if block.strip()]
    cores = [block for block in blocks if "processor" in block]
    words = [frozenset((core.get("flags") or core.get("Features", "")).split()) for core in cores]
    shared = frozenset.intersection(*words) if words else frozenset()
    board = next(
        (block[key] for block in blocks for key in ("Hardware", "Model") if key in block), ""
    )
    name = ", ".join(part for part in (board, _core_names(cores)) if part)
    return Processor(name or "unknown", _named(shared))


def parse_core_names(text: str) -> dict[int, str]:
    """Return the name of each core of ``/proc/cpuinfo``, by its number; "" where it tells none."""
    blocks = (_fields(block) for block in text.split("\n\n"))
    cores = ((block.get("processor", ""), block) for block in blocks)
    return {
        int(number): _core_name(core)
        for number, core in cores
        if number.isdecimal() and len(number) <= _MOST_DIGITS
    }


def _fields(block: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in block.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _core_names(cores: list[dict[str, str]]) -> str:
    """Return the one name of all cores, or e.g. ``3 Cortex-A510 + 1 Cortex-X3``."""
    names = Counter(name for core in cores if (name := _core_name(core)))
    if len(names) == 1:
        return next(iter(names))
    return " + ".join(f"{count} {name}" for name, count in names.items())


def _core_name(core: dict[str, str]) -> str:
    if name := core.get("model name"):
        # A virtual machine's name may hide the generation; family and model tell it.
        return f"{name} (family {core.get('cpu family', '?')}, model {core.get('model', '?')})"
    implementer, part = core.get("CPU implementer"), core.get("CPU part")
    if implementer == _ARM and part in _ARM_CORES:
        return _ARM_CORES[part]
    return f"core {implementer}:{part}" if implementer and part else ""


def parse_sysctl(text: str) -> Processor:
    """Return the processor that the text of macOS's ``sysctl hw machdep.cpu`` describes."""
    fields = {key: value for key, value in _fields(text).items() if value}
    words = {key.lower() for key, value in fields.items() if value == "1"}
    for key in ("machdep.cpu.features", "machdep.cpu.leaf7_features"):
        words |= set(fields.get(key, "").lower().split())
    return Processor(fields.get("machdep.cpu.brand_string", "unknown"), _named(words))


def instruction_sets_of_windows(is_present: Callable[[int], object]) -> tuple[str, ...]:
    """Return the sets for which Windows' `is_present` answers; it does not know VNNI and AMX."""
    return tuple(s.name for s in _SETS if s.windows is not None and is_present(s.windows))


def _named(words: frozenset[str] | set[str]) -> tuple[str, ...]:
    return tuple(s.name for s in _SETS if s.words & words)
