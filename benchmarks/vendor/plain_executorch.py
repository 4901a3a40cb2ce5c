"""ExecuTorch's own way to a .pte: ``plain_executorch.py MODEL FILE``."""

import sys

import torch
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.exir import to_edge_transform_and_lower

from lightmobile.models import create_model, fuse

model = fuse(create_model(sys.argv[1]))
program = torch.export.export(model, (torch.randn(1, 3, 224, 224),))
edge = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
with open(sys.argv[2], "wb") as file:  # noqa: PTH123 - as the documentation has it
    edge.to_executorch().write_to_file(file)
