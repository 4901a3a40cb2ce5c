"""A runner that does wrong in the way its argument names, after it has been loaded."""

# ruff: noqa: T201
from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import Any

SAMPLE_NS = 10_000_000


def say(**reply: Any) -> None:
    print(json.dumps({"protocol": 1, "ok": True} | reply), flush=True)


def ran(request: dict[str, Any]) -> dict[str, Any]:
    return {
        "warm_up_ns": [SAMPLE_NS] * request["warm_up"],
        "samples_ns": [SAMPLE_NS] * request["count"],
        "output_sha256": "0" * 64,
    }


def misbehave(how: str, request: dict[str, Any]) -> None:
    match how:
        case "exits":
            print("the last words", file=sys.stderr)
            sys.exit(3)
        case "crashes":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "hangs":
            time.sleep(600)
        case "garbage":
            print("Segmentation fault (not really)", flush=True)
        case "floods":
            while True:
                print("x" * 10_000, flush=True)
        case "protocol 2":
            say(protocol=2, **ran(request))
        case "other answer":
            say(threads=None, load_ns=1)
        case "too few":
            say(**ran(request) | {"samples_ns": []})
        case "zero time":
            say(**ran(request) | {"samples_ns": [0]})
        case "other outputs":
            say(**ran(request) | {"output_sha256": f"{os.getpid():064x}"})
        case "fails":
            say(ok=False, stage="run", code="0x12", error="no memory")
        case "complains":
            print("INFO: fine so far\nERROR: no such operator\nINFO: over", file=sys.stderr)
            say(ok=False, stage="run", code="0x14", error="status 3")
        case "leaves a child":
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            print(child.pid, file=sys.stderr)
            sys.exit(3)


for line in sys.stdin:
    request = json.loads(line)
    match request["op"]:
        case "hello":
            say(runtime="bad", pid=os.getpid(), versions={}, computes=["cpu"], timed="nothing")
        case "load":
            say(threads=None, load_ns=1)
        case "memory":
            say(peak_bytes=2, baseline_bytes=1)
        case "run":
            misbehave(sys.argv[1], request)
        case "close":
            say()
