"""A small network on the digits that ship with scikit-learn, saved twice: out/digits.pt (TorchScript) and out/digits.pt2 (torch.export)."""

import json
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import nn

digits = load_digits()
images = torch.tensor(digits.data, dtype=torch.float32) / 16
labels = torch.tensor(digits.target)

torch.manual_seed(0)
network = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10), nn.Softmax(dim=1))
optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
for _ in range(150):
    optimizer.zero_grad()
    nn.functional.nll_loss(torch.log(network(images) + 1e-9), labels).backward()
    optimizer.step()
network.eval()

out = Path("out")
out.mkdir(exist_ok=True)
torch.jit.trace(network, images[:2]).save(out / "digits.pt")
free_rows = ({0: torch.export.Dim("rows")},)  # without this the program would take two rows at a time and no other number
torch.export.save(torch.export.export(network, (images[:2],), dynamic_shapes=free_rows), out / "digits.pt2")
(out / "images.json").write_text(json.dumps({"data": images[:2].tolist()}))
