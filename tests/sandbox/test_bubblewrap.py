"""What bubblewrap shows of the host, the filter of system calls, and that a killed parent leaves nothing."""

from __future__ import annotations

import os
import platform
import signal
import struct
import subprocess
import sys
import time

import pytest

from pilotage.sandbox import bubblewrap, run_code, seccomp
from pilotage.spec import CodeSpec
from tests.sandbox.conftest import needs_bubblewrap, processes, spec

pytestmark = needs_bubblewrap


def seen(code: str) -> str:
    run = run_code(code, spec=spec("bubblewrap", 5))
    assert run.outcome == "passed", run.reason
    return run.output.strip()


def test_no_name_of_the_host_is_seen() -> None:
    import getpass
    import socket

    shown = seen(
        "import os, sys, socket\nprint(os.environ, sys.path, sys.prefix, sys.executable, socket.gethostname())"
    )
    assert sys.base_prefix not in shown.replace("/usr/lib", "")
    assert getpass.getuser() not in shown
    assert "'sandbox'" not in shown
    assert shown.endswith(" sandbox") or socket.gethostname() == "sandbox"
    assert seen("import os\nprint(os.getuid(), os.getgid())") == "65534 65534"


def test_there_is_no_privilege_and_no_way_to_one() -> None:
    libc = "import ctypes\nlibc = ctypes.CDLL(None)\n"
    assert seen(f"{libc}print(libc.prctl(39, 0, 0, 0, 0))") == "1"  # PR_GET_NO_NEW_PRIVS
    assert seen(f"{libc}print(libc.prctl(21, 0, 0, 0, 0))") == "2"  # PR_GET_SECCOMP: a filter
    assert seen(f"{libc}print([c for c in range(41) if libc.prctl(23, c, 0, 0, 0) == 1])") == "[]"  # PR_CAPBSET_READ


def test_the_scratch_is_writable_small_and_new_each_time() -> None:
    write = "import os\nprint(os.listdir('/tmp'))\nopen('/tmp/a', 'w').write('x')\nprint(os.listdir('/tmp'))"
    assert seen(write).split("\n") == ["[]", "['a']"]
    assert seen(write).split("\n") == ["[]", "['a']"]
    size = "import os\nfree = os.statvfs('/tmp')\nprint(free.f_frsize * free.f_blocks)"
    assert int(seen(size)) == bubblewrap.SCRATCH << 20


@pytest.mark.parametrize("folder", ["/", "/dev", "/usr/lib", "/lib", "/python", "/python/lib"])
def test_no_other_folder_is_writable(folder: str) -> None:
    code = f"try:\n    open({folder!r} + '/x', 'w')\nexcept OSError as error:\n    print(error.errno)"
    assert seen(code) in ("30", "13")  # read-only, or not permitted


def test_threads_may_be_made_but_no_process() -> None:
    threads = (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(8) as pool:\n    print(sum(pool.map(abs, range(-5, 0))))"
    )
    assert seen(threads) == "15"
    fork = run_code("import os\nos.fork()", spec=spec("bubblewrap"))
    assert fork.reason == "line 2: PermissionError: [Errno 1] Operation not permitted"


def test_what_the_standard_library_needs_is_there() -> None:
    names = "asyncio bz2 ctypes decimal hashlib json lzma sqlite3 ssl unittest uuid xml.etree.ElementTree zlib zoneinfo"
    code = "\n".join(f"try: import {name}\nexcept ImportError: print('{name}')" for name in names.split())
    here = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert seen(code) == here.stdout.strip()


def test_a_killed_parent_takes_the_sandbox_with_it() -> None:
    code = (
        "from pilotage.sandbox import run_code\nfrom pilotage.spec import CodeSpec\n"
        "run_code('while True: pass', spec=CodeSpec(sandbox='bubblewrap', seconds=30))"
    )
    before = processes()
    with subprocess.Popen([sys.executable, "-c", code]) as parent:
        deadline = time.monotonic() + 20
        lasting: set[int] = set()
        while not lasting and time.monotonic() < deadline:  # the probe's process is gone in a moment
            now = processes() - before
            time.sleep(0.7)
            lasting = now & processes()
        assert lasting
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 3
    while processes() - before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not processes() - before


def test_no_descriptor_stays_open() -> None:
    seen("x = 1")
    before = set(os.listdir("/proc/self/fd"))
    for code in ("x = 1", "print(", "while True: print('x' * 99999)", "import os\nos._exit(3)"):
        run_code(code, spec=spec("bubblewrap", 1))
    assert len(os.listdir("/proc/self/fd")) <= len(before)


def test_a_sandbox_that_does_not_come_up_is_told_with_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bubblewrap, "_libraries", lambda: iter(["--no-such-option"]))
    bubblewrap.missing.cache_clear()
    try:
        run = run_code("x = 1", spec=CodeSpec(sandbox="bubblewrap"))
    finally:
        bubblewrap.missing.cache_clear()
    assert (run.outcome, run.mode) == ("refused", "none")
    assert run.reason.startswith("bubblewrap does not work here: bwrap: Unknown option --no-such-option")


# --- the filter


@pytest.mark.parametrize("machine", seccomp.MACHINES)
def test_the_filter_is_a_sound_program_that_ends_in_allow(machine: str) -> None:
    steps = list(struct.iter_unpack("=HBBI", seccomp.program(machine)))
    assert steps[-1] == (seccomp.RETURN, 0, 0, seccomp.ALLOW)
    for at, (code, yes, no, _) in enumerate(steps):
        if code in (seccomp.EQUAL, seccomp.AT_LEAST, seccomp.BITS):
            assert at + 1 + max(yes, no) < len(steps)


def test_the_filter_denies_by_number_and_flag() -> None:
    def verdict(number: int, flags: int = 0, architecture: int = 0xC000003E) -> int:
        fields = {seccomp.NUMBER: number, seccomp.ARCHITECTURE: architecture, seccomp.FIRST_ARGUMENT: flags}
        steps, at, value = list(struct.iter_unpack("=HBBI", seccomp.program("x86_64"))), 0, 0
        while True:
            code, yes, no, operand = steps[at]
            if code == seccomp.RETURN:
                return int(operand)
            if code == seccomp.LOAD:
                value, true = fields[operand], True
                at += 1
                continue
            tests = {seccomp.EQUAL: value == operand, seccomp.AT_LEAST: value >= operand}
            true = tests.get(code, bool(value & operand))
            at += 1 + (yes if true else no)

    denied = seccomp.ERRNO | seccomp.EPERM
    assert verdict(0) == verdict(1) == verdict(59) == seccomp.ALLOW  # read, write, execve
    assert verdict(57) == verdict(272) == verdict(101) == verdict(319) == denied  # fork, unshare, ptrace, memfd_create
    assert verdict(435) == seccomp.ERRNO | seccomp.ENOSYS  # clone3
    assert verdict(56, 0x003D0F00) == seccomp.ALLOW  # clone as a thread is made
    assert verdict(56, 0x01200011) == denied  # clone as a process is made
    assert verdict(seccomp.X32 + 1) == denied
    assert verdict(1, architecture=0x40000003) == seccomp.KILL


@pytest.mark.skipif(platform.machine() != "x86_64", reason="numbers of x86_64")
def test_the_numbers_are_those_of_the_kernels_headers() -> None:
    header = "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"
    if not os.path.exists(header):
        pytest.skip("the kernel's headers are not installed")
    with open(header, encoding="utf-8") as file:
        rows = [line.split() for line in file if line.startswith("#define __NR_")]
    names = {int(number): name.removeprefix("__NR_") for _, name, number in rows}
    denied = {names[number] for number in (*seccomp.MACHINES["x86_64"][2], *seccomp.COMMON) if number in names}
    assert {"fork", "vfork", "mount", "unshare", "setns", "ptrace", "bpf", "memfd_create", "shmget"} <= denied
    assert {"io_uring_setup", "open_tree", "process_vm_writev", "keyctl", "userfaultfd", "chroot"} <= denied
    assert not denied & {"read", "write", "openat", "execve", "exit_group", "mmap", "futex", "rseq"}
    assert names[56] == "clone"
