import os
from typing import Any, Literal

import joblib
from fairlead_scoring import typed
from pydantic import BaseModel, Field

model: Any = None


class Patient(BaseModel):
    age: int = Field(ge=0, le=120)
    bmi: float = Field(gt=0, lt=100)
    bp: float = Field(description="mean arterial pressure, mmHg")


def init() -> None:
    global model
    model = joblib.load(os.path.join(os.environ["AZUREML_MODEL_DIR"], "model.joblib"))


@typed
def run(patients: list[Patient], answer: Literal["progression", "worst"] = "progression") -> dict[str, Any]:
    scores = model.predict([[each.age, each.bmi, each.bp] for each in patients])
    return {answer: scores if answer == "progression" else scores.max()}
