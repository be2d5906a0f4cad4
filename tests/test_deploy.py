"""Deployment files are code: every command they show is one that its program understands, and their versions agree."""

import re
import shlex
import subprocess
from collections.abc import Iterator

import pytest
import yaml
from deploy_made import DEPLOY, FILES, LAUNCHERS, MANIFESTS, NOT_RUN, PAGES, PROJECT, ROOT, documents, understood_by_ray
from packaging.requirements import Requirement
from packaging.version import Version

from automl.doors.cli.parser import build

# Commands ------------------------------------------------------------------------------------------------------------


COMPLETE = ("doctor", "serve", "status", "get-auth-token")  # verbs that need no more words


def commands(text: str, program: str, verbs: tuple[str, ...]) -> Iterator[list[str]]:
    """The command lines of a program in a text: with any verb in a page's code, with a known one in all else."""
    is_code = False
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        is_code ^= line.startswith("```")
        verb = r"[a-z]" if is_code else rf"(?:{'|'.join(verbs)})\b"
        for found in re.finditer(rf"(?<![\w./-]){program} (?={verb})", line.split(" # ")[0] if is_code else line):
            before, rest = line[: found.start()], line[found.start() :]
            for quote in "`'\"":
                if before.count(quote) % 2:
                    rest = rest.split(quote)[0]
            words = shlex.split(re.split(r" <br> | > | &|;", rest)[0], comments=True)
            if len(words) > 2 or words[1] in COMPLETE:  # else prose that names the verb alone
                yield words


VERBS = ("fit", "predict", "profile", "report", "resume", "export", "serve", "doctor")
OURS = [(page, words) for page, text in PAGES.items() for words in commands(text, "automl", VERBS)]
OURS += [  # what follows the script's name goes to `automl fit`
    (page, ["automl", "fit", *shlex.split(found.split("`")[0])])
    for page, text in PAGES.items()
    for found in re.findall(r"sbatch .*slurm\.sh (/.*)", text)
]


@pytest.mark.parametrize(("page", "words"), OURS, ids=[f"{page}: {' '.join(words)[:60]}" for page, words in OURS])
def test_every_automl_command_is_understood(page: str, words: list[str]) -> None:
    """The real grammar accepts it, with every option it names."""
    given = [argument for word in words[1:] for argument in (["data.csv", "-t", "y"] if word == "$@" else [word])]
    assert build().parse_args(given).verb == words[1]


def test_the_commands_were_found() -> None:
    """The search above finds commands in every kind of file, so that it cannot pass by finding nothing."""
    pages = {page for page, _ in OURS}
    assert pages >= {"README.md", "docs/deploy.md", "kuberay-job.yaml", "slurm.sh"}
    assert len(OURS) >= 15


@pytest.mark.ray
def test_every_ray_command_is_understood() -> None:
    """Ray's own command line accepts each `ray up`, `ray start` and so on, options included."""
    pytest.importorskip("ray")
    verbs = ("up", "down", "exec", "attach", "start", "status", "rsync-up", "rsync-down", "get-auth-token")
    shown = [words for page, text in PAGES.items() if page != "slurm.sh" for words in commands(text, "ray", verbs)]
    assert len(shown) >= 15
    for words in shown:
        understood_by_ray(words[1:])


def test_no_file_runs_what_ends_other_peoples_ray() -> None:
    """`ray stop` kills by name; it may only be named as what not to use."""
    for page, text in PAGES.items():
        bare = text.replace(NOT_RUN, "")
        assert NOT_RUN.strip("`") not in bare, page


# Versions ------------------------------------------------------------------------------------------------------------


def seen(pattern: str) -> dict[str, set[str]]:
    """What a pattern with one group finds, file by file."""
    found = {page: set(re.findall(pattern, text)) for page, text in PAGES.items()}
    return {page: values for page, values in found.items() if values}


def test_ray_is_the_same_version_everywhere() -> None:
    """One version, in every file that installs Ray or names it, within what the `ray` extra allows."""
    pins = seen(r"(?:\bray(?:\[\w+\])?==|RAY_VERSION=|rayVersion: \"|\bRay (?=\d))(\d[\w.]*\d)")
    assert set(pins) == {"Dockerfile", "README.md", "docs/deploy.md", *LAUNCHERS, *MANIFESTS}
    versions = set().union(*pins.values())
    assert len(versions) == 1, pins
    extra = next(Requirement(line) for line in PROJECT["optional-dependencies"]["ray"] if line.startswith("ray"))
    assert extra.specifier.contains(versions.pop())


def test_automl_is_this_version_everywhere() -> None:
    """The version of this checkout, in installs and in the tags of images."""
    pins = seen(r"(?:automl-frontier\[[a-z0-9,]+\]==|AUTOML_VERSION=|/?automl:)(\d+\.\d+\.\d+)")
    assert set(pins) == {"Dockerfile", "README.md", "docs/deploy.md", *LAUNCHERS, *MANIFESTS}
    assert set().union(*pins.values()) == {PROJECT["version"]}


def test_every_node_can_do_all_kinds_of_data() -> None:
    """Each install has every extra that reads data, and none adds a library that another one pins."""
    installs = {page: re.findall(r"automl[-_]frontier[^\[\s]*\[([a-z0-9,]+)\]", text) for page, text in PAGES.items()}
    assert {page for page, found in installs.items() if found} == {
        "Dockerfile",
        "docs/deploy.md",
        "slurm.sh",
        *LAUNCHERS,
    }
    for page, found in installs.items():
        for extras in found:
            assert "all" in extras.split(",") or extras == "gcp", page  # these come on top, on the head
    brought = PROJECT["optional-dependencies"]
    beside = {"all", "dev", "s3", "gcs", "gcp", "serve-ray"}
    assert set(brought) - beside == set(re.findall(r"[a-z]+", brought["all"][0])[2:])
    for page, text in PAGES.items():
        installed = [line.split(" #")[0] for line in text.splitlines() if "pip install" in line]
        free = re.search(r"\b(?:boto3|s3fs|google-api-python-client)\b(?!==\$)", " ".join(installed))
        assert free is None, page  # but for a boto3 of the number of the botocore that is there


def test_a_checkout_can_be_deployed_without_a_release() -> None:
    """The image takes it as an argument; the launcher's nodes take a wheel that was sent to them."""
    assert "--build-arg PACKAGE=source" in FILES["Dockerfile"]
    for name in LAUNCHERS:
        sent = re.search(r"^  # (/home/ubuntu/wheels: dist)$", FILES[name], re.MULTILINE)
        assert sent, name
        config = yaml.safe_load(FILES[name].replace(f"# {sent[1]}", sent[1]))
        assert config["file_mounts"]["/home/ubuntu/wheels"] == "dist"
        installs = [line for key in ("setup_commands", "head_setup_commands") for line in config[key]]
        ours = [line for line in installs if "automl-frontier" in line]
        assert len(ours) == (2 if name == "gcp.yaml" else 1)
        assert all("--find-links ~/wheels" in line for line in ours)


def test_torch_and_python_are_the_same_everywhere() -> None:
    """One torch, within the bounds of the core; one Python, new enough."""
    torch = set().union(*seen(r"(?:torch==|TORCH_VERSION=)(\d[\d.]*\d)").values())
    assert len(torch) == 1
    bounds = next(Requirement(line) for line in PROJECT["dependencies"] if line.startswith("torch"))
    assert bounds.specifier.contains(torch.pop())
    python = set().union(*seen(r"(?:PYTHON_VERSION=|Python |python)(3\.\d+)").values())
    assert len(python) == 1
    assert Version(python.pop()) >= Version(PROJECT["requires-python"].removeprefix(">="))


def test_what_to_fill_in_is_marked_and_little() -> None:
    """At most four places a file, and no placeholder stands anywhere else."""
    for name, text in FILES.items():
        if name.endswith(".md"):
            continue
        marked = [line for line in text.splitlines() if "FILL IN" in line]
        assert len(marked) <= 4, name
        read = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
        after = [line for before, line in zip(["", *read], read, strict=False) if "FILL IN" not in before + line]
        assert not [line for line in after if re.search(r"your-|example\.com", line)], name


def test_the_folders_readme_names_every_file() -> None:
    """And no file that is not there."""
    linked = set(re.findall(r"^\| \[([\w.-]+)\]\(\1\)", FILES["README.md"], flags=re.MULTILINE))
    assert linked == set(FILES) - {"README.md"}


def test_every_link_of_the_page_leads_somewhere() -> None:
    """To a file, or to a heading of the page."""
    headings = {re.sub(r"[^\w -]", "", line).lower().replace(" ", "-")
                for line in re.findall(r"^#+ (.*)$", PAGES["docs/deploy.md"], flags=re.MULTILINE)}  # fmt: skip
    for page in ("README.md", "docs/deploy.md"):
        folder = DEPLOY if page == "README.md" else ROOT / "docs"
        for link in re.findall(r"\]\((?!http)([^)]+)\)", PAGES[page]):
            assert (link[1:] in headings) if link.startswith("#") else (folder / link).exists(), link


# Ray's cluster launcher ----------------------------------------------------------------------------------------------


@pytest.mark.ray
@pytest.mark.parametrize("name", LAUNCHERS)
def test_ray_accepts_a_launcher_file(name: str) -> None:
    """Its schema, its merge with the provider's defaults, and its rules on the numbers of workers."""
    pytest.importorskip("ray")
    from ray.autoscaler._private.commands import warn_about_bad_start_command
    from ray.autoscaler._private.util import prepare_config, validate_config

    prepared = prepare_config(documents(name)[0])
    validate_config(prepared)
    warn_about_bad_start_command(prepared["head_start_ray_commands"])
    kinds = prepared["available_node_types"]
    assert kinds["head"]["max_workers"] == 0
    for kind in kinds.values():
        assert 0 <= kind["min_workers"] <= kind["max_workers"] <= prepared["max_workers"]
    broken = {**prepared, "available_node_types": {"head": {"node_config": {}}}}
    with pytest.raises(Exception, match="resources"):
        validate_config(broken)


@pytest.mark.parametrize("name", LAUNCHERS)
def test_a_launched_cluster_is_small_cheap_and_closed(name: str) -> None:
    """No trials on the head; workers on spot, from zero, with memory stated; the token travels; no dashboard."""
    config = documents(name)[0]
    kinds = config["available_node_types"]
    head = kinds.pop(config["head_node_type"])
    assert head["resources"] == {"CPU": 0}
    assert "spot" not in str(head).lower()
    assert {"GPU" in kind["resources"] for kind in kinds.values()} == {True, False}
    for kind in kinds.values():
        assert kind["min_workers"] == 0 < kind["max_workers"] <= config["max_workers"]
        assert kind["resources"]["CPU"] > 0 < kind["resources"]["memory"]
        assert kind["labels"] == {"ray.io/market-type": "spot"}
        market = kind["node_config"].get("InstanceMarketOptions") or kind["node_config"].get("scheduling")
        assert "spot" in str(market).lower()
    assert 0 < config["idle_timeout_minutes"] <= 15
    assert config["provider"]["cache_stopped_nodes"] is False
    assert list(config["file_mounts"].values()) == ["~/.ray/auth_token"]


@pytest.mark.ray
@pytest.mark.parametrize("name", LAUNCHERS)
def test_the_start_commands_of_a_launched_cluster(name: str) -> None:
    """Ray reads the options as they are meant: the head scales and shows no dashboard, workers find it."""
    pytest.importorskip("ray")
    config = documents(name)[0]
    parsed = {}
    for role in ("head", "worker"):
        (command,) = config[f"{role}_start_ray_commands"]
        assert "ulimit -n 65536" in command
        assert "RAY_AUTH_MODE=token" in command
        start = re.search(r"/ray (start .*)\)", command)
        assert start is not None
        parsed[role] = understood_by_ray(shlex.split(start[1]))
    assert parsed["head"]["autoscaling_config"] == "~/ray_bootstrap_config.yaml"
    assert parsed["head"]["include_dashboard"] is False
    assert parsed["worker"]["address"] == "$RAY_HEAD_IP:6379"
    assert (parsed["head"]["port"], parsed["worker"]["head"]) == (6379, False)


def test_both_providers_set_nodes_up_alike() -> None:
    """The same commands, but for the library that the head starts workers with; each is valid shell."""
    aws, gcp = (documents(name)[0] for name in LAUNCHERS)
    for key in ("setup_commands", "head_start_ray_commands", "worker_start_ray_commands", "file_mounts"):
        assert aws[key] == gcp[key], key
    every = [command for config in (aws, gcp) for key, value in config.items() if key.endswith("_commands")
             for command in value]  # fmt: skip
    for command in every:
        subprocess.run(["bash", "-n", "-c", command], check=True)


def test_aws_would_understand_the_machines() -> None:
    """Each node's settings pass botocore's check of RunInstances: no name misspelt, no value of the wrong kind."""
    session = pytest.importorskip("botocore.session").get_session()
    from botocore.validate import ParamValidator

    shape = session.get_service_model("ec2").operation_model("RunInstances").input_shape
    for kind in documents("aws.yaml")[0]["available_node_types"].values():
        given = {**kind["node_config"], "MinCount": 1, "MaxCount": 1}
        assert not ParamValidator().validate(given, shape).has_errors(), ParamValidator().validate(given, shape)
    assert ParamValidator().validate({**given, "Imageid": "x"}, shape).has_errors()
