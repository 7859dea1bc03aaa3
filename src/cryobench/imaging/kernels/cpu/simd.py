"""Explicit vector code for the innermost loops: sums over taps of all volumes of a voxel at once.

LLVM's own vectoriser fails on short loops, so these intrinsics emit the vector instructions themselves: one
vector holds the ``width`` floats of a voxel's block of volumes, or of all taps along x where these are contiguous
(``dense``). ``width``, ``taps`` and ``dense`` are compile-time constants. Nothing is checked.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_FAST = ("contract", "nsz")


class _Vectors:
    """LLVM vectors of float32 in one function under construction."""

    def __init__(self, builder: Any) -> None:
        self.builder = builder

    def address(self, data: Any, index: Any, width: int) -> Any:
        pointer = self.builder.gep(data, [index])
        return self.builder.bitcast(pointer, ir.VectorType(ir.FloatType(), width).as_pointer())

    def load(self, data: Any, index: Any, width: int) -> Any:
        return self.builder.load(self.address(data, index, width), align=4)

    def store(self, vector: Any, data: Any, index: Any) -> None:
        self.builder.store(vector, self.address(data, index, vector.type.count), align=4)

    def splat(self, scalar: Any, width: int) -> Any:
        empty = ir.Constant(ir.VectorType(ir.FloatType(), width), ir.Undefined)
        single = self.builder.insert_element(empty, scalar, ir.Constant(ir.IntType(32), 0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), width), [0] * width)
        return self.builder.shuffle_vector(single, empty, zeros)

    def scale(self, scalar: Any, vector: Any) -> Any:
        return self.builder.fmul(self.splat(scalar, vector.type.count), vector, flags=_FAST)

    def add(self, first: Any, second: Any) -> Any:
        return second if first is None else self.builder.fadd(first, second, flags=_FAST)

    def part(self, vector: Any, start: int, width: int) -> Any:
        chosen = ir.Constant(ir.VectorType(ir.IntType(32), width), list(range(start, start + width)))
        return self.builder.shuffle_vector(vector, vector, chosen)

    def times_sign_of_imaginary(self, vector: Any, sign: Any) -> Any:
        """Conjugate all (re, im) pairs if sign is −1."""
        width = vector.type.count
        ones = ir.Constant(ir.VectorType(ir.FloatType(), width), [1.0] * width)
        odd = [width + position if position % 2 else position for position in range(width)]
        mask = ir.Constant(ir.VectorType(ir.IntType(32), width), odd)
        signs = self.builder.shuffle_vector(ones, self.splat(sign, width), mask)
        return self.builder.fmul(vector, signs, flags=_FAST)


def _gather(typing_context, width, taps, dense, grid, start, plane, row, step, x_taps, y_taps, z_taps, sign, out, at):
    """Write to ``out[at : at + width]`` the sum over taps³ voxels of the grid, starting at float ``start``.

    ``plane``, ``row`` and ``step`` are the floats to the next plane, row and voxel; ``sign`` −1 conjugates.
    """
    constants = [value.literal_value for value in (width, taps, dense)]

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        floats, count, contiguous = constants
        vectors = _Vectors(builder)
        data = context.make_array(signature.args[3])(context, builder, arguments[3]).data
        target = context.make_array(signature.args[12])(context, builder, arguments[12]).data
        plane_step, row_step, voxel_step = arguments[5:8]
        x_weights, y_weights, z_weights = (
            [builder.extract_value(values, tap) for tap in range(count)] for values in arguments[8:11]
        )
        sums: list[Any] = [None] * (1 if contiguous else count)
        of_plane = arguments[4]
        for z_weight in z_weights:
            of_row = of_plane
            for y_weight in y_weights:
                weight = builder.fmul(z_weight, y_weight, flags=_FAST)
                of_voxel = of_row
                for tap in range(len(sums)):
                    values = vectors.load(data, of_voxel, floats * count // len(sums))
                    sums[tap] = vectors.add(sums[tap], vectors.scale(weight, values))
                    of_voxel = builder.add(of_voxel, voxel_step)
                of_row = builder.add(of_row, row_step)
            of_plane = builder.add(of_plane, plane_step)
        if contiguous:
            sums = [vectors.part(sums[0], tap * floats, floats) for tap in range(count)]
        total = None
        for weight, values in zip(x_weights, sums, strict=True):
            total = vectors.add(total, vectors.scale(weight, values))
        vectors.store(vectors.times_sign_of_imaginary(total, arguments[11]), target, arguments[13])
        return context.get_dummy_value()

    arguments = (width, taps, dense, grid, start, plane, row, step, x_taps, y_taps, z_taps, sign, out, at)
    return types.void(*arguments), generate


def _scatter_plane(typing_context, width, taps, dense, grid, start, row, step, y_taps, z_weight, values):
    """Add ``z_weight · y_taps[t] · values`` to each of the taps rows of a plane, starting at float ``start``.

    ``values`` holds the ``width`` floats of each tap along x, already weighted; ``row`` and ``step`` as in gather.
    """
    constants = [value.literal_value for value in (width, taps, dense)]

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        floats, count, contiguous = constants
        vectors = _Vectors(builder)
        data = context.make_array(signature.args[3])(context, builder, arguments[3]).data
        source = context.make_array(signature.args[9])(context, builder, arguments[9]).data
        pieces = 1 if contiguous else count
        length = floats * count // pieces
        index = signature.args[4]
        llvm_index = context.get_value_type(index)
        added = [vectors.load(source, ir.Constant(llvm_index, piece * length), length) for piece in range(pieces)]
        of_row = arguments[4]
        for tap in range(count):
            y_weight = builder.extract_value(arguments[7], tap)
            weight = builder.fmul(arguments[8], y_weight, flags=_FAST)
            of_voxel = of_row
            for values_of_piece in added:
                present = vectors.load(data, of_voxel, length)
                total = vectors.add(present, vectors.scale(weight, values_of_piece))
                vectors.store(total, data, of_voxel)
                of_voxel = builder.add(of_voxel, arguments[6])
            of_row = builder.add(of_row, arguments[5])
        return context.get_dummy_value()

    arguments = (width, taps, dense, grid, start, row, step, y_taps, z_weight, values)
    return types.void(*arguments), generate


def _add_turned(typing_context, width, re, im, table, start, sums, at):
    """Add (re + i im) times a row of the table to a row of sums.

    A row is ``width`` real parts and as many imaginary ones, from float ``start`` of the table, ``at`` of the sums.
    """
    lanes = width.literal_value

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vectors = _Vectors(builder)
        data = context.make_array(signature.args[3])(context, builder, arguments[3]).data
        target = context.make_array(signature.args[5])(context, builder, arguments[5]).data
        _, re, im, _, start, _, at = arguments
        step = ir.Constant(start.type, lanes)
        real, imaginary = vectors.load(data, start, lanes), vectors.load(data, builder.add(start, step), lanes)
        for place, first, second in ((at, real, imaginary), (builder.add(at, step), imaginary, real)):
            present = vectors.load(target, place, lanes)
            total = vectors.add(present, vectors.scale(re, first))
            turned = vectors.scale(im, second)
            combined = builder.fsub if place is at else builder.fadd
            vectors.store(combined(total, turned, flags=_FAST), target, place)
        return context.get_dummy_value()

    return types.void(width, re, im, table, start, sums, at), generate


def _prefetch_pairs(typing_context, grid, start, plane, row, step):
    """Prefetch the cache lines of the eight voxels that a trilinear gather from ``start`` reads; never faults."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        start, plane_step, row_step, voxel_step = arguments[1:]
        byte_pointer, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        signature_of_prefetch = ir.FunctionType(ir.VoidType(), [byte_pointer, word, word, word])
        fetch = builder.module.declare_intrinsic("llvm.prefetch", [byte_pointer], signature_of_prefetch)
        for of_plane in (start, builder.add(start, plane_step)):
            for of_row in (of_plane, builder.add(of_plane, row_step)):
                for of_voxel in (of_row, builder.add(of_row, voxel_step)):
                    address = builder.bitcast(builder.gep(data, [of_voxel]), byte_pointer)
                    builder.call(fetch, [address, word(0), word(3), word(1)])  # for reading, to keep, data
        return context.get_dummy_value()

    return types.void(grid, start, plane, row, step), generate


def _prefetch_rows(typing_context, taps, grid, start, plane, row):
    """Prefetch the first cache line of each row that a gather of taps³ from ``start`` reads; never faults."""
    count = taps.literal_value

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[1])(context, builder, arguments[1]).data
        of_plane, plane_step, row_step = arguments[2:]
        byte_pointer, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        signature_of_prefetch = ir.FunctionType(ir.VoidType(), [byte_pointer, word, word, word])
        fetch = builder.module.declare_intrinsic("llvm.prefetch", [byte_pointer], signature_of_prefetch)
        for _ in range(count):
            of_row = of_plane
            for _ in range(count):
                address = builder.bitcast(builder.gep(data, [of_row]), byte_pointer)
                builder.call(fetch, [address, word(0), word(3), word(1)])  # for reading, to keep, data
                of_row = builder.add(of_row, row_step)
            of_plane = builder.add(of_plane, plane_step)
        return context.get_dummy_value()

    return types.void(taps, grid, start, plane, row), generate


gather: Any = intrinsic(prefer_literal=True)(_gather)
add_turned: Any = intrinsic(prefer_literal=True)(_add_turned)
scatter_plane: Any = intrinsic(prefer_literal=True)(_scatter_plane)
prefetch_pairs: Any = intrinsic(_prefetch_pairs)
prefetch_rows: Any = intrinsic(prefer_literal=True)(_prefetch_rows)
