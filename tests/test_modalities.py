"""Every kind of data of the registry keeps the contract, on cells that modalities_made.py makes."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from modalities_made import MAKERS

from automl import modalities
from automl.modalities import contracts, mixture
from automl.modalities.contracts import Cells
from automl.modalities.image.modality import Image
from automl.modalities.protocol import Claim, Pass

ROOT = Path(__file__).parent.parent
DECODING = [kind.name for kind in modalities.all_decoding()]

CellsOf = Callable[[str], Cells]


@pytest.fixture(scope="module")
def cells_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CellsOf]:
    """Cells of a kind, made once; what is decoded of them stays in a folder of these tests, vocabularies are small."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("automl.modalities.image.patches.SEEN", 1500)
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield cache(lambda name: MAKERS[name](tmp_path_factory.mktemp(name)))


@pytest.mark.parametrize("name", modalities.names())
def test_a_kind_is_found_under_its_own_name_and_says_what_to_expect(name: str) -> None:
    """Shares are shares, families are known, and each expectation has its reason."""
    kind = modalities.get(name)
    assert kind.name == name
    contracts.check_modality(kind)


def test_an_unknown_kind_is_refused_with_the_known_ones() -> None:
    """The message names what was asked for and what there is."""
    with pytest.raises(ValueError, match=r"unknown kind of data 'video'. Known kinds: image"):
        modalities.get("video")


def test_every_kind_whose_cells_are_decoded_has_cells_to_be_tested_on() -> None:
    """A kind without a maker is a kind without tests."""
    assert set(MAKERS) == set(DECODING)


def test_the_last_kind_takes_what_nobody_claimed() -> None:
    """And only it: all others decode."""
    assert modalities.names()[-1:] == [name for name in modalities.names() if name not in DECODING]


@pytest.mark.parametrize("check", contracts.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", DECODING)
def test_a_kind_keeps_its_contract(name: str, check: Callable[..., None], cells_of: CellsOf) -> None:
    """Each clause, on its own cells."""
    check(modalities.decoding(name), cells_of(name))


@pytest.mark.parametrize("name", DECODING)
def test_no_kind_claims_the_cells_of_another(name: str, cells_of: CellsOf) -> None:
    """In whatever form they come, one kind is surest of a column, and it is the right one."""
    for form, cells in cells_of(name).forms.items():
        column = pd.Series(list(cells), dtype=object)
        sure = [kind.name for kind in modalities.all_decoding() if isinstance(kind.claim(column, None), Claim)]
        assert sure == [name], form
        assert mixture.claims(pd.DataFrame({"seen": column}), ["seen"], None) == ({"seen": name}, []), form


def test_the_extra_that_a_kind_names_is_one_of_the_package() -> None:
    """Who is told to install it can."""
    extras = (ROOT / "pyproject.toml").read_text().split("[project.optional-dependencies]")[1].split("\n\n")[0]
    known = set(re.findall(r"^(\w+) = ", extras, flags=re.MULTILINE))
    assert {modalities.get(name).extra for name in modalities.names()} - {None} <= known


def test_asking_who_claims_a_column_loads_no_decoder() -> None:
    """Tables are read without the libraries of pictures and sounds."""
    code = (
        "import sys\nfrom automl import modalities\n[modalities.get(name) for name in modalities.names()]\n"
        "print([name for name in ('PIL', 'soundfile', 'torch', 'scipy', 'sklearn') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


class Greedy(Image):
    def claim(self, cells, base):
        return super().claim(cells, base) or Claim("it may be")


class Silent(Image):
    def claim(self, cells, base):
        said = super().claim(cells, base)
        return None if isinstance(said, Pass) else said


class Hopeful(Image):
    def read(self, reading):
        return replace(super().read(reading), kept=np.ones(len(reading.cells), dtype=bool))


class Sparing(Image):
    def show(self, codec, block):
        return super().show(codec, block)[1:]


class Restless(Image):
    def learn(self, block, recipe, training):
        seed = int(np.random.default_rng().integers(1 << 30))
        return super().learn(block, recipe, replace(training, seed=seed))


class Forgetful(Image):
    def codec(self, plain, weights):
        return super().codec({**plain, "height": plain["height"] + 8}, weights)


@pytest.mark.parametrize(
    ("broken", "check", "complaint"),
    [
        (Greedy, contracts.check_claims, "a column of"),
        (Silent, contracts.check_claims, "not there gave None"),
        (Hopeful, contracts.check_reading, "kept were"),
        (Sparing, contracts.check_drawing, "are shown of"),
        (Restless, contracts.check_learning, "same seed"),
        (Forgetful, contracts.check_codec, "round trip"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_the_contract_catches_a_kind_that_breaks_it(broken, check, complaint, cells_of: CellsOf) -> None:
    """Who claims too much, passes in silence, keeps what is broken, shows too little, or forgets, does not pass."""
    with pytest.raises(AssertionError, match=complaint):
        check(broken(), cells_of("image"))
