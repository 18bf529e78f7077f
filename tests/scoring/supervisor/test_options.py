"""What `serve` was asked to do: flags before variables before the config file, and one sentence for what makes no sense."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fairlead_scoring.errors import UsageFault
from fairlead_scoring.supervisor.options import ServeOptions, read, replaced_variables, unknown_variables

# option, (flag, value), (variable, value), (key of the config file, value), expected of each in turn
SOURCES: list[Any] = [
    ("workers", ("--workers", "2"), ("WORKER_COUNT", "3"), 4, (2, 3, 4)),
    ("model_dir", ("--model_dir", "/a"), ("AZUREML_MODEL_DIR", "/b"), "/c", ("/a", "/b", "/c")),
    ("prefix", ("--prefix", "/a"), ("SERVICE_PATH_PREFIX", "/b"), "/c", ("/a", "/b", "/c")),
    (
        "cors",
        ("--access_control_allow_origins", "http://a, http://b"),
        ("AML_CORS_ORIGINS", "https://c"),
        "*",
        (("http://a", "http://b"), ("https://c",), ("*",)),
    ),
    ("log_level", ("--log-level", "debug"), ("AZUREML_LOG_LEVEL", "WARN"), "ERROR", ("debug", "warning", "error")),
    ("unsafe_formats", ("--unsafe-formats", "allow"), ("FAIRLEAD_UNSAFE_FORMATS", "deny"), "allow", ("allow", "deny", "allow")),
    ("drain_grace", ("--drain-grace", "1"), ("FAIRLEAD_DRAIN_GRACE_SECONDS", "2"), 3.5, (1.0, 2.0, 3.5)),
]
LIMITS: list[Any] = [
    ("deadline", ("--deadline", "2"), ("SCORING_TIMEOUT_MS", "3000"), 4000, (2.0, 3.0, 4.0)),
    ("waiting", ("--max-waiting", "5"), ("FAIRLEAD_MAX_WAITING", "6"), 7, (5, 6, 7)),
    ("wait", ("--max-wait", "0.5"), ("FAIRLEAD_MAX_WAIT_SECONDS", "0.6"), 0.7, (0.5, 0.6, 0.7)),
    ("body", ("--max-body", "5"), ("FAIRLEAD_MAX_BODY_BYTES", "6"), 7, (5, 6, 7)),
]


def options(*arguments: str, **environment: str) -> ServeOptions:
    return read(["--entry-script", "score.py", *arguments], environment)


@pytest.mark.parametrize(("name", "flag", "variable", "in_file", "expected"), SOURCES + LIMITS)
def test_flags_beat_variables_beat_the_config_file(
    tmp_path: Path, name: str, flag: tuple[str, str], variable: tuple[str, str], in_file: object, expected: tuple[object, ...]
) -> None:
    file = tmp_path / "settings.json"
    file.write_text(json.dumps({variable[0]: in_file}))
    named = {"AZUREML_CONFIG_FILE": str(file)}
    everything = options(*flag, **dict([variable]), **named), options(**dict([variable]), **named), options(**named)
    is_limit = any(name == row[0] for row in LIMITS)
    assert tuple(one.limits[name] if is_limit else getattr(one, name) for one in everything) == expected


def test_what_nobody_says_is_the_default() -> None:
    default = options()
    assert (default.host, default.port, default.workers, default.keys, default.limits) == ("127.0.0.1", 5001, 1, None, {})


def test_both_spellings_of_the_azure_servers_flags(tmp_path: Path) -> None:
    given = read(["--entry_script", "score.py", "--model_dir", "m", "--worker_count", "2", "--app_root", str(tmp_path)], {})
    assert (given.workers, given.app_root) == (2, str(tmp_path))
    assert given.entry_script == str(Path("score.py").absolute())


def test_flags_of_the_azure_server_without_a_meaning_here_are_taken() -> None:
    assert options("--health_port", "5000", "--appinsights_instrumentation_key", "x", "--rest").workers == 1


def test_a_script_from_a_variable_is_looked_for_in_the_app_root(tmp_path: Path) -> None:
    given = read([], {"AZUREML_ENTRY_SCRIPT": "sub/score.py", "AML_APP_ROOT": str(tmp_path)})
    assert given.entry_script == str(tmp_path / "sub" / "score.py")


def test_without_a_script_main_in_the_app_root_is_served(tmp_path: Path) -> None:
    with pytest.raises(UsageFault, match="Nothing to serve"):
        read(["--app-root", str(tmp_path)], {})
    (tmp_path / "main.py").touch()
    assert read(["--app-root", str(tmp_path)], {}).entry_script == str(tmp_path / "main.py")
    assert read([], {"AML_APP_ROOT": str(tmp_path)}).entry_script == str(tmp_path / "main.py")


def test_a_bundle_that_is_named_outweighs_a_script_from_the_environment(tmp_path: Path) -> None:
    given = read([str(tmp_path)], {"AZUREML_ENTRY_SCRIPT": "score.py"})
    assert (given.bundle, given.entry_script) == (str(tmp_path), None)


@pytest.mark.parametrize("place", ["app root", "beside the script"])
def test_config_json_is_found_where_the_azure_server_looks(tmp_path: Path, place: str) -> None:
    (tmp_path / "config.json").write_text('{"SERVICE_NAME": "from the file", "unknown": 1}')
    arguments = ["--app-root", str(tmp_path)] if place == "app root" else []
    assert read([*arguments, "--entry-script", str(tmp_path / "score.py")], {}).title == "from the file"


def test_a_config_json_that_is_somebody_elses_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"hidden_layers": 3}')
    assert read(["--entry-script", str(tmp_path / "score.py")], {}).title == "ML service"


@pytest.mark.parametrize(
    ("arguments", "environment", "words"),
    [
        ([], {}, "Nothing to serve"),
        (["bundle", "--entry-script", "score.py"], {}, "A BUNDLE has its own script"),
        (["b", "--port", "70000"], {}, "--port 70000 is not a port"),
        (["b", "--metrics-port", "-1"], {}, "--metrics-port -1 is not a port"),
        (["b", "--workers", "0"], {}, "--workers 0"),
        (["b", "--tls-cert", "c.pem"], {}, "TLS needs both"),
        (["b", "--deadline", "0"], {}, "deadline is 0"),
        (["b"], {"WORKER_COUNT": "many"}, "WORKER_COUNT is 'many'"),
        (["b"], {"SCORING_TIMEOUT_MS": "1.5"}, "SCORING_TIMEOUT_MS is '1.5'"),
        (["b"], {"FAIRLEAD_STRICT_COMPAT": "maybe"}, "FAIRLEAD_STRICT_COMPAT is 'maybe'"),
        (["b", "--config_file", "none.json"], {}, "none.json cannot be read"),
    ],
)
def test_what_makes_no_sense_is_a_usage_fault_in_one_sentence(arguments: list[str], environment: dict[str, str], words: str) -> None:
    with pytest.raises(UsageFault) as caught:
        read(arguments, environment)
    assert words in str(caught.value)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)


def test_options_survive_the_way_to_the_next_supervisor() -> None:
    given = options("--cors", "http://a,http://b", "--watch", "x", "--deadline", "3", "--keys", "k.json", "--notice", "Careful.")
    assert ServeOptions.from_json(json.loads(json.dumps(given.to_json()))) == given


@pytest.mark.parametrize("name", ["WORKER_PRELOAD", "WORKER_TIMEOUT", "AML_APP_INSIGHTS_ENABLED", "AML_APP_INSIGHTS_KEY", "AZUREML_DEBUG_PORT"])
def test_a_variable_without_effect_names_what_to_use_instead(name: str) -> None:
    (sentence,) = replaced_variables({name: "true", "PATH": "/bin"})
    assert sentence.startswith(f"{name} has no effect here: ")
    assert replaced_variables({name: "false"}) == []


def test_a_misspelt_variable_is_named_with_its_neighbour() -> None:
    assert unknown_variables({"FAIRLEAD_MAX_WAITNG": "1", "FAIRLEAD_KEY": "k", "HOME": "/"}) == [
        "FAIRLEAD_MAX_WAITNG is no variable of Fairlead and has no effect; did you mean FAIRLEAD_MAX_WAITING?"
    ]
