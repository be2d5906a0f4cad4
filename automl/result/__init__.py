"""What fit() returns: a view over the run folder. Everything it says can be read again later from the files."""

from automl.result.one import Result as Result
from automl.result.several import BundleResult as BundleResult
from automl.result.several import mean_of as mean_of
from automl.result.several import open_run as open_run
