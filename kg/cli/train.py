"""`kg train`."""

from pathlib import Path
from typing import Annotated, Any, Literal

from kg.cli.calibrate import say_what_is_withheld
from kg.cli.command import START, command
from kg.cli.console import note, print_json, say
from kg.cli.interruption import leaving, saving
from kg.cli.options import (
    FACTS,
    HOW,
    MODEL,
    Device,
    Epochs,
    Graphs,
    Json,
    Language,
    Minutes,
    Relations,
    Source,
    argument,
    device_named,
    option,
)
from kg.cli.progress_bar import ConsoleProgress
from kg.cli.run_settings import RunSettings
from kg.errors import UserError


@command(
    START,
    "kg train world.kg model",
    "kg train world.kg model --model rescal --dim 64 --epochs 50",
    "kg train world.kg model --minutes 30",
    "kg train world.kg model --relation memberOf --relation borders",
    "kg train world.kg both --model combine --parts model,rules",
    "kg train folder model --preset experiments/presets/umls.py:complex --seed 1",
    "kg train world.kg model --model pretrained --fine-tune --minutes 5",
    "kg train world.kg model --resume",
    "kg train world.kg model --anew",
)
def train(
    source: Source,
    model_out: Annotated[Path, argument("OUT", "The folder to save the model in.")],
    relations: Relations = None,
    graphs: Graphs = None,
    valid: Annotated[float | None, option(FACTS, "SHARE", "Hold out so much of a store to choose by (0.1).")] = None,
    test: Annotated[float | None, option(FACTS, "SHARE", "Hold out so much of a store to measure by (0.1).")] = None,
    restrictions: Annotated[
        bool | None,
        option(FACTS, None, "owl:someValuesFrom restrictions become facts of classes (where classes prevail)."),
    ] = None,
    model: Annotated[
        str | None, option(MODEL, "NAME", "complex (the default), rescal ...: a wrong name lists all.")
    ] = None,
    dim: Annotated[int | None, option(MODEL, "N", "Numbers in the vector of an entity.")] = None,
    parts: Annotated[
        str | None,
        option(MODEL, "A,B,...", "Of --model combine or rank_ensemble: trained models' folders, or names to train."),
    ] = None,
    preset: Annotated[
        str | None, option(MODEL, "FILE:NAME", "Instead of --model: a function in FILE that gives a Run.")
    ] = None,
    epochs: Epochs = None,
    minutes: Minutes = None,
    lr: Annotated[float | None, option(HOW, "NUMBER", "Learning rate.")] = None,
    batch_size: Annotated[int | None, option(HOW, "N", "Questions a step.")] = None,
    negatives: Annotated[
        int | None,
        option(HOW, "N", "Tell answers from so many (0: from all entities, the default up to ten minutes an epoch)."),
    ] = None,
    precision: Annotated[
        Literal["fp32", "bf16"] | None, option(HOW, None, "bf16: matrix products in bfloat16, faster.")
    ] = None,
    seed: Annotated[int | None, option(HOW, "N", "Decides every random choice (0, or the preset's).")] = None,
    device: Device = "cpu",
    fine_tune: Annotated[
        bool, option(HOW, None, "Train the weights of --model pretrained further, on this graph.", "--fine-tune")
    ] = False,
    resume: Annotated[
        bool, option(HOW, None, "Go on with the model in OUT, with its own settings.", "--resume")
    ] = False,
    anew: Annotated[
        bool,
        option(HOW, None, "Train the model in OUT again, its settings kept: it is replaced at the end.", "--anew"),
    ] = False,
    language: Language = None,
    json_: Json = False,
) -> None:
    """Learn from facts which of all possible ones are likely.

    Facts are held out to choose the best epoch by and to measure by; a folder with train.tsv, valid.tsv and test.tsv
    (or .txt, .gz) is taken as it is. Ctrl-C saves and exits 130; --resume continues as if nothing had happened, after
    --minutes, too. --anew trains OUT again on what the store holds by now, decisions of people included; until that is
    done OUT answers as before, and stopped it stays as it is.
    """
    from kg.decisions.folding import fold_at
    from kg.graph.sources import open_dataset
    from kg.training import train as training
    from kg.training.estimate import check_minutes, planned

    asked = RunSettings(
        model, preset, parts, dim, epochs, minutes, batch_size, negatives, lr, seed, precision, fine_tune
    )
    device = device_named(device)
    check_minutes(minutes)
    facts: dict[str, Any] = {"relations": relations, "graphs": graphs, "valid": valid, "test": test}
    facts |= {"restrictions": restrictions, "language": language}
    if anew and resume:
        raise UserError("--resume goes on with a training, --anew begins it again: leave one out")
    goes_on = f"kg train {source} {model_out} --resume goes on"
    with leaving(model_out) if anew else saving(goes_on, model_out), ConsoleProgress() as progress:
        if anew:
            from kg.api import trained_anew

            asked.check_anew()
            chosen = {name: value for name, value in facts.items() if value is not None}
            bundle = trained_anew(
                source, model_out, vary=asked.varied, minutes=minutes, device=device, progress=progress, **chosen
            )
        elif resume:
            bundle = training.resume(model_out, epochs=epochs, minutes=minutes, device=device, progress=progress)
            asked.say_unused(bundle.run)
        else:
            training.check_vacant(model_out)  # this and the names before a store is read and split
            settings, split_seed = asked.from_dataset(model_out, device, progress)
            fold_at(source, progress)
            dataset = open_dataset(source, seed=split_seed, progress=progress, **facts)
            made = settings(dataset)
            run = asked.varied(made)
            note(f"{source}: {dataset.describe()}")
            asked.say_choice(run, dataset)
            if minutes is not None and epochs is None:
                run = planned(run, dataset, minutes, device)
            bundle = training.train(dataset, run, model_out, minutes=minutes, device=device, progress=progress)
        if not bundle.calibration:
            from kg.api import calibrated, said_of  # what follows the training does not delay its beginning

            bundle = calibrated(bundle, said_of(bundle), progress)
    say_what_is_withheld(bundle)
    figures = bundle.metrics["valid"]
    if json_:
        print_json({"model": str(model_out), "epochs": bundle.metrics["epochs"], "valid": figures})
        return
    measured = f"valid MRR {figures['mrr']:.4f}" if figures else "no valid facts to measure it on"
    measured += " (each half by weights of the other)" if bundle.metrics.get("cross_fitted") else ""
    cut = bundle.metrics.get("cut_short")
    cut = f" and {cut['step']:,} of {cut['steps']:,} steps" if cut and cut["step"] else ""
    say(
        f"{model_out}: {bundle.run['scorer']['name']}, {bundle.metrics['epochs']} epochs{cut}, "
        f"best at {bundle.metrics['best_epoch']}, {measured}"
    )
