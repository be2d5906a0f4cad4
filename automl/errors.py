"""What can go wrong, as types.

AutomlError                    catch this one for everything below
├── InputError                 the data or a path cannot be used           (exit code 2)
│   └── SchemaError            new rows do not fit the model that was trained
├── OptionError                an option has a value that cannot work      (exit code 2)
├── ArtifactError              a saved model is damaged, altered or from another version
└── RunError                   the run itself could not go on (for instance no disk space)

A message says what is wrong, the value seen and what to do, in one line.
"Not applicable" and a failed trial are data, not exceptions.
"""


class AutomlError(Exception):
    """Everything this package raises on purpose."""


class InputError(AutomlError, ValueError):
    """The data or a path cannot be used."""


class SchemaError(InputError):
    """New rows do not fit the model that was trained."""


class OptionError(AutomlError, ValueError):
    """An option has a value that cannot work."""


class ArtifactError(AutomlError, ValueError):
    """A saved model is damaged, altered or from another version."""


class RunError(AutomlError, RuntimeError):
    """The run itself could not go on."""
