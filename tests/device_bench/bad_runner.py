"""A runner that does wrong in the way its argument names, after it has been loaded."""

# ruff: noqa: T201
from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

GOOD = {
    "hello": {"runtime": "bad", "versions": {}, "computes": ["cpu"], "timed": "nothing"},
    "load": {"threads": None, "load_ns": 1},
    "run": {"warm_up_ns": [], "samples_ns": [1], "output_sha256": "0" * 64},
}


def say(reply: object) -> None:
    print(json.dumps(reply), flush=True)


def misbehave(how: str) -> None:
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
            say({"protocol": 2, "ok": True, **GOOD["run"]})
        case "other answer":
            say({"protocol": 1, "ok": True, **GOOD["load"]})
        case "too few":
            say({"protocol": 1, "ok": True, **GOOD["run"], "samples_ns": []})
        case "zero time":
            say({"protocol": 1, "ok": True, **GOOD["run"], "samples_ns": [0]})
        case "fails":
            say({"protocol": 1, "ok": False, "stage": "run", "code": "0x12", "error": "no memory"})
        case "leaves a child":
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            print(child.pid, file=sys.stderr)
            sys.exit(3)


for line in sys.stdin:
    request = json.loads(line)
    if request["op"] == "run":
        misbehave(sys.argv[1])
    else:
        say({"protocol": 1, "ok": True, **GOOD.get(request["op"], {})})
