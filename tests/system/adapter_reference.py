"""The adapter and its objective in PyTorch on top of transformers: the independent oracle of the trainer."""
import json

import safetensors.torch
import torch
import transformers


def octonion_table():
    """product[i, j] = e_i e_j as an 8-vector, by Cayley-Dickson from the real numbers."""

    def conjugate(a):
        return torch.cat([a[:1], -a[1:]])

    def multiply(a, b):
        if len(a) == 1:
            return a * b
        h = len(a) // 2
        a0, a1, b0, b1 = a[:h], a[h:], b[:h], b[h:]
        return torch.cat([multiply(a0, b0) - multiply(conjugate(b1), a1), multiply(b1, a0) + multiply(a1, conjugate(b0))])

    units = torch.eye(8, dtype=torch.float64)
    return torch.stack([torch.stack([multiply(units[i], units[j]) for j in range(8)]) for i in range(8)])


def triality(rotations):
    """rotations (N, 8, 8): 1/K sum_k 1/64 sum_ij |R_v(e_i e_j) - R_s(e_i) R_c(e_j)|^2."""
    table = octonion_table().to(rotations.dtype)
    k = rotations.shape[0] // 3
    v, s, c = (rotations[i : 3 * k : 3] for i in range(3))
    left = torch.einsum("kab,ijb->kija", v, table)
    right = torch.einsum("kpi,kqj,pqa->kija", s, c, table)
    return (left - right).square().sum() / (64 * k)


class AdaptedModel:
    """A Phi-3 of transformers in float64 whose MLP outputs pass through h + sigmoid(alpha) R h."""

    def __init__(self, folder):
        self.model = transformers.AutoModelForCausalLM.from_pretrained(folder, torch_dtype=torch.float64, attn_implementation="eager")
        self.model.requires_grad_(False).eval()
        self.weight, self.alpha = [], []

    def load(self, adapter):
        tensors = safetensors.torch.load_file(adapter / "adapter_model.safetensors")
        config = json.loads((adapter / "adapter_config.json").read_text())
        for index in range(config["first_adapter_layer"], config["num_hidden_layers"]):
            self.weight.append(tensors[f"layers.{index}.so8t.weight"].double().requires_grad_(True))
            self.alpha.append(tensors[f"layers.{index}.so8t.alpha"].double().requires_grad_(True))
        self.rotations = [torch.linalg.matrix_exp((w - w.mT) / 2) for w in self.weight]
        self.gates = [torch.sigmoid(a) for a in self.alpha]
        for gate in self.gates:
            gate.retain_grad()
        for layer, rotation, gate in zip(self.model.model.layers[config["first_adapter_layer"] :], self.rotations, self.gates):
            layer.mlp.register_forward_hook(lambda module, given, h, r=rotation, g=gate: h + g * self.rotate(h, r))
        return self

    @staticmethod
    def rotate(h, rotation):
        return torch.einsum("nij,...nj->...ni", rotation, h.unflatten(-1, (-1, 8))).flatten(-2)

    def token_losses(self, tokens, targets):
        """Nats at the positions whose token is a target (mask over tokens, the first never is)."""
        logits = self.model(torch.tensor([tokens])).logits[0, :-1]
        losses = torch.nn.functional.cross_entropy(logits, torch.tensor(tokens[1:]), reduction="none")
        return losses[torch.tensor(targets[1:], dtype=torch.bool)]
