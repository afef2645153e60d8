from pathlib import Path

import pytest

from app.domain import Sequence
from app.errors import BadSettings
from app.plan import Gate, TrainingPlan, load_plan


def plan_of(folder: Path, text: str):
    file = folder / "plan.toml"
    file.write_text(text)
    return load_plan(file)


def test_without_a_file_the_defaults_hold():
    assert load_plan(None) == (TrainingPlan(), {})


def test_a_plan_chooses_training_history_and_network(tmp_path):
    plan, network = plan_of(
        tmp_path,
        "[training]\nepochs = 5\n[gate]\nstandard_errors = 3.0\nenabled = false\n"
        '[history]\nsequences = ["click"]\ncount = 7\nwindow_seconds = 7200.0\n'
        '[network]\nfusion = "add"\nprediction = "pooled_dot"\nmodality = "title"\nlayers = 1\n',
    )

    assert plan.epochs == 5
    assert plan.gate == Gate(enabled=False, standard_errors=3.0)
    assert plan.history.sequences == (Sequence.CLICK,)
    assert (plan.history.count, plan.history.window_seconds) == (7, 7200)
    assert network == {"fusion": "add", "prediction": "pooled_dot", "modality": "title", "layers": 1}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[trainig]\n", "trainig"),
        ("[training]\nepoch = 1\n", "epoch"),
        ('[history]\nsequences = ["likes"]\n', "likes"),
        ("[gate]\nopen = true\n", "open"),
        ("[history]\ncount = 0\n", "count"),
        ('[network]\nfusion = "sum"\n', "sum"),
        ("[network]\ndepth = 1\n", "depth"),
        ("[network]\nlayers = 0\n", "layers"),
        ("epochs", "TOML"),
    ],
)
def test_what_a_plan_cannot_mean_is_named(tmp_path, text, told):
    with pytest.raises(BadSettings, match=told):
        plan_of(tmp_path, text)


def test_a_plan_that_is_not_there_is_named(tmp_path):
    with pytest.raises(BadSettings, match=r"nowhere\.toml does not exist"):
        load_plan(tmp_path / "nowhere.toml")
