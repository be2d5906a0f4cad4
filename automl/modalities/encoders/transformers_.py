"""A checkpoint of the library transformers: any model that reads pixels or waves, or encodes texts.

Weights come from safetensors alone, never from pickles, and code that a checkpoint brings along is never run. Its
preparation of pictures is read from its files and done by our own code: the library's needs torchvision.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from automl.errors import InputError, OptionError
from automl.messages import one_line
from automl.modalities.encoders import caches, transformers_text
from automl.modalities.encoders.checkpoint import Checkpoint, CheckpointKind, seal
from automl.modalities.encoders.foreign import refuse_code, refuse_code_in, without_choices

if TYPE_CHECKING:
    from torch import Tensor, nn

HUB = "hub:"  # what asks for a download
HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
FILES = ("*.json", "*.safetensors", *transformers_text.FILES, "merges.txt")
PATIENCE_S = 10.0  # for the hub's first word
USUAL_PX, USUAL_HZ = 224, 16_000
SHORTEST_SAMPLES = 1_600  # less is lost in the strides of a network on waves
FAINTEST = 1e-5  # deviation of a wave that is not blown up
# What transformers raises on checkpoints that are odd, and at imports beside broken packages.
BROKEN = (
    SafetensorError,
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    RuntimeError,
    ImportError,
    IndexError,
)


def claims(place: str) -> bool:
    """A folder with a config.json, or what may be a name on the hub."""
    if Path(place).exists():
        return (Path(place) / "config.json").is_file()
    return HUB_NAME.fullmatch(place.removeprefix(HUB)) is not None


def require() -> Any:
    """The library; InputError says how to get it, or what is wrong with it."""
    try:
        import transformers

        _ = transformers.AutoModel, transformers.AutoConfig  # loaded on demand: what is broken shows here
    except ImportError as problem:
        if isinstance(problem, ModuleNotFoundError) and problem.name == "transformers":
            raise InputError(
                "these weights need the package transformers, which is not installed. "
                "Run: pip install 'automl-frontier[pretrained]'"
            ) from problem
        raise InputError(f"transformers cannot be imported: {one_line(problem)}. {_MEND}") from problem
    except (RuntimeError, AttributeError, OSError) as problem:
        raise InputError(f"transformers cannot be imported: {one_line(problem)}. {_MEND}") from problem
    return transformers


_MEND = "Often a torchvision of another torch is why: pip uninstall torchvision"


def read(place: str) -> Checkpoint:
    """The network of a folder or of a hub's name; InputError in one line where that is none."""
    library = require()
    folder = Path(place) if Path(place).is_dir() else _by_name(place)
    refuse_pickles(folder, place)
    with _silenced(library):
        try:
            refuse_code_in(folder)
            model, facts = _loaded(library, folder)
            network = _given_words(library, folder, model, facts)
        except InputError as problem:
            raise InputError(f"weights={place!r} {problem}") from None
        except BROKEN as problem:
            raise InputError(
                f"weights={place!r} cannot be read: {one_line(problem)}. Give the folder of a whole checkpoint."
            ) from problem
    return seal("transformers", Path(place).name, facts, network, _width(network, facts))


def build(facts: Mapping[str, Any], rate: int) -> nn.Module:
    """The network without its weights."""
    library = require()
    refuse_code(facts["config"], "its config")
    plain = without_choices(facts["config"])
    with _silenced(library):
        config = library.AutoConfig.for_model(plain.pop("model_type"), **plain)
        model = library.AutoModel.from_config(config, trust_remote_code=False)
    if not facts["has_pooler"]:
        model.pooler = None
    return _wrapped(model, facts, rate)


KIND = CheckpointKind("transformers", claims, read, build, require)


# --- reading ---------------------------------------------------------------------------------------------------------


def _by_name(place: str) -> Path:
    """The files of a name on the hub: fetched where that was asked for, else those fetched before."""
    if place.startswith(HUB):
        return fetched(place.removeprefix(HUB))
    if (here := caches.snapshot(place)) is not None:
        return here
    raise OptionError(
        f"weights={place!r} is no folder here, and no checkpoint of that name was fetched before. "
        f"To download it give 'hub:{place}'; else give the folder of a checkpoint."
    )


def fetched(name: str) -> Path:
    """The files of a name on the hub; those fetched before are used where the hub does not answer."""
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=list(FILES), etag_timeout=PATIENCE_S))
    except BROKEN as problem:
        raise OptionError(
            f"weights='{HUB}{name}' cannot be had: the hub did not give it ({str(problem).splitlines()[0]}). "
            "Check the name and the net, or give the folder of a checkpoint."
        ) from problem


def refuse_pickles(folder: Path, place: str) -> None:
    """InputError where a folder has no weights that run no code."""
    if any(folder.glob("*.safetensors")):
        return
    others = sorted(file.name for file in folder.iterdir() if file.suffix in (".bin", ".pt", ".pth", ".ckpt", ".h5"))
    told = f"only {others[0]}, which could run code when it is read" if others else "no weights"
    raise InputError(
        f"weights={place!r} holds {told}. Give a checkpoint with model.safetensors (save_pretrained writes one)."
    )


def _loaded(library: Any, folder: Path) -> tuple[Any, dict[str, Any]]:
    """The model without a head, all its weights from the file, and the facts to build it anew."""
    config = library.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    config = getattr(config, "vision_config", config)  # of those that see and read, the eyes
    given = {"config": config, "local_files_only": True, "trust_remote_code": False, "use_safetensors": True}
    model, told = library.AutoModel.from_pretrained(folder, output_loading_info=True, dtype="float32", **given)
    media = _media(model)
    missing = sorted(told["missing_keys"])
    if misfits := [name for name in missing if not name.startswith("pooler.")] or sorted(told["mismatched_keys"]):
        raise InputError(f"lacks {len(misfits)} weights, first {misfits[0]!r}. Give a whole checkpoint.")
    if missing:  # what sums up was trained with the head, and is not in the file
        model.pooler = None
    plain = json.loads(config.to_json_string(use_diff=False))
    for name in ("_name_or_path", "architectures", "transformers_version", "dtype", "torch_dtype"):
        plain.pop(name, None)
    facts = {"media": media, "config": plain, "has_pooler": not missing}
    if media == "text":
        return model, {**facts, **transformers_text.facts_of(transformers_text.tokenizer_of(library, folder), plain)}
    return model, {**facts, **(_lens(folder, plain) if media == "image" else _ears(folder))}


def _given_words(library: Any, folder: Path, model: Any, facts: Mapping[str, Any]) -> nn.Module:
    """The network; one on texts with its tokens."""
    if facts["media"] != "text":
        return _wrapped(model, facts, USUAL_HZ)
    tokenizer = transformers_text.tokenizer_of(library, folder)
    return transformers_text.wrapped(model, facts, transformers_text.written(tokenizer))


def _media(model: Any) -> str:
    reads = model.main_input_name
    if reads == "pixel_values":
        return "image"
    if reads == "input_values" and hasattr(model.config, "conv_stride"):
        return "audio"
    if reads == "input_ids" and not model.config.is_encoder_decoder:
        return "text"
    raise InputError(
        f"is a {model.config.model_type}, which reads {reads}, not pixels, waves or texts alone. Give one of pictures "
        "(vit, convnext, dinov2, clip ...), of waves (wav2vec2, hubert, wavlm ...) or of texts (bert, mpnet ...)."
    )


def _lens(folder: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """Size, mean and deviation of the pictures that it was trained on."""
    told = _preparation(folder)
    channels = int(config.get("num_channels") or 3)
    sides = _sides(told.get("crop_size") if told.get("do_center_crop") else None) or _sides(told.get("size"))
    mean, spread = (_of_channels(told.get(name), channels) for name in ("image_mean", "image_std"))
    if told.get("do_normalize") is False:
        mean, spread = (0.0,) * channels, (1.0,) * channels
    found = sides or _sides(config.get("image_size")) or (USUAL_PX, USUAL_PX)
    return {"sides": list(found), "channels": channels, "mean": list(mean), "deviation": list(spread)}


def _ears(folder: Path) -> dict[str, Any]:
    told = _preparation(folder)
    return {"rate": int(told.get("sampling_rate") or USUAL_HZ), "is_levelled": bool(told.get("do_normalize", True))}


def _preparation(folder: Path) -> dict[str, Any]:
    """What a checkpoint says of how its inputs were prepared."""
    for name, inner in (("preprocessor_config.json", None), ("processor_config.json", "image_processor")):
        file = folder / name
        if file.is_file():
            told = json.loads(file.read_text(encoding="utf-8"))
            told = told.get(inner, {}) if inner else told
            return told if isinstance(told, dict) else {}
    return {}


def _sides(told: Any) -> tuple[int, int] | None:
    """Height and width, of any way to write them."""
    if isinstance(told, Mapping):
        told = [told.get("height") or told.get("shortest_edge"), told.get("width") or told.get("shortest_edge")]
    if isinstance(told, int | float):
        told = [told, told]
    if isinstance(told, list | tuple) and len(told) == 2 and all(isinstance(side, int | float) for side in told):
        return int(told[0]), int(told[1])
    return None


def _of_channels(told: Any, channels: int) -> tuple[float, ...]:
    values = [float(value) for value in told] if isinstance(told, list | tuple) else []
    return tuple(values) if len(values) == channels else (0.5,) * channels


@contextmanager
def _silenced(library: Any) -> Iterator[None]:
    """Its reports of weights left out on purpose, and its bars, are not for our users."""
    logging = library.utils.logging
    before, had_bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if had_bar:
            logging.enable_progress_bar()


# --- the network -----------------------------------------------------------------------------------------------------


def _width(network: nn.Module, facts: Mapping[str, Any]) -> int:
    import numpy as np
    import torch

    blank: torch.Tensor | np.ndarray = np.array(["a word"], dtype=object)
    if facts["media"] != "text":
        blank = (
            torch.zeros(1, *facts["sides"], facts["channels"]) if facts["media"] == "image" else torch.zeros(1, 8_000)
        )
    with torch.inference_mode():
        return int(network.eval()(blank).shape[1])


def _wrapped(model: Any, facts: Mapping[str, Any], rate: int) -> nn.Module:
    """Behind what makes rows of a store fit it."""
    if facts["media"] == "text":
        return transformers_text.wrapped(model, facts, None)
    import torch
    from torch import nn

    from automl.modalities.encoders import fitting

    class SeeingNetwork(nn.Module):
        """Pictures of any size -> the model's summary of each."""

        def __init__(self) -> None:
            super().__init__()
            self.prepared, self.model = fitting.FittedPictures(facts), model
            self.has_class_token = any("cls_token" in n or "class_emb" in n for n, _ in model.named_parameters())

        def forward(self, x: Tensor) -> Tensor:
            said = self.model(pixel_values=self.prepared(x))
            return _summed_up(said, has_class_token=self.has_class_token)

    class HearingNetwork(nn.Module):
        """Waves of any rate -> the mean of what the model says over the time that there is sound."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, x: Tensor) -> Tensor:
            waves = fitting.resampled(x.float() / 32768.0, rate, facts["rate"])
            waves = nn.functional.pad(waves, (0, max(0, SHORTEST_SAMPLES - waves.shape[1])))
            length = fitting.ends(waves)
            is_real = torch.arange(waves.shape[1], device=waves.device) < length[:, None]
            said = self.model(input_values=_levelled(waves, is_real) if facts["is_levelled"] else waves)
            states = said.last_hidden_state
            last = (length / waves.shape[1] * states.shape[1]).ceil()
            heard = (torch.arange(states.shape[1], device=waves.device) < last[:, None]).float()[:, :, None]
            mean: Tensor = (states * heard).sum(dim=1) / heard.sum(dim=1)
            return mean

    return SeeingNetwork() if facts["media"] == "image" else HearingNetwork()


def _levelled(waves: Tensor, is_real: Tensor) -> Tensor:
    """Mean 0 and deviation 1 over what is no padding; padding stays silent."""
    count = is_real.sum(dim=1, keepdim=True)
    centred = (waves - (waves * is_real).sum(dim=1, keepdim=True) / count) * is_real
    spread = (centred.square().sum(dim=1, keepdim=True) / count).sqrt().clamp(min=FAINTEST)
    levelled: Tensor = centred / spread
    return levelled


def _summed_up(said: Any, *, has_class_token: bool) -> Tensor:
    """One vector a row: of maps their mean, of tokens the class token beside the mean of the others."""
    import torch

    states: Tensor = said.last_hidden_state
    if states.ndim == 3:
        parts = [states[:, 0], states[:, 1:].mean(dim=1)] if has_class_token else [states.mean(dim=1)]
        return torch.cat(parts, dim=1).float()
    pooled = getattr(said, "pooler_output", None)
    summary: Tensor = states.mean(dim=(2, 3)) if pooled is None else pooled.flatten(1)
    return summary.float()
