from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lightmobile.device_bench.cgroup import container_limits
from lightmobile.device_bench.identity import (
    host_condition,
    host_identity,
    installed_versions,
    read_governor,
)
from lightmobile.device_bench.processor import (
    Processor,
    instruction_sets_of_windows,
    parse_cpuinfo,
    parse_sysctl,
)
from lightmobile.device_bench.schema import ContainerLimits, DeviceIdentity


def _x86(name: str, family: int, model: int, flags: str, cores: int = 2) -> str:
    """A ``/proc/cpuinfo`` in the form of the kernel's arch/x86/kernel/cpu/proc.c."""
    return "\n".join(
        f"processor\t: {core}\nvendor_id\t: GenuineIntel\ncpu family\t: {family}\n"
        f"model\t\t: {model}\nmodel name\t: {name}\nstepping\t: 8\ncpu MHz\t\t: 2600.000\n"
        f"core id\t\t: {core}\nfpu\t\t: yes\nflags\t\t: fpu vme sse sse2 {flags}\n"
        "bugs\t\t: spectre_v1 avx512f_is_not_a_flag_here\nbogomips\t: 5200.00\n"
        "address sizes\t: 46 bits physical, 48 bits virtual\npower management:\n"
        for core in range(cores)
    )


def _arm(parts: list[str], features: str, implementer: str = "0x41", tail: str = "") -> str:
    """A ``/proc/cpuinfo`` in the form of the kernel's arch/arm64/kernel/cpuinfo.c."""
    blocks = (
        f"processor\t: {core}\nBogoMIPS\t: 38.40\nFeatures\t: fp {features}\n"
        f"CPU implementer\t: {implementer}\nCPU architecture: 8\nCPU variant\t: 0x1\n"
        f"CPU part\t: {part}\nCPU revision\t: 1\n"
        for core, part in enumerate(parts)
    )
    return "\n".join(blocks) + tail


PHONE = "asimd evtstrm aes atomics fphp asimdhp asimddp i8mm bf16 bti"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            _x86("AMD EPYC 7763 64-Core Processor", 25, 1, "fma avx f16c avx2"),
            Processor(
                "AMD EPYC 7763 64-Core Processor (family 25, model 1)", ("FMA", "F16C", "AVX2")
            ),
            id="x86 with AVX2 only",
        ),
        pytest.param(
            _x86(
                *("Intel(R) Xeon(R) Processor", 6, 143),
                "fma avx f16c avx2 avx512f avx512dq avx512bw avx512vl avx_vnni avx512_bf16 "
                "avx512_vnni amx_bf16 avx512_fp16 amx_tile amx_int8",
            ),
            Processor(
                "Intel(R) Xeon(R) Processor (family 6, model 143)",
                (
                    *("FMA", "F16C", "AVX2", "AVX-512", "AVX-512-VNNI", "AVX-512-BF16"),
                    *("AVX-512-FP16", "AVX-VNNI", "AMX-BF16", "AMX-INT8"),
                ),
            ),
            id="x86 with AVX-512 and AMX",
        ),
        pytest.param(
            _arm(["0xd46"] * 3 + ["0xd4d"] * 4 + ["0xd4e"], PHONE, tail="\nHardware\t: A SoC\n"),
            Processor(
                "A SoC, 3 Cortex-A510 + 4 Cortex-A715 + 1 Cortex-X3",
                ("NEON", "FP16", "DOTPROD", "I8MM", "BF16"),
            ),
            id="arm64 phone",
        ),
        pytest.param(
            _arm(["0xd4f"] * 4, PHONE + " sve sve2 sme"),
            Processor(
                "Neoverse-V2", ("NEON", "FP16", "DOTPROD", "I8MM", "BF16", "SVE", "SVE2", "SME")
            ),
            id="arm64 server",
        ),
        pytest.param(
            _arm(["0x001"] * 2, "asimd", "0x51", "\nModel\t\t: A Board Rev 1.0\n"),
            Processor("A Board Rev 1.0, core 0x51:0x001", ("NEON",)),
            id="arm64 board with cores of another maker",
        ),
        pytest.param("", Processor("unknown", ()), id="nothing to read"),
        pytest.param("\n\n:\n\x00::\n\n", Processor("unknown", ()), id="garbage"),
    ],
)
def test_cpuinfo_is_read(text: str, expected: Processor) -> None:
    assert parse_cpuinfo(text) == expected


def test_only_what_every_core_has_counts() -> None:
    text = _arm(["0xd05"], "asimd asimddp") + "\n" + _arm(["0xd03"], "asimd")
    assert parse_cpuinfo(text) == Processor("1 Cortex-A55 + 1 Cortex-A53", ("NEON",))


APPLE_ARM = """\
hw.ncpu: 10
hw.optional.AdvSIMD: 1
hw.optional.arm.FEAT_BF16: 1
hw.optional.arm.FEAT_DotProd: 1
hw.optional.arm.FEAT_FP16: 1
hw.optional.arm.FEAT_I8MM: 1
hw.optional.arm.FEAT_SME: {sme}
hw.optional.arm.FEAT_SME2: {sme}
hw.optional.neon: 1
machdep.cpu.brand_string: Apple M{generation}
machdep.cpu.core_count: 10
"""
APPLE_INTEL = """\
hw.optional.avx2_0: 1
machdep.cpu.brand_string: Intel(R) Core(TM) i7-1068NG7 CPU @ 2.30GHz
machdep.cpu.features: FPU VME SSE4.1 FMA AVX1.0 F16C
machdep.cpu.leaf7_features: RDWRFSGS AVX2 SMEP AVX512F AVX512VNNI
"""
M2 = ("NEON", "FP16", "DOTPROD", "I8MM", "BF16")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (APPLE_ARM.format(sme=0, generation=2), Processor("Apple M2", M2)),
        (APPLE_ARM.format(sme=1, generation=4), Processor("Apple M4", (*M2, "SME", "SME2"))),
        (
            APPLE_INTEL,
            Processor(
                "Intel(R) Core(TM) i7-1068NG7 CPU @ 2.30GHz",
                ("FMA", "F16C", "AVX2", "AVX-512", "AVX-512-VNNI"),
            ),
        ),
        ("", Processor("unknown", ())),
    ],
    ids=["M2", "M4", "Intel", "nothing"],
)
def test_sysctl_is_read(text: str, expected: Processor) -> None:
    assert parse_sysctl(text) == expected


def test_windows_is_asked_by_number() -> None:
    assert instruction_sets_of_windows(lambda number: number in {40, 41}) == ("AVX2", "AVX-512")
    assert instruction_sets_of_windows(lambda number: number in {19, 43}) == ("NEON", "DOTPROD")
    assert instruction_sets_of_windows(lambda _: 0) == ()


def _tree(root: Path, **files: str) -> Path:
    for name, text in files.items():
        file = root / name.replace("__", "/").replace("_DOT_", ".")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
    return root


V2 = {"cgroup_DOT_controllers": "cpu memory"}
UNLIMITED = "9223372036854771712"


@pytest.mark.parametrize(
    ("membership", "files", "expected"),
    [
        pytest.param(
            "0::/\n",
            V2 | {"cpu_DOT_max": "150000 100000", "memory_DOT_max": "2147483648"},
            ContainerLimits(cpus=1.5, memory_bytes=2**31),
            id="v2, mounted as the root",
        ),
        pytest.param(
            "0::/pod/box\n",
            V2
            | {"pod__cpu_DOT_max": "200000 100000", "pod__box__cpu_DOT_max": "400000 100000"}
            | {"pod__memory_DOT_max": "1024", "pod__box__memory_DOT_max": "max"},
            ContainerLimits(cpus=2.0, memory_bytes=1024),
            id="v2, the parent's limit is the smaller",
        ),
        pytest.param(
            "0::/pod\n",
            V2 | {"pod__cpu_DOT_max": "max 100000", "pod__memory_DOT_max": "max"},
            None,
            id="v2, no limit",
        ),
        pytest.param(
            "4:memory:/docker/abc\n2:cpu,cpuacct:/docker/abc\n1:name=systemd:/\n0::/\n",
            {
                "cpu__cpu_DOT_cfs_quota_us": "50000",
                "cpu__cpu_DOT_cfs_period_us": "100000",
                "memory__docker__abc__memory_DOT_limit_in_bytes": "4096",
                "memory__memory_DOT_limit_in_bytes": UNLIMITED,
            },
            ContainerLimits(cpus=0.5, memory_bytes=4096),
            id="v1",
        ),
        pytest.param(
            "4:memory:/\n2:cpu:/\n",
            {
                "cpu__cpu_DOT_cfs_quota_us": "-1",
                "cpu__cpu_DOT_cfs_period_us": "100000",
                "memory__memory_DOT_limit_in_bytes": UNLIMITED,
            },
            None,
            id="v1, no limit",
        ),
        pytest.param("garbage\n::::\n", {"cpu_DOT_max": "a b c"}, None, id="garbage"),
        pytest.param("0::/../../x\n", V2 | {"cpu_DOT_max": "0 0"}, None, id="outside"),
        pytest.param("", {}, None, id="nothing to read"),
    ],
)
def test_container_limits(
    tmp_path: Path, membership: str, files: dict[str, str], expected: ContainerLimits | None
) -> None:
    assert container_limits(membership, _tree(tmp_path, **files)) == expected


def test_the_governor_is_read_where_there_is_one(tmp_path: Path) -> None:
    assert read_governor(tmp_path) is None
    for core, governor in enumerate(["schedutil", "powersave", "schedutil"]):
        folder = tmp_path / f"cpu{core}" / "cpufreq"
        folder.mkdir(parents=True)
        (folder / "scaling_governor").write_text(governor + "\n")
    assert read_governor(tmp_path) == "powersave+schedutil"


def test_versions_come_without_importing() -> None:
    assert set(installed_versions(["numpy", "no-such-package"])) == {"numpy"}


def test_this_host_tells_who_it_is() -> None:
    identity = host_identity()
    assert DeviceIdentity.model_validate_json(identity.model_dump_json()) == identity
    assert identity.processor != "unknown"
    assert identity.instruction_sets
    assert identity.memory_bytes
    assert identity.label == "host"
    assert identity.versions["python"] == sys.version.split()[0]
    assert host_condition().model_dump_json()


@pytest.mark.skipif(sys.platform != "linux", reason="cores are granted this way on Linux only")
def test_fewer_cores_granted_are_a_limit() -> None:
    script = (
        "import os; os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:1])\n"
        "from lightmobile.device_bench.identity import host_identity, psutil\n"
        "import json; limits = host_identity().container\n"
        "print(json.dumps([psutil.cpu_count(), limits and limits.cpus]))"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    cores, granted = json.loads(ran.stdout)
    assert granted is None if cores == 1 else granted <= 1


def test_identity_needs_no_numpy() -> None:
    script = (
        "import sys; from lightmobile.device_bench import identity, results, statistics\n"
        "identity.host_identity(); print({'numpy', 'torch'} & set(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    assert ran.stdout.strip() == "set()"
