"""Shapes in signatures are checked while the tests run; small data that several tests share."""

from jaxtyping import install_import_hook

install_import_hook("kg", "checker.check")

import signal  # noqa: E402
from collections.abc import Iterator  # noqa: E402
from pathlib import Path  # noqa: E402

import pytest  # noqa: E402
import torch  # noqa: E402
from commands import PREFIXES, done  # noqa: E402
from fact_files import Make  # noqa: E402

from kg.graph.dataset import Dataset  # noqa: E402
from kg.graph.vocabulary import Vocabulary  # noqa: E402
from kg.models.complex import ComplEx  # noqa: E402
from kg.models.scorer import Scorer  # noqa: E402
from kg.probability import fitting  # noqa: E402
from kg.training import cross_validation  # noqa: E402

# A shell that starts the suite in the background has it ignore Ctrl-C, and some tests send that signal.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The graphs here are small: most tests need no model of theirs but the one they ask for.
FEW, cross_validation._FEW = cross_validation._FEW, 0

torch.set_num_threads(1)  # the tensors here are small: a second thread would cost more than it brings


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """After each test they mean what they did before it: the command line, run in this process, sets them."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def untried(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The probabilities of random facts do not hold, and would be withheld. Most tests need some: whatever they are."""
    if not request.node.get_closest_marker("tried"):
        monkeypatch.setattr(fitting._Fit, "_tried", lambda self, calibration, shown: calibration)


@pytest.fixture(autouse=True)
def small_graphs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.node.get_closest_marker("cross_validated"):
        monkeypatch.setattr(cross_validation, "_FEW", FEW)


@pytest.fixture
def file(tmp_path: Path) -> Make:
    """A file of this name with this content."""

    def make(name: str, content: bytes | str) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return make


@pytest.fixture
def random_dataset() -> Dataset:
    """50 entities, 3 relations, 400 / 40 / 40 random facts."""
    generator = torch.Generator().manual_seed(0)
    hrt = torch.stack([torch.randint(0, high, (600,), generator=generator) for high in (50, 3, 50)], 1)
    hrt = torch.unique(hrt, dim=0)
    hrt = hrt[torch.randperm(len(hrt), generator=generator)]
    names = Vocabulary([f"e{i}" for i in range(50)], [f"r{i}" for i in range(3)])
    return Dataset(hrt[80:480], hrt[:40], hrt[40:80], names, source="random")


@pytest.fixture
def random_scorer() -> Scorer:
    torch.manual_seed(0)
    return ComplEx(50, 3, dim=8)


@pytest.fixture(scope="session")
def country_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two rings of twelve countries that border their neighbours, each in one of two unions; graph.ttl is beside it."""
    folder = tmp_path_factory.mktemp("countries")
    lines = [PREFIXES]
    for i in range(24):
        ring, place = divmod(i, 12)
        lines.append(f'ex:c{i} rdfs:label "Country {i}" ; ex:memberOf ex:union{ring} ; ex:population {i} .')
        for step in (1, 2):
            other = ring * 12 + (place + step) % 12
            lines.append(f"ex:c{i} ex:borders ex:c{other} . ex:c{other} ex:borders ex:c{i} .")
    (folder / "graph.ttl").write_text("\n".join(lines))
    assert "facts read" in done("load", folder / "graph.kg", folder / "graph.ttl")
    return folder / "graph.kg"


@pytest.fixture(scope="session")
def country_model(country_store: Path) -> Path:
    """ComplEx, trained on them for ten epochs."""
    model = country_store.parent / "model"
    done("train", country_store, model, "--model", "complex", "--dim", 16, "--epochs", 10, "--seed", 3)
    return model
