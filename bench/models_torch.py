"""PyTorch's side of models-vs.ts: reads a line, decodes or classifies one round, prints its milliseconds; "end" prints peak memory.

    models_torch.py deepsim|alexnet COUNT BATCH THREADS
"""
import os
import resource
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "parity"))

import torch  # noqa: E402
import torchvision  # noqa: E402

from random_weights import deepsim  # noqa: E402

network, count, batch, threads = sys.argv[1], *(int(word) for word in sys.argv[2:5])
torch.set_num_threads(threads)
torch.manual_seed(1)
net = deepsim(True) if network == "deepsim" else torchvision.models.alexnet(weights=None).eval()
latents = torch.randn(count, 4096) * 3
images = torch.randint(0, 256, (count, 256, 256, 3), dtype=torch.uint8)
mean, std = torch.tensor([0.485, 0.456, 0.406])[:, None, None], torch.tensor([0.229, 0.224, 0.225])[:, None, None]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def one_round():
    with torch.no_grad():
        for first in range(0, count, batch):
            if network == "deepsim":
                raw = net(latents[first : first + batch]) + torch.tensor([104.0, 117.0, 123.0])[:, None, None]
                raw[:, [2, 1, 0]].clamp(0, 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()
            else:
                x = images[first : first + batch].permute(0, 3, 1, 2).float()[:, :, 16:240, 16:240] / 255
                net.classifier[:6](torch.flatten(net.avgpool(net.features((x - mean) / std)), 1))


one_round()
print("ready", flush=True)
for line in sys.stdin:
    if line.strip() == "end":
        break
    start = time.perf_counter()
    one_round()
    print((time.perf_counter() - start) * 1000, flush=True)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(f"{(peak - before) / 1024} {peak / 1024}", flush=True)
