"""`kg calibrate`."""

from typing import TYPE_CHECKING

from kg.cli.command import MODELS, command
from kg.cli.console import note, print_json, say, some_predicates
from kg.cli.options import Device, Json, ModelPath, device_named
from kg.cli.progress_bar import ConsoleProgress

if TYPE_CHECKING:
    from kg.bundle import Bundle


@command(MODELS, "kg calibrate model")
def calibrate(model: ModelPath, device: Device = "cpu", json_: Json = False) -> None:
    """Fit a model's probabilities anew.

    On its valid facts and on what people decided, as `kg train` does at its end.
    """
    from kg import api
    from kg.bundle import Bundle
    from kg.probability.calibration import calibration_of

    bundle = Bundle.load(model, device_named(device))
    with ConsoleProgress() as progress:
        said = api.said_of(bundle)
        calibrated = api.recalibrated(bundle, said, progress)
    found = calibration_of(calibrated)
    assert found is not None
    facts = len(bundle.dataset.valid)
    if json_:
        withheld = [bundle.dataset.vocabulary.relations[each] for each in found.withheld]
        print_json({"model": str(model), "valid_facts": facts, "reason": found.reason, "withheld": withheld})
    else:
        decided = len(said.accepted) + len(said.rejected)
        also = f" and {decided:,} that people decided on" if decided else ""
        say(f"{model}: calibrated on {facts:,} valid facts{also}")
        say_what_is_withheld(calibrated)


def say_what_is_withheld(bundle: "Bundle") -> None:
    """Of its probabilities."""
    from kg.probability.calibration import calibration_of

    found = calibration_of(bundle)
    if found is not None and found.reason is not None:
        note(f"its probabilities are withheld, and candidates have ranks alone: {found.reason}")
    elif found is not None and found.withheld:
        data = bundle.dataset
        listed = some_predicates([data.vocabulary.relations[each] for each in found.withheld], data.num_relations)
        note(f"without probabilities, as those of facts kept apart did not hold: {listed}")
