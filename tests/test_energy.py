"""The energy meter over folders that look like the system's, and over cards that count into files."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.energy import Energy, EnergyMeter, MeterPart, MeterSource
from cluster.prices import Machine, Rates

RANGE_UJ = 65_532_610_987  # of common servers
UJ_PER_KWH = 3.6e12
RATES = replace(Rates(), core_busy_w=5, core_idle_w=1, memory_w_per_gb=0.5)
HOST = Machine("host", cores=4, memory_gb=16)
GPU_HOST = replace(HOST, gpus=(("Tesla T4", 2),))
HOUR_S = 3600.0


def set_zone(root: Path, zone: str, name: str, energy_uj: int, range_uj: int = RANGE_UJ) -> Path:
    """A RAPL domain as the system shows it; the file that counts."""
    folder = root / f"intel-rapl:{zone}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "name").write_text(f"{name}\n")
    (folder / "max_energy_range_uj").write_text(f"{range_uj}\n")
    (folder / "energy_uj").write_text(f"{energy_uj}\n")
    return folder / "energy_uj"


def read(meter: EnergyMeter, wall_s: float = HOUR_S) -> Energy:
    """A reading of a machine of which one core and one card were busy all the time."""
    return meter.read(busy_core_s=wall_s, wall_s=wall_s, gpu_s=wall_s)


def microjoules(part: MeterPart) -> int:
    """What a measured part counted."""
    assert part.source is MeterSource.MEASURED, part
    return round(part.kwh * UJ_PER_KWH)


ESTIMATED_CPU_KWH = (1 * 5 + 3 * 1) / 1000
ESTIMATED_MEMORY_KWH = 16 * 0.5 / 1000

# --- counters of processors ------------------------------------------------------------------------------------------


def test_packages_and_memory_are_measured_and_nothing_is_counted_twice(tmp_path: Path) -> None:
    counters = {
        zone: set_zone(tmp_path, zone, name, 1000)
        for zone, name in [("0", "package-0"), ("0:0", "core"), ("0:1", "uncore"), ("0:2", "dram"),
                           ("1", "package-1"), ("1:0", "dram"), ("2", "psys")]
    }  # fmt: skip
    (tmp_path / "intel-rapl").mkdir()
    mmio = tmp_path / "intel-rapl-mmio:0"
    (tmp_path / "intel-rapl:0").rename(mmio)  # a second view of package 0, with the same name
    counters["0"] = set_zone(tmp_path, "0", "package-0", 1000)
    meter = EnergyMeter(RATES, HOST, tmp_path)
    for place, path in enumerate(counters.values()):
        path.write_text(str(1000 + 10**place))
    (mmio / "energy_uj").write_text("999999999")
    energy = read(meter)
    assert microjoules(energy.cpu) == 10**0 + 10**4
    assert microjoules(energy.memory) == 10**3 + 10**5
    assert energy.cpu.note == energy.memory.note == ""


def test_readings_are_totals_since_the_start(tmp_path: Path) -> None:
    counter = set_zone(tmp_path, "0", "package-0", 5_000)
    meter = EnergyMeter(RATES, HOST, tmp_path)
    counter.write_text("6000")
    meter.sample()
    counter.write_text("8000")
    assert microjoules(read(meter).cpu) == 3000
    assert microjoules(read(meter).cpu) == 3000


def test_a_counter_that_starts_again_from_zero_is_followed(tmp_path: Path) -> None:
    counter = set_zone(tmp_path, "0", "package-0", RANGE_UJ - 70)
    meter = EnergyMeter(RATES, HOST, tmp_path)
    counter.write_text("30")
    assert microjoules(read(meter).cpu) == 100


@given(start=st.integers(0, RANGE_UJ - 1), gains=st.lists(st.integers(1, RANGE_UJ - 1), min_size=1, max_size=6))
def test_any_walk_of_a_counter_adds_up(start: int, gains: list[int], tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.getbasetemp() / "walk"
    counter = set_zone(root, "0", "package-0", start)
    meter = EnergyMeter(RATES, HOST, root)
    for steps in range(1, len(gains) + 1):
        counter.write_text(str((start + sum(gains[:steps])) % RANGE_UJ))
        meter.sample()
    assert microjoules(read(meter).cpu) == pytest.approx(sum(gains), abs=1)


def test_a_counter_that_may_have_gone_round_twice_is_given_up(tmp_path: Path) -> None:
    """This one goes round in no time at any power, so whatever it says is a guess."""
    counter = set_zone(tmp_path, "0", "package-0", 0, range_uj=100)
    meter = EnergyMeter(RATES, HOST, tmp_path)
    counter.write_text(str(10**13))
    cpu = read(meter).cpu
    assert (cpu.source, cpu.kwh) == (MeterSource.ESTIMATED, pytest.approx(ESTIMATED_CPU_KWH))
    assert "more than once" in cpu.note


def lose(counter: Path) -> None:
    counter.unlink()


def lock(counter: Path) -> None:
    """What cannot be opened as a file; rights would not stop a test that runs as root."""
    counter.unlink()
    counter.mkdir()


def garble(counter: Path) -> None:
    counter.write_text("<not supported>")


def empty(counter: Path) -> None:
    counter.write_text("")


DAMAGES = [lose, lock, garble, empty]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_counter_lost_midway_gives_way_to_the_estimate(damage: Callable[[Path], None], tmp_path: Path) -> None:
    counter = set_zone(tmp_path, "0", "package-0", 1)
    memory = set_zone(tmp_path, "0:0", "dram", 1)
    meter = EnergyMeter(RATES, HOST, tmp_path)
    counter.write_text("5000")
    assert read(meter).cpu.source is MeterSource.MEASURED
    damage(counter)
    memory.write_text("701")
    energy = read(meter)
    assert (energy.cpu.source, energy.cpu.kwh) == (MeterSource.ESTIMATED, pytest.approx(ESTIMATED_CPU_KWH))
    assert energy.cpu.note.startswith("intel-rapl:0 (package-0) cannot be read")
    assert "\n" not in energy.cpu.note
    assert microjoules(energy.memory) == 700


def test_a_lost_counter_stays_lost(tmp_path: Path) -> None:
    counter = set_zone(tmp_path, "0", "package-0", 1)
    meter = EnergyMeter(RATES, HOST, tmp_path)
    lose(counter)
    first = read(meter).cpu
    garble(counter)
    assert read(meter).cpu == first
    counter.write_text("9000")
    assert read(meter).cpu == first


def test_what_was_measured_is_not_taken_back_when_the_counter_is_lost(tmp_path: Path) -> None:
    counter = set_zone(tmp_path, "0", "package-0", 0)
    meter = EnergyMeter(RATES, HOST, tmp_path)
    counter.write_text(str(RANGE_UJ - 1))
    before = read(meter).cpu.kwh
    lose(counter)
    after = read(meter).cpu
    assert before > ESTIMATED_CPU_KWH
    assert (after.kwh, after.source) == (before, MeterSource.ESTIMATED)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("file", ["energy_uj", "max_energy_range_uj"])
def test_one_unreadable_package_of_two_makes_the_part_an_estimate(
    damage: Callable[[Path], None], file: str, tmp_path: Path
) -> None:
    first = set_zone(tmp_path, "0", "package-0", 1)
    damage(set_zone(tmp_path, "1", "package-1", 1).with_name(file))
    meter = EnergyMeter(RATES, HOST, tmp_path)
    first.write_text("9000")
    cpu = read(meter).cpu
    assert (cpu.source, cpu.kwh) == (MeterSource.ESTIMATED, pytest.approx(ESTIMATED_CPU_KWH))
    assert "intel-rapl:1" in cpu.note


def test_a_counter_that_stands_still_is_not_believed(tmp_path: Path) -> None:
    """Virtual machines show counters that nothing moves; at the very start none has moved yet."""
    set_zone(tmp_path, "0", "package-0", 0)
    meter = EnergyMeter(RATES, HOST, tmp_path)
    assert read(meter, wall_s=0.1).cpu.source is MeterSource.MEASURED
    cpu = read(meter).cpu
    assert (cpu.source, cpu.kwh) == (MeterSource.ESTIMATED, pytest.approx(ESTIMATED_CPU_KWH))
    assert "still" in cpu.note


# --- estimates -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("root", ["missing", "."])
def test_without_counters_everything_is_estimated_and_says_why(root: str, tmp_path: Path) -> None:
    energy = read(EnergyMeter(RATES, HOST, tmp_path / root))
    assert energy.cpu.kwh == pytest.approx(ESTIMATED_CPU_KWH)
    assert energy.memory.kwh == pytest.approx(ESTIMATED_MEMORY_KWH)
    assert energy.kwh == pytest.approx(ESTIMATED_CPU_KWH + ESTIMATED_MEMORY_KWH)
    assert {energy.cpu.source, energy.memory.source} == {MeterSource.ESTIMATED}
    assert energy.cpu.note.startswith("no package counter in ")
    assert energy.memory.note.startswith("no dram counter in ")


def test_a_machine_without_cards_has_no_part_for_them(tmp_path: Path) -> None:
    gpu = read(EnergyMeter(RATES, HOST, tmp_path)).gpu
    assert (gpu.kwh, gpu.source, gpu.note) == (0.0, MeterSource.NONE, "")


def test_the_building_takes_its_share_of_measured_and_estimated_parts(tmp_path: Path) -> None:
    counter = set_zone(tmp_path, "0", "package-0", 0)
    meter = EnergyMeter(replace(RATES, pue=1.5), HOST, tmp_path)
    counter.write_text("1000")
    energy = read(meter)
    assert microjoules(energy.cpu) == 1500
    assert energy.memory.kwh == pytest.approx(1.5 * ESTIMATED_MEMORY_KWH)


def test_the_estimate_of_busy_cores_agrees_with_the_watts_of_the_card(tmp_path: Path) -> None:
    energy = EnergyMeter(RATES, HOST, tmp_path).read(busy_core_s=4 * HOUR_S, wall_s=HOUR_S)
    assert (
        energy.kwh == pytest.approx(RATES.watts(HOST) / 1000) == pytest.approx(RATES.energy_for_seconds(HOUR_S, [HOST]))
    )


@pytest.mark.parametrize("wall_s", [0.0, -1.0])
def test_no_time_takes_no_energy(wall_s: float, tmp_path: Path) -> None:
    assert EnergyMeter(RATES, HOST, tmp_path).read(busy_core_s=3, wall_s=wall_s, gpu_s=1).kwh == 0


def test_more_busy_seconds_than_there_are_count_as_all(tmp_path: Path) -> None:
    meter = EnergyMeter(RATES, HOST, tmp_path)
    assert meter.read(9 * HOUR_S, HOUR_S).cpu.kwh == meter.read(4 * HOUR_S, HOUR_S).cpu.kwh == pytest.approx(0.020)


# --- cards -----------------------------------------------------------------------------------------------------------

NVML = '''
"""Cards that count into files beside this one, with the names of the real module."""
from pathlib import Path

HERE = Path(__file__).parent

class NVMLError(Exception):
    pass

def nvmlInit():
    if (HERE / "no_driver").exists():
        raise NVMLError("Driver Not\\nLoaded")

def nvmlDeviceGetCount():
    return len(list(HERE.glob("card*")))

def nvmlDeviceGetHandleByIndex(index):
    return _handle(HERE / f"card{index}")

def nvmlDeviceGetHandleByUUID(uuid):
    return _handle(HERE / uuid.replace("GPU-", "card"))

def _handle(path):
    if not path.exists():
        raise NVMLError("Invalid Argument")
    return path

def nvmlDeviceGetTotalEnergyConsumption(path):
    try:
        return int(path.read_text())
    except (OSError, ValueError) as error:
        raise NVMLError("Not Supported") from error
'''
ESTIMATED_GPU_KWH = (70 + 10) / 1000  # one T4 busy, one idle


@pytest.fixture
def cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the module and two cards; what they write in it counts millijoules."""
    folder = tmp_path / "nvml"
    folder.mkdir()
    (folder / "pynvml.py").write_text(NVML)
    for number in range(2):
        (folder / f"card{number}").write_text("1000")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    before = sys.modules.pop("pynvml", None)
    yield folder
    sys.modules.pop("pynvml", None)
    if before is not None:
        sys.modules["pynvml"] = before


def test_cards_are_measured_in_millijoules(cards: Path, tmp_path: Path) -> None:
    meter = EnergyMeter(RATES, GPU_HOST, tmp_path)
    (cards / "card0").write_text("3000")
    (cards / "card1").write_text("1500")
    gpu = read(meter).gpu
    assert microjoules(gpu) == (2000 + 500) * 1000
    assert gpu.note == ""


@pytest.mark.parametrize("visible", ["1", "GPU-1", " 1 ,"])
def test_only_visible_cards_are_measured(
    visible: str, cards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    meter = EnergyMeter(RATES, replace(HOST, gpus=(("T4", 1),)), tmp_path)
    (cards / "card0").write_text("9000")
    (cards / "card1").write_text("1500")
    assert microjoules(read(meter).gpu) == 500 * 1000


def no_driver(cards: Path) -> None:
    (cards / "no_driver").touch()


def old_card(cards: Path) -> None:
    (cards / "card1").write_text("")


def third_card(cards: Path) -> None:
    (cards / "card2").write_text("0")


def no_module(cards: Path) -> None:
    (cards / "pynvml.py").write_text("raise ImportError('not installed')")


@pytest.mark.parametrize(
    ("damage", "note"),
    [
        (no_driver, "NVML: Driver Not Loaded"),
        (old_card, "GPU 1 cannot be read (Not Supported)"),
        (third_card, "NVML shows 3 cards where 2 were expected"),
        (no_module, "NVML is not installed (pip install nvidia-ml-py)"),
    ],
)
def test_cards_that_cannot_be_measured_are_estimated_and_say_why(
    damage: Callable[[Path], None], note: str, cards: Path, tmp_path: Path
) -> None:
    damage(cards)
    gpu = read(EnergyMeter(RATES, GPU_HOST, tmp_path)).gpu
    assert (gpu.source, gpu.kwh, gpu.note) == (MeterSource.ESTIMATED, pytest.approx(ESTIMATED_GPU_KWH), note)


def test_cards_chosen_that_are_not_there_are_estimated(
    cards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,7")
    gpu = read(EnergyMeter(RATES, GPU_HOST, tmp_path)).gpu
    assert (gpu.source, gpu.note) == (MeterSource.ESTIMATED, "NVML: Invalid Argument")


def test_a_card_whose_driver_was_loaded_again_is_estimated(cards: Path, tmp_path: Path) -> None:
    meter = EnergyMeter(RATES, GPU_HOST, tmp_path)
    (cards / "card0").write_text("5")
    gpu = read(meter).gpu
    assert (gpu.source, gpu.note) == (MeterSource.ESTIMATED, "GPU 0 went backwards")


def test_a_module_that_warns_on_import_is_used_all_the_same(cards: Path, tmp_path: Path) -> None:
    """Warnings are errors in these tests; the deprecated package of that name gives one."""
    (cards / "pynvml.py").write_text("import warnings\nwarnings.warn('old', FutureWarning)\n" + NVML)
    meter = EnergyMeter(RATES, GPU_HOST, tmp_path)
    (cards / "card0").write_text("3000")
    assert read(meter).gpu.source is MeterSource.MEASURED


def test_a_machine_without_cards_does_not_ask_for_any(cards: Path, tmp_path: Path) -> None:
    EnergyMeter(RATES, HOST, tmp_path)
    assert "pynvml" not in sys.modules


def test_cards_are_busy_all_the_time_unless_said_otherwise(cards: Path, tmp_path: Path) -> None:
    no_driver(cards)
    meter = EnergyMeter(RATES, GPU_HOST, tmp_path)
    assert meter.read(0, HOUR_S).gpu.kwh == pytest.approx(2 * 70 / 1000)
    assert meter.read(0, HOUR_S, gpu_s=0).gpu.kwh == pytest.approx(2 * 10 / 1000)
