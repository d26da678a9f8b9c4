"""LoRA by PEFT around a decoder (Hu et al., 2021: https://arxiv.org/abs/2106.09685)."""

import copy
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor, nn

from experiment_hub.errors import CorruptError
from experiment_hub.plugins.transformer import Decoder

ADAPTED = ("projection", "output")
"""Both matrices of each attention."""
PROBES = 64  # sequences on which the merged model is compared
TOLERANCE = 1e-4  # of a logit; merging adds two float32 matrices, whose products are then rounded differently


class Adapted(nn.Module):
    def __init__(self, base: Decoder, *, rank: int, alpha: float, dropout: float) -> None:
        super().__init__()
        self.vocabulary, self.sequence = base.head.out_features, base.positions.shape[0]
        adapters = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=list(ADAPTED))
        self.decoder: PeftModel = get_peft_model(base, adapters)
        self.base_digest = self.digest_of_base()

    def forward(self, tokens: Tensor) -> Tensor:
        """[batch, sequence] int64 -> logits [batch, sequence, vocabulary]."""
        logits: Tensor = self.decoder(tokens)
        return logits

    def base_state(self) -> dict[str, Tensor]:
        """The decoder's own weights under its own names, wherever PEFT has put them; changing them changes the model."""
        inner = self.decoder.base_model.model
        plain = {name.replace(".base_layer", ""): each for name, each in inner.state_dict().items()}
        return {name: each for name, each in plain.items() if ".lora_" not in name}

    def fill_base(self, state: Mapping[str, Tensor]) -> None:
        """Raises KeyError for names and RuntimeError for shapes that are not the decoder's."""
        own = self.base_state()
        if own.keys() != state.keys():
            raise KeyError(f"{len(own.keys() ^ state.keys())} weights have other names")
        with torch.no_grad():
            for name, weight in own.items():
                if weight.shape != state[name].shape:
                    raise RuntimeError(f"{name} is {tuple(state[name].shape)}, expected {tuple(weight.shape)}")
                weight.copy_(state[name])
        self.base_digest = self.digest_of_base()

    def digest_of_base(self) -> str:
        """SHA-256 over names, shapes and bytes."""
        digest = hashlib.sha256()
        for name, weight in sorted(self.base_state().items()):
            digest.update(f"{name}{tuple(weight.shape)}{weight.dtype}".encode())
            digest.update(weight.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def merged(self) -> nn.Module:
        """A plain decoder with the adapters added to its weights; this model stays as it is."""
        merged: nn.Module = copy.deepcopy(self.decoder).merge_and_unload()
        return merged

    def merge_difference(self) -> float:
        """Largest difference between a logit of the adapted and of the merged model, over probing sequences."""
        device = next(self.parameters()).device
        probes = torch.arange(PROBES * self.sequence).reshape(PROBES, self.sequence) * 7919 % self.vocabulary
        was_training = self.training
        self.eval()
        with torch.no_grad():
            difference = self(probes.to(device)) - self.merged().eval()(probes.to(device))
        self.train(was_training)
        return float(difference.abs().max())

    def keep_adapters(self, folder: Path) -> None:
        """PEFT's folder and `check.json`; raises CorruptError when training touched the base, or merging changes it."""
        if self.digest_of_base() != self.base_digest:
            raise CorruptError("the base weights changed while only adapters were to be trained")
        difference = self.merge_difference()
        if not difference <= TOLERANCE:
            raise CorruptError(f"merging the adapters changes a logit by {difference:.3g}, more than {TOLERANCE:g}")
        self.decoder.save_pretrained(folder)
        facts = {"base_sha256": self.base_digest, "merge_difference": difference, "tolerance": TOLERANCE}
        (folder / "check.json").write_text(json.dumps(facts, indent=2), encoding="utf-8")
