"""`kg calibrate`."""

from kg.cli.command import MODELS, command
from kg.cli.console import print_json, say
from kg.cli.options import Device, Json, ModelPath, device_named
from kg.cli.progress_bar import ConsoleProgress
from kg.errors import UserError


@command(MODELS, "kg calibrate model")
def calibrate(model: ModelPath, device: Device = "cpu", json_: Json = False) -> None:
    """Fit a model's probabilities anew.

    On its valid facts, as `kg train` does at its end.
    """
    from kg.bundle import Bundle
    from kg.probability import fitting
    from kg.probability.calibration import calibration_of

    bundle = Bundle.load(model, device_named(device))
    with ConsoleProgress() as progress:
        calibrated = fitting.calibrate(bundle, progress=progress)
    found = calibration_of(calibrated)
    if calibrated is bundle or found is None:
        raise UserError(f"{model} was trained without valid facts: there is nothing to calibrate it on")
    facts = len(bundle.dataset.valid)
    if json_:
        print_json({"model": str(model), "valid_facts": facts, "shape": found.shape})
    else:
        say(f"{model}: calibrated on {facts:,} valid facts ({found.shape})")
