"""The native executor as text in LLVM IR: it binds Python arguments to slots and walks a table of kernels.

One compiled function, ``agj_call``, is the body of a built-in method object for each frame of a program
(CPython's METH_FASTCALL protocol), so that a replay costs one C call. It reads a *block* of 64-bit words:

    0  number of arguments        5  busy flag             10 PyEval_RestoreThread
    1  argument specifications    6  status of the run     11 None    (ran to its end)
    2  slots                      7  release the GIL?      12 False   (an argument does not match)
    3  kernel table               8  Py_IncRef             13 True    (a kernel stopped: see 6)
    4  number of kernels          9  PyEval_SaveThread     14 NotImplemented (the frame is in use)

and for each argument a specification of ``SPEC_WORDS`` words: kind, slot, type, dtype, number of axes, shape.
The kernel table holds pairs (function, block of integers); a kernel returns 0 or a reason to stop, and the status is
then ``position << 8 | reason``. A negative answer is no reason: the walk goes on behind the entry so many places back,
which is how ``agj_loop_end`` repeats what follows an ``agj_loop_start``.
"""

from __future__ import annotations

from typing import Final

from . import thread_pool

BLOCK_WORDS: Final = 16
SPEC_WORDS: Final = 5 + 64  # NumPy has arrays of up to 64 axes
MAX_AXES: Final = SPEC_WORDS - 5

#: kinds of argument
ARRAY, SCALAR, OUTPUT = 0, 1, 2

# Offsets in CPython's and NumPy's public structures (64-bit, with the GIL): PyObject.ob_type; PyArrayObject's
# data, nd, dimensions, descr, flags; the value in a PyFloat and in a NumPy scalar.
TYPE, DATA, NDIM, DIMS, DESCR, FLAGS, VALUE = 8, 16, 24, 32, 56, 64, 16
READY: Final = 0x0001 | 0x0100  # NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_ALIGNED

#: slot and byte offset, the first two words of several functions: ``%base`` and ``%offset``
_PLACE: Final = """\
  %slot = load i64, ptr %args
  %base.at = getelementptr ptr, ptr %slots, i64 %slot
  %base = load ptr, ptr %base.at
  %offset.at = getelementptr i64, ptr %args, i64 1
  %offset = load i64, ptr %offset.at"""

_EXECUTOR: Final = f"""
define ptr @agj_call(ptr %self, ptr %args, i64 %count) nounwind {{
entry:
  %self.data = getelementptr i8, ptr %self, i64 {DATA}
  %block = load ptr, ptr %self.data
  %busy.at = getelementptr i64, ptr %block, i64 5
  %busy = load i64, ptr %busy.at
  %free = icmp eq i64 %busy, 0
  br i1 %free, label %begin, label %in.use
begin:
  %expected = load i64, ptr %block
  %right = icmp eq i64 %expected, %count
  br i1 %right, label %bind.start, label %mismatch
bind.start:
  %specs.at = getelementptr i64, ptr %block, i64 1
  %specs = load ptr, ptr %specs.at
  %slots.at = getelementptr i64, ptr %block, i64 2
  %slots = load ptr, ptr %slots.at
  br label %bind
bind:
  %i = phi i64 [ 0, %bind.start ], [ %i.next, %bound ]
  %more = icmp slt i64 %i, %count
  br i1 %more, label %argument, label %run
argument:
  %object.at = getelementptr ptr, ptr %args, i64 %i
  %object = load ptr, ptr %object.at
  %spec.index = mul i64 %i, {SPEC_WORDS}
  %spec = getelementptr i64, ptr %specs, i64 %spec.index
  %kind = load i64, ptr %spec
  %slot.at = getelementptr i64, ptr %spec, i64 1
  %slot = load i64, ptr %slot.at
  %target = getelementptr ptr, ptr %slots, i64 %slot
  %is.output = icmp eq i64 %kind, {OUTPUT}
  br i1 %is.output, label %output, label %check.type
output:
  %output.type.at = getelementptr i8, ptr %object, i64 {TYPE}
  %output.type = load i64, ptr %output.type.at
  %output.scalar.at = getelementptr i64, ptr %spec, i64 2
  %output.scalar = load i64, ptr %output.scalar.at
  %output.is.scalar = icmp eq i64 %output.type, %output.scalar
  br i1 %output.is.scalar, label %take.scalar, label %take.data
check.type:
  %type.at = getelementptr i8, ptr %object, i64 {TYPE}
  %type = load i64, ptr %type.at
  %type.want.at = getelementptr i64, ptr %spec, i64 2
  %type.want = load i64, ptr %type.want.at
  %type.right = icmp eq i64 %type, %type.want
  br i1 %type.right, label %which, label %mismatch
which:
  %is.scalar = icmp eq i64 %kind, {SCALAR}
  br i1 %is.scalar, label %take.scalar, label %check.dtype
take.scalar:
  %value = getelementptr i8, ptr %object, i64 {VALUE}
  store ptr %value, ptr %target
  br label %bound
check.dtype:
  %descr.at = getelementptr i8, ptr %object, i64 {DESCR}
  %descr = load i64, ptr %descr.at
  %descr.want.at = getelementptr i64, ptr %spec, i64 3
  %descr.want = load i64, ptr %descr.want.at
  %descr.right = icmp eq i64 %descr, %descr.want
  br i1 %descr.right, label %check.rest, label %mismatch
check.rest:
  %ndim.at = getelementptr i8, ptr %object, i64 {NDIM}
  %ndim.short = load i32, ptr %ndim.at
  %ndim = zext i32 %ndim.short to i64
  %ndim.want.at = getelementptr i64, ptr %spec, i64 4
  %ndim.want = load i64, ptr %ndim.want.at
  %ndim.right = icmp eq i64 %ndim, %ndim.want
  %flags.at = getelementptr i8, ptr %object, i64 {FLAGS}
  %flags = load i32, ptr %flags.at
  %flags.ready = and i32 %flags, {READY}
  %flags.right = icmp eq i32 %flags.ready, {READY}
  %both = and i1 %ndim.right, %flags.right
  br i1 %both, label %check.shape, label %mismatch
check.shape:
  %dims.at = getelementptr i8, ptr %object, i64 {DIMS}
  %dims = load ptr, ptr %dims.at
  br label %axis
axis:
  %a = phi i64 [ 0, %check.shape ], [ %a.next, %axis.right ]
  %a.more = icmp slt i64 %a, %ndim
  br i1 %a.more, label %axis.check, label %take.data
axis.check:
  %size.at = getelementptr i64, ptr %dims, i64 %a
  %size = load i64, ptr %size.at
  %want.index = add i64 %a, 5
  %want.at = getelementptr i64, ptr %spec, i64 %want.index
  %want = load i64, ptr %want.at
  %size.right = icmp eq i64 %size, %want
  br i1 %size.right, label %axis.right, label %mismatch
axis.right:
  %a.next = add i64 %a, 1
  br label %axis
take.data:
  %data.at = getelementptr i8, ptr %object, i64 {DATA}
  %data = load ptr, ptr %data.at
  store ptr %data, ptr %target
  br label %bound
bound:
  %i.next = add i64 %i, 1
  br label %bind
run:
  %release.at = getelementptr i64, ptr %block, i64 7
  %release = load i64, ptr %release.at
  %releases = icmp ne i64 %release, 0
  br i1 %releases, label %run.free, label %run.held
run.held:
  %status.held = call i64 @agj_walk(ptr %block, ptr %slots)
  br label %finished
run.free:
  store i64 1, ptr %busy.at
  %save.at = getelementptr ptr, ptr %block, i64 9
  %save = load ptr, ptr %save.at
  %thread = call ptr %save()
  %status.free = call i64 @agj_walk(ptr %block, ptr %slots)
  %restore.at = getelementptr ptr, ptr %block, i64 10
  %restore = load ptr, ptr %restore.at
  call void %restore(ptr %thread)
  store i64 0, ptr %busy.at
  br label %finished
finished:
  %status = phi i64 [ %status.held, %run.held ], [ %status.free, %run.free ]
  %status.at = getelementptr i64, ptr %block, i64 6
  store i64 %status, ptr %status.at
  %done = icmp eq i64 %status, 0
  %answer = select i1 %done, i64 11, i64 13
  br label %return
mismatch:
  br label %return
in.use:
  br label %return
return:
  %which.answer = phi i64 [ %answer, %finished ], [ 12, %mismatch ], [ 14, %in.use ]
  %result.at = getelementptr ptr, ptr %block, i64 %which.answer
  %result = load ptr, ptr %result.at
  %incref.at = getelementptr ptr, ptr %block, i64 8
  %incref = load ptr, ptr %incref.at
  call void %incref(ptr %result)
  ret ptr %result
}}

define internal i64 @agj_walk(ptr %block, ptr %slots) nounwind {{
entry:
  %table.at = getelementptr ptr, ptr %block, i64 3
  %table = load ptr, ptr %table.at
  %count.at = getelementptr i64, ptr %block, i64 4
  %count = load i64, ptr %count.at
  br label %test
test:
  %i = phi i64 [ 0, %entry ], [ %i.next, %next ]
  %more = icmp slt i64 %i, %count
  br i1 %more, label %kernel, label %end
kernel:
  %index = mul i64 %i, 2
  %function.at = getelementptr ptr, ptr %table, i64 %index
  %function = load ptr, ptr %function.at
  %args.at = getelementptr ptr, ptr %function.at, i64 1
  %args = load ptr, ptr %args.at
  %stop = call i64 %function(ptr %slots, ptr %args)
  %went.on = icmp eq i64 %stop, 0
  br i1 %went.on, label %next, label %stopped
stopped:
  %again = icmp slt i64 %stop, 0
  br i1 %again, label %next, label %halt
next:
  %place = add i64 %i, %stop
  %i.next = add i64 %place, 1
  br label %test
halt:
  %shifted = shl i64 %i, 8
  %status = or i64 %shifted, %stop
  ret i64 %status
end:
  ret i64 0
}}

; self: an array of words: how many pairs, Py_IncRef, True, False, then pairs of an address and the word expected there.
define ptr @agj_unchanged(ptr %self, ptr %unused) nounwind {{
entry:
  %data.at = getelementptr i8, ptr %self, i64 {DATA}
  %words = load ptr, ptr %data.at
  %count = load i64, ptr %words
  br label %test
test:
  %i = phi i64 [ 0, %entry ], [ %i.next, %same ]
  %more = icmp slt i64 %i, %count
  br i1 %more, label %compare, label %end
compare:
  %double = mul i64 %i, 2
  %index = add i64 %double, 4
  %pair = getelementptr i64, ptr %words, i64 %index
  %address = load ptr, ptr %pair
  %want.at = getelementptr i64, ptr %pair, i64 1
  %want = load i64, ptr %want.at
  %found = load i64, ptr %address
  %i.next = add i64 %i, 1
  %is.same = icmp eq i64 %found, %want
  br i1 %is.same, label %same, label %end
same:
  br label %test
end:
  %which = phi i64 [ 2, %test ], [ 3, %compare ]
  %result.at = getelementptr ptr, ptr %words, i64 %which
  %result = load ptr, ptr %result.at
  %incref.at = getelementptr ptr, ptr %words, i64 1
  %incref = load ptr, ptr %incref.at
  call void %incref(ptr %result)
  ret ptr %result
}}

; args: slot and byte offset of a counter, number of slots that move, then for each its number, and the slot and byte
; offset where it begins.
define i64 @agj_loop_start(ptr %slots, ptr %args) nounwind {{
entry:
{_PLACE}
  %counter = getelementptr i8, ptr %base, i64 %offset
  store i64 0, ptr %counter
  %count.at = getelementptr i64, ptr %args, i64 2
  %count = load i64, ptr %count.at
  br label %test
test:
  %i = phi i64 [ 0, %entry ], [ %i.next, %row ]
  %more = icmp slt i64 %i, %count
  br i1 %more, label %row, label %end
row:
  %triple = mul i64 %i, 3
  %index = add i64 %triple, 3
  %row.args = getelementptr i64, ptr %args, i64 %index
  %row.slot = load i64, ptr %row.args
  %out.slot.in = getelementptr i64, ptr %row.args, i64 1
  %out.slot = load i64, ptr %out.slot.in
  %out.offset.in = getelementptr i64, ptr %row.args, i64 2
  %out.offset = load i64, ptr %out.offset.in
  %out.at = getelementptr ptr, ptr %slots, i64 %out.slot
  %out = load ptr, ptr %out.at
  %first = getelementptr i8, ptr %out, i64 %out.offset
  %row.at = getelementptr ptr, ptr %slots, i64 %row.slot
  store ptr %first, ptr %row.at
  %i.next = add i64 %i, 1
  br label %test
end:
  ret i64 0
}}

; args: slot and byte offset of a counter, number of turns, entries of the table back to the loop's start, number of
; slots that move, then for each its number and how many bytes it moves. Goes back unless all turns are done.
define i64 @agj_loop_end(ptr %slots, ptr %args) nounwind {{
entry:
{_PLACE}
  %counter = getelementptr i8, ptr %base, i64 %offset
  %turns.at = getelementptr i64, ptr %args, i64 2
  %turns = load i64, ptr %turns.at
  %length.at = getelementptr i64, ptr %args, i64 3
  %length = load i64, ptr %length.at
  %count.at = getelementptr i64, ptr %args, i64 4
  %count = load i64, ptr %count.at
  br label %test
test:
  %i = phi i64 [ 0, %entry ], [ %i.next, %row ]
  %more = icmp slt i64 %i, %count
  br i1 %more, label %row, label %end
row:
  %double = mul i64 %i, 2
  %index = add i64 %double, 5
  %row.args = getelementptr i64, ptr %args, i64 %index
  %row.slot = load i64, ptr %row.args
  %bytes.at = getelementptr i64, ptr %row.args, i64 1
  %bytes = load i64, ptr %bytes.at
  %row.at = getelementptr ptr, ptr %slots, i64 %row.slot
  %data = load ptr, ptr %row.at
  %data.next = getelementptr i8, ptr %data, i64 %bytes
  store ptr %data.next, ptr %row.at
  %i.next = add i64 %i, 1
  br label %test
end:
  %done = load i64, ptr %counter
  %done.next = add i64 %done, 1
  store i64 %done.next, ptr %counter
  %again = icmp slt i64 %done.next, %turns
  %back = sub i64 0, %length
  %answer = select i1 %again, i64 %back, i64 0
  ret i64 %answer
}}

; args: slot, byte offset, number of bytes, then the expected bytes. Returns 1 where they differ.
define i64 @agj_check(ptr %slots, ptr %args) nounwind {{
entry:
{_PLACE}
  %data = getelementptr i8, ptr %base, i64 %offset
  %size.at = getelementptr i64, ptr %args, i64 2
  %size = load i64, ptr %size.at
  %expected = getelementptr i64, ptr %args, i64 3
  br label %test
test:
  %i = phi i64 [ 0, %entry ], [ %i.next, %same ]
  %more = icmp slt i64 %i, %size
  br i1 %more, label %byte, label %equal
byte:
  %a.at = getelementptr i8, ptr %data, i64 %i
  %a = load i8, ptr %a.at
  %b.at = getelementptr i8, ptr %expected, i64 %i
  %b = load i8, ptr %b.at
  %i.next = add i64 %i, 1
  %is.same = icmp eq i8 %a, %b
  br i1 %is.same, label %same, label %differ
same:
  br label %test
differ:
  ret i64 1
equal:
  ret i64 0
}}

; args: slot and byte offset of left, right, out; m, n, k, leading dimensions of left, right, out; transposes of left
; and right as characters; batch count and byte strides of left, right, out; cells for one and zero; address of ?gemm.
; Row-major out = left @ right is column-major out' = right' @ left'.
define i64 @agj_gemm(ptr %slots, ptr %a) nounwind {{
entry:
  %left.slot = load i64, ptr %a
  %left.slot.at = getelementptr ptr, ptr %slots, i64 %left.slot
  %left.base = load ptr, ptr %left.slot.at
  %left.offset.at = getelementptr i64, ptr %a, i64 1
  %left.offset = load i64, ptr %left.offset.at
  %left.start = getelementptr i8, ptr %left.base, i64 %left.offset
  %right.slot.in = getelementptr i64, ptr %a, i64 2
  %right.slot = load i64, ptr %right.slot.in
  %right.slot.at = getelementptr ptr, ptr %slots, i64 %right.slot
  %right.base = load ptr, ptr %right.slot.at
  %right.offset.at = getelementptr i64, ptr %a, i64 3
  %right.offset = load i64, ptr %right.offset.at
  %right.start = getelementptr i8, ptr %right.base, i64 %right.offset
  %out.slot.in = getelementptr i64, ptr %a, i64 4
  %out.slot = load i64, ptr %out.slot.in
  %out.slot.at = getelementptr ptr, ptr %slots, i64 %out.slot
  %out.base = load ptr, ptr %out.slot.at
  %out.offset.at = getelementptr i64, ptr %a, i64 5
  %out.offset = load i64, ptr %out.offset.at
  %out.start = getelementptr i8, ptr %out.base, i64 %out.offset
  %m = getelementptr i64, ptr %a, i64 6
  %n = getelementptr i64, ptr %a, i64 7
  %k = getelementptr i64, ptr %a, i64 8
  %left.ld = getelementptr i64, ptr %a, i64 9
  %right.ld = getelementptr i64, ptr %a, i64 10
  %out.ld = getelementptr i64, ptr %a, i64 11
  %left.trans = getelementptr i64, ptr %a, i64 12
  %right.trans = getelementptr i64, ptr %a, i64 13
  %count.at = getelementptr i64, ptr %a, i64 14
  %count = load i64, ptr %count.at
  %left.step.at = getelementptr i64, ptr %a, i64 15
  %left.step = load i64, ptr %left.step.at
  %right.step.at = getelementptr i64, ptr %a, i64 16
  %right.step = load i64, ptr %right.step.at
  %out.step.at = getelementptr i64, ptr %a, i64 17
  %out.step = load i64, ptr %out.step.at
  %one = getelementptr i64, ptr %a, i64 18
  %zero = getelementptr i64, ptr %a, i64 19
  %gemm.at = getelementptr ptr, ptr %a, i64 20
  %gemm = load ptr, ptr %gemm.at
  br label %test
test:
  %i = phi i64 [ 0, %entry ], [ %i.next, %one.product ]
  %left = phi ptr [ %left.start, %entry ], [ %left.next, %one.product ]
  %right = phi ptr [ %right.start, %entry ], [ %right.next, %one.product ]
  %out = phi ptr [ %out.start, %entry ], [ %out.next, %one.product ]
  %more = icmp slt i64 %i, %count
  br i1 %more, label %one.product, label %end
one.product:
  call void %gemm(ptr %right.trans, ptr %left.trans, ptr %n, ptr %m, ptr %k, ptr %one, ptr %right, ptr %right.ld,
    ptr %left, ptr %left.ld, ptr %zero, ptr %out, ptr %out.ld)
  %i.next = add i64 %i, 1
  %left.next = getelementptr i8, ptr %left, i64 %left.step
  %right.next = getelementptr i8, ptr %right, i64 %right.step
  %out.next = getelementptr i8, ptr %out, i64 %out.step
  br label %test
end:
  ret i64 0
}}
"""

#: words of the argument block of ``agj_gemm``
GEMM_WORDS: Final = 21

#: the whole module
IR: Final = _EXECUTOR + thread_pool.IR
