"""`kg calibrate`."""

from kg.cli.command import LEARN, command
from kg.cli.console import err, say
from kg.cli.options import Device, ModelPath, device_named
from kg.errors import UserError


@command(LEARN)
def calibrate(model: ModelPath, device: Device = "cpu") -> None:
    """Fit a model's probabilities anew on its valid facts, as `kg train` does at its end."""
    from kg import bundle as bundles
    from kg.probability.calibration import calibrate as calibrated

    bundle = bundles.Bundle.load(model, device_named(device))
    with err.status("calibrating"):
        calibration = calibrated(bundle.scorer, bundle.dataset, bundle.temperature)
    if calibration is None:
        raise UserError(f"{model} was trained without valid facts: there is nothing to calibrate it on")
    bundles.save_calibration(bundle, calibration)
    said = f"{model}: calibrated on {len(bundle.dataset.valid):,} valid facts ({calibration.shape})"
    say(said)
