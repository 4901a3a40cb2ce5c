"""Files to and from a test phone, through the real adb."""

import os

import pytest

FOLDER = "/data/local/tmp"

# Without root there is one user only, who may do all on the phone.
needs_users = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be several users")


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 31_457_280])
def test_what_is_pushed_is_pulled_and_lies_there(phone, tmp_path, size):
    (tmp_path / "sent").write_bytes(os.urandom(size))
    done = phone.adb("push", tmp_path / "sent", f"{FOLDER}/got")
    assert done.returncode == 0, done.stderr
    assert (phone.root / "data/local/tmp/got").stat().st_size == size
    assert phone.adb("pull", f"{FOLDER}/got", tmp_path / "back").returncode == 0
    assert (tmp_path / "back").read_bytes() == (tmp_path / "sent").read_bytes()


def test_many_small_files_go_and_come(phone, tmp_path):
    for number in range(300):
        (tmp_path / "sent" / f"{number % 7}").mkdir(parents=True, exist_ok=True)
        (tmp_path / "sent" / f"{number % 7}" / f"f {number}").write_text(f"{number}\n")
    assert phone.adb("push", tmp_path / "sent", FOLDER).returncode == 0
    assert len(phone.files()) == 1 + 7 + 300
    assert phone.adb("pull", f"{FOLDER}/sent", tmp_path / "back").returncode == 0
    names = sorted(
        str(each.relative_to(tmp_path / "back")) for each in (tmp_path / "back").rglob("*")
    )
    assert [f"sent/{name}" for name in names] == phone.files()[1:]
    assert (tmp_path / "back" / "3" / "f 3").read_text() == "3\n"


@pytest.mark.parametrize(("mode", "there"), [(0o644, 0o666), (0o755, 0o777), (0o600, 0o666)])
def test_modes_are_as_adbd_makes_them(phone, tmp_path, mode, there):
    """The group and others may what the owner may."""
    (tmp_path / "x").write_text("x")
    (tmp_path / "x").chmod(mode)
    os.utime(tmp_path / "x", (1_600_000_000, 1_600_000_000))
    phone.adb("push", tmp_path / "x", FOLDER)
    found = (phone.root / "data/local/tmp/x").stat()
    assert (found.st_mode & 0o7777, int(found.st_mtime)) == (there, 1_600_000_000)


def test_a_link_is_pushed_as_what_it_points_to_and_pulled_likewise(phone, tmp_path):
    (tmp_path / "x").write_text("x")
    (tmp_path / "link").symlink_to("x")
    phone.adb("push", tmp_path / "link", FOLDER)
    phone.adb("shell", f"ln -s link {FOLDER}/again")
    phone.adb("pull", f"{FOLDER}/again", tmp_path / "back")
    assert (tmp_path / "back").read_text() == "x"


@pytest.mark.parametrize("name", ["a b", "a'b", 'a"b', "a;b", "$(touch pwned)", "a\nb", "ü", "-rf"])
def test_names_of_any_kind(phone, tmp_path, name):
    (tmp_path / "x").write_text("x")
    assert phone.adb("push", tmp_path / "x", f"{FOLDER}/{name}").returncode == 0
    assert phone.files() == [name]
    assert phone.adb("pull", f"{FOLDER}/{name}", tmp_path / "back").returncode == 0
    assert phone.lines("sync")[-1] == f"RECV {FOLDER}/{name}"


@needs_users
@pytest.mark.parametrize(
    ("to", "said"),
    [
        ("/system/x", "Permission denied"),
        ("/proc/x/y", "secure_mkdirs failed"),
        ("/x", "Permission"),
    ],
)
def test_what_shell_may_not_write_is_not_written(phone, tmp_path, to, said):
    (tmp_path / "x").write_text("x")
    done = phone.adb("push", tmp_path / "x", to)
    assert done.returncode == 1
    assert said in done.stderr.decode()


def test_a_full_disk_is_full(start_phone, tmp_path):
    phone = start_phone("galaxy_s20_fe", storage_mb=2)
    (tmp_path / "x").write_bytes(bytes(3_000_000))
    done = phone.adb("push", tmp_path / "x", FOLDER)
    assert done.returncode == 1
    assert b"No space left on device" in done.stderr
    assert phone.files() == []
    assert b" 2048 " in phone.adb("shell", "df -k /data").stdout
    assert b"No space" in phone.adb("shell", f"head -c 3000000 /dev/zero > {FOLDER}/x").stderr


def test_what_is_not_there_is_said(phone, tmp_path):
    done = phone.adb("pull", f"{FOLDER}/nothing", tmp_path)
    assert done.returncode == 1
    assert b"No such file" in done.stderr


def test_no_path_leads_out_of_the_phone(phone, tmp_path):
    (tmp_path / "secret").write_text("secret")
    done = phone.adb("pull", f"/../../../..{tmp_path}/secret", tmp_path / "back")
    assert done.returncode == 1
    phone.adb("shell", f"ln -s {tmp_path}/secret {FOLDER}/link")
    assert phone.adb("pull", f"{FOLDER}/link", tmp_path / "back").returncode == 1


def test_the_sdcard_is_there_and_executes_nothing(phone, tmp_path):
    (tmp_path / "x").write_text("#!/system/bin/sh\necho ran\n")
    (tmp_path / "x").chmod(0o755)
    assert phone.adb("push", tmp_path / "x", "/sdcard/x").returncode == 0
    assert b"Permission denied" in phone.adb("shell", "/sdcard/x").stderr
