"""Evaluate a saved Core ML package without Core ML: its MIL program, operator by operator.

Reports label the method ``mil-torch``, never "Core ML": it proves what the file says, not what
Apple's runtime makes of it. :mod:`.package` opens the package, :mod:`.program` holds the loaded
program, and one module a kind of operator holds the arithmetic, each function written from the
operator's documentation in ``coremltools.converters.mil.mil.ops.defs``.
"""

from lightmobile.export.verification.mil.program import MilProgram
from lightmobile.export.verification.mil.types import TensorType

__all__ = ["MilProgram", "TensorType"]
