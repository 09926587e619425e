"""The report: whole, safe, readable, and drawn without overlaps, from folders that no run wrote."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations, pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support.fake_run import (
    NASNET_CELL,
    PAPER_CELL,
    confusion_like,
    write_baseline,
    write_evaluation,
    write_run,
    write_search,
    write_training,
)
from support.pages import HOSTILE, Page, assert_stands_alone

from compactnas import lcz
from compactnas.errors import UserError
from compactnas.reporting.figures.backbone import backbone_figure
from compactnas.reporting.figures.cell import draw_cell
from compactnas.reporting.figures.charts import Series, curves, nice_ticks, number
from compactnas.reporting.figures.grids import confusion_figure, strength
from compactnas.reporting.figures.operations import operation_label
from compactnas.reporting.figures.scatter import HALF, MACS, Dot, plane
from compactnas.reporting.figures.svg import CHARACTER_PX
from compactnas.reporting.figures.wiring import LANE_PX, NODE_HEIGHT, Edge, Wiring, wire
from compactnas.reporting.run.page import write_report
from compactnas.space.genotype import Genotype
from compactnas.space.layouts import LAYOUTS
from compactnas.space.operation_specs import DARTS_OPERATIONS

SVG = "{http://www.w3.org/2000/svg}"


def report(tmp_path: Path, *folders: Path, title: str = "A report") -> Page:
    """The report of these runs, read."""
    return Page(write_report(list(folders), tmp_path / "report.html", title))


def test_whole_run(tmp_path: Path) -> None:
    page = report(tmp_path, write_run(tmp_path / "run"), title="Cities & zones")
    assert_stands_alone(page)
    for words in (
        "Cities & zones",
        "S+C+D",
        "18.42",
        "0.130",
        operation_label("sep_conv_3x3"),
        "Entropy of alpha",
        "OAbu",
        "Config",
        "2.13.0+cpu",
    ):
        assert words in page.text, words
    for heading in (
        "The cell",
        "The whole network",
        "Search",
        "Architecture at",
        "Training from scratch",
        "Confusion",
        "How it",
    ):
        assert heading in page.text, heading
    # Cell, network, search, probabilities, training, two forms of the confusion matrix, and F1 by class.
    assert page.source.count("<svg") == 1 + 1 + 6 + 2 + 3 + 2 + 1
    assert all(c.colour in page.source for c in lcz.CLASSES)


def test_several_runs_in_one_table(tmp_path: Path) -> None:
    counts = confusion_like(17, 0.6, seed=1)
    better = counts + np.diag(counts.sum(axis=1))  # twice the patches, so not comparable
    runs = [
        write_run(tmp_path / "cell", confusion=counts),
        write_baseline(tmp_path / "r8", "resnet8", 0.6, 13_530_000, 79_300),
    ]
    write_evaluation(runs[1], model="resnet8", confusion=counts.T.copy(), macs=13_530_000, parameters=79_300)
    page = report(tmp_path, *runs)
    assert_stands_alone(page)
    assert "ResNet-8" in page.text and "Accuracy and computation" in page.text and "Bold is the best" in page.text
    ids = page.values("id")
    assert len(set(ids)) == len(ids) and {f"#{name}" for name in ids} == set(page.values("href"))
    best = re.findall(r'<td class="best">([^<]*)</td>', page.source)
    assert "13.53" in best and "0.079" in best and "18.42" not in best, "less is better in costs"
    write_evaluation(runs[1], model="resnet8", confusion=better)
    page = report(tmp_path, *runs)
    assert 'class="best"' not in page.source and "not measured on the same patches" in page.text


@pytest.mark.parametrize(
    "absent",
    [
        "config.yaml",
        "environment.json",
        "genotype.json",
        "model.json",
        "search/metrics.jsonl",
        "search/alpha.json",
        "train/metrics.jsonl",
        "evaluation.json",
    ],
)
def test_absent_part_is_left_out(tmp_path: Path, absent: str) -> None:
    run = write_run(tmp_path / "run", epochs=3)
    whole = report(tmp_path, run)
    (run / absent).unlink()
    page = report(tmp_path, run)
    assert_stands_alone(page)
    assert len(page.source) < len(whole.source)


@pytest.mark.parametrize("kind", ["search only", "training only", "evaluation only", "unfinished beside finished"])
def test_single_parts(tmp_path: Path, kind: str) -> None:
    run = tmp_path / "run"
    others = []
    if kind == "search only":
        write_search(run, NASNET_CELL, epochs=1)
    elif kind == "evaluation only":
        write_evaluation(run, model="sen2lcz_mf")
    else:
        write_training(run, epochs=1)
        others = [write_run(tmp_path / "other", epochs=2)] if "beside" in kind else []
    assert_stands_alone(report(tmp_path, run, *others))


def test_names_from_files_are_escaped(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a<b>&c", epochs=2, classes=(HOSTILE, "b</style></svg><script>", "\ud800c"))
    (run / "config.yaml").write_text(f"data:\n  path: {json.dumps(HOSTILE)}\n  split: random\n", encoding="utf-8")
    (run / "environment.json").write_text(json.dumps({HOSTILE: HOSTILE, "b": [1, {"c": HOSTILE}]}), encoding="utf-8")
    page = report(tmp_path, run, title=HOSTILE)
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "img"})
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert "<script>alert(1)</script>" in page.text, "it is shown as text"
    assert "49" not in re.findall(r"\{\{ 7\*7 \}\}|\b49\b", page.text)
    assert not set(page.source) & {"\x00", "\x1b", "\x07"}


def test_hostile_baseline_name_and_script_in_both_tables(tmp_path: Path) -> None:
    runs = [tmp_path / "a", tmp_path / "b"]
    for run in runs:
        write_evaluation(run, model="<script>x</script>")
    assert {tag for tag, _ in report(tmp_path, *runs).tags}.isdisjoint({"script"})


def test_notes_say_what_to_beware_of(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", epochs=4, confusion=confusion_like(17, 0.6, seed=2, absent=(0, 6)))
    config = (run / "config.yaml").read_text(encoding="utf-8").replace("split: official", "split: random")
    (run / "config.yaml").write_text(config.replace("epochs: 4", "epochs: 9"), encoding="utf-8")
    with (run / "train" / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"epoch": 5, "lo')  # killed while it wrote
    text = report(tmp_path, run).text
    assert "over the 15 of 17 classes present" in text and "Compact high-rise, Lightweight low-rise" in text
    assert "memorised" in text and "1 of 5 lines are unreadable" in text and "stopped after 4 of 9 epochs" in text


def test_nothing_is_noted_of_a_sound_run(tmp_path: Path) -> None:
    assert 'class="note"' not in report(tmp_path, write_run(tmp_path / "run", epochs=2)).source


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("evaluation.json", "{"),
        ("evaluation.json", "[1]"),
        ("evaluation.json", '{"model": "x"}'),
        ("evaluation.json", '{"confusion": 1e999}'),
        (
            "search/alpha.json",
            '{"edges": [[0, 0]], "operations": ["none"], "probabilities": [], "depths": [], "depth_probabilities": []}',
        ),
        ("search/alpha.json", '{"edges": 3}'),
        ("genotype.json", "{}"),
        ("environment.json", "3"),
        ("config.yaml", "a: [1"),
        ("config.yaml", "!!python/object/apply:os.system ['true']"),
        ("model.json", "{}"),
    ],
)
def test_damaged_file_is_one_line_that_names_it(tmp_path: Path, file: str, content: str) -> None:
    run = write_run(tmp_path / "run", epochs=2)
    (run / file).write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=re.escape(file)) as caught:
        report(tmp_path, run)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "report.html").exists()


def test_wrong_confusion_shapes(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", epochs=2)
    raw = json.loads((run / "evaluation.json").read_text(encoding="utf-8"))
    for bad in ([[1, 2], [3]], [[1]], "x", [[-1] * 17] * 17):
        (run / "evaluation.json").write_text(json.dumps(raw | {"confusion": bad}), encoding="utf-8")
        with pytest.raises(UserError, match="evaluation"):
            report(tmp_path, run)


def test_no_run_and_no_place_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    run = write_run(tmp_path / "run", epochs=1)
    with pytest.raises(UserError, match="no such folder"):
        write_report([tmp_path / "nowhere"], tmp_path / "r.html")
    with pytest.raises(UserError, match="holds no run"):
        write_report([tmp_path / "empty"], tmp_path / "r.html")
    with pytest.raises(UserError, match="at least one"):
        write_report([], tmp_path / "r.html")
    with pytest.raises(UserError, match="another place"):
        write_report([run], tmp_path / "empty")


def test_same_folder_same_bytes_and_title_from_the_folder(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run-7", epochs=2)
    first = write_report([run], tmp_path / "1.html").read_bytes()
    assert write_report([run], tmp_path / "2.html").read_bytes() == first
    assert b"<title>compactnas: run-7</title>" in first


def test_many_classes_stay_small(tmp_path: Path) -> None:
    names = tuple(f"class {i}" for i in range(300))
    write_evaluation(tmp_path / "run", classes=names, confusion=np.eye(300, dtype=np.int64))
    page = report(tmp_path, tmp_path / "run")
    assert len(page.source) < 500_000 and "class 299" in page.text


def test_diverged_search_is_drawn(tmp_path: Path) -> None:
    run = tmp_path / "run"
    write_training(run, epochs=3)
    with (run / "train" / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"epoch": 4, "loss": NaN, "accuracy": Infinity, "validation_oa": "x"}\n')
    assert not re.search(r'="[^"]*(nan|inf)[^a-z"]*"', report(tmp_path, run).source, re.IGNORECASE)


# Figures


@pytest.mark.parametrize("genotype", [PAPER_CELL, replace(PAPER_CELL, layout="lean"), NASNET_CELL])
def test_cell_is_a_file_of_its_own(genotype: Genotype) -> None:
    root = ET.fromstring(draw_cell(genotype))
    assert root.tag == SVG + "svg" and float(root.attrib["width"]) > 0
    classes = [group.attrib["class"].removeprefix("cn-") for group in root.iter(SVG + "g")]
    drawn = sorted(name for name in classes if name in DARTS_OPERATIONS)
    # Each edge is drawn once as a line and once as a label.
    assert drawn == sorted(2 * [name for edges in genotype.nodes for name, _ in edges])
    words = [text.text for text in root.iter(SVG + "text")]
    assert words.count("output") == 1 and words.count("input") == (2 if genotype.layout == "nasnet" else 1)


@pytest.mark.parametrize(
    ("nodes", "idle"),
    [
        (PAPER_CELL.nodes, set()),
        # Nothing enters node 1, so what leaves it is nothing either.
        (((("none", 0),), (("skip_connect", 0), ("sep_conv_3x3", 1)), (("skip_connect", 1), ("skip_connect", 2))), {1}),
        # Nothing leaves nodes 1 and 2.
        (((("skip_connect", 0),), (("skip_connect", 1),), (("skip_connect", 0), ("none", 1), ("none", 2))), {1, 2}),
        (((("sep_conv_3x3", 0),), (), (("none", 0),)), {0, 1, 2, 3}),
    ],
)
def test_states_that_carry_nothing(nodes: tuple[tuple[tuple[str, int], ...], ...], idle: set[int]) -> None:
    assert Genotype(nodes=nodes, depths=(1,)).idle_states == idle


def test_idle_nodes_are_said(tmp_path: Path) -> None:
    nodes = ((("skip_connect", 0),), (("skip_connect", 1),), (("skip_connect", 0), ("none", 1), ("none", 2)))
    page = report(tmp_path, write_run(tmp_path / "run", Genotype(nodes=nodes, depths=(1, 1, 1)), epochs=2))
    assert "Nodes 1, 2 of the cell (drawn faint) carry nothing" in page.text and "cn-faint" in page.values("class")


Raw = tuple[str, tuple[tuple[tuple[str, int], ...], ...], tuple[int, ...]]


KNOWN = dict(LAYOUTS)
"""Layouts with their modules, which must not be imported inside a strategy."""


@st.composite
def genotypes(draw: st.DrawFn) -> Raw:
    """Layout, nodes and depths of a genotype: nodes that take nothing, and nodes that take everything."""
    layout = draw(st.sampled_from(list(KNOWN)))
    inputs = 2 if layout == "nasnet" else 1
    nodes = []
    if KNOWN[layout].residual:
        depths = draw(st.lists(st.integers(1, 12), min_size=1, max_size=8))
        count = draw(st.sampled_from([len(depths), sum(depths) + len(depths) - 1]))
        names = draw(st.lists(st.sampled_from(KNOWN[layout].operations), min_size=count, max_size=count))
        return layout, tuple(((name, node),) for node, name in enumerate(names)), tuple(depths)
    for node in range(draw(st.integers(4 if layout == "nasnet" else 1, 8))):
        sources = draw(st.sets(st.integers(0, inputs + node - 1)))
        nodes.append(tuple((draw(st.sampled_from(DARTS_OPERATIONS)), source) for source in sorted(sources)))
    depths = draw(st.lists(st.integers(1, 32), min_size=1, max_size=8))
    return layout, tuple(nodes), tuple(depths)


LARGEST: Raw = (
    "nasnet",
    tuple(tuple((DARTS_OPERATIONS[(n + s) % 8], s) for s in range(2 + n)) for n in range(16)),
    (32,) * 8,
)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@example(LARGEST)
@given(genotypes())
def test_every_genotype_is_drawn(raw: Raw) -> None:
    layout, nodes, depths = raw
    genotype = Genotype(nodes=nodes, depths=depths, layout=layout)
    cell = ET.fromstring(draw_cell(genotype))
    width, height = float(cell.attrib["width"]), float(cell.attrib["height"])
    for rect in cell.iter(SVG + "rect"):
        x, y, w, h = (float(rect.get(key, "0")) for key in ("x", "y", "width", "height"))
        assert x >= 0 and y >= 0 and x + w <= width + 0.5 and y + h <= height + 0.5, (
            "a part lies outside of the drawing"
        )
    backbone = backbone_figure(genotype, 10, 17, 32)
    assert sum(e.get("class") == "cn-block cn-accent" for e in backbone.iter("rect")) == sum(genotype.depths)


Box = tuple[float, float, float, float]


def lines_of(wiring: Wiring) -> dict[Edge, list[Box]]:
    """The straight pieces of each edge as boxes without width."""
    found = {}
    for route in wiring.routes:
        if route.side == 0:
            found[route.edge] = [(route.start, wiring.row_y, route.end, wiring.row_y)]
            continue
        lane, node = wiring.lane_y(route.side, route.lane), wiring.row_y + route.side * NODE_HEIGHT / 2
        low, high = min(lane, node), max(lane, node)
        found[route.edge] = [
            (route.start, low, route.start, high),
            (route.start, lane, route.end, lane),
            (route.end, low, route.end, high),
        ]
    return found


def labels_of(wiring: Wiring) -> dict[Edge, Box]:
    """The box of each label."""
    found = {}
    for route in wiring.routes:
        half = (len(operation_label(route.edge.operation)) * CHARACTER_PX + 16) / 2
        y = wiring.row_y if route.side == 0 else wiring.lane_y(route.side, route.lane)
        found[route.edge] = (route.label - half, y - LANE_PX / 2 + 4, route.label + half, y + LANE_PX / 2 - 4)
    return found


def meet(a: Box, b: Box) -> bool:
    """Whether two boxes touch."""
    return a[0] <= b[2] and b[0] <= a[2] and a[1] <= b[3] and b[1] <= a[3]


def overlaps(wiring: Wiring) -> Iterator[str]:
    """All that would make a drawing hard to read."""
    lines, labels = lines_of(wiring), labels_of(wiring)
    nodes = [
        (x, wiring.row_y - NODE_HEIGHT / 2, x + w, wiring.row_y + NODE_HEIGHT / 2)
        for x, w in zip(wiring.left, wiring.width, strict=True)
    ]
    taps = [(x, wiring.row_y, x, wiring.row_y + 9999) for x in wiring.taps]
    for edge, label in labels.items():
        yield from (f"{edge}: label on node" for node in nodes if meet(label, node))
        yield from (f"{edge}: label on tap" for tap in taps if meet(label, tap))
        yield from (
            f"{edge}: label on {e}" for e in lines if e != edge and any(meet(label, piece) for piece in lines[e])
        )
    yield from (f"labels of {a} and {b}" for a, b in combinations(labels, 2) if meet(labels[a], labels[b]))
    for a, b in combinations(lines, 2):
        for p in lines[a]:
            for q in lines[b]:
                parallel = (p[0] == p[2]) == (q[0] == q[2])
                if parallel and meet(p, q):
                    yield f"{a} runs along {b}"


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@example(LARGEST)
@given(genotypes())
def test_no_edge_crosses_a_label_and_no_two_share_a_line(raw: Raw) -> None:
    layout, nodes, _ = raw
    inputs = 2 if layout == "nasnet" else 1
    edges = [Edge(name, source, inputs + node) for node, row in enumerate(nodes) for name, source in row]
    wiring = wire(edges, inputs + len(nodes), inputs, tapped=inputs == 2)
    assert len(wiring.routes) == len(edges)
    assert next(overlaps(wiring), None) is None


def test_confusion_is_normalised_by_row_and_holds_counts() -> None:
    figure = confusion_figure(np.array([[30, 10, 0], [0, 500, 0], [0, 0, 0]]), ("a", "b", "c"))
    shades = [rect.get("fill-opacity") for group in figure.iter("g") for rect in group.iter("rect")]
    assert shades == [f"{strength(share):.3f}" for share in (0.75, 0.25, 1.0)], "the six other cells are blank"
    tips = [title.text for group in figure.iter("g") for title in group.iter("title")]
    assert tips[1] == "a predicted as b: 10 of 40 patches (25.0 %)"
    assert tips[2] == "b correct: 500 of 500 patches (100.0 %)"


@pytest.mark.parametrize(("classes", "named"), [(3, False), (17, True)])
def test_the_colour_bar_is_named_where_its_text_has_room(classes: int, named: bool) -> None:
    figure = confusion_figure(np.eye(classes, dtype=np.int64), tuple("abcdefghijklmnopq"[:classes]))
    assert ("of the true class" in {one.text for one in figure.iter("text")}) == named


def test_no_share_is_blank_and_the_smallest_can_be_seen() -> None:
    assert strength(0.0) == strength(-1.0) == strength(float("nan")) == 0.0
    assert 0.05 < strength(1e-6) < strength(0.5) < strength(1.0) == strength(2.0) == 1.0


@settings(deadline=None, max_examples=200)
@given(st.floats(-1e9, 1e9), st.floats(0, 1e9), st.integers(3, 8), st.booleans())
@example(0.0, 5e-324, 3, False)
@example(1e-310, 1e-320, 3, False)
@example(2e-100, 0.0, 3, False)
def test_ticks_are_round_and_span_the_data(low: float, width: float, count: int, whole: bool) -> None:
    ticks = nice_ticks([low, low + width], count, whole=whole)
    step = ticks[1] - ticks[0]
    assert len(ticks) >= 2 and np.all(np.diff(ticks) > 0) and len(ticks) <= count + 1 + whole
    assert ticks[0] <= low + 1e-6 * max(step, abs(low)) and ticks[-1] >= low + width - 1e-6 * max(
        step, abs(low + width)
    )
    digits = step / 10.0 ** np.floor(np.log10(step) + 1e-9)
    assert min(abs(digits - one) for one in (1, 2, 2.5, 5, 10)) < 1e-3


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=4), min_size=1, max_size=6))
def test_curves_stay_on_the_figure_and_labels_apart(values: list[list[float]]) -> None:
    series = [Series(f"s{i}", [float(x) for x in range(len(ys))], ys, i) for i, ys in enumerate(values)]
    figure = curves("Loss", "nats", series)
    assert figure is not None
    height = float(figure.attrib["viewBox"].split()[3])
    for dot in figure.iter("circle"):
        assert 0 <= float(dot.attrib["cy"]) <= height
    labels = [t for t in figure.iter("text") if t.get("class") == "cn-digit"]
    rows = sorted(float(label.attrib["y"]) for label in labels)
    assert len(rows) == len(values) and all(b - a > 14.9 for a, b in pairwise(rows)) and rows[-1] <= height


def test_nothing_to_draw_is_none() -> None:
    assert curves("Loss", "nats", [Series("a", [1.0], [float("nan")], 0)]) is None
    assert curves("Loss", "nats", [Series("a", [1.0], [-1e308], 0)]) is None  # whose ticks would overflow
    assert curves("Loss", "nats", [Series("a", [1.0, 2.0], [-1e100, 1e100], 0)]) is not None
    assert plane([Dot("a", 1.0, 60.0, 0)], "Accuracy", MACS, HALF) is None


def test_scatter_labels_keep_apart() -> None:
    figure = plane([Dot(f"run {i}", 18.4, 64.0 + 0.001 * i, i % 6) for i in range(8)], "Accuracy", MACS, HALF)
    assert figure is not None
    names = [t for t in figure.iter("text") if (t.text or "").startswith("run ")]
    places = [(float(t.attrib["x"]), float(t.attrib["y"])) for t in names]
    assert len(places) == 8
    assert all(abs(a[1] - b[1]) >= 14 or abs(a[0] - b[0]) > 20 for a, b in combinations(places, 2))


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0"), (18.421, "18.4"), (254.18, "254"), (0.00031, "0.00031"), (1234.5, "1234"), (-0.5, "-0.5")],
)
def test_numbers_have_three_figures(value: float, shown: str) -> None:
    assert number(value) == shown
