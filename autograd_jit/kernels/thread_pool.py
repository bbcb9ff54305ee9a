"""Threads that run parts of a kernel: native ones, which know nothing of Python.

A launch over a large array is cut into parts: the same machine code, each with a block of integers of its own
(:mod:`autograd_jit.lower.parts`). ``agj_parts`` takes the place of the kernel in the executor's table. The caller and
the workers take one part after the other until none is left, so that a worker that is late, or whose processor does
something else, costs nothing; and where another thread of Python's is using the pool the launch runs whole. Workers
look for work for some microseconds and then sleep in the operating system (futex), so that a program of many launches
does not wake them anew each time, and an idle process takes no time.

The block of ``agj_parts``: address of the pool; of the kernel (a swap to optimised code is one store there); words in a
block; the whole launch's block; the parts' blocks; then, for what is done when all parts are, functions with their
words, ``function, number of words, words``, up to a zero (the totals of parts become the total of all).

A worker computes in the caller's floating-point mode (rounding, subnormal numbers as zero): that mode is a thread's
own, libraries set it, and who takes a part must not change its bits.

A pool is an array of words, each group of them in a cache line of its own:

    0  workers, 0: there are none       24  parts that are done
    8  whether a launch is being run    32  the launch: kernel, slots, first part's block, words in a block
   16  the ticket                       36  parts of a launch               37  the caller's floating-point mode
   17  workers that sleep               40  status, nonzero: a part has stopped the run

The ticket counts launches in its upper half, and in the lower one the parts that were taken. To take one is to count it
there, by a compare-and-swap, which fails where the ticket has become another launch's. All launches of a pool have the
same number of parts, so that a worker can tell from the ticket alone whether one is left.
"""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import sys
import threading
from typing import Any, Final, NamedTuple

import numpy as np

__all__ = ["IR", "PARTS_PER_THREAD", "allow", "pool", "supported"]

#: parts of a launch for each thread
PARTS_PER_THREAD: Final = 4
#: looks for work before a worker sleeps, some 20 to 50 microseconds; looks before the caller gives its turn away
_LOOKS, _PATIENCE = 2000, 1000
_WORDS: Final = 64
#: where what lies in a pool; the number of its workers comes first
_BUSY, _TICKET, _SLEEPERS, _COUNT, _MODE = 8, 16, 17, 36, 37
_PLACES: Final = {
    "ticket.at": _TICKET, "sleepers": _SLEEPERS, "done.at": 24, "launch.function": 32, "launch.slots": 33,
    "launch.first": 34, "launch.length": 35, "count.at": _COUNT, "launch.mode": _MODE, "status.at": 40,
}  # fmt: skip


class _Machine(NamedTuple):
    """What differs between processors: two system calls, how a loop says that it waits, and the floating-point mode."""

    futex: int
    give_way: int
    declarations: str
    pause: str
    note_mode: str  # at %launch.mode
    adopt_mode: str


_MACHINES: Final = {
    "x86_64": _Machine(
        202,
        24,
        """\
declare void @llvm.x86.sse2.pause()
declare void @llvm.x86.sse.stmxcsr(ptr)
declare void @llvm.x86.sse.ldmxcsr(ptr)""",
        "call void @llvm.x86.sse2.pause()",
        "call void @llvm.x86.sse.stmxcsr(ptr %launch.mode)",
        "call void @llvm.x86.sse.ldmxcsr(ptr %launch.mode)",
    ),
    "aarch64": _Machine(
        98,
        124,
        """\
declare void @llvm.aarch64.hint(i32)
declare i64 @llvm.aarch64.get.fpcr()
declare void @llvm.aarch64.set.fpcr(i64)""",
        "call void @llvm.aarch64.hint(i32 1)",
        """\
%mode = call i64 @llvm.aarch64.get.fpcr()
  store i64 %mode, ptr %launch.mode, align 8""",
        """\
%mode = load i64, ptr %launch.mode, align 8
  call void @llvm.aarch64.set.fpcr(i64 %mode)""",
    ),
}


def supported() -> bool:
    """Whether threads can be had: Linux on the processors whose system calls are known."""
    return sys.platform.startswith("linux") and platform.machine() in _MACHINES and hasattr(signal, "pthread_sigmask")


#: the addresses of what lies in a pool
_PLACES_IR: Final = "\n".join(
    [f"  %{name} = getelementptr i64, ptr %pool, i64 {word}" for name, word in _PLACES.items()]
)


def _ir(machine: _Machine) -> str:
    declarations = f"declare i64 @syscall(i64, ...)\n{machine.declarations}"
    return "\n".join([declarations, _take_parts(machine), _parts(machine), _worker(machine)])


def _take_parts(machine: _Machine) -> str:
    """Run parts until none is left."""
    return f"""
define internal void @agj_take_parts(ptr %pool, i1 %is.worker) nounwind {{
entry:
{_PLACES_IR}
  %count = load i64, ptr %count.at, align 8
  br label %take
take:
  %ticket = load atomic i64, ptr %ticket.at acquire, align 8
  %number = and i64 %ticket, 4294967295
  %is.left = icmp ult i64 %number, %count
  br i1 %is.left, label %try, label %none
try:
  %ticket.next = add i64 %ticket, 1
  %exchanged = cmpxchg ptr %ticket.at, i64 %ticket, i64 %ticket.next acq_rel monotonic
  %is.mine = extractvalue {{ i64, i1 }} %exchanged, 1
  br i1 %is.mine, label %mine, label %take
mine:
  br i1 %is.worker, label %adopt, label %run
adopt:
  {machine.adopt_mode}
  br label %run
run:
  %function = load ptr, ptr %launch.function, align 8
  %slots = load ptr, ptr %launch.slots, align 8
  %first = load ptr, ptr %launch.first, align 8
  %length = load i64, ptr %launch.length, align 8
  %distance = mul i64 %length, %number
  %block = getelementptr i64, ptr %first, i64 %distance
  %status = call i64 %function(ptr %slots, ptr %block)
  %has.stopped = icmp ne i64 %status, 0
  br i1 %has.stopped, label %stop, label %finished
stop:
  store atomic i64 %status, ptr %status.at monotonic, align 8
  br label %finished
finished:
  %before = atomicrmw add ptr %done.at, i64 1 release
  br label %take
none:
  ret void
}}
"""


def _parts(machine: _Machine) -> str:
    """The entry of a table: share a launch, wait for the parts that others took, fold their totals."""
    return f"""
define i64 @agj_parts(ptr %slots, ptr %args) nounwind {{
entry:
  %pool.word = load i64, ptr %args, align 8
  %pool = inttoptr i64 %pool.word to ptr
  %function.at = getelementptr i64, ptr %args, i64 1
  %function.word = load atomic i64, ptr %function.at monotonic, align 8
  %function = inttoptr i64 %function.word to ptr
  %length.at = getelementptr i64, ptr %args, i64 2
  %length = load i64, ptr %length.at, align 8
  %whole = getelementptr i64, ptr %args, i64 3
  %first = getelementptr i64, ptr %whole, i64 %length
  %workers = load atomic i64, ptr %pool acquire, align 8
  %has.none = icmp eq i64 %workers, 0
  br i1 %has.none, label %alone, label %take
take:
  %busy = getelementptr i64, ptr %pool, i64 {_BUSY}
  %exchanged = cmpxchg ptr %busy, i64 0, i64 1 acquire monotonic
  %is.taken = extractvalue {{ i64, i1 }} %exchanged, 1
  br i1 %is.taken, label %share, label %alone
alone:
  %status.alone = call i64 %function(ptr %slots, ptr %whole)
  ret i64 %status.alone
share:
{_PLACES_IR}
  %count = load i64, ptr %count.at, align 8
  store i64 %function.word, ptr %launch.function, align 8
  store ptr %slots, ptr %launch.slots, align 8
  store ptr %first, ptr %launch.first, align 8
  store i64 %length, ptr %launch.length, align 8
  {machine.note_mode}
  store atomic i64 0, ptr %status.at monotonic, align 8
  store atomic i64 0, ptr %done.at monotonic, align 8
  %ticket = load atomic i64, ptr %ticket.at monotonic, align 8
  %launches = and i64 %ticket, -4294967296
  %ticket.new = add i64 %launches, 4294967296
  store atomic i64 %ticket.new, ptr %ticket.at seq_cst, align 8
  %asleep = load atomic i64, ptr %sleepers seq_cst, align 8
  %is.asleep = icmp ne i64 %asleep, 0
  br i1 %is.asleep, label %wake, label %own
wake:
  %launch.number = getelementptr i8, ptr %ticket.at, i64 4
  %woken = call i64 (i64, ...) @syscall(i64 {machine.futex}, ptr %launch.number, i64 129, i64 2147483647)
  br label %own
own:
  call void @agj_take_parts(ptr %pool, i1 false)
  br label %look
look:
  %looks = phi i64 [ 0, %own ], [ %looks.next, %again ]
  %finished = load atomic i64, ptr %done.at acquire, align 8
  %is.done = icmp eq i64 %finished, %count
  br i1 %is.done, label %done, label %linger
linger:
  %looks.next = add i64 %looks, 1
  {machine.pause}
  %late = urem i64 %looks.next, {_PATIENCE}
  %is.late = icmp eq i64 %late, 0
  br i1 %is.late, label %give.way, label %again
give.way:
  %given = call i64 (i64, ...) @syscall(i64 {machine.give_way})
  br label %again
again:
  br label %look
done:
  %parts.length = mul i64 %length, %count
  %folds = getelementptr i64, ptr %first, i64 %parts.length
  br label %fold
fold:
  %fold.at = phi ptr [ %folds, %done ], [ %fold.next, %fold.one ]
  %fold.word = load i64, ptr %fold.at, align 8
  %is.fold = icmp ne i64 %fold.word, 0
  br i1 %is.fold, label %fold.one, label %end
fold.one:
  %fold.function = inttoptr i64 %fold.word to ptr
  %fold.length.at = getelementptr i64, ptr %fold.at, i64 1
  %fold.length = load i64, ptr %fold.length.at, align 8
  %fold.words = getelementptr i64, ptr %fold.at, i64 2
  %fold.status = call i64 %fold.function(ptr %slots, ptr %fold.words)
  %fold.next = getelementptr i64, ptr %fold.words, i64 %fold.length
  br label %fold
end:
  %status = load atomic i64, ptr %status.at monotonic, align 8
  store atomic i64 0, ptr %busy release, align 8
  ret i64 %status
}}
"""


def _worker(machine: _Machine) -> str:
    """What a worker thread does for ever."""
    return f"""
define ptr @agj_worker(ptr %pool) nounwind {{
entry:
{_PLACES_IR}
  %launch.number = getelementptr i8, ptr %ticket.at, i64 4
  br label %idle
idle:
  %seen = load atomic i32, ptr %launch.number acquire, align 4
  call void @agj_take_parts(ptr %pool, i1 true)
  br label %look
look:
  %looks = phi i64 [ 0, %idle ], [ %looks.next, %linger ], [ 0, %sleep ]
  %now = load atomic i32, ptr %launch.number acquire, align 4
  %is.new = icmp ne i32 %now, %seen
  br i1 %is.new, label %idle, label %doubt
doubt:
  %is.enough = icmp eq i64 %looks, {_LOOKS}
  br i1 %is.enough, label %sleep, label %linger
linger:
  %looks.next = add i64 %looks, 1
  {machine.pause}
  br label %look
sleep:
  %asleep = atomicrmw add ptr %sleepers, i64 1 seq_cst
  %value = zext i32 %seen to i64
  %slept = call i64 (i64, ...) @syscall(i64 {machine.futex}, ptr %launch.number, i64 128, i64 %value, ptr null,
    ptr null, i64 0)
  %awake = atomicrmw sub ptr %sleepers, i64 1 seq_cst
  br label %look
}}
"""


#: part of the executor's module; empty where there are no threads
IR: Final = _ir(_MACHINES[platform.machine()]) if supported() else ""


class _Pool:
    """The words of a pool, which are never given back: its threads look at them to the end of the process."""

    def __init__(self, threads: int) -> None:
        self.workers = threads - 1
        self._memory = np.zeros(_WORDS + 8, np.int64)
        start = -(-self._memory.ctypes.data // 64) * 64 - self._memory.ctypes.data
        self.words = self._memory[start // 8 :][:_WORDS]
        self.words[_COUNT] = self.words[_TICKET] = threads * PARTS_PER_THREAD  # no part is left
        self.is_running = False

    @property
    def address(self) -> int:
        return int(self.words.ctypes.data)

    def start(self, worker: int) -> None:
        """Start the workers, whose machine code is at that address; without them launches run whole."""
        self.words[[_BUSY, _SLEEPERS]] = 0
        self.words[_TICKET] |= 0xFFFFFFFF  # the launch that a fork may have cut short: no part is left of it
        self.is_running = all([_start_thread(worker, self.address) for _ in range(self.workers)])

    def allow(self, is_allowed: bool) -> None:
        self.words[0] = self.workers if is_allowed and self.is_running else 0


_pools: dict[int, _Pool] = {}
_lock = threading.Lock()
_most = sys.maxsize


def pool(threads: int) -> int:
    """The address of the pool of so many threads, the caller's included; they are started if they do not run."""
    from . import executor

    with _lock:
        found = _pools.get(threads)
        if found is None:
            found = _pools[threads] = _Pool(threads)
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(found))
        if not found.is_running:
            found.start(executor.immortal_utility("agj_worker"))
        found.allow(threads <= _most)
        return found.address


def allow(threads: int) -> None:
    """From now on launches that were cut into more parts than this run whole."""
    global _most
    with _lock:
        _most = threads
        for count, found in _pools.items():
            found.allow(count <= threads)


def _start_thread(function: int, argument: int) -> bool:
    """A native thread, which takes no signals: they are for Python's."""
    library: Any = ctypes.CDLL(None)
    handle = ctypes.c_ulong()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        failed = library.pthread_create(
            ctypes.byref(handle), None, ctypes.c_void_p(function), ctypes.c_void_p(argument)
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return not failed and not library.pthread_detach(handle)


def _forked() -> None:
    """In a forked child: the workers are not there. The next program that wants them starts its own."""
    global _lock
    _lock = threading.Lock()
    for found in _pools.values():
        found.is_running = False
        found.words[0] = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
