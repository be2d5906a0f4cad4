"""The rate card: what is shipped, what a file may change, what machines cost, how long a budget lasts."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Callable
from dataclasses import FrozenInstanceError, asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.prices import GpuRate, Machine, PriceError, Rates

SHIPPED = Path(__file__).parent.parent / "cluster" / "deploy" / "rates.toml"
LAPTOP = Machine("laptop", cores=8, memory_gb=16)
SERVER = Machine("server", cores=16, memory_gb=64, gpus=(("NVIDIA H100 80GB HBM3", 2),))
TYPES = ("T4", "L4", "A10G", "V100", "A100-40GB", "A100-80GB", "H100", "H200", "B200")
NUMBERS = [spec.name for spec in fields(Rates) if spec.name not in ("currency", "gpus")]

amounts = st.floats(0, 1e6)
shares = st.floats(0, 1)


@st.composite
def gpu_rates(
    draw: st.DrawFn, names: tuple[str, ...] = (*TYPES, "default", "RTX 4090", "MI300X", "b.1-2_3")
) -> GpuRate:
    idle_w, more_w = draw(amounts), draw(amounts)
    return GpuRate(draw(st.sampled_from(names)), draw(amounts), idle_w + more_w, idle_w)


@st.composite
def rate_cards(draw: st.DrawFn) -> Rates:
    numbers = {name: draw(amounts) for name in NUMBERS}
    numbers |= {"spot_factor_cpu": draw(shares), "spot_factor_gpu": draw(shares), "pue": 1 + draw(shares)}
    numbers["core_busy_w"] += numbers["core_idle_w"]
    rows = draw(st.lists(gpu_rates(), max_size=6, unique_by=lambda row: row.name))
    return Rates(draw(st.from_regex("[A-Z]{3}", fullmatch=True)), **numbers, gpus=tuple(rows))


@st.composite
def machines(draw: st.DrawFn) -> Machine:
    gpus = draw(st.lists(st.tuples(st.sampled_from([*TYPES, "A100", "unheard of"]), st.integers(0, 16)), max_size=3))
    return Machine("any", draw(st.floats(0, 1000)), draw(st.floats(0, 10_000)), tuple(gpus), draw(st.booleans()))


def write(folder: Path, text: str) -> Path:
    path = folder / "own.toml"
    path.write_text(text, encoding="utf-8")
    return path


# --- the shipped card ------------------------------------------------------------------------------------------------


def test_the_shipped_file_states_every_default_and_nothing_else() -> None:
    assert tomllib.loads(SHIPPED.read_text()) == tomllib.loads(Rates().as_toml())
    assert Rates.load(SHIPPED) == Rates()


def test_newer_and_larger_cards_of_a_line_cost_more() -> None:
    prices = [Rates().gpu(name).per_hour for name in ("A100-40GB", "A100-80GB", "H100", "H200", "B200")]
    assert prices == sorted(set(prices))


def test_a_common_cloud_machine_costs_about_its_list_price() -> None:
    """Two cores with 8 GB go for 0.096 to 0.1 an hour, eight H100 with 192 cores and 2 TB for 55."""
    assert Rates().per_hour(Machine("small", 2, 8)) == pytest.approx(0.098, rel=0.05)
    assert Rates().per_hour(Machine("large", 192, 2048, (("H100", 8),))) == pytest.approx(55, rel=0.05)


# --- reading and writing ---------------------------------------------------------------------------------------------


@given(card=rate_cards())
def test_a_card_comes_back_from_its_own_toml(card: Rates, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert Rates.load(write(tmp_path_factory.getbasetemp(), card.as_toml())) == card


@pytest.mark.parametrize("name", NUMBERS)
def test_a_file_changes_the_figure_it_names_and_no_other(name: str, tmp_path: Path) -> None:
    value = 1 if name.startswith(("spot", "pue")) else 900
    if name == "core_idle_w":
        value = 2
    other = 1.5 if name == "pue" else 0.9 if name.startswith("spot") else value
    assert Rates.load(write(tmp_path, f"{name} = {other}")) == replace(Rates(), **{name: other})
    assert Rates.load(write(tmp_path, f"{name} = {other}")) != Rates()


def test_an_empty_file_is_the_shipped_card(tmp_path: Path) -> None:
    assert Rates.load(write(tmp_path, "")) == Rates()
    assert Rates.load(str(write(tmp_path, "\ufeff# with a byte order mark, as some editors write"))) == Rates()


def test_a_shipped_gpu_keeps_what_a_file_leaves_out(tmp_path: Path) -> None:
    card = Rates.load(write(tmp_path, "[gpus]\nh100 = { per_hour = 1.99 }"))
    assert card.gpu("NVIDIA H100 PCIe") == GpuRate("h100", 1.99, 700.0, 70.0)
    assert [row for row in card.gpus if row.name != "h100"] == [row for row in Rates().gpus if row.name != "H100"]


def test_a_file_may_add_a_gpu_and_change_the_default(tmp_path: Path) -> None:
    text = '[gpus]\n"RTX 4090" = { per_hour = 0.4, busy_w = 450, idle_w = 15 }\ndefault = { per_hour = 9 }'
    card = Rates.load(write(tmp_path, text))
    assert card.gpu("NVIDIA GeForce RTX 4090").per_hour == 0.4
    assert card.gpu("NVIDIA GeForce RTX 3090").per_hour == 9
    assert card.gpu("T4") == Rates().gpu("T4")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("per_core_hours = 1", "unknown rate 'per_core_hours'. Did you mean 'per_core_hour'?"),
        ("[price]\ncore = 1", "unknown rate 'price'"),
        ('per_core_hour = "0.03"', "per_core_hour must be a number of 0 or more, got '0.03'. Leave it out for 0.033."),
        ("per_core_hour = true", "per_core_hour must be a number of 0 or more, got True"),
        ("per_gb_hour = -0.1", "per_gb_hour must be a number of 0 or more, got -0.1"),
        ("per_gb_hour = nan", "per_gb_hour must be a number of 0 or more, got nan"),
        ("co2_g_per_kwh = inf", "co2_g_per_kwh must be a number of 0 or more, got inf"),
        (f"co2_g_per_kwh = {'9' * 400}", "co2_g_per_kwh must be a number of 0 or more, got 999"),
        ("pue = 0.9", "pue must be a number of 1 or more, got 0.9"),
        ("spot_factor_cpu = 1.1", "spot_factor_cpu must be a number from 0 to 1, got 1.1"),
        ("spot_factor_gpu = 35", "spot_factor_gpu must be a number from 0 to 1, got 35"),
        ("core_busy_w = 0.5", "core_busy_w must not be below idle_w, got 0.5 and 0.75. Lower idle_w too."),
        ("currency = 3", "currency must be three capital letters, got 3"),
        ('currency = "dollars"', "currency must be three capital letters, got 'dollars'"),
        ("gpus = 3", "gpus must be a table of types, got 3"),
        ("[gpus]\nT4 = 0.35", "'T4' in gpus must be a table of figures, got 0.35"),
        ("[gpus.T4]\nper_hours = 1", "unknown figure of 'T4' in gpus 'per_hours'. Did you mean 'per_hour'?"),
        ("[gpus.T4]\nper_hour = -1", "gpus.T4.per_hour must be a number of 0 or more, got -1"),
        ("[gpus.T4]\nbusy_w = [70]", "gpus.T4.busy_w must be a number of 0 or more, got [70]"),
        ("[gpus.T4]\nidle_w = 80", "gpus.T4.busy_w must not be below idle_w, got 70.0 and 80"),
        ("[gpus.H10O]\nper_hour = 1", "new type 'H10O' in gpus has only ['per_hour']"),
        ('[gpus]\n"a\\nb" = {per_hour = 1, busy_w = 1, idle_w = 1}', "must be a plain name, got 'a\\nb'"),
        ("[gpus]\nT4 = {per_hour = 1}\nt4 = {per_hour = 2}", "gpus has two rows of one type, got ['T4', 't4']"),
        ("per_core_hour == 1", "is not TOML, got"),
        ("pue = 1\npue = 2", "is not TOML, got"),
        (f"pue = {'9' * 5000}", "is not TOML, got"),
        (f"pue = {'[' * 5000}", "is not TOML, got"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line_with_the_file_and_the_value(
    text: str, message: str, tmp_path: Path
) -> None:
    path = write(tmp_path, text)
    with pytest.raises(PriceError) as refused:
        Rates.load(path)
    said = str(refused.value)
    assert said.startswith(f"rate card {str(path)!r}: ")
    assert message in said
    assert said.endswith((".", "?"))
    assert "\n" not in said


def test_a_file_that_cannot_be_read_is_refused_the_same_way(tmp_path: Path) -> None:
    with pytest.raises(PriceError, match=r"missing\.toml.*No such file.*Give the path"):
        Rates.load(tmp_path / "missing.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PriceError, match="is not TOML"):
        Rates.load(tmp_path / "bytes.toml")


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [-1, math.nan, math.inf, "1", None, True])
def test_a_card_made_in_python_is_held_to_the_same_rules(name: str, value: Any) -> None:
    with pytest.raises(PriceError, match=name):
        replace(Rates(), **{name: value})


def test_a_card_does_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        Rates().per_core_hour = 0  # type: ignore[misc] # the point
    assert hash(Rates()) == hash(Rates())


# --- names of GPUs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "row"),
    [
        *((name, name) for name in TYPES),
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA H100 NVL", "H100"),
        ("accelerator_type:H100", "H100"),
        ("nvidia-h100-80gb", "H100"),
        ("NVIDIA H200", "H200"),
        ("NVIDIA B200", "B200"),
        ("Tesla T4", "T4"),
        ("tesla-t4", "T4"),
        ("NVIDIA L4", "L4"),
        ("NVIDIA A10G", "A10G"),
        ("Tesla V100-SXM2-16GB", "V100"),
        ("NVIDIA A100-SXM4-40GB", "A100-40GB"),
        ("A100-40G", "A100-40GB"),
        ("A100 40 GiB", "A100-40GB"),
        ("NVIDIA A100 80GB PCIe", "A100-80GB"),
        ("nvidia_a100_80gb", "A100-80GB"),
        ("A100", "A100-80GB"),
        ("NVIDIA A100-SXM-64GB", "A100-80GB"),
        ("NVIDIA A100-SXM4-80GB MIG 3g.40gb", "A100-80GB"),
    ],
)
def test_a_gpu_is_found_by_any_usual_name(name: str, row: str) -> None:
    assert Rates().gpu(name).name == row
    assert not Rates().gpu(name).is_default


@pytest.mark.parametrize("name", ["NVIDIA T400 4GB", "NVIDIA L40S", "GH200", "A10", "80GB", "AMD MI300X", "GPU", ""])
def test_an_unknown_gpu_gets_the_default_and_says_so(name: str) -> None:
    assert Rates().gpu(name).is_default
    assert Rates().per_hour(Machine("m", 0, 0, ((name, 1),))) == Rates().gpu("default").per_hour


def test_a_row_with_a_closer_name_wins() -> None:
    nvl = GpuRate("H100 NVL", 4.0, 400, 60)
    small = GpuRate("V100-16GB", 3.0, 300, 40)
    card = Rates(gpus=(nvl, small))
    assert card.gpu("NVIDIA H100 NVL") == nvl
    assert card.gpu("NVIDIA H100 80GB HBM3") == Rates().gpu("H100")
    assert card.gpu("Tesla V100-SXM2-16GB") == small
    assert card.gpu("Tesla V100-SXM2-32GB") == Rates().gpu("V100")


# --- what machines cost ----------------------------------------------------------------------------------------------


def test_a_machine_costs_the_sum_of_its_parts() -> None:
    card = replace(
        Rates(), per_core_hour=1, per_gb_hour=0.5, gpus=(GpuRate("T4", 10, 70, 10), GpuRate("L4", 20, 70, 10))
    )
    machine = Machine("m", 4, 8, (("Tesla T4", 2), ("NVIDIA L4", 1)))
    assert card.per_hour(machine) == 4 * 1 + 8 * 0.5 + 2 * 10 + 20
    spot = replace(card, spot_factor_cpu=0.25, spot_factor_gpu=0.5)
    assert spot.per_hour(replace(machine, is_spot=True)) == 8 * 0.25 + 40 * 0.5
    assert spot.per_hour(machine) == card.per_hour(machine)


@given(card=rate_cards(), machine=machines(), more=st.floats(0, 100), kind=st.sampled_from([*TYPES, "unheard of"]))
def test_more_of_anything_never_costs_or_draws_less(card: Rates, machine: Machine, more: float, kind: str) -> None:
    larger = [
        replace(machine, cores=machine.cores + more),
        replace(machine, memory_gb=machine.memory_gb + more),
        replace(machine, gpus=(*machine.gpus, (kind, more))),
        replace(machine, gpus=tuple((name, count + more) for name, count in machine.gpus)),
    ]
    for other in larger:
        assert card.per_hour(machine) <= card.per_hour(other)
        assert card.watts(machine) <= card.watts(other) * (1 + 1e-12)
    assert card.per_hour(replace(machine, is_spot=True)) <= card.per_hour(replace(machine, is_spot=False))


@pytest.mark.parametrize("larger", [{"cores": 9}, {"memory_gb": 17}, {"gpus": (("T4", 1),)}])
def test_more_of_anything_costs_more_on_the_shipped_card(larger: dict[str, Any]) -> None:
    assert Rates().per_hour(replace(LAPTOP, **larger)) > Rates().per_hour(LAPTOP)
    assert Rates().watts(replace(LAPTOP, **larger)) > Rates().watts(LAPTOP)


@pytest.mark.parametrize("field", ["cores", "memory_gb"])
@pytest.mark.parametrize("value", [-1, math.nan, math.inf, "8", None])
def test_a_machine_that_cannot_be_is_refused(field: str, value: Any) -> None:
    with pytest.raises(PriceError, match=f"{field}.*'laptop'.*got {value!r}"):
        replace(LAPTOP, **{field: value})


def test_a_negative_count_of_gpus_is_refused() -> None:
    with pytest.raises(PriceError, match="'T4' of machine 'm' must be a number of 0 or more, got -1"):
        Machine("m", 1, 1, (("T4", -1),))


# --- watts -----------------------------------------------------------------------------------------------------------


def test_watts_are_those_of_busy_and_idle_parts() -> None:
    card = replace(Rates(), core_busy_w=4, core_idle_w=1, memory_w_per_gb=0.5)
    assert asdict(card.draw(SERVER, busy_cores=6, busy_gpus=1)) == {
        "cpu_w": 6 * 4 + 10 * 1,
        "memory_w": 64 * 0.5,
        "gpu_w": 700 + 70,
    }
    assert card.watts(SERVER, 6, 1) == 34 + 32 + 770
    assert replace(card, pue=1.5).watts(SERVER, 6, 1) == 1.5 * (34 + 32 + 770)


def test_without_a_word_everything_is_busy() -> None:
    assert Rates().watts(SERVER) == Rates().watts(SERVER, 16, 2) == Rates().watts(SERVER, 99, 99)
    assert Rates().watts(SERVER) > Rates().watts(SERVER, 15, 2) > Rates().watts(SERVER, 15, 1.5)
    assert Rates().watts(SERVER, 0, 0) == Rates().watts(SERVER, -5, -5) > 0


def test_a_machine_without_gpus_draws_nothing_for_them() -> None:
    assert Rates().draw(LAPTOP).gpu_w == Rates().draw(LAPTOP, busy_gpus=3).gpu_w == 0


# --- budgets ---------------------------------------------------------------------------------------------------------


def test_a_sum_buys_the_hours_it_should() -> None:
    card = replace(Rates(), per_core_hour=0.1, per_gb_hour=0)
    assert card.seconds_for_money(1.6, [LAPTOP]) == pytest.approx(2 * 3600)
    assert card.seconds_for_money(1.6, [LAPTOP, LAPTOP]) == pytest.approx(3600)
    assert card.money_for_seconds(1800, [LAPTOP]) == pytest.approx(0.4)


def test_energy_lasts_as_long_as_all_cores_and_cards_busy_let_it() -> None:
    watts = Rates().watts(SERVER)
    assert Rates().seconds_for_energy(1, [SERVER]) == pytest.approx(1000 / watts * 3600)
    assert Rates().energy_for_seconds(3600, [SERVER, LAPTOP]) == pytest.approx((watts + Rates().watts(LAPTOP)) / 1000)


Way = tuple[Callable[[Rates], Callable[..., float]], Callable[[Rates], Callable[..., float]]]
WAYS: dict[str, Way] = {
    "money": (lambda card: card.seconds_for_money, lambda card: card.money_for_seconds),
    "energy": (lambda card: card.seconds_for_energy, lambda card: card.energy_for_seconds),
}


@pytest.mark.parametrize("way", WAYS)
@given(amount=st.floats(0.001, 1e6), held=st.lists(machines(), max_size=4), card=rate_cards())
def test_the_time_that_a_budget_buys_costs_that_budget(
    way: str, amount: float, held: list[Machine], card: Rates
) -> None:
    seconds_for, amount_for = (method(card) for method in WAYS[way])
    hour = amount_for(3600, held)
    if hour < 1e-9:  # as good as free: the time has no end, or nearly none
        assert seconds_for(amount, held) > 1e9
    else:
        assert amount_for(seconds_for(amount, held), held) == pytest.approx(amount)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("amount", [-1, math.nan, math.inf, "1"])
def test_an_amount_that_cannot_be_is_refused(way: str, amount: Any) -> None:
    for method in WAYS[way]:
        with pytest.raises(PriceError, match=re.escape(f"got {amount!r}")):
            method(Rates())(amount, [LAPTOP])


def test_what_costs_nothing_never_ends_and_no_money_buys_nothing() -> None:
    free = replace(Rates(), per_core_hour=0, per_gb_hour=0)
    assert free.seconds_for_money(1, [LAPTOP]) == math.inf
    assert Rates().seconds_for_money(1, []) == math.inf
    assert Rates().seconds_for_money(0, [LAPTOP]) == 0


def test_co2_follows_energy() -> None:
    assert Rates().co2_g(2) == 2 * Rates().co2_g_per_kwh
