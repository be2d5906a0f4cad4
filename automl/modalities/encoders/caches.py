"""Checkpoints that other programs left on this machine: what is looked up here is never downloaded.

The hub's library keeps snapshots by name. A handful of well-known names is asked for by itself; any other one is found
by whoever names it.
"""

from __future__ import annotations

import os
from pathlib import Path

from search_spaces.spec import MediaKind

TIMM = "timm"
# Small ones first: on a CPU a large one seldom reads all files in time.
WELL_KNOWN: dict[MediaKind, tuple[str, ...]] = {
    "image": (
        "timm/mobilenetv3_large_100.ra_in1k",
        "facebook/dinov2-small",
        "facebook/convnext-tiny-224",
        "microsoft/resnet-50",
        "google/vit-base-patch16-224",
        "openai/clip-vit-base-patch32",
    ),
    "audio": ("facebook/wav2vec2-base", "facebook/hubert-base-ls960", "microsoft/wavlm-base"),
    "text": (
        "sentence-transformers/all-MiniLM-L6-v2",
        "BAAI/bge-small-en-v1.5",
        "intfloat/multilingual-e5-small",
        "sentence-transformers/all-mpnet-base-v2",
    ),
}


def snapshot(name: str) -> Path | None:
    """The folder of a checkpoint of that name with weights that run no code; None where there is none."""
    kept = _hub() / f"models--{name.replace('/', '--')}"
    try:
        revision = (kept / "refs" / "main").read_text(encoding="utf-8").strip()
    except OSError:
        revision = ""
    named = [kept / "snapshots" / revision] if revision else []
    older = _home("SENTENCE_TRANSFORMERS_HOME", "torch/sentence_transformers") / name.replace("/", "_")
    return next((folder for folder in (*named, older) if _is_whole(folder)), None)


def found(media: MediaKind) -> list[str]:
    """The well-known names of such data that are here, as `weights` spells them."""
    here = [name for name in WELL_KNOWN.get(media, ()) if snapshot(name) is not None]
    return [f"timm:{name.removeprefix(TIMM + '/')}" if name.startswith(TIMM + "/") else name for name in here]


def _is_whole(folder: Path) -> bool:
    return (folder / "config.json").is_file() and any(folder.glob("*.safetensors"))


def _hub() -> Path:
    if "HF_HUB_CACHE" in os.environ:
        return Path(os.environ["HF_HUB_CACHE"]).expanduser()
    return _home("HF_HOME", "huggingface") / "hub"


def _home(variable: str, usual: str) -> Path:
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get(variable) or Path(caches) / usual).expanduser()
