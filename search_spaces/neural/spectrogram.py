"""The way in for sounds: waves moved and scaled, their log-mel spectrogram, and masks over it.

Importing this file imports torch, so families import it inside `build`. All chance is drawn from torch's own generator
of the device, and only in training. Buffers are made anew from the parameters, so files of weights do not hold them.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from search_spaces.neural.mel import FAINTEST, FULL_SCALE, Mel, filters, taper

DEPTH = 1e-8  # power below a row's loudest spot, 80 dB: what is fainter counts as silence
REACH = 2.0  # maps lie between it and its negative


class LogMel(nn.Module):
    """Waves, int16 or floats on their scale, as pictures of bands over time. `size` is (bands, frames).

    Each row is measured by its loudest spot, which becomes REACH; what is 80 dB below, silence and padding, becomes
    -REACH. So loudness and padding change nothing. A mean of 0 and a deviation of 1 for each row were worse: heard by
    digits of unknown speakers, 0.62 of them right instead of 0.71, for noise then changes the level of all the rest.
    """

    window: Tensor
    filters: Tensor

    def __init__(self, rate: int, samples: int, window_ms: float = 25.0, hop_ms: float = 10.0, bands: int = 64) -> None:
        super().__init__()
        mel = Mel(window_ms, hop_ms, bands)
        self.fft, self.hop, self.size = mel.fft(rate), mel.hop(rate), (bands, mel.frames(samples, rate))
        self.padding = (self.size[1] - 1) * self.hop + mel.window(rate) - samples
        self.register_buffer("window", torch.from_numpy(taper(mel.window(rate))), persistent=False)
        self.register_buffer("filters", torch.from_numpy(filters(rate, mel)), persistent=False)

    def power(self, waves: Tensor) -> Tensor:
        """(rows, samples) -> (rows, bands, frames): mean power in each band; full scale is one."""
        with torch.autocast(waves.device.type, enabled=False):  # powers span more than narrow types hold
            padded = nn.functional.pad(waves.float() / FULL_SCALE, (0, self.padding))
            # twice as fast on a CPU as torch.stft, whose result lies the other way round
            spectrum = torch.fft.rfft(padded.unfold(1, len(self.window), self.hop) * self.window, self.fft)
            power = spectrum.real.square() + spectrum.imag.square()
            heard: Tensor = (power @ self.filters).transpose(1, 2)
            return heard

    def forward(self, waves: Tensor) -> Tensor:
        """(rows, samples) -> (rows, 1, bands, frames)."""
        power = self.power(waves)
        loudest = power.amax((1, 2), keepdim=True).clamp(min=FAINTEST)
        logs = torch.log(power / loudest + DEPTH)
        return (logs * (-2 * REACH / math.log(DEPTH)) + REACH).unsqueeze(1)


class SpecAugment(nn.Module):
    """Hides stretches of time and ranges of bands behind a middling loudness (Park et al. 2019, "SpecAugment").

    All `counts` (over time, over bands) masks of a kind together hide at most that kind's share, on average half of it.
    """

    def __init__(self, time_share: float, band_share: float, counts: tuple[int, int] = (2, 2)) -> None:
        super().__init__()
        self.time_share, self.band_share, self.counts = time_share, band_share, counts

    def forward(self, spectra: Tensor) -> Tensor:
        """(rows, channels, bands, frames), of the same shape."""
        if not self.training:
            return spectra
        rows, _, bands, frames = spectra.shape
        over_time = _masked(rows, frames, self.time_share, self.counts[0], spectra.device)
        over_bands = _masked(rows, bands, self.band_share, self.counts[1], spectra.device)
        return spectra.masked_fill(over_time[:, None, None, :] | over_bands[:, None, :, None], 0.0)


class Shake(nn.Module):
    """Moves each wave in time and changes its loudness, both by chance.

    A sound moves into its own padding: later by up to `shift_share` of the row. Where there is less padding than that
    it also moves the other way and may lose as much at an end. `gain_db`: most that it gets louder or softer.
    """

    def __init__(self, shift_share: float, gain_db: float = 0.0) -> None:
        super().__init__()
        self.shift_share, self.gain_db = shift_share, gain_db

    def forward(self, waves: Tensor) -> Tensor:
        """(rows, samples), int16 or floats on their scale -> floats of the same shape and scale."""
        if not self.training:
            return waves
        rows, samples = waves.shape
        waves = waves.float()
        if self.gain_db > 0:
            gains = (2 * torch.rand(rows, 1, device=waves.device) - 1) * self.gain_db
            waves = waves * 10 ** (gains / 20)
        most = round(self.shift_share * samples)
        if most < 1:
            return waves
        place = torch.arange(samples, device=waves.device)
        ends = torch.where(waves != 0, place + 1, 0).amax(1, keepdim=True)
        earliest = (samples - ends - most).clamp(-most, 0)  # none where the padding is long enough
        moves = earliest + torch.rand(rows, 1, device=waves.device) * (most + 1 - earliest)
        origin = place - moves.floor().long()
        inside = (origin >= 0) & (origin < samples)
        return waves.gather(1, origin.clamp(0, samples - 1)) * inside


def _masked(rows: int, size: int, share: float, count: int, device: torch.device) -> Tensor:
    """(rows, size): what is hidden."""
    place = torch.arange(size, device=device)
    hidden = torch.zeros(rows, size, dtype=torch.bool, device=device)
    for _ in range(count):
        width = torch.rand(rows, 1, device=device) * (share * size / count)
        start = torch.rand(rows, 1, device=device) * (size - width)
        hidden |= (place >= start) & (place < start + width)
    return hidden
