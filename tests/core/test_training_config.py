"""Training configs: the shipped ones load, overrides reach every depth, mistakes are named, nothing is run."""

import dataclasses
import shutil
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from draganything_core.controlnet import CHOICES
from draganything_core.training.config import (
    Control,
    Data,
    Networks,
    Noise,
    Optimizer,
    Synthetic,
    TrainingConfig,
    Validation,
)
from draganything_core.training.config_file import (
    SHIPPED,
    config_to_yaml,
    describe_keys,
    find_config,
    load_config,
    shipped_configs,
)
from draganything_core.training.plain_yaml import read_yaml, write_yaml

SMALL = """\
stage: controlnet
output: runs/small
steps: 30
networks: {svd: models/svd}
data: {synthetic: {seed: 3, clips: 7}}
"""


@pytest.fixture
def config_with(tmp_path):
    """A small config's file, with more lines in it."""

    def write(more: str = "", text: str = SMALL):
        file = tmp_path / "small.yaml"
        file.write_text(text + more, "utf-8")
        return file

    return write


# What ships

FULL_SIZE = ["paper.yaml", "a100_40gb.yaml", "24gb.yaml", "youtube_vos.yaml"]


@pytest.mark.parametrize("name", shipped_configs())
def test_every_shipped_config_loads_by_its_name_and_comes_back_from_its_yaml(name, tmp_path):
    file = tmp_path / name
    file.write_text(config_to_yaml(load_config(name)), "utf-8")
    assert load_config(file) == load_config(name)


@pytest.mark.parametrize("name", FULL_SIZE)
def test_full_size_configs_train_on_what_the_paper_did_and_name_only_choices_there_are(name):
    config = load_config(name)
    assert config.stage == "controlnet"
    assert config.data.tracker == "cotracker"
    assert not config.data.allow_tracker
    assert set(config.control.choices) <= set(CHOICES)
    assert config.control.choices["size"] == config.data.sizes[0]
    assert config.control.choices["frames"] == config.data.frames[0]


def test_the_papers_config_holds_the_papers_figures():
    config = load_config("paper.yaml")
    assert (config.data.sizes, config.data.frames) == (((320, 576),), (25,))
    assert (config.optimizer.lr, config.steps, config.global_batch) == (1e-5, 100_000, 14)
    assert (config.control.radius, config.loss.mask_bg_weight) == ("first_frame", 0.0)


def test_a_file_in_the_working_directory_comes_before_the_packages_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_config("paper.yaml") == SHIPPED / "paper.yaml"
    shutil.copy(SHIPPED / "24gb.yaml", tmp_path / "paper.yaml")
    assert load_config("paper.yaml") == load_config("24gb.yaml")


@pytest.mark.parametrize("name", ["papper.yaml", "elsewhere/paper.yaml"])
def test_a_file_that_is_nowhere_is_refused_with_the_names_there_are(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=rf"{name}: no such file .*24gb\.yaml, .*paper\.yaml"):
        load_config(name)


# Overrides


def test_overrides_reach_every_depth_in_both_forms_and_the_last_wins(config_with):
    file = config_with("control: {choices: {geometry: exact}}\n")
    overrides = ["--steps", "40", "--optimizer.lr=2e-5", "--optimizer.lr", "3e-5", "--noise.sigma_mean", "-0.5"]
    overrides += ["--data.synthetic.seed", "4", "--control.choices.entity_source.model_kind", "sd15"]
    overrides += ["--control.choices.size", "[320, 576]", "--micro_batch", "null"]
    config = load_config(file, overrides)
    assert (config.steps, config.optimizer.lr, config.noise.sigma_mean) == (40, 3e-5, -0.5)
    assert config.data.synthetic == Synthetic(seed=4, clips=7)
    assert config.control.choices == {
        "geometry": "exact",
        "entity_source": {"model_kind": "sd15"},
        "size": (320, 576),
    }
    assert config.micro_batch is None


def test_parts_of_a_section_that_the_file_lacks_can_be_overridden(config_with):
    config = load_config(config_with(), ["--validation.synthetic.seed", "9"])
    assert config.validation.synthetic == Synthetic(seed=9)


def test_a_section_given_as_a_whole_replaces_the_files(config_with):
    config = load_config(config_with(), ["--data.synthetic", "{seed: 5}"])
    assert config.data.synthetic == Synthetic(seed=5)
    config = load_config(config_with(), ["--data.synthetic", "null", "--data.annotation", "annotations/a"])
    assert config.data == Data(annotation="annotations/a")


def test_a_switch_needs_no_value_and_dashes_count_as_underscores(config_with):
    config = load_config(config_with(), ["--tensorboard", "--data.allow-tracker", "--activation_checkpointing", "true"])
    assert config.tensorboard
    assert config.data.allow_tracker
    assert config.activation_checkpointing


@pytest.mark.parametrize("text", ["007", "1e-5", "a: b # c", "true", "[x"])
def test_text_overrides_are_taken_as_they_stand(config_with, text):
    assert load_config(config_with(), ["--output", text, "--networks.preset", text]).output == text


# What words mean


@pytest.mark.parametrize(("written", "value"), [("1e-5", 1e-5), ("2.5E+3", 2500.0), ("1", 1.0), (".5", 0.5)])
def test_numbers_with_an_exponent_are_numbers(config_with, written, value):
    lr = load_config(config_with(f"optimizer: {{lr: {written}}}\n")).optimizer.lr
    assert (lr, type(lr)) == (value, float)


@pytest.mark.parametrize(
    ("written", "value"),
    [("010", 10), ("100_000", 100_000), ("no", "no"), ("1:30", "1:30"), ("2024-01-01", "2024-01-01"), ("~", None)],
)
def test_words_mean_what_they_look_like(written, value):
    assert read_yaml(f"key: {written}") == {"key": value}


# Mistakes

MISTAKES = {
    "optimzer: {lr: 1}": r"optimzer: there is no such key; did you mean optimizer\?",
    "lr: 1e-5": r"lr: there is no such key; did you mean optimizer\.lr\?",
    "optimizer: {lrr: 1}": r"optimizer\.lrr: there is no such key; did you mean optimizer\.lr\?",
    "loss: {qqqq: 1}": r"loss\.qqqq: there is no such key; there are mask_bg_weight, loss_reduction",
    "optimizer: {lr: fast}": r"optimizer\.lr: expected a finite number, got 'fast'",
    "optimizer: {lr: true}": r"optimizer\.lr: expected a finite number, got true",
    "optimizer: {lr: 1e400}": r"optimizer\.lr: expected a finite number, got inf",
    "optimizer: {betas: [0.9]}": r"optimizer\.betas: expected \[a finite number, a finite number\], got \[0\.9\]",
    "optimizer: 3": r"optimizer: expected a section with some of lr, betas, .*, got 3",
    "seed: 1.0": r"seed: expected a whole number, got 1\.0",
    "threads: null\nmicro_batch: many": r"micro_batch: expected a whole number, or null, got 'many'",
    "keep: true": r"keep: expected a whole number, or null, got true",
    "precision: null": r"precision: expected one of fp32, bf16, got null",
    "networks: {svd: 3}": r"networks\.svd: expected text, or null, got 3",
    "validation: {synthetic: {sede: 1}}": r"validation\.synthetic\.sede: there .* did you mean validation\.synthetic",
    "data: {annotation: a, frames: [25, long]}": r"data\.frames\[1\]: expected a whole number, got 'long'",
    "data: {annotation: a, frames: 25}": r"data\.frames: expected a list \[\.\.\.\], each a whole number, got 25",
    "data: {annotation: a, sizes: [[320, 577]]}": r"data\.sizes: .*multiples of 8, got 320x577",
    "data: {cache: c}": r"data: give either annotation",
    "loss: {mask_bg_weight: 2}": r"loss: mask_bg_weight must be in 0\.\.1, got 2\.0",
    "control: {choices: [a]}": r"control\.choices: expected a section, got \['a'\]",
    "control: {choices: {a: !!timestamp 2024-01-01}}": r"control\.choices\.a: expected numbers, text, .*2024",
    "control: {choices: {1: a}}": r"a key must be text; quote it, line",
    "control: {choices: {a: 1, a: 2}}": r"the key a stands there twice, line",
    "control: {choices: &all {all: *all}}": r"contains itself",
    "loss: [1": r"expected ',' or ']'.*, line",
}


@pytest.mark.parametrize(("lines", "message"), MISTAKES.items())
def test_mistakes_are_named_by_file_and_key(config_with, lines, message):
    first = lines.partition(":")[0]
    rest = "".join(line + "\n" for line in SMALL.splitlines() if not line.startswith(f"{first}:"))
    file = config_with(lines + "\n", text=rest)
    with pytest.raises(ValueError, match=message) as refused:
        load_config(file)
    assert str(refused.value).startswith(f"{file}: ")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["--optimizer.lrr", "4"], r"optimizer\.lrr: there is no such key; did you mean optimizer\.lr\?"),
        (["--optimzer.lr", "4"], r"optimzer: there is no such key; did you mean optimizer\?"),
        (["--optimizer.lr.x", "4"], r"optimizer\.lr\.x: there is no such key; optimizer\.lr holds a finite number"),
        (["--optimizer.lr", "fast"], r"optimizer\.lr: expected a finite number, got 'fast'"),
        (["--data.frames", "[25"], r"data\.frames: expected a list \[\.\.\.\], each a whole number, got '\[25'"),
        (["--steps"], r"steps: needs a value, a whole number"),
        (["--steps", "--tensorboard"], r"steps: needs a value, a whole number"),
        (["--steps="], r"steps: needs a value, a whole number"),
        (["--output"], r"output: needs a value, text"),
        (["steps", "4"], r"expected --dotted\.key value, such as --optimizer\.lr 2e-5, got 'steps'"),
        (["-s", "4"], r"expected --dotted\.key value, such as --optimizer\.lr 2e-5, got '-s'"),
        (["--data..seed", "4"], r"data\.: there is no such key"),
        (["--control.choices.a.b", "4"], r"control\.choices\.a\.b: cannot be set, because control\.choices\.a is 3"),
        (["--data.sizes", "[[8, 12]]"], r"data\.sizes: .*multiples of 8, got 8x12"),
    ],
)
def test_mistakes_in_overrides_are_named_with_the_file_and_the_override(config_with, overrides, message):
    file = config_with("control: {choices: {a: 3}}\n")
    with pytest.raises(ValueError, match=message) as refused:
        load_config(file, overrides)
    assert str(refused.value).startswith(f"{file} with {overrides[0]}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"expected keys with values, such as stage: controlnet, got null"),
        ("[1, 2]", r"expected keys with values, such as stage: controlnet, got \[1, 2\]"),
        ("steps: 3", r"stage, output, data missing; stage: one of autoencoder, base, controlnet"),
    ],
)
def test_a_file_without_a_config_is_refused(config_with, text, message):
    with pytest.raises(ValueError, match=message):
        load_config(config_with(text=text))


def test_a_file_that_is_no_text_is_refused(tmp_path):
    file = tmp_path / "weights.yaml"
    file.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ValueError, match=r"weights\.yaml: expected YAML in UTF-8"):
        load_config(file)


# Nothing is run


def test_no_class_can_be_named_and_no_module_is_imported(config_with, tmp_path, monkeypatch):
    (tmp_path / "stranger.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    named = "{class_path: stranger.Class, init_args: {seed: 1}}"
    config = load_config(config_with(f"control: {{choices: {{a: {named}}}}}\n"))
    assert config.control.choices["a"] == {"class_path": "stranger.Class", "init_args": {"seed": 1}}
    for section in ("data", "data.synthetic", "optimizer"):
        with pytest.raises(ValueError, match=rf"{section}\.class_path: there is no such key"):
            load_config(config_with(), [f"--{section}", named])
    assert "stranger" not in sys.modules


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.system [exit]", "!!python/name:os.system ''", "!mine {}"])
def test_tags_that_would_make_objects_are_refused(config_with, tag):
    with pytest.raises(ValueError, match=r"could not determine a constructor for the tag"):
        load_config(config_with(f"control: {{choices: {{a: {tag}}}}}\n"))


# Round trip


text = st.text(st.characters(codec="utf-8"), max_size=12)
floats = st.floats(allow_nan=False, allow_infinity=False)
free_values = st.recursive(
    st.none() | st.booleans() | st.integers() | floats | text,
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
free_sections = st.dictionaries(text, free_values, max_size=3)
clips = st.builds(Synthetic, seed=st.integers(0, 2**40), clips=st.integers(1, 9), variations=free_sections)
lengths = st.integers(1, 90)
configs = st.builds(
    TrainingConfig,
    stage=st.just("controlnet"),
    output=text,
    steps=st.integers(1, 10**9),
    data=st.builds(Data, annotation=text, frames=st.lists(lengths, min_size=1, max_size=3).map(tuple), tracker=text)
    | st.builds(Data, synthetic=clips, frames=st.tuples(lengths), sizes=st.just(((40, 56),))),
    networks=st.builds(Networks, svd=text, features=st.none() | text),
    noise=st.builds(Noise, sigma_mean=floats, fps=st.none() | st.floats(1e-3, 1e3)),
    control=st.builds(Control, choices=free_sections),
    optimizer=st.builds(Optimizer, lr=st.floats(1e-12, 1e12), betas=st.tuples(floats, floats)),
    validation=st.builds(Validation, synthetic=st.none() | clips),
    micro_batch=st.none() | st.integers(1, 8),
    tensorboard=st.booleans(),
)


@settings(max_examples=60, deadline=None)
@given(config=configs)
def test_what_is_written_is_read_back_equal(config, tmp_path_factory):
    file = tmp_path_factory.getbasetemp() / "written.yaml"
    file.write_bytes(config_to_yaml(config).encode("utf-8"))
    read = load_config(file)
    assert read == config
    assert repr(read) == repr(config)  # equal numbers of another type would not do


@pytest.mark.parametrize(
    "word",
    [
        "1e5",
        "1_0",
        "010",
        "~",
        "",
        "null",
        "True",
        "no",
        "0x1",
        "<<",
        "=",
        "1:2",
        "- a",
        "a: b",
        "ü",
        "\x85",
        "a\u2028b",
    ],
)
def test_text_that_looks_like_something_else_stays_text(word):
    assert read_yaml(write_yaml({"key": [word], word: word})) == {"key": [word], word: word}


def test_what_is_written_and_the_help_name_every_key(config_with):
    def names(section, prefix=""):
        for entry in dataclasses.fields(section):
            name, value = f"{prefix}{entry.name}", getattr(section, entry.name)
            yield name
            if dataclasses.is_dataclass(value):
                yield from names(value, f"{name}.")

    config = load_config(config_with("validation: {synthetic: {seed: 5}}\n"))
    written, described = read_yaml(config_to_yaml(config)), describe_keys()
    for name in names(config):
        tree = written
        for part in name.split("."):
            tree = tree[part]
        assert f"\n  --{name}: " in described or f"\n{name}: " in described
    assert "--steps: a whole number (required)" in described
    assert "--data.synthetic: a section with some of seed, first, clips, variations, or null (null)" in described
    assert "--optimizer.betas: [a finite number, a finite number] ([0.9, 0.999])" in described
