"""A GGUF model as a folder that vLLM and transformers load: `python gguf_to_safetensors.py model.gguf folder`."""

import sys
from pathlib import Path


def convert(gguf: Path, folder: Path) -> None:
    """Write config, tokenizer and bfloat16 weights; needs transformers, gguf and accelerate."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    quantized = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name)
    config = quantized.config
    plain = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)  # the quantized one refuses to be saved
    plain.load_state_dict(quantized.state_dict())
    if hasattr(plain.config, "quantization_config"):
        del plain.config.quantization_config
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(folder)
    plain.save_pretrained(folder)


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
