"""litert-torch's own way to a .tflite: ``plain_tflite.py MODEL FILE``."""

import sys

import litert_torch
import torch

from lightmobile.models import create_model, fuse

model = fuse(create_model(sys.argv[1]))
litert_torch.convert(model, (torch.randn(1, 3, 224, 224),)).export(sys.argv[2])
