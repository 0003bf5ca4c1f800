"""A filter of system calls for bubblewrap: no new processes, no namespaces, mounts, tracing or memory outside the caps.

Threads may be made, processes may not, so that the cap on one process's memory is the cap on all. The list names what
is denied; what it does not name is allowed. Only for the two processors whose call numbers stand here.
"""

from __future__ import annotations

import struct

ALLOW, ERRNO, KILL = 0x7FFF0000, 0x00050000, 0x80000000
EPERM, ENOSYS = 1, 38
LOAD, EQUAL, AT_LEAST, BITS, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data, little-endian
CLONE_THREAD = 0x00010000
X32 = 0x40000000  # x86_64 numbers with this bit are the same calls by another name

# machine: (AUDIT_ARCH_*, clone, numbers of: fork vfork chroot mount umount2 pivot_root swapon swapoff reboot
# init_module delete_module finit_module quotactl acct syslog ptrace personality add_key request_key keyctl unshare
# perf_event_open name_to_handle_at open_by_handle_at setns process_vm_readv process_vm_writev kcmp memfd_create
# kexec_load kexec_file_load bpf userfaultfd shmget)
MACHINES = {
    "x86_64": (0xC000003E, 56, (
        57, 58, 161, 165, 166, 155, 167, 168, 169, 175, 176, 313, 179, 163, 103, 101, 135, 248, 249, 250, 272,
        298, 303, 304, 308, 310, 311, 312, 319, 246, 320, 321, 323, 29,
    )),
    "aarch64": (0xC00000B7, 220, (
        51, 40, 39, 41, 224, 225, 142, 105, 106, 273, 60, 89, 116, 117, 92, 217, 218, 219, 97,
        241, 264, 265, 268, 270, 271, 272, 279, 104, 294, 280, 282, 194,
    )),
}  # fmt: skip
# the same on both: io_uring_*, open_tree, move_mount, fs*, pidfd_getfd, mount_setattr, memfd_secret
COMMON = (425, 426, 427, 428, 429, 430, 431, 432, 433, 438, 442, 447)
CLONE3 = 435  # its flags lie in memory, out of a filter's sight; without it, libc takes clone


def program(machine: str) -> bytes:
    """The filter as an array of struct sock_filter; KeyError for a machine that is not in MACHINES."""
    architecture, clone, denied = MACHINES[machine]
    deny = _step(RETURN, ERRNO | EPERM)
    steps = [_step(LOAD, ARCHITECTURE), _step(EQUAL, architecture, 1, 0), _step(RETURN, KILL), _step(LOAD, NUMBER)]
    steps += [_step(AT_LEAST, X32, 0, 1), deny] if machine == "x86_64" else []
    for number in (*denied, *COMMON):
        steps += [_step(EQUAL, number, 0, 1), deny]
    steps += [_step(EQUAL, CLONE3, 0, 1), _step(RETURN, ERRNO | ENOSYS)]
    steps += [_step(EQUAL, clone, 0, 3), _step(LOAD, FIRST_ARGUMENT), _step(BITS, CLONE_THREAD, 1, 0), deny]
    return b"".join([*steps, _step(RETURN, ALLOW)])


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
