"""Test phones: what adb sees is a phone, and what runs on it runs.

A `Phone` is a process with a root, processes and users of its own. It speaks adb's device side on
loopback; the real adb program is its client, through an `AdbServer` of the tests' own (no test
touches the user's). Its shell is Debian's mksh and its commands are Debian's toybox, as on Android;
``/system`` is theirs, ``/data/local/tmp`` can be written, ``/proc`` is real but for ``cpuinfo`` and
``meminfo``, which, with ``/sys/devices/system/cpu`` and ``/sys/class/thermal``, are those of the
phone's `Fixture`. Programs for arm64 run under qemu; others than the phone's are refused. getprop,
settings, dumpsys, cmd, svc, input, ... ask the phone's system, whose state a test can compare
before and after. ``id`` is shell's, who may write little, where the tests run as root.

In a test (see :mod:`tests.phone.plugin`)::

    def test_it(phone):                      # a Pixel 8, connected
        ...                                  # os.environ leads every adb to the tests' server
        assert phone.lines("shell") == [...] # all that ran; also "sync", "system", "exec"
        assert phone.processes() == []       # what still runs; phone.files(): what still lies there

    def test_another(start_phone):
        before = (phone := start_phone("galaxy_s20_fe", storage_mb=20)).state()
        phone.add_fault("^shell:.*runner", "unplug", at="output", after_bytes=100, back_after_s=0.5)
        phone.heat({"status": 2, "skin": 43.0}, {"status": 0, "skin": 35.0})
        phone.unplug(); phone.plug()
        assert phone.state() == before and phone.faults_fired == 1

`Fault` tells what can go wrong, and `Fixture` what a phone is.

What is not as on a phone: programs of the phone are emulated, so that no time of theirs means
anything; what an emulated program executes cannot itself be one (``exec`` in a shell can); ``ps``
shows qemu before a program's words; the scheduler and its cores are this machine's.
"""

from tests.phone.faults import Fault
from tests.phone.fixture import Fixture, list_fixtures, load_fixture
from tests.phone.phone import Entry, Phone
from tests.phone.server import AdbServer

__all__ = ["AdbServer", "Entry", "Fault", "Fixture", "Phone", "list_fixtures", "load_fixture"]
