"""Requests as bytes and as objects, and lines that are none."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from lightmobile.device_bench.protocol import Load, Tensor

HELLO = b'{"protocol": 1, "op": "hello"}'

HOSTILE = {
    "nothing": b"",
    "no text": b"\xff\xfe\x00\x80",
    "zero byte": b'{"protocol": 1, "op": "hel\x00lo"}',
    "zero byte in a path": b'{"protocol": 1, "op": "outputs", "folder": "/tmp/\\u0000"}',
    "half a surrogate": b'{"protocol": 1, "op": "\\ud800"}',
    "a list": b"[1, 2]",
    "deep lists": b"[" * 200_000,
    "deep lists, closed": b'{"op": "hello", "a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep objects": b'{"a":' * 100_000,
    "NaN": b'{"protocol": NaN, "op": "hello"}',
    "a huge number": b'{"protocol": 1, "op": "run", "count": 1e999}',
    "a huge integer": b'{"protocol": 1, "op": "run", "count": 1' + b"0" * 1000 + b"}",
    "a negative count": b'{"protocol": 1, "op": "run", "count": -1}',
    "a fraction": b'{"protocol": 1, "op": "run", "count": 1.5}',
    "a word": b'{"protocol": 1, "op": "run", "count": "many"}',
    "a huge shape": b'{"protocol": 1, "op": "load", "artifact": "/dev/null", "inputs": '
    b'[{"shape": [4611686018427387904, 4], "file": "/dev/null"}]}',
    "a shape of nothing": b'{"protocol": 1, "op": "load", "artifact": "/dev/null", "inputs": '
    b'[{"shape": [0], "file": "/dev/null"}]}',
    "a core of no system": b'{"protocol": 1, "op": "load", "artifact": "x", "inputs": [], '
    b'"cores": [4096]}',
    "an op of another type": b'{"protocol": 1, "op": {"op": "hello"}}',
    "protocol 1 in words": b'{"protocol": "1", "op": "hello"}',
}


def load(artifact: Path, *inputs: Tensor, **changes: object) -> Load:
    return Load(**{"artifact": str(artifact), "inputs": inputs} | changes)


def exchange(command: list[str], lines: bytes) -> list[dict[str, object]]:
    """Send `lines` to a runner, end its input, and return all that it prints."""
    done = subprocess.run(command, input=lines, capture_output=True, timeout=120, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]
