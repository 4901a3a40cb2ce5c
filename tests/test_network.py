"""The network is used by set-up alone: everything else works where there is none."""

import os
import subprocess

import pytest

from tests.cli import lightmobile

# A network namespace of its own, with not even loopback up; root needs no user namespace.
OFFLINE = ("unshare", "--net") if os.name == "posix" and os.geteuid() == 0 else ("unshare", "-rn")

pytestmark = pytest.mark.tool("unshare")


@pytest.fixture(autouse=True)
def _namespaces():
    allowed = subprocess.run([*OFFLINE, "true"], capture_output=True, check=False)
    if allowed.returncode:
        pytest.skip("this kernel lets nobody make a network namespace")


@pytest.mark.slow
def test_export_verify_and_bench_work_without_a_network(tmp_path):
    name = "fasternet_t0,depths=1x1x1x1"
    words = ["export", name, "--input-size", "64", "64", "--no-cache", "-o", tmp_path]
    done = lightmobile(*words, "--json", prefix=OFFLINE)
    assert done.code == 0, done.err
    artifacts = [artifact["path"] for artifact in done.json["artifacts"]]
    assert len(artifacts) == 3
    assert lightmobile("verify", artifacts[0], prefix=OFFLINE).code == 0
    measured = lightmobile("bench", *artifacts, "--time-budget", "3", "--json", prefix=OFFLINE)
    assert measured.code == 0, measured.err
    assert {result["runtime"] for result in measured.json["results"]} == {"executorch", "tflite"}
    assert [skipped["runtime"] for skipped in measured.json["skipped"]] == ["coreml"]


@pytest.mark.parametrize("words", [["models"], ["info", "fasternet_t0"], ["doctor"], ["results"]])
def test_looking_around_works_without_a_network(words):
    assert lightmobile(*words, prefix=OFFLINE).code == 0
