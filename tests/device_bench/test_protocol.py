from __future__ import annotations

import json

import pytest

from lightmobile.device_bench.protocol import (
    Close,
    Failed,
    GetMemory,
    Load,
    Loaded,
    MemoryUse,
    ProtocolError,
    Run,
    Tensor,
    parse_reply,
    parse_request,
)

INPUT = Tensor(shape=(1, 3, 8, 8), file="x")
LOAD = Load(artifact="a.pte", threads=2, cores=(4, 5), inputs=(INPUT,))


@pytest.mark.parametrize("request_", [LOAD, Run(count=3, warm_up=1), GetMemory(), Close()])
def test_requests_survive_the_wire(request_: Load) -> None:
    line = request_.to_line()
    assert line.count(b"\n") == 1
    assert json.loads(line)["protocol"] == 1
    assert parse_request(line) == request_


def test_replies_survive_the_wire() -> None:
    loaded = Loaded(threads=2, delegates=("XnnpackBackend",), load_ns=5)
    assert parse_reply(loaded.to_line(), LOAD) == loaded
    failed = Failed(stage="load", code="usage", error="no")
    assert parse_reply(failed.to_line(), LOAD) == failed


def test_unknown_keys_are_kept() -> None:
    line = json.dumps({"protocol": 1, "op": "run", "count": 1, "later": [1]}).encode()
    assert json.loads(parse_request(line).to_line())["later"] == [1]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"not json",
        b"[]",
        b'{"op": "dance", "protocol": 1}',
        b'{"op": "run", "count": 1, "protocol": 2}',
        b'{"op": "run", "count": 0, "protocol": 1}',
        b'{"op": "run", "count": "1", "protocol": 1}',
        b'{"op": "run", "count": 1000000000, "protocol": 1}',
        b'{"op": "load", "artifact": "a", "inputs": [{"shape": [-1], "file": "x"}], "protocol": 1}',
    ],
)
def test_requests_that_are_none(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse_request(line)


@pytest.mark.parametrize(
    "reply",
    [
        {"ok": True, "protocol": 2, "peak_bytes": 1, "baseline_bytes": 1},
        {"ok": True, "protocol": 1, "peak_bytes": -1, "baseline_bytes": 1},
        {"ok": True, "protocol": 1, "peak_bytes": 1e400, "baseline_bytes": 1},
        {"ok": True, "protocol": 1},
        {"protocol": 1, "peak_bytes": 1, "baseline_bytes": 1},
    ],
)
def test_replies_that_are_none(reply: dict[str, object]) -> None:
    with pytest.raises(ProtocolError):
        parse_reply(json.dumps(reply).encode(), GetMemory())
    assert parse_reply(MemoryUse(peak_bytes=1, baseline_bytes=1).to_line(), GetMemory())
