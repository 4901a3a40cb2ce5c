"""coremltools' own way to an .mlpackage: ``plain_coreml.py MODEL FOLDER``."""

import sys

import coremltools
import torch

from lightmobile.models import create_model, fuse

model = fuse(create_model(sys.argv[1]))
program = torch.export.export(model, (torch.randn(1, 3, 224, 224),)).run_decompositions({})
package = coremltools.convert(program, minimum_deployment_target=coremltools.target.iOS16)
package.save(sys.argv[2])
