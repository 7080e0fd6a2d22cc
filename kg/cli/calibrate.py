"""`kg calibrate`."""

from kg.cli.command import MODELS, command
from kg.cli.console import ConsoleProgress, say
from kg.cli.options import Device, ModelPath, device_named
from kg.errors import UserError


@command(MODELS, "kg calibrate model")
def calibrate(model: ModelPath, device: Device = "cpu") -> None:
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
    say(f"{model}: calibrated on {len(bundle.dataset.valid):,} valid facts ({found.shape})")
