"""Programs that are pushed to a test phone, and run there."""

import shutil
import subprocess
import sys

import pytest

FOLDER = "/data/local/tmp"

SOURCE = r"""
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>
int main(int count, char **words) {
    struct utsname system;
    cpu_set_t cores;
    char line[100];
    uname(&system);
    sched_getaffinity(0, sizeof cores, &cores);
    printf("%s %d %s %d cores\n", words[0], count, system.machine, CPU_COUNT(&cores));
    while (fgets(line, sizeof line, stdin)) printf("> %s", line);
    fprintf(stderr, "bye\n");
    return 3;
}
"""


def built(folder, compiler, *flags):
    (folder / "hello.c").write_text(SOURCE)
    program = folder / "hello"
    subprocess.run([compiler, *flags, "-o", program, folder / "hello.c"], check=True)
    return program


@pytest.fixture
def arm64_program(tmp_path):
    return built(tmp_path, "aarch64-linux-gnu-gcc", "-static")


@pytest.fixture
def host_program(tmp_path):
    return built(tmp_path, "gcc", "-static")


@pytest.mark.tool("aarch64-linux-gnu-gcc")
@pytest.mark.parametrize(
    "start", ["", "exec ", "nice ", "env -i ", "nohup ", "taskset 1ff ", "sh -c "]
)
def test_an_arm64_program_runs(phone, arm64_program, start):
    phone.adb("push", arm64_program, FOLDER)
    done = phone.adb("shell", f"cd {FOLDER}; unset LD_PRELOAD; {start}./hello", data=b"in\n")
    assert done.stdout == b"./hello 1 aarch64 9 cores\n> in\n"
    assert done.stderr.endswith(b"bye\n")
    assert done.returncode == 3


@pytest.mark.slow
@pytest.mark.tool("aarch64-linux-gnu-gcc")
def test_a_program_brings_its_own_libraries(phone, tmp_path):
    """As the runners do: a C library of the phone's processor, through its own linker."""
    program = built(tmp_path, "aarch64-linux-gnu-gcc")
    libraries = "/usr/aarch64-linux-gnu/lib"
    linker = f"{libraries}/ld-linux-aarch64.so.1"
    phone.adb("push", linker, f"{libraries}/libc.so.6", program, FOLDER)
    line = f"cd {FOLDER} && ./ld-linux-aarch64.so.1 --library-path . ./hello a b"
    done = phone.adb("shell", line, data=b"")
    assert (done.returncode, done.stdout) == (3, b"./hello 3 aarch64 9 cores\n")
    assert done.stderr == b"bye\n"


@pytest.mark.tool("aarch64-linux-gnu-gcc")
def test_what_may_not_be_executed_is_not_emulated_either(start_phone, arm64_program):
    phone = start_phone("pixel_8", noexec=True)
    phone.adb("push", arm64_program, FOLDER)
    done = phone.adb("shell", f"{FOLDER}/hello")
    assert done.returncode == 126
    assert b"Permission denied" in done.stderr


@pytest.mark.parametrize("fixture", ["pixel_8", "galaxy_a03_core"])
def test_a_program_of_another_processor_does_not_run(start_phone, host_program, fixture):
    phone = start_phone(fixture)
    phone.adb("push", host_program, FOLDER)
    done = phone.adb("shell", f"{FOLDER}/hello")
    assert done.returncode != 0
    assert b"not executable: 64-bit ELF file" in done.stderr


@pytest.mark.tool("aarch64-linux-gnu-gcc")
@pytest.mark.parametrize("fixture", ["emulator_x86_64", "galaxy_a03_core"])
def test_an_arm64_program_does_not_run_everywhere(start_phone, arm64_program, fixture):
    phone = start_phone(fixture)
    phone.adb("push", arm64_program, FOLDER)
    assert b"not executable: 64-bit ELF file" in phone.adb("shell", f"{FOLDER}/hello").stderr


@pytest.mark.skipif(sys.platform != "linux" or shutil.which("gcc") is None, reason="needs gcc")
def test_an_x86_64_emulator_runs_its_own(start_phone, host_program):
    phone = start_phone("emulator_x86_64")
    phone.adb("push", host_program, FOLDER)
    done = phone.adb("shell", f"{FOLDER}/hello", data=b"")
    assert done.stdout.startswith(b"/data/local/tmp/hello 1 x86_64 4 cores")


def test_cores_are_the_phones_and_are_chosen_and_told_apart(phone):
    def said(line):
        return phone.adb("shell", line).stdout.decode().split()

    assert said("nproc") == ["9"]
    assert said("taskset 1f0 nproc") == ["5"]
    assert said("taskset 100 sh -c 'nproc; nproc'; nproc") == ["1", "1", "9"]
    assert b"Invalid argument" in phone.adb("shell", "taskset 200 nproc").stderr
