"""Exports that share their processes."""

import psutil
import pytest

from lightmobile.errors import VerificationError
from lightmobile.export import export
from lightmobile.export.crew import shared_exporters


def workers() -> set[int]:
    found = set()
    for child in psutil.Process().children():
        try:
            if "lightmobile.export.worker" in child.cmdline():
                found.add(child.pid)
        except psutil.Error:
            continue
    return found


def made(name, folder, **options):
    seen: list[set[int]] = []
    export(
        name,
        targets=("tflite",),
        output_dir=folder,
        use_cache=False,
        progress=lambda _target, _phase: seen.append(workers()),
        **options,
    )
    (pids,) = {frozenset(each) for each in seen}
    return pids


@pytest.mark.slow
def test_the_second_export_uses_the_first_ones_process(tmp_path):
    log = tmp_path / "log"
    with shared_exporters():
        first = made("op:pwconv,channels=4,size=4,layers=1", tmp_path)
        second = made("op:dwconv,channels=4,size=4,layers=1", tmp_path, log=log)
        assert len(first) == 1
        assert first == second == workers()
        with shared_exporters():
            assert made("op:conv,channels=4,size=4,layers=1", tmp_path) == first
        # One that failed is not used again.
        with pytest.raises(VerificationError):
            export(
                "op:pwconv,channels=4,size=4,layers=1",
                targets=("tflite",),
                precision="int8",
                min_sqnr=150.0,
                output_dir=tmp_path,
            )
        assert not workers()
    assert "op-dwconv" in log.read_text()
    assert "op-pwconv" not in log.read_text()


@pytest.mark.slow
def test_none_is_left_where_they_are_not_shared(tmp_path):
    made("op:pwconv,channels=4,size=4,layers=1", tmp_path)
    assert not workers()
