"""What several test files share: the bundled table and one finished run on it."""

from pathlib import Path

import pandas as pd
import pytest

import automl
from automl import Result

CUSTOMERS = Path(__file__).parent.parent / "examples" / "customers.csv"


@pytest.fixture(scope="session")
def customers() -> pd.DataFrame:
    return pd.read_csv(CUSTOMERS)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """One run on the bundled table, repeatable because it counts trials."""
    folder = tmp_path_factory.mktemp("runs") / "customers"
    return automl.fit(CUSTOMERS, target="churned", budget="6 trials", run_dir=folder, verbose=0)
