"""What generated kernels stand on: memory by address, and sums whose order is fixed."""

from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

# A sum is formed from blocks of this many elements, always: the bits depend neither on threads nor on chunks.
BLOCK = 1 << 12
# Where nothing is summed blocks may be larger; what is done once per block then weighs less.
LARGE_BLOCK = 1 << 16
# Columns of the block table.
TENSOR, START, COUNT, UNIT, LAST = range(5)


@intrinsic
def pointer(typingctx: Any, address: Any, dtype: Any) -> Any:
    """The memory at an address, as a pointer to this dtype."""
    signature = types.CPointer(dtype.dtype)(address, dtype)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], context.get_value_type(signature.return_type))

    return signature, codegen


@intrinsic
def plus(typingctx: Any, a: Any, b: Any) -> Any:
    """a + b, and the compiler may add in lanes. Within one block the lanes are always the same."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fadd(args[0], args[1], flags=("reassoc",))

    return types.float64(types.float64, types.float64), codegen


@njit(cache=True, nogil=True)
def gather(blocks: Any, partial: Any, units: Any, tensors: Any, model: Any, q: int) -> None:
    """Add up column `q` of the blocks' sums: by unit, by tensor, and over all, in the order they stand."""
    units[:, q] = 0.0
    tensors[:, q] = 0.0
    model[q] = 0.0
    for b in range(blocks.shape[0]):
        units[blocks[b, UNIT], q] += partial[b, q]
        tensors[blocks[b, TENSOR], q] += partial[b, q]
    for i in range(tensors.shape[0]):
        model[q] += tensors[i, q]


def block_table(counts: list[int], units: list[int], size: int) -> np.ndarray:
    """Cut tensors (of `counts` elements in `units` equal rows) into blocks of at most `size` that cross neither tensors nor units."""
    rows = []
    unit = 0
    for i, (count, parts) in enumerate(zip(counts, units, strict=True)):
        length = count // max(parts, 1)
        for part in range(parts):
            rows += [(i, part * length + start, min(size, length - start), unit, 0) for start in range(0, length, size)]
            unit += 1
        if count:
            rows[-1] = (*rows[-1][:LAST], 1)
    return np.array(rows, dtype=np.int64).reshape(-1, 5)
