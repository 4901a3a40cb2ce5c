"""Run every study of latencies in full size, and keep what each found as JSON.

    python -m benchmarks.studies [STUDY ...] [--runtime executorch,tflite] [--output build/studies]

Exports come from the cache, so the first run takes longest: more than a hundred and fifty networks.
A study that fails is told at the end, and the others go on.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from lightmobile.device_bench.studies.registry import list_studies, study
from lightmobile.device_bench.studies.run import run_study
from lightmobile.device_bench.studies.study import Study
from lightmobile.errors import LightmobileError


def main() -> None:
    """Run the studies one after another; exit code 1 where one of them failed."""
    timed = [each.name for each in list_studies() if isinstance(each, Study)]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("studies", nargs="*", default=timed)
    parser.add_argument("--runtime")
    parser.add_argument("--output", type=Path, default=Path("build/studies"))
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    failed = {}
    for name in arguments.studies:
        study(name)  # a wrong name is told before an hour has passed
    for name in arguments.studies:
        began = time.monotonic()
        try:
            found = run_study(
                name, runtimes=arguments.runtime.split(",") if arguments.runtime else None
            )
        except LightmobileError as error:
            failed[name] = str(error)
            continue
        text = json.dumps(found.to_dict(), indent=2, ensure_ascii=False)
        (arguments.output / f"{name}.json").write_text(text + "\n", encoding="utf-8")
        print(f"{name}: {time.monotonic() - began:.0f} s")
        for claim in found.claims:
            print(f"  {claim.verdict}: {claim.here}")
    for name, why in failed.items():
        print(f"{name} failed: {why}", file=sys.stderr)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
