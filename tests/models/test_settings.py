from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from models.settings import ModelSettings, TrainingSettings


def test_settings_import_no_tensorflow():
    code = (
        "import sys, models.settings, models.features, models.registry; sys.exit('tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_setting_is_described():
    for settings in (ModelSettings, TrainingSettings):
        for name, field in settings.model_fields.items():
            assert field.description, f"{settings.__name__}.{name}"


def test_a_misspelt_setting_is_refused():
    with pytest.raises(ValidationError, match="layer"):
        ModelSettings(layer=[3])


@pytest.mark.parametrize(
    "wrong", [{"layers": []}, {"layers": [8, 0]}, {"decay": 1.0}, {"dropout": 1.0}, {"averages": "some"}]
)
def test_wrong_model_settings_are_refused(wrong):
    with pytest.raises(ValidationError):
        ModelSettings(**wrong)


def test_shared_rate_is_a_number_or_the_papers_rule():
    assert TrainingSettings(shared_lr_scale="1/D").shared_multiplier(20) == 0.05
    assert TrainingSettings(shared_lr_scale=0.5).shared_multiplier(20) == 0.5
    with pytest.raises(ValidationError, match="shared_lr_scale"):
        TrainingSettings(shared_lr_scale=0)
    with pytest.raises(ValidationError):
        TrainingSettings(shared_lr_scale="2/D")


def test_the_domain_state_is_read_only_where_learned_averages_are_asked_for():
    assert ModelSettings().uses_domain_state
    assert not ModelSettings(averages="transform").uses_domain_state
    assert not ModelSettings(domain_extraction=False).uses_domain_state
    assert not ModelSettings(averages="learned").uses_transform_averages
