"""`kg train`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from kg.cli.command import START, command
from kg.cli.console import err, note, print_json, say
from kg.cli.options import Device, Epochs, Json, Source, device_named
from kg.cli.run_settings import RunSettings
from kg.cli.source import saving


@command(START)
def train(
    source: Source,
    model_out: Annotated[Path, typer.Argument(metavar="OUT", help="The folder to save the model in.")],
    model: Annotated[
        str | None, typer.Option(help="complex (the default), rescal ...: a wrong name lists all.", show_default=False)
    ] = None,
    preset: Annotated[
        str | None, typer.Option(metavar="FILE:NAME", help="Instead of --model: a function in FILE that gives a Run.")
    ] = None,
    parts: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,...", help="For --model combine or rank_ensemble: trained models' folders, or models to train."
        ),
    ] = None,
    dim: Annotated[
        int | None, typer.Option(help="Size of an entity's vector (complex numbers for complex and rotate).")
    ] = None,
    epochs: Epochs = None,
    batch_size: Annotated[int | None, typer.Option(help="Rows of scores a step.")] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate.")] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Decides the split, the start and the order (0, or the preset's).", show_default=False),
    ] = None,
    precision: Annotated[
        Literal["fp32", "bf16"] | None, typer.Option(help="bf16: matrix products in bfloat16, faster.")
    ] = None,
    device: Device = "cpu",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the model in OUT, with its own settings.")
    ] = False,
    relations: Annotated[
        list[str] | None, typer.Option(help="Train on this predicate (repeat it); otherwise all but rdf:, rdfs:, owl:.")
    ] = None,
    graphs: Annotated[list[str] | None, typer.Option(help="Read this named graph (repeat it); otherwise all.")] = None,
    valid: Annotated[
        float | None, typer.Option(help="Share of a store's facts held out to choose by (0.1).", show_default=False)
    ] = None,
    test: Annotated[
        float | None, typer.Option(help="Share of a store's facts held out to measure by (0.1).", show_default=False)
    ] = None,
    restrictions: Annotated[
        bool, typer.Option("--restrictions", help="owl:someValuesFrom restrictions become facts between classes.")
    ] = False,
    json_: Json = False,
) -> None:
    """Train a link predictor on a store, or on a folder with train.tsv, valid.tsv and test.tsv (.txt, .gz).

    Ctrl-C saves and exits 130; --resume continues as if nothing had happened.
    """
    from kg.graph.sources import open_dataset
    from kg.training import train as training

    asked = RunSettings(model, preset, parts, dim, epochs, batch_size, lr, seed, precision)
    device = device_named(device)
    with saving(f"kg train {source} {model_out} --resume goes on"):
        if resume:
            bundle = training.resume(model_out, epochs=epochs, device=device, console=err, quiet=json_)
            asked.say_unused(bundle.run)
        else:
            training.check_vacant(model_out)  # this and the names before a store is read and split
            settings, split_seed = asked.from_dataset(model_out, device, quiet=json_)
            dataset = open_dataset(
                source,
                relations=relations,
                graphs=graphs,
                valid=valid,
                test=test,
                seed=split_seed,
                restrictions=restrictions,
            )
            run = asked.varied(settings(dataset))
            if not json_:
                note(f"{source}: {dataset.describe()}")
            bundle = training.train(dataset, run, model_out, device=device, console=err, quiet=json_)
    figures = bundle.metrics["valid"]
    if json_:
        print_json({"model": str(model_out), "epochs": bundle.metrics["epochs"], "valid": figures})
        return
    measured = f"valid MRR {figures['mrr']:.4f}" if figures else "no valid facts to measure it on"
    measured += " (each half by weights of the other)" if bundle.metrics.get("cross_fitted") else ""
    say(
        f"{model_out}: {bundle.run['scorer']['name']}, {bundle.metrics['epochs']} epochs, "
        f"best at {bundle.metrics['best_epoch']}, {measured}"
    )
