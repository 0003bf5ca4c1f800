"""Snippets that try to harm, in both sandboxes: stopped within their limit, nothing read, nothing left behind."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pilotage.sandbox import monty, run_code
from tests.sandbox.conftest import MODES, processes, spec

WORD = "swordfish-7731"
MARKER = "left-behind-7731"
SECONDS = 0.4
LIBC = "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"

# An attack that succeeds prints BREACH. A snippet may end in any way but this, unless it must not pass at all.
BREACHES = {
    "read a file of the host": "print('BREACH', open({secret!r}).read())",
    "read /etc/passwd": "print('BREACH', open('/etc/passwd').read())",
    "read through pathlib": "from pathlib import Path\nprint('BREACH', Path({secret!r}).read_text())",
    "look around": (
        "import os\nknown = 'tmp dev usr lib lib32 lib64 python inside.py'.split()\n"
        "if set(os.listdir('/')) - set(known): print('BREACH')"
    ),
    "installed packages": (
        "import os, sysconfig\nif os.listdir(sysconfig.get_path('stdlib') + '/site-packages'): print('BREACH')"
    ),
    "write a file on the host": "open({canary!r}, 'w').write('BREACH')\nprint('BREACH')",
    "write to the interpreter": (
        "import os\nopen(os.path.join(os.path.dirname(os.__file__), '{marker}.py'), 'w').write('x')\nprint('BREACH')"
    ),
    "write to the root": "open('/{marker}', 'w').write('x')\nprint('BREACH')",
    "delete everything": (
        "import shutil, os\nfor name in os.listdir('/'): shutil.rmtree('/' + name, ignore_errors=True)\n"
        "if not os.path.exists(os.__file__): print('BREACH')"
    ),
    "follow a link out": "import os\nos.symlink({secret!r}, '/tmp/link')\nprint('BREACH', open('/tmp/link').read())",
    "the environment": "import os\nprint('BREACH' if 'SANDBOX_SECRET' in os.environ else 'none')",
    "the environment of process 1": "print('BREACH', open('/proc/1/environ', 'rb').read())",
    "the environment of the parent": "print('BREACH', open('/proc/{pid}/environ', 'rb').read())",
    "the root of another process": "print('BREACH', open('/proc/self/root{secret}').read())",
    "the memory of process 1": "print('BREACH', open('/proc/1/mem', 'rb+'))",
    "its own memory": "print('BREACH', open('/proc/self/mem', 'rb+'))",
    "an inherited descriptor": "import os\nprint('BREACH', os.pread({fd}, 100, 0))",
    "any inherited descriptor": (
        "import os\nfor fd in range(3, 256):\n    try: data = os.pread(fd, 100, 0)\n    except OSError: continue\n"
        "    if {word!r}[:5].encode() in data: print('BREACH')"
    ),
    "connect to the host": "import socket\nsocket.create_connection(('127.0.0.1', {port}), 0.3)\nprint('BREACH')",
    "connect abroad": "import socket\nsocket.create_connection(('192.0.2.1', 80), 0.3)\nprint('BREACH')",
    "ask a name server": "import socket\nprint('BREACH', socket.getaddrinfo('example.com', 80))",
    "fetch a page": (
        "import urllib.request\nprint('BREACH', urllib.request.urlopen('http://127.0.0.1:{port}', None, 0.3))"
    ),
    "a raw socket": "import socket\nsocket.socket(socket.AF_INET, socket.SOCK_RAW, 1)\nprint('BREACH')",
    "a shell": "import os\nprint('BREACH' if os.system('true') == 0 else 'none')",
    "a subprocess": "import subprocess\nprint('BREACH', subprocess.check_output(['/bin/sh', '-c', 'id']))",
    "another Python": (
        "import subprocess, sys\nprint('BREACH', subprocess.run([sys.executable, '-c', '1'], check=True))"
    ),
    "one fork": "import os\nif os.fork() == 0: os._exit(0)\nprint('BREACH')",
    "a daemon": (
        "import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(60)\nprint('BREACH')"
    ),
    "signal the parent": "import os, signal\nos.kill({pid}, signal.SIGTERM)\nprint('BREACH')",
    "signal everyone": "import os, signal\nos.kill(-1, signal.SIGKILL)",
    "signal process 1": "import os, signal, time\nos.kill(1, signal.SIGKILL)\ntime.sleep(0.1)",
    "mount": LIBC + "print('BREACH' if libc.mount(b'none', b'/tmp', b'tmpfs', 0, None) == 0 else 'none')",
    "unmount": LIBC + "print('BREACH' if libc.umount2(b'/python/bin/python', 2) == 0 else 'none')",
    "new namespaces": LIBC + "print('BREACH' if libc.unshare(0x10000000) == 0 else 'none')",
    "trace": LIBC + "print('BREACH' if libc.ptrace(16, 1, 0, 0) == 0 else 'none')",
    "become root": "import os\nos.setuid(0)\nprint('BREACH')",
    "change the root": "import os\nos.chroot('/tmp')\nprint('BREACH')",
    "raise the limits": (
        "import resource\nresource.setrlimit(resource.RLIMIT_AS, (-1, -1))\nprint('BREACH')"
    ),
    "memory without a name": "import os\nprint('BREACH', os.memfd_create('x'))",
    "all subclasses": (
        "for kind in ().__class__.__bases__[0].__subclasses__():\n"
        "    if kind.__name__ == 'Popen': print('BREACH', kind(['true']))"
    ),
    "install a package": "import ensurepip\nensurepip.bootstrap()\nprint('BREACH')",
}  # fmt: skip
# Nothing of these may pass: they must be stopped.
STOPPED = {
    "an endless loop": "while True: pass",
    "an endless loop that catches all": (
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass"
    ),
    "sleep": "import time\ntime.sleep(60)",
    "a signal that is ignored": (
        "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: pass"
    ),
    "a fork bomb": "import os\nwhile True: os.fork()",
    "a fork bomb that goes on": "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
    "a thread bomb": (
        "import threading, time\nthreading.stack_size(32768)\n"
        "while True: threading.Thread(target=time.sleep, args=(60,)).start()"
    ),
    "a list without end": "xs = []\nwhile True: xs.append('x' * 1000)",
    "a string that doubles": "x = 'x'\nwhile True: x += x",
    "a list of a billion": "x = [0] * 10**10",
    "bytes of a size": "x = bytes(10**11)",
    "a dictionary without end": "d = {{}}\ni = 0\nwhile True:\n    d[i] = str(i)\n    i += 1",
    "a huge format": "x = '%2000000000d' % 3",
    "a power of a power": "x = 10 ** 10 ** 10",
    "squares of squares": "x = 3\nwhile True: x = x * x",
    "recursion": "def f(): f()\nf()",
    "recursion that catches": "def f():\n    try: f()\n    except BaseException: f()\nf()",
    "recursion without a limit": "import sys\nsys.setrecursionlimit(10**9)\ndef f(): f()\nf()",
    "nested brackets": "(" * 5000 + ")" * 5000,
    "a chain of minus": "-" * 50_000 + "1",
    "huge output at once": "print('x' * 10**8)",
    "huge output fast": "while True: print('x' * 1000)",
    "huge output slowly": "import time\nwhile True:\n    print('x')\n    time.sleep(0.01)",
    "output on the other stream": "import sys\nwhile True: sys.stderr.write('x' * 1000)",
    "bytes that are no text": "import os\nwhile True: os.write(1, b'\\xff' * 4096)",
    "fill the disk": (
        "for i in range(100000):\n    with open('/tmp/{marker}' + str(i), 'wb') as file: file.write(bytes(10**7))"
    ),
    "one huge file": "file = open('/tmp/{marker}', 'wb')\nwhile True: file.write(bytes(10**7))",
    "read from a device without end": "open('/dev/zero', 'rb').read()",
    "break the interpreter": "import ctypes\nctypes.string_at(0)",
    "leave at once": "import os\nos._exit(0)",
    "abort": "import os\nos.abort()",
    "flood every descriptor": (
        "import os\nwhile True:\n    for fd in range(3, 64):\n        try: os.write(fd, b'passed' * 1000)\n"
        "        except OSError: pass"
    ),
}  # fmt: skip
CATASTROPHE = "import re\nre.match(r'(a+)+$', 'a' * 40 + 'b')"


@dataclass(frozen=True)
class Host:
    """What there is to steal or to break."""

    secret: Path
    canary: Path
    server: socket.socket
    fd: int

    def fill(self, snippet: str) -> str:
        return snippet.format(
            secret=str(self.secret), canary=str(self.canary), port=self.server.getsockname()[1], fd=self.fd,
            pid=os.getpid(), marker=MARKER, word=WORD,
        )  # fmt: skip


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """A secret file, one that must not change, a server, a secret in the environment and an inheritable descriptor."""
    secret, canary = tmp_path / "secret-7731.txt", tmp_path / "canary.txt"
    secret.write_text(WORD)
    canary.write_text("alive")
    monkeypatch.setenv("SANDBOX_SECRET", WORD)
    with socket.create_server(("127.0.0.1", 0)) as server, secret.open("rb") as file:
        os.set_inheritable(file.fileno(), True)
        server.setblocking(False)
        yield Host(secret, canary, server, file.fileno())


def attack(snippet: str, mode: str, host: Host) -> str:
    """Run a snippet and check the host afterwards; its outcome."""
    before, files = processes(), set(os.listdir(tempfile.gettempdir()))
    began = time.monotonic()
    run = run_code(host.fill(snippet), spec=spec(mode, SECONDS, memory_mb=64))
    assert time.monotonic() - began < SECONDS + 1.5
    assert "BREACH" not in run.output
    assert WORD not in run.output + run.reason
    assert len(run.output) <= 10_000
    assert host.canary.read_text() == "alive"
    assert host.secret.read_text() == WORD
    with pytest.raises(BlockingIOError):  # nobody called
        host.server.accept()
    assert not {name for name in set(os.listdir(tempfile.gettempdir())) - files if MARKER in name}
    deadline = time.monotonic() + 2
    while processes() - before:
        assert time.monotonic() < deadline, "a process was left behind"
        time.sleep(0.02)
    return run.outcome


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", BREACHES)
def test_an_attack_reaches_nothing(name: str, mode: str, host: Host) -> None:
    attack(BREACHES[name], mode, host)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", STOPPED)
def test_what_does_not_end_well_is_stopped(name: str, mode: str, host: Host) -> None:
    assert attack(STOPPED[name], mode, host) in ("failed", "timeout", "refused")


def test_a_catastrophic_pattern_costs_monty_nothing(host: Host) -> None:
    assert attack(CATASTROPHE, "monty", host) == "passed"


@pytest.mark.parametrize("mode", MODES[1:])
def test_a_catastrophic_pattern_is_stopped_under_bubblewrap(mode: str, host: Host) -> None:
    assert attack(CATASTROPHE, mode, host) == "timeout"


@pytest.mark.parametrize("name", ["read a file of the host", "the environment", "an inherited descriptor", "one fork"])
def test_an_attack_would_succeed_without_a_sandbox(name: str, host: Host) -> None:
    command = [sys.executable, "-c", host.fill(BREACHES[name])]
    outside = subprocess.run(command, capture_output=True, text=True, pass_fds=(host.fd,), check=True)
    assert "BREACH" in outside.stdout


def test_honest_code_runs_right_after_an_attack() -> None:
    run_code("x = 3\nwhile True: x = x * x", spec=spec("monty", 0.2))
    assert run_code("x = 1", "assert x == 1", spec=spec("monty")).outcome == "passed"


def test_no_worker_of_monty_stays_when_the_pool_is_closed() -> None:
    run_code("x = 1", spec=spec("monty"))
    mine = {pid for pid in processes(b"monty") if _parent(pid) == os.getpid()}
    assert mine
    monty.close()
    assert not {pid for pid in mine if _parent(pid) == os.getpid()}
    assert run_code("x = 1", spec=spec("monty")).outcome == "passed"


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except OSError:
        return 0
