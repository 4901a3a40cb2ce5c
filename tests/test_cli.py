import csv
import io
import os
import signal
import subprocess
import time

import pytest

from tests.cli import COMMAND, INTERRUPTIBLE, lightmobile

COMMANDS = (
    "bench",
    "cache",
    "devices",
    "doctor",
    "eval",
    "export",
    "info",
    "inspect",
    "models",
    "report",
    "results",
    "runners",
    "scale",
    "study",
    "verify",
)


def test_help_names_every_command_and_exit_code():
    done = lightmobile("--help")
    assert done.code == 0
    for word in (*COMMANDS, "130 interrupted"):
        assert word in done.out


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself(command):
    done = lightmobile(command, "--help")
    assert done.code == 0
    assert "Usage: lightmobile " + command in done.out


def test_export_help_says_the_default_precisions():
    text = " ".join(lightmobile("export", "--help").out.split())
    assert "ExecuTorch fp32, TFLite fp32, Core ML fp16" in text


def test_models_lists_fasternet_in_three_forms():
    names = [f"fasternet_{size}" for size in ("l", "m", "s", "t0", "t1", "t2")]
    document = lightmobile("models", "fasternet_*", "--json").json
    listed = [row["name"] for row in document["models"]]
    assert set(names) < set(listed)
    rows = list(csv.DictReader(io.StringIO(lightmobile("models", "fasternet_*", "--csv").out)))
    assert [row["name"] for row in rows] == listed
    table = lightmobile("models", "fasternet_*").out
    assert all(name in table for name in names)


def test_info_is_the_documented_form():
    document = lightmobile("info", "fasternet_t0", "--json").json
    forms = {"training", "fused", "published"}
    assert set(document) == {"name", "family", "input_size", "source", "paper"} | forms
    assert document["training"]["params"] == 3_905_500
    assert document["fused"]["params"] == 3_900_660
    assert document["fused"]["macs"] == 335_422_720
    assert "3,905,500" in lightmobile("info", "fasternet_t0").out


@pytest.mark.parametrize(
    ("words", "code", "part"),
    [
        (["info", "fasternet_tO"], 2, "fasternet_t0"),
        (["export", "fasternet_t9"], 2, "fasternet_t"),
        (["export", "fasternet_t0", "--target", "tflit"], 2, "tflite"),
        (["export", "fasternet_t0", "--target", "tflite", "--precision", "fp16"], 2, "fp32"),
        (["export", "fasternet_t0", "--target", "coreml", "--backend", "xnnpack"], 2, "coreml"),
        (["export", "fasternet_t0", "--batch", "0"], 2, "batch"),
        (["export", "fasternet_t0", "--input-size", "0", "5"], 2, "pixels"),
        (["export", "fasternet_t0", "--input-size", "8", "8"], 2, "input"),
        (["export", "fasternet_t0", "--checkpoint", "absent.pth"], 2, "absent.pth"),
        (["export", "fasternet_t0", "--layout", "chwn"], 2, "nhwc"),
        (["verify", "absent.pte"], 2, "absent.pte"),
        (["eval", "absent.pte", "--data", "."], 2, "absent.pte"),
        (["bench", "--device", "toaster"], 2, "toaster"),
        (["bench", "--runtime", "onnx"], 2, "onnx"),
        (["bench", "--threads", "0"], 2, "0"),
        (["bench", "--threads", "-3"], 2, "-3"),
        (["bench", "--threads", "100000"], 2, "100000"),
        (["bench", "fasternet_t9"], 2, "fasternet_t"),
        (["bench", "--compute", "gpu", "--time-budget", "1"], 5, "gpu"),
        (["bench", "--runtime", "coreml", "--time-budget", "1"], 5, "macOS"),
        (["results", "import", "absent.jsonl"], 2, "absent.jsonl"),
        (["no-such-command"], 2, "no-such-command"),
        (["models", "--nonsense"], 2, "--nonsense"),
    ],
)
def test_bad_words_get_a_message_and_their_exit_code(words, code, part, tmp_path):
    done = lightmobile(*words, cwd=tmp_path)
    assert done.code == code, done.err
    assert part.lower() in done.err.lower()
    assert done.out == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [["info", "nothing"], ["export", "--nonsense"], ["bogus"]])
def test_json_errors_have_their_form(words):
    done = lightmobile(*words, "--json")
    assert done.code == 2
    assert done.error["code"] == "usage"
    assert done.error["fix"]


def test_doctor_finds_this_environment():
    checks = lightmobile("doctor", "--json").json["checks"]
    found = {check["name"]: check for check in checks}
    assert found["torch"]["ok"]
    assert found["torch"]["found"].startswith("2.13")
    assert lightmobile("doctor").code == 0


def test_the_results_schema_is_json_schema():
    assert "$defs" in lightmobile("results", "schema").json


def test_a_reader_that_stops_early_is_no_error():
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {' '.join(COMMAND)} results schema | head -c 10"],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr


def test_completion_is_one_line():
    done = lightmobile(env={"_LIGHTMOBILE_COMPLETE": "bash_source"})
    assert "complete" in done.out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("phase", "stop"),
    [
        ("importing", signal.SIGTERM),
        ("lowering", signal.SIGINT),
        ("lowering", signal.SIGTERM),
        ("verifying", signal.SIGINT),
    ],
)
def test_interrupting_an_export_leaves_nothing(tmp_path, phase, stop):
    output = tmp_path / "out"
    words = ["export", "fasternet_t0", "--no-cache", "--target", "tflite,coreml", "-o", output]
    process = subprocess.Popen(
        [*INTERRUPTIBLE, *map(str, words)],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    heard = []
    assert process.stderr is not None
    for line in process.stderr:
        heard.append(line)
        if phase in line:
            time.sleep(0.3)
            process.send_signal(stop)
            break
    heard += process.stderr.readlines()
    assert process.wait(timeout=30) == 130, heard
    assert "Traceback" not in "".join(heard)
    assert not output.exists() or list(output.iterdir()) == []
    # The session's processes are all gone: nobody is left to signal.
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
