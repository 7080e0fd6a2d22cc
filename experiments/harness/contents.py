"""experiments/README.md, made from the committed results: what each says, by which command, which page quotes it.

    python experiments/harness/contents.py [--check]

A claim is a sentence whose figures are read from the result itself. --check: exit with 1 if the file is not up to date.
"""

import argparse
import ast
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import mean
from typing import Any

EXPERIMENTS = Path(__file__).resolve().parents[1]
ROOT = EXPERIMENTS.parent
README = EXPERIMENTS / "README.md"
ROOMS = ("quality", "speed", "robustness", "gpu")  # of scripts that write results
LONGEST_COMMAND = 110  # characters
INTRODUCTION = """# Experiments

Made by `python experiments/harness/contents.py`: a test holds it to the files.

- `presets/`: Runs for `kg train --preset` and `kg bench --preset`, a file a dataset or a question.
- `quality/`: how good models, probabilities, evidence and candidates are.
- `robustness/`: whether what comes in is read as it says, what goes wrong is said, and the tests notice defects.
- `gpu/`: all that a GPU is wanted for, in one command (`run.py`); `pack.py` makes what it needs without a network.
- `speed/`: how fast, beside the bare arithmetic and beside other libraries (`peers/`, in an environment of their own).
- `harness/`: what the scripts share; `behaviour.py` records what the commands answer, to compare it after a change;
  `pretraining.py` trains the weights that the package carries.
- `results/`: what was measured: the command, seed, versions, hardware and figures, and pictures.

The scripts find the public benchmarks by `--data FOLDER`, in `$KG_DATA`, or beside the checkout in
`../shared/datasets`; `data/README.md` says where to get them.
"""


def _best(scores: dict[str, float]) -> str:
    name = max(scores, key=lambda each: scores[each])
    return f"{name} {scores[name]:.3f}"


def _bench(result: dict[str, Any]) -> str:
    rows: dict[str, list[float]] = {}
    for row in result["rows"]:
        rows.setdefault(row["preset"], []).append(row["test"]["mrr"])
    best, source = _best({name: mean(values) for name, values in rows.items()}), result["dataset"]["source"]
    return f"test MRR on {source}: {best}" + (f", the best of {len(rows)} presets" if len(rows) > 1 else "")


def _compared(result: dict[str, Any]) -> str:
    scores = {name: figures["mrr"] for name, figures in result["all"]["all"].items() if isinstance(figures, dict)}
    return "test MRR: " + ", ".join(f"{name} {score:.3f}" for name, score in scores.items())


def _reliability(result: dict[str, Any]) -> str:
    skills = [figures["brier_skill"] for figures in result["seeds"].values()]
    return f"probabilities on {result['dataset']}, {result['shape']}: Brier skill {mean(skills):.2f}"


def _trained(result: dict[str, Any]) -> str:
    return f"{result['run']['scorer']['name']} on {result['dataset']}: test MRR {result['test']['mrr']:.3f}"


def _classification(result: dict[str, Any]) -> str:
    best = result["models"][result["best_on_valid"]]
    accuracy = best["inputs"][best["chosen"]]["accuracy"]
    published = max(each["accuracy"] for each in result["published"].values())
    return f"facts told from false statements: accuracy {accuracy:.3f}, published {published}"


def _defaults(result: dict[str, Any]) -> str:
    best = _best({name: row["mrr"] for name, row in result["models"].items()})
    return f"`kg train --model NAME` with no other flag, {len(result['models'])} models: the best test MRR is {best}"


def _planted(result: dict[str, Any]) -> str:
    firsts = [row["first"] for row in result["results"].values()]
    return f"the path that a fact follows from is named first for {min(firsts):.0%} of the facts, or more"


def _lost(result: dict[str, Any]) -> int:
    """What kills.py counts in capitals."""
    stages = [stage for group in (result["load"], *result["train"].values()) for stage in group.values()]
    return sum(count for stage in stages for name, count in stage.items() if name.isupper())


def _exact(result: dict[str, Any]) -> str:
    both = min(row["in both"] for row in result["models"].values())
    return f"discovery finds {both:,} of the {result['top']:,} best that brute force finds"


def _complex_queries(result: dict[str, Any]) -> str:
    found = {row["truth"]: row for row in reversed(result["results"]["test"]) if row["norm"] == "product"}
    calibrated, softmax = (mean(found[truth]["mrr"].values()) for truth in ("calibrated", "softmax"))
    return (
        f"questions of several facts: mean MRR {calibrated:.3f} by calibrated probabilities, {softmax:.3f} by softmax"
    )


def _rescal_als(result: dict[str, Any]) -> str:
    found = (f"{name} {row['plain']['mean']:.3f} ({row['published']})" for name, row in result["datasets"].items())
    return f"area under the precision-recall curve (published): {', '.join(found)}"


CLAIMS: dict[str, Callable[[dict[str, Any]], str]] = {
    "answer_speed": lambda r: f"a warm question takes {r['single_ms']['median']:.1f} ms",
    "large_answers": lambda r: (
        f"a cold question at {r['sizes'][-1]['entities']:,} entities takes "
        f"{r['sizes'][-1]['cold ask']['cpu_seconds']:.1f} CPU s, a warm one "
        f"{1000 * r['sizes'][-1]['warm ask']['cpu_seconds']:.0f} CPU ms, complete --entity "
        f"{r['sizes'][-1]['complete --entity']['cpu_seconds']:.0f} CPU s; they grow with them to the power of "
        f"{', '.join(f'{each:.2f}' for each in r['exponents'].values())}"
    ),
    "path_messages": lambda r: (
        f"messages along paths: {r['times_pyg']['both']:.1f} times as fast as PyTorch Geometric, forward and backward; "
        f"time grows with the edges to the power of {r['exponent']:.2f}"
    ),
    "attention_cost": lambda r: (
        "milliseconds a question grow with the neighbours to the power of "
        + ", ".join(f"{row['exponent']:.2f} ({name})" for name, row in r["mechanisms"].items() if "exponent" in row)
    ),
    "behaviour": lambda r: f"what the commands answer, as {len(r['sha256'])} digests, {r['when']}",
    "bench": _bench,
    "change_speed": lambda r: (
        f"of {r['lines']:,} facts {r['changed']:,} are removed in {r['remove_some']['seconds']:.1f} s; a new version "
        f"of the file takes {r['replace_of_load']} times the load"
    ),
    "classification": _classification,
    "complex_queries": _complex_queries,
    "decision_kills": lambda r: (
        f"kg serve killed {r['kills']} times during {r['acknowledged']:,} decisions: {r['missing']} that were "
        f"acknowledged are missing, {r['twice']} are there twice"
    ),
    "decisions_loop": lambda r: (
        f"of 500 candidates after 500 decisions {r['trained']['hidden']} are hidden facts by a model trained on them, "
        f"{r['without']['hidden']} without"
    ),
    "defaults": _defaults,
    "discovery": lambda r: (
        "of the 1,000 most probable new facts, "
        f"{r['by probability']['1000']['valid'] + r['by probability']['1000']['test']} are held-out facts"
    ),
    "discovery_exact": _exact,
    "discovery_speed": lambda r: (
        f"all candidates are looked at in {r['times_the_bare_products']:.2f} times the time of the bare products"
    ),
    "evaluation_speed": lambda r: (
        f"ranks a second on {r['dataset']}: "
        + ", ".join(f"{times:.0f} times {name}'s" for name, times in r["kg_over_peers_in_ranks_per_second"].items())
    ),
    "evidence_speed": lambda r: f"the evidence of a fact takes {r['random']['seconds'] / r['random']['facts']:.2f} s",
    "families": _compared,
    "full_disk": lambda r: (
        f"of {len(r['runs'])} writes on a full disk of {r['megabytes']} MB, {len(r['runs']) - r['wrong']} leave "
        "the old state or the new one, whole, and say it in one line"
    ),
    "hostile_requests": lambda r: (
        f"of {r['cases']} requests that nobody should send {len(r['wrong'])} are answered wrongly"
    ),
    "inductive": lambda r: (
        f"entities never seen in training ({r['dataset']}): MRR among {r['negatives']} negatives "
        f"{r['inductive']['sampled']['mrr']:.3f}"
    ),
    "kills": lambda r: (
        f"killed {r['kills_a_stage']} times in each of {len(r['load']) + sum(map(len, r['train'].values()))} stages of "
        f"training and loading, {_lost(r)} times the state was not whole or what followed was another"
    ),
    "load_speed": lambda r: f"a store loads {r['lines']:,} lines in {r['ratio']} times the time of rdflib's parser",
    "mutated_models": lambda r: (
        f"of {r['all']['mutations']:,} models with one thing changed {r['all']['refused']:,} are refused by name and "
        f"{r['all']['answered']:,} answer; {r['all'].get('signal', 0)} end in a signal, {len(r['findings'])} otherwise"
    ),
    "mutants": lambda r: (
        f"of {r['mutants']} defects put into the code one at a time, the tests notice {r['killed']}; of "
        f"{r['lists']['mutants_fresh']['mutants']} by someone who had not read the tests they noticed "
        f"{r['lists']['mutants_fresh']['at_first']['killed']} as they stood"
    ),
    "planted_paths": _planted,
    "refresh_speed": lambda r: (
        f"after {r['changed']:,} changes to {r['facts']:,} facts, refresh takes {r['ratio']} of the time to read all"
    ),
    "regularizers": lambda r: (
        "ComplEx's test MRR by norm: " + ", ".join(f"{name} {row['test_mrr']:.3f}" for name, row in r["norms"].items())
    ),
    "reliability": _reliability,
    "rescal_als": _rescal_als,
    "rule_mining": lambda r: (
        f"rules of up to {r['mining']['max_length']} atoms on {r['dataset']} in {r['seconds']:.0f} s"
    ),
    "serve_speed": lambda r: (
        f"kg serve: a page takes {r['page_ms']['p95']:.0f} ms, a decision {r['decision_ms']['p95']:.0f}, "
        f"a question {r['ask_ms']['p95']:.0f} (95 of 100)"
    ),
    "signals": lambda r: (
        f"Ctrl-C and SIGTERM are answered in {len(r['stages'])} stages of the commands, "
        f"within {r['slowest_seconds']:.1f} s"
    ),
    "speed": lambda r: (
        f"questions a second in training on {r['device']}: "
        + ", ".join(f"{name} {row['queries_per_second']:,.0f}" for name, row in r["models"].items())
    ),
    "struck_out": lambda r: (
        f"test MRR {r['mrr']['test']['as_it_is']:.3f}, and {r['mrr']['test']['neighbours_last']:.3f} "
        "when no neighbour of the given entity may answer"
    ),
    "trained": _trained,
    "zero_shot": lambda r: (
        "MRR on test with nothing trained: "
        + ", ".join(f"{name} {each['pretrained']['mrr']:.3f}" for name, each in r["graphs"].items())
    ),
    "mrr_at_time": lambda r: (
        f"MRR on valid of {r['dataset']} after so many CPU seconds: "
        + ", ".join(
            f"{side} {rows[-1]['valid_mrr']:.3f} ({rows[-1].get('cpu_seconds', rows[-1]['seconds']):.0f})"
            for side, rows in r["sides"].items()
        )
    ),
    "training_speed": lambda r: (
        f"training ComplEx on {r['dataset']}: {r['fp32_over_pykeen']['of_medians']:.1f} times PyKEEN's speed"
    ),
    "w3c": lambda r: f"{r['as_they_say']} of {r['tests']} tests of the W3C's suites of RDF 1.1 come out as they say",
    "where_attention_wins": _compared,
}


def script(result: Path) -> str:
    """The script that wrote a result: the longest name that the file's begins with."""
    return max((name for name in CLAIMS if re.match(rf"{name}(_|\.)", result.name)), key=len)


def command(result: Path, content: dict[str, Any]) -> str:
    """As it was run; `kg bench` keeps the presets and not the command."""
    if "command" in content:
        told: str = content["command"]
    else:
        names = content["presets"]
        files = [path for path in sorted((EXPERIMENTS / "presets").glob("*.py")) if set(names) <= _functions(path)]
        named = content["dataset"]["source"].replace("-", "_")
        file = next((path for path in files if path.stem == named), files[0])
        every = ":" + ",".join(names) if set(names) != _functions(file) else ""
        return f"kg bench $KG_DATA/{content['dataset']['source']} --preset experiments/presets/{file.name}{every}"
    told = told.replace("../shared/datasets/", "$KG_DATA/")
    return told if len(told) <= LONGEST_COMMAND else told[:LONGEST_COMMAND].rpartition(" ")[0] + " ..."


def _functions(file: Path) -> set[str]:
    body = ast.parse(file.read_text(encoding="utf-8")).body
    return {node.name for node in body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")}


def quoted() -> dict[str, set[str]]:
    """What each page names without its ending: scripts, result files, and several files by *, <model> or {a,b}."""
    found: dict[str, set[str]] = {}
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        names = re.findall(r"[\w*<>{},.-]+\.(?:json|md|png|py)", page.read_text(encoding="utf-8"))
        found[page.relative_to(ROOT).as_posix()] = {name.rpartition(".")[0] for name in names}
    return found


def _matches(pattern: str, stem: str) -> bool:
    expression = re.sub(r"\\\{(.*?)\\\}", lambda some: f"({some[1].replace(',', '|')})", re.escape(pattern))
    return bool(re.fullmatch(re.sub(r"\\\*|<\w+>", ".+", expression), stem))


def contents() -> str:
    pages = quoted()
    sections: dict[str, list[str]] = {}
    for path in sorted((EXPERIMENTS / "results").glob("*.json")):
        content, name = json.loads(path.read_text(encoding="utf-8")), script(path)
        quoting = [page for page, patterns in pages.items() if any(_matches(each, path.stem) for each in patterns)]
        # A page that names the script, and none of its results, quotes all of them.
        quoting = quoting or [page for page, patterns in pages.items() if name in patterns]
        links = ", ".join(f"[{Path(page).stem}](../{page})" for page in quoting) or "none"
        row = f"| {CLAIMS[name](content)} | `{command(path, content)}` | [{path.stem}](results/{path.name}) | {links} |"
        sections.setdefault(name, []).append(row)
    parts = [INTRODUCTION]
    for name, rows in sections.items():
        parts.append(
            f"## {name}\n\n{_about(name)}\n\n| claim | command | result | page |\n|---|---|---|---|\n" + "\n".join(rows)
        )
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _about(name: str) -> str:
    """The first sentence of the script's own text."""
    files = [path for room in ROOMS for path in (EXPERIMENTS / room).glob(f"{name}.py")]
    if not files:
        return "Leaderboards of `kg bench`, with the settings of every preset and a row a training."
    return (ast.get_docstring(ast.parse(files[0].read_text(encoding="utf-8"))) or "").partition("\n\n")[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    made = contents()
    if not arguments.check:
        README.write_text(made, encoding="utf-8")
    elif not README.exists() or README.read_text(encoding="utf-8") != made:
        sys.exit("experiments/README.md is not up to date: python experiments/harness/contents.py")


if __name__ == "__main__":
    main()
