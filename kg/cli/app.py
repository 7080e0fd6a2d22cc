"""The command line: one verb a function, thin over the library. Results go to stdout, all else to stderr."""

import io
import json
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich import box
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from typer.core import TyperGroup

from kg.errors import UserError

if TYPE_CHECKING:
    from kg.evaluation.ranking import Metrics
    from kg.graph.dataset import Dataset
    from kg.probability.reliability import Reliability
    from kg.probability.triple_classification import Classification
    from kg.query.candidates.candidate import Candidates
    from kg.query.candidates.publish import Published
    from kg.query.complex.conjunctive_query import Conjunction
    from kg.query.predictor import Predictor, Uncertainty
    from kg.rules.rule import Rule
    from kg.training.run import Run

out = Console()
err = Console(stderr=True)


class _Verbs(TyperGroup):
    """A user's error is one line and exit 1, Ctrl-C is exit 130; only our own defects show a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except UserError as error:
            err.print(f"[red]error:[/] {_plain(str(error))}", highlight=False, soft_wrap=True)
            raise typer.Exit(1) from None
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        except BrokenPipeError:  # the reader of our output has gone, as `| head` does
            sys.stderr.close()
            raise typer.Exit(1) from None
        except OSError as error:  # no permission, no such folder, no space left
            place = f"{error.filename}: " if error.filename else ""
            err.print(f"[red]error:[/] {_plain(f'{place}{error.strerror or error}')}", highlight=False, soft_wrap=True)
            raise typer.Exit(1) from None


app = typer.Typer(
    cls=_Verbs,
    help="Learns from a knowledge graph what it is missing: load RDF, train a link predictor, ask for candidate facts.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else on stdout.")]
StorePath = Annotated[Path, typer.Argument(metavar="STORE", help="The store's folder.")]
ModelPath = Annotated[Path, typer.Argument(metavar="MODEL", help="A trained model's folder.")]
Device = Annotated[str, typer.Option(help="Where to compute: cpu, cuda, cuda:1 ...")]
Source = Annotated[Path, typer.Argument(metavar="STORE_OR_FOLDER", help="A store, or train/valid/test files.")]
KnownFrom = Annotated[
    Path | None, typer.Option(help="The store to read known facts from; otherwise the one it was trained on.")
]
Types = Annotated[
    Literal["declared", "observed", "off"],
    typer.Option(help="Who may stand where: as the ontology says, as has been seen (or is like what has), anyone."),
]
Epochs = Annotated[int | None, typer.Option(help="At most so many.")]


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(help="Where the store, the models and the candidates go.")] = Path("demo"),
) -> None:
    """Load the world graph, train three link predictors, compare them, show the ten best new facts."""
    from kg.demo import run_demo

    run_demo(folder, out, err)


@app.command()
def load(
    store: StorePath,
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="RDF or TSV/CSV files, plain or .gz .bz2 .xz .zst."),
    ],
    graph: Annotated[str | None, typer.Option(help="IRI of the graph for facts that stand outside any graph.")] = None,
    base: Annotated[str | None, typer.Option(help="What relative IRIs and plain TSV names are relative to.")] = None,
    syntax: Annotated[str | None, typer.Option(help="The files' syntax by name (turtle, ntriples, tsv ...).")] = None,
    quarantine: Annotated[
        Path | None, typer.Option(help="Put bad lines of N-Triples, N-Quads, TSV and CSV here and load the rest.")
    ] = None,
    json_: Json = False,
) -> None:
    """Load files into a store: all of them, or on an error none. The store is made if need be."""
    from kg.store.store import Store

    with Store(store, create=True) as opened:
        with _facts_bar() as progress:
            loaded = opened.load(files, graph=graph, base=base, syntax=syntax, quarantine=quarantine, progress=progress)
        if json_:
            _print_json(vars(loaded))
            return
        rate = loaded.read / max(loaded.seconds, 1e-9)
        out.print(
            f"{_plain(str(store))}: {loaded.read:,} facts read in {loaded.seconds:.1f} s ({rate:,.0f} facts/s), "
            f"{loaded.added:,} of them new; generation {loaded.generation}",
            highlight=False,
            soft_wrap=True,
        )
        if loaded.quarantined:
            err.print(f"{loaded.quarantined:,} bad lines are in {_plain(str(quarantine))}", highlight=False)


@app.command()
def info(store: StorePath, json_: Json = False) -> None:
    """What a store holds. Published predictions are counted apart, and not among its facts and entities."""
    from kg.store.store import Store

    with Store(store) as opened:
        counts = opened.counts() | {"generation": opened.generation}
        if json_:
            _print_json(counts)
            return
        table = Table(box=None, show_header=False)
        for name, count in counts.items():
            table.add_row(name, f"{count:,}")
        out.print(table)


@app.command()
def sparql(
    store: StorePath,
    query: Annotated[str, typer.Argument(metavar="QUERY", help="SELECT, ASK, CONSTRUCT or DESCRIBE.")],
    model: Annotated[
        Path | None, typer.Option(help="A trained model: it answers kg:score, kg:probability and kg:known.")
    ] = None,
    with_predictions: Annotated[
        bool, typer.Option("--with-predictions", help="Published predictions answer as other facts do.")
    ] = False,
    format: Annotated[
        Literal["table", "json", "csv", "tsv", "xml", "ntriples", "turtle"],
        typer.Option(help="How to print the results; the last two for what CONSTRUCT and DESCRIBE give."),
    ] = "table",
    timeout: Annotated[float, typer.Option(help="Seconds after which the query is stopped.")] = 30.0,
) -> None:
    """Query a store. The default graph is the union of all graphs but that of published predictions.

    The store's prefixes are declared, and kg:, so that kg:probability(?s, ?p, ?o) needs nothing but --model.
    """
    from kg.query.sparql.results import print_answer
    from kg.query.sparql.scored import ScoredStore
    from kg.store.store import Store

    with Store(store) as opened:
        if model is None:
            answer = opened.answer(query, with_predictions=with_predictions, timeout_seconds=timeout)
        else:
            with ScoredStore(opened, model) as scored:
                answer = scored.answer(query, with_predictions=with_predictions, timeout_seconds=timeout)
        print_answer(answer, format, opened.prefixes, out)
    for note in answer.notes:
        err.print(_plain(note), highlight=False, soft_wrap=True)


@app.command()
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
    from kg.training import train as training

    asked = _Asked(model, preset, parts, dim, epochs, batch_size, lr, seed, precision)
    device = _device(device)
    with _saving(f"kg train {source} {model_out} --resume goes on"):
        if resume:
            bundle = training.resume(model_out, epochs=epochs, device=device, console=err, quiet=json_)
            asked.say_unused(bundle.run)
        else:
            training.check_vacant(model_out)  # this and the names before a store is read and split
            settings, split_seed = asked.settings(model_out, device, quiet=json_)
            dataset = _dataset(source, relations, graphs, valid, test, split_seed, restrictions)
            run = asked.varied(settings(dataset))
            if not json_:
                err.print(f"{_plain(str(source))}: {dataset.describe()}", highlight=False, soft_wrap=True)
            bundle = training.train(dataset, run, model_out, device=device, console=err, quiet=json_)
    figures = bundle.metrics["valid"]
    if json_:
        _print_json({"model": str(model_out), "epochs": bundle.metrics["epochs"], "valid": figures})
        return
    measured = f"valid MRR {figures['mrr']:.4f}" if figures else "no valid facts to measure it on"
    measured += " (each half by weights of the other)" if bundle.metrics.get("cross_fitted") else ""
    out.print(
        f"{_plain(str(model_out))}: {bundle.run['scorer']['name']}, {bundle.metrics['epochs']} epochs, "
        f"best at {bundle.metrics['best_epoch']}, {measured}",
        highlight=False,
        soft_wrap=True,
    )


@app.command()
def calibrate(model: ModelPath, device: Device = "cpu") -> None:
    """Fit a model's probabilities anew on its valid facts, as `kg train` does at its end."""
    from kg import bundle as bundles
    from kg.probability.calibration import calibrate as calibrated

    bundle = bundles.Bundle.load(model, _device(device))
    with err.status("calibrating"):
        calibration = calibrated(bundle.scorer, bundle.dataset, bundle.temperature)
    if calibration is None:
        raise UserError(f"{model} was trained without valid facts: there is nothing to calibrate it on")
    bundles.save_calibration(bundle, calibration)
    said = f"{_plain(str(model))}: calibrated on {len(bundle.dataset.valid):,} valid facts ({calibration.shape})"
    out.print(said, highlight=False, soft_wrap=True)


@app.command()
def evaluate(
    model: ModelPath,
    split: Annotated[Literal["valid", "test"], typer.Option(help="Which held-out facts.")] = "test",
    threshold: Annotated[float, typer.Option(help="From which probability on precision and recall are counted.")] = 0.5,
    plot: Annotated[
        Path | None, typer.Option(help="Draw predicted against observed probabilities (.png or .svg).")
    ] = None,
    negatives: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Tell facts from its valid_negatives and test_negatives."),
    ] = None,
    device: Device = "cpu",
    json_: Json = False,
) -> None:
    """Filtered ranking of a model's held-out facts: both directions, against all entities. Then its probabilities."""
    from kg.bundle import Bundle
    from kg.evaluation import ranking
    from kg.probability import reliability
    from kg.probability import triple_classification as judged

    _check_evaluate(split, threshold, plot, negatives)
    bundle = Bundle.load(model, _device(device))
    dataset = bundle.dataset
    if not len(dataset.part(split)):
        raise UserError(f"{model} was trained without {split} facts: there is nothing to measure it on")
    probability = None
    if bundle.calibration is None:
        if plot is not None:
            raise UserError(f"--plot: {model} tells no probabilities (kg calibrate {model})")
        err.print(f"{_plain(str(model))} tells no probabilities (kg calibrate)", highlight=False, soft_wrap=True)
    with _count_bar("ranking") as progress:
        found = ranking.evaluate(bundle.scorer, dataset, split, temperature=bundle.temperature, progress=progress)
    metrics = found.metrics(dataset.vocabulary.relations)
    if bundle.calibration is not None:
        with err.status("probabilities"):
            probability = reliability.evaluate(
                bundle.calibration, bundle.scorer, dataset, split, bundle.temperature, threshold
            )
        if plot is not None:
            reliability.plot(probability, plot, f"{model.name}, {split}")
    told = None
    if negatives is not None:
        with err.status("negatives"):
            told = judged.classify(bundle.scorer, dataset, negatives, bundle.temperature, bundle.calibration)
    if json_:
        values = metrics.to_json() | {"probability": probability and probability.to_json()}
        _print_json(values if told is None else values | {"classification": told.to_json()})
        return
    out.print(_metrics_table(metrics, dataset.schema.label, split))
    if probability is not None:
        out.print(_probability_table(probability, split))
    if told is not None:
        out.print(_classification_table(told))


def _check_evaluate(split: str, threshold: float, plot: Path | None, negatives: Path | None) -> None:
    """What is wrong with the options is said before the ranking, not after it."""
    if not 0 < threshold <= 1:
        raise UserError(f"--threshold must be above 0 and at most 1: got {threshold:g}")
    if negatives is not None and split != "test":
        raise UserError("--negatives is measured on test, by what was fitted on valid: leave --split out")
    if plot is not None and plot.suffix not in (".png", ".svg"):
        raise UserError(f"--plot {plot}: expected a name that ends in .png or .svg")
    if plot is not None and not plot.absolute().parent.is_dir():
        raise UserError(f"--plot {plot}: no directory {plot.parent}")


@app.command()
def bench(
    source: Source,
    presets: Annotated[
        list[str], typer.Option(metavar="FILE[:A,B,...]", help="Functions in FILE that give Runs: these, or all.")
    ],
    out_: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the models and the results go.")],
    seeds: Annotated[int, typer.Option(help="How many trainings of each: with the seeds 0, 1, 2 ...")] = 3,
    device: Device = "cpu",
    json_: Json = False,
) -> None:
    """Compare presets: train each with several seeds, measure them on test, write results.json and .md and two plots.

    Ctrl-C saves and exits 130; the same command goes on. Other presets and more seeds join what is in DIR.
    """
    from kg.studies import bench as benchmark
    from kg.studies.presets import presets as read

    runs = read(*presets)
    device = _device(device)
    with _saving("the same command goes on"):
        dataset = _dataset(source)
        results = benchmark.bench(dataset, runs, out_, seeds=seeds, device=device, console=err, quiet=json_)
    if json_:
        _print_json(results.to_json())
        return
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    shown = ("preset", "seeds", "test MRR", "Hits@10", "valid MRR", "seconds")  # as many as 80 columns hold
    for heading in shown:
        table.add_column(heading, no_wrap=heading != "preset")
    for row in benchmark.leaderboard(results):
        table.add_row(*(row[heading] for heading in shown))
    out.print(table)
    out.print(f"written to {_plain(str(out_ / 'results.md'))}", highlight=False, soft_wrap=True)


@app.command()
def tune(
    source: Source,
    out_: Annotated[Path, typer.Argument(metavar="OUT", help="The folder for the study, best.py and report.md.")],
    model: Annotated[str, typer.Option(help="The model whose settings are looked for.")],
    trials: Annotated[int, typer.Option(help="How many trials, those of earlier calls included.")] = 50,
    timeout: Annotated[float | None, typer.Option(help="Begin no trial after so many seconds.")] = None,
    epochs: Epochs = None,
    seed: Annotated[int, typer.Option(help="Decides the trainings and what is tried.")] = 0,
    device: Device = "cpu",
    json_: Json = False,
) -> None:
    """Look for a model's best settings by the MRR on valid: OUT/best.py is a preset, OUT/report.md tells of the trials.

    Ctrl-C exits 130; the same command goes on. Test facts are never looked at.
    """
    from kg.studies.tune import tune as tuned

    device = _device(device)
    with _saving("the same command goes on"):
        found = tuned(
            _dataset(source, seed=0),  # as `kg bench` and `kg train` split it
            model,
            out_,
            trials=trials,
            timeout_seconds=timeout,
            epochs=epochs,
            seed=seed,
            device=device,
            console=err,
            quiet=json_,
        )
    if json_:
        _print_json(found.to_json())
        return
    counts = f"best of {found.complete + found.pruned} trials, {found.pruned} of them given up"
    out.print(
        f"{_plain(str(out_))}: valid MRR {found.valid_mrr:.4f}, {counts}\n"
        f"train it: kg train {_plain(f'{source} MODEL --preset {found.preset}')}",
        highlight=False,
        soft_wrap=True,
    )


@app.command()
def ask(
    model: ModelPath,
    pattern: Annotated[
        str,
        typer.Argument(
            help='Such as "(Germany, borders, ?)", or several facts: "(?x, borders, France) & (?x, memberOf, NATO)".'
        ),
    ],
    top: Annotated[int, typer.Option(help="How many answers.")] = 10,
    new_only: Annotated[bool, typer.Option("--new-only", help="Leave known facts out.")] = False,
    types: Types = "off",
    store: KnownFrom = None,
    uncertainty: Annotated[
        int | None, typer.Option(metavar="N", help="How unsure the model is, from N samples with dropout (32 will do).")
    ] = None,
    tnorm: Annotated[
        Literal["product", "minimum"] | None,
        typer.Option(help="How the facts of a question make one probability (product).", show_default=False),
    ] = None,
    device: Device = "cpu",
    json_: Json = False,
) -> None:
    """The most plausible answers: (subject, predicate, ?), (?, predicate, object) or (subject, ?, object).

    Or of several facts with variables, as ?x: a chain "(Germany, borders, ?x) & (?x, language, ?y)", or facts that
    meet. "-> ?y" at the end says which variable is asked for, where that is not plain.
    """
    from kg.query.complex.conjunctive_query import Conjunction, parse_question
    from kg.query.predictor import Predictor

    question = parse_question(pattern)
    if isinstance(question, Conjunction):
        for option, given in (("--uncertainty", uncertainty is not None), ("--types", types != "off")):
            if given:
                raise UserError(f"{option} is for one fact with '?', not for a question with variables")
        predictor = Predictor.load(model, store, _device(device))
        _print_answers(question, predictor, top, new_only, tnorm or "product", json_)
        _say_what_is_known(predictor)
        return
    if tnorm is not None:
        raise UserError("--tnorm is for questions with variables, such as (?x, borders, France) & (?x, memberOf, NATO)")
    predictor = Predictor.load(model, store, _device(device))
    candidates = predictor.ask(question, top, new_only, types)
    unsure = None if uncertainty is None else predictor.uncertainty(question, uncertainty, new_only=new_only)
    if json_:
        told = {"uncertainty": unsure.to_json()} if unsure else {}
        _print_json([candidate.to_json() | told for candidate in candidates])
    else:
        out.print(candidate_table(candidates))
        if unsure:
            out.print(_uncertainty_line(unsure), highlight=False, soft_wrap=True)
    _say_what_is_known(predictor)


@app.command()
def complete(
    model: ModelPath,
    out_: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FILE", help="Write them there: .tsv, .jsonl, or RDF (.trig, .nq ...), also .gz."
        ),
    ] = None,
    relation: Annotated[list[str] | None, typer.Option(help="Of this predicate (repeat it); otherwise of all.")] = None,
    entity: Annotated[str | None, typer.Option(help="Facts of this entity alone.")] = None,
    top: Annotated[int | None, typer.Option(help="The best so many (1000).", show_default=False)] = None,
    per_relation: Annotated[
        int | None, typer.Option(metavar="K", help="The best K of each predicate instead.", show_default=False)
    ] = None,
    min_probability: Annotated[float, typer.Option(help="Leave out what is less probable.")] = 0.0,
    types: Types = "observed",
    store: KnownFrom = None,
    rdf11: Annotated[bool, typer.Option("--rdf11", help="RDF 1.1 reification instead of RDF 1.2 reifiers.")] = False,
    evidence: Annotated[
        bool, typer.Option(help="Count in RDF how many things speak for each candidate: up to a second for each.")
    ] = True,
    device: Device = "cpu",
    json_: Json = False,
) -> None:
    """The most probable new facts of the whole graph: every subject, predicate and object that is not known is tried.

    Killed, it goes on where it was: with -o, the same command. Of the best twenty a table is printed.
    """
    from datetime import UTC, datetime

    from kg.query.candidates.annotations import Origin
    from kg.query.candidates.files import check_writable, is_rdf, write_candidates
    from kg.query.explain.evidence import counted
    from kg.query.predictor import Predictor

    started = datetime.now(UTC)
    if top is not None and per_relation is not None:
        raise UserError("--top and --per-relation: the best of all, or of each predicate; choose one")
    if top is None and per_relation is None:
        top = 1000
    if out_ is not None:  # said before the search, not after it
        check_writable(out_, rdf11)
    predictor = Predictor.load(model, store, _device(device))
    with _count_bar("candidates") as progress:
        found = predictor.complete(
            1000 if top is None else top,  # of no use beside per_relation
            relations=relation,
            entity=entity,
            per_relation=per_relation,
            types=types,
            min_probability=min_probability,
            checkpoint=None if out_ is None else out_.with_name(f".{out_.name}.search"),
            progress=progress,
        )
    if out_ is not None:
        asked: dict[str, Any] = {"relations": relation, "entity": entity, "top": top, "per_relation": per_relation}
        asked |= {"min_probability": min_probability, "types": types}
        settings = {name: value for name, value in asked.items() if value is not None}
        origin = Origin.of(predictor.bundle, predictor.data, predictor.generation, started, settings)
        counts = None
        if evidence and is_rdf(out_):
            with _count_bar("evidence") as progress:
                counts = counted(predictor, found, progress)
        write_candidates(found, out_, origin, rdf11, counts)
        err.print(f"{len(found):,} candidates are in {_plain(str(out_))}", highlight=False, soft_wrap=True)
    if json_:
        _print_json([candidate.to_json() for candidate in found])
    else:
        out.print(candidate_table(found[:20]))
    _say_what_is_known(predictor)
    if found and found[0].probability is None:
        err.print(f"without probabilities: {_plain(predictor.uncalibrated)}", highlight=False, soft_wrap=True)


@app.command()
def rules(
    source: Source,
    max_length: Annotated[int, typer.Option(help="Atoms of a body at most.")] = 3,
    min_support: Annotated[int, typer.Option(help="Facts that a rule must explain.")] = 2,
    min_confidence: Annotated[float, typer.Option(help="Support / (body + 5), at least.")] = 0.001,
    time_limit: Annotated[float | None, typer.Option(help="Look for no more rules after so many seconds.")] = None,
    relation: Annotated[list[str] | None, typer.Option(help="Show rules for this predicate (repeat it) alone.")] = None,
    out_: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write all of them there, as TSV.")
    ] = None,
    top: Annotated[int, typer.Option(help="How many are printed.")] = 20,
    json_: Json = False,
) -> None:
    """Mine rules from the training facts, those that `kg train` learns from. The surest come first.

    Confidence is support / (body + 5), so that few groundings are little trusted; ~ marks counts scaled up from a part.
    """
    from itertools import islice

    from kg.query.explain.rules import RuleNames, ranked, write_rules
    from kg.query.pattern import Names
    from kg.training.algorithms.mining import Mining

    mining = Mining(max_length, min_support, min_support, min_confidence, time_limit)
    if top < 1:
        raise UserError(f"--top must be at least 1: got {top}")
    if out_ is not None and not out_.parent.is_dir():  # said before the mining, not after it
        raise UserError(f"{out_}: no directory {out_.parent}")
    dataset = _dataset(source)
    words = Names(dataset.vocabulary.relations, dataset.schema, "relation")
    wanted = None if relation is None else [dataset.vocabulary.relation_ids[words.term(name)] for name in relation]
    with _count_bar("mining") as progress:
        mined = mining.rules(dataset.graph(), progress)
    names = RuleNames(dataset.vocabulary, dataset.schema)
    best = list(islice(ranked(mined, names, wanted), top))
    count = None if out_ is None else write_rules(ranked(mined, names, wanted), names, out_)
    if json_:
        _print_json([names.row(text, rule) for text, rule in best])
    else:
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        table.add_column(overflow="fold")
        for text, rule in best:
            table.add_row(_plain(text), *_how_sure(rule))
        out.print(table if best else "no rule was found")
    if count is not None:
        err.print(f"{count:,} rules are in {_plain(str(out_))}", highlight=False, soft_wrap=True)


@app.command()
def explain(
    model: ModelPath,
    fact: Annotated[
        list[str], typer.Argument(help='Known or not: Germany continent Europe, or "(Germany, continent, Europe)".')
    ],
    top: Annotated[int, typer.Option(help="How many paths.")] = 5,
    store: KnownFrom = None,
    svg: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw the paths there, as SVG.")] = None,
    json_: Json = False,
) -> None:
    """The evidence for a fact: paths of known facts, like facts, what the model attended to; and what is against it."""
    from kg.query.explain.evidence import explain as evidence_for
    from kg.query.pattern import parse_fact
    from kg.query.predictor import Predictor

    if len(fact) not in (1, 3):
        raise UserError(f"a fact is three names, or one text in brackets: got {len(fact)} of them")
    subject, predicate, object_ = fact if len(fact) == 3 else parse_fact(fact[0])
    predictor = Predictor.load(model, store)
    found = evidence_for(predictor, subject, predicate, object_, top)
    if svg is not None:
        from kg.query.explain.picture import write_svg

        write_svg(found, svg)
        err.print(f"the picture is in {_plain(str(svg))}", highlight=False, soft_wrap=True)
    if json_:
        _print_json(found.to_json())
    else:
        out.print(_plain(str(found)), highlight=False, soft_wrap=True)
    _say_what_is_known(predictor)


@app.command()
def publish(
    model: ModelPath,
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="Its candidates: .tsv, .jsonl or RDF such as .trig.", show_default=False),
    ] = None,
    top: Annotated[
        int | None, typer.Option(help="Instead of FILE: find so many of the most probable new facts.")
    ] = None,
    store: Annotated[
        Path | None, typer.Option(help="The store to publish in; otherwise the one it was trained on.")
    ] = None,
    device: Device = "cpu",
    json_: Json = False,
) -> None:
    """Put a model's candidates into the store's graph urn:kg:predictions, as facts and with probability and origin.

    They take the place of those published before. No other graph changes, no model is trained on them, and
    `kg retract` takes them out again.
    """
    from kg.query.candidates import publish as publishing

    if (file is None) == (top is None):
        raise UserError("expected either a FILE of candidates or --top, how many to find")
    if file is not None:
        published = publishing.publish_file(model, file, store)
    else:
        assert top is not None
        published = publishing.publish_best(model, top, store, _device(device))
    before = f", in place of {published.replaced:,}" if published.replaced else ""
    what = f"{published.candidates:,} candidates are published in {published.graph}{before}"
    _print_published(published, what, json_)


@app.command()
def retract(store: StorePath, json_: Json = False) -> None:
    """Take all published predictions out of a store. Nothing else in it changes."""
    from kg.query.candidates import publish as publishing
    from kg.store.store import Store

    with Store(store) as opened:
        published = publishing.retract(opened)
    _print_published(published, f"{published.replaced:,} candidates taken out of {published.graph}", json_)


@app.command()
def export(
    model: ModelPath,
    file: Annotated[Path, typer.Argument(metavar="OUT", help="A .npz or .tsv file.")],
) -> None:
    """Write a model's embeddings with their terms, for other tools."""
    from kg.bundle import Bundle
    from kg.query.embeddings import write_embeddings

    write_embeddings(Bundle.load(model), file)
    out.print(f"wrote {_plain(str(file))}", highlight=False, soft_wrap=True)


def main() -> None:
    """The `kg` command. It writes UTF-8, whatever the locale says: JSON has no other encoding."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8")
    app()


# What the verbs share


def _print_json(value: Any) -> None:
    out.file.write(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    out.file.flush()


def _plain(text: str) -> str:
    """Text that rich must not read as markup: a path or a label may hold square brackets."""
    return text.replace("[", "\\[")


def _device(name: str) -> str:
    import torch

    if name.split(":")[0] not in ("cpu", "cuda"):
        raise UserError(f"--device {name}: expected cpu, cuda, or a number of the latter such as cuda:1")
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"--device {name}: {str(error).splitlines()[0]}") from None
    return name


def _dataset(
    source: Path,
    relations: list[str] | None = None,
    graphs: list[str] | None = None,
    valid: float | None = None,
    test: float | None = None,
    seed: int = 0,
    restrictions: bool = False,
) -> "Dataset":
    from kg.graph.dataset import Dataset
    from kg.store.store import Store, term_text

    if source.is_file():
        raise UserError(f"{source} is a file: load it first (kg load STORE {source}), then train on the store")
    if not 0 <= seed < 2**63:
        raise UserError(f"--seed must be at least 0 and below 2^63: got {seed}")
    if not (source / "CURRENT").exists():
        chosen = {"relations": relations, "graphs": graphs, "valid": valid, "test": test, "restrictions": restrictions}
        for option, value in chosen.items():
            if value not in (None, False):
                raise UserError(f"--{option} chooses from a store: {source} is a folder of parts, taken as they are")
        return Dataset.from_folder(source)
    with Store(source) as store:
        predicates = relations and [term_text(store.term(name)) for name in relations]
        names = graphs and [term_text(store.term(name)) if name else "" for name in graphs]
        held = {name: share for name, share in (("valid", valid), ("test", test)) if share is not None}
        return Dataset.from_store(store, predicates, names, seed=seed, restrictions=restrictions, **held)


@dataclass(frozen=True)
class _Asked:
    """What the options of `kg train` say of the Run; None where the option was not given."""

    model: str | None
    preset: str | None
    parts: str | None
    dim: int | None
    epochs: int | None
    batch_size: int | None
    lr: float | None
    seed: int | None
    precision: Literal["fp32", "bf16"] | None

    def settings(self, model_out: Path, device: str, quiet: bool) -> "tuple[Callable[[Dataset], Run], int]":
        """From a dataset to the Run to vary, and the seed, which also splits a store. Parts are trained on that way."""
        from kg.training.ensembles.combination import COMBINING, combination

        if (self.model in COMBINING) != (self.parts is not None):
            each = " or ".join(f"--model {name}" for name in COMBINING)
            raise UserError(f"{each} and --parts go together: the parts are what it combines")
        if self.model is not None and self.parts is not None:
            if self.dim is not None:
                raise UserError("--dim: a combination has no use for it")
            self._check_gradient(type(COMBINING[self.model]).__name__)
            seed = self.seed or 0
            parts = self.parts.split(",")
            made = combination(parts, model_out, self.model, seed=seed, device=device, console=err, quiet=quiet)
            return made, seed
        if self.preset is None:
            from kg.training.recipes import default_run

            return default_run(self.model or "complex"), self.seed or 0
        from kg.studies.presets import preset

        if self.model is not None:
            raise UserError("--preset is a whole run, its model included: leave --model out")
        run = preset(self.preset)
        return lambda dataset: run, run.seed if self.seed is None else self.seed

    def varied(self, run: "Run") -> "Run":
        """The run with what the user named in its place."""
        if run.procedure:
            self._check_gradient(type(run.procedure).__name__)
        if self.dim is not None:
            if self.dim < 1:
                raise UserError(f"--dim must be at least 1: got {self.dim}")
            run = replace(run, scorer=partial(run.scorer, dim=self.dim))
        if self.lr is not None:
            if self.lr <= 0:
                raise UserError(f"--lr must be above 0: got {self.lr:g}")
            assert run.optimizer
            run = replace(run, optimizer=partial(run.optimizer, lr=self.lr))
        plain = {name: getattr(self, name) for name in ("epochs", "batch_size", "seed", "precision")}
        return replace(run, **{name: value for name, value in plain.items() if value is not None})

    def _check_gradient(self, procedure: str) -> None:
        """UserError for options of those who descend a gradient."""
        for name in ("lr", "batch_size", "precision"):
            if getattr(self, name) is not None:
                raise UserError(f"--{name.replace('_', '-')}: {procedure} has no use for it")

    def say_unused(self, run: dict[str, Any]) -> None:
        """A resumed model keeps its own settings: say where the command line asks for others."""
        optimizer = run["optimizer"] or {"arguments": {}}
        own = run["scorer"]["arguments"] | optimizer["arguments"] | run | {"model": run["scorer"]["name"]}
        for name in ("model", "preset", "parts", "dim", "batch_size", "lr", "seed", "precision"):
            value = getattr(self, name)
            if value is not None and value != own.get(name):
                flag = name.replace("_", "-")
                goes_on = f"goes on with {own[name]}" if name in own else "keeps its own settings"
                err.print(f"--{flag} {value} was not used: the model {goes_on}", highlight=False, soft_wrap=True)


@contextmanager
def _saving(goes_on: str) -> Iterator[None]:
    """A training that is stopped has saved: say how it goes on, and exit 130."""
    from kg.training.train import Interrupted

    try:
        yield
    except Interrupted:
        err.print(f"Stopped and saved: {_plain(goes_on)}", highlight=False, soft_wrap=True)
        raise typer.Exit(130) from None


class _Bar(Progress):
    """Gone when done, and for a person's eyes only: in a file or a pipe it would leave an empty line."""

    def __init__(self, *columns: ProgressColumn) -> None:
        super().__init__(*columns, console=err, transient=True, disable=not err.is_terminal)


@contextmanager
def _facts_bar() -> Iterator[Callable[[int], None]]:
    text = TextColumn("{task.completed:,.0f} facts, {task.fields[rate]} facts/s")
    with _Bar(SpinnerColumn(), text, TimeElapsedColumn()) as bar:
        task = bar.add_task("", total=None, rate="-")

        def progress(facts: int) -> None:
            elapsed = bar.tasks[task].elapsed or 0.0
            bar.update(task, completed=facts, rate=f"{facts / elapsed:,.0f}" if elapsed else "-")

        yield progress


@contextmanager
def _count_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    columns = (TextColumn(what), BarColumn(), TextColumn("{task.completed:,.0f} of {task.total:,.0f}"))
    with _Bar(*columns, TimeRemainingColumn()) as bar:
        task = bar.add_task("", total=1)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _say_what_is_known(predictor: "Predictor") -> None:
    err.print(f"known facts: {_plain(predictor.facts_from)}", highlight=False, soft_wrap=True)
    if predictor.facts_left_out:
        err.print(f"{predictor.facts_left_out:,} facts of relations it was not trained with were left out")


def candidate_table(candidates: "Candidates") -> Table:
    from kg.query.candidates.candidate import HEADINGS

    rows = candidates.rows()
    noted = any(row[-1] for row in rows)
    table = Table(*(HEADINGS if noted else HEADINGS[:-1]))
    for row in rows:
        cells = [_plain(cell) for cell in row] if noted else [_plain(cell) for cell in row[:-1]]
        table.add_row(*cells)
    return table


def _print_answers(
    question: "Conjunction",
    predictor: "Predictor",
    top: int,
    new_only: bool,
    norm: Literal["product", "minimum"],
    json_: bool,
) -> None:
    from kg.query.complex.cqd import answers

    found = answers(predictor, question, top, new_only, norm)
    if json_:
        _print_json([answer.to_json() for answer in found])
        return
    table = Table("rank", question.asked, "probability", "known", "by these facts", padding=(0, 1, 0, 0))
    for answer in found:
        facts = [
            " ".join(predictor.label(term) for term in (fact.subject, fact.predicate, fact.object))
            + (" (known)" if fact.known else f" ({fact.probability:.3f})")
            for fact in answer.facts
        ]
        new = "known" if answer.known else "[bold]new[/]"
        label = _plain(predictor.label(answer.term))
        table.add_row(str(answer.rank), label, f"{answer.probability:.3f}", new, _plain("\n".join(facts)))
    out.print(table)


def _how_sure(rule: "Rule") -> tuple[str, str]:
    return f"{rule.confidence:.2f}", f"({'~' if rule.sampled else ''}{rule.support:,}/{rule.body:,})"


def _uncertainty_line(found: "Uncertainty") -> str:
    total, most = found.aleatoric + found.epistemic, math.log(found.candidates)
    return (
        f"uncertainty {total:.2f} nats of at most {most:.2f}: {found.aleatoric:.2f} aleatoric (several answers fit), "
        f"{found.epistemic:.2f} epistemic (the {found.samples} samples disagree)"
    )


def _print_published(published: "Published", what: str, json_: bool) -> None:
    if json_:
        _print_json(published.to_json())
        return
    said = f"{published.store}: {what}; generation {published.generation}"
    out.print(_plain(said), highlight=False, soft_wrap=True)


def _metrics_table(metrics: "Metrics", label: Callable[[str], str], split: str) -> Table:
    names = ("mrr", "mean_rank", "amri", "hits_at_1", "hits_at_3", "hits_at_10", "perplexity", "num_ranks")
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column(split, overflow="fold")
    for heading in ("MRR", "rank", "AMRI", "Hits@1", "Hits@3", "Hits@10", "perpl.", "ranks"):
        table.add_column(heading, justify="right", no_wrap=True)
    rows = [("all", metrics), *((f"{side}s", figures) for side, figures in metrics.by_side.items())]
    largest = sorted(metrics.by_relation.items(), key=lambda item: -item[1].num_ranks)
    rows += [(_plain(label(name)), figures) for name, figures in largest]
    for title, figures in rows:
        values = [getattr(figures, name) for name in names]
        table.add_row(title, *(_figure(value) for value in values), end_section=title == "tails")
    return table


def _probability_table(found: "Reliability", split: str) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    rows = [
        (f"probability of being in {split}" if split == "valid" else "probability of being held out", ""),
        ("candidates, and of them a fact", f"{found.candidates:,.0f}, one in {found.negatives_a_fact + 1:,.0f}"),
        ("Brier score, skill", f"{found.brier:.3g}, {_share(found.brier_skill)}"),
        ("log-loss, skill", f"{found.log_loss:.3g}, {_share(found.log_loss_skill)}"),
        ("calibration error, a fact", f"{found.ece:.3g}, {found.ece_a_fact:.3f}"),
        ("PR-AUC", f"{found.pr_auc:.4f}"),
        (f"precision, recall at {found.threshold:.3g}", f"{_share(found.precision)}, {found.recall:.4f}"),
    ]
    for row in rows:
        table.add_row(*row)
    return table


def _classification_table(found: "Classification") -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in (f"{found.facts:,} facts, {found.negatives:,} negatives", "valid", "accuracy", "F1", "PR-AUC"):
        table.add_column(heading, justify="left" if "facts" in heading else "right")
    for name, each in found.inputs.items():
        figures = (each.valid_accuracy, each.accuracy, each.f1, each.pr_auc)
        title = f"{name} (best on valid)" if name == found.chosen else name
        table.add_row(title, *(f"{value:.4f}" for value in figures))
    return table


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _figure(value: float) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    if value != value:
        return "-"
    return f"{value:.4f}" if abs(value) < 10 else f"{value:,.1f}"


if __name__ == "__main__":
    main()
