"""Every container of sequences in every function: what a plain list gives, or one clear line."""

from collections.abc import Callable
from functools import partial
from io import StringIO
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyfaidx
import pytest
import torch
from Bio import SeqIO
from Bio.Seq import MutableSeq, Seq
from Bio.SeqRecord import SeqRecord
from models import opinionated

from dnamamba.alphabet import Tokenizer
from dnamamba.api import Pretrained
from dnamamba.config import MambaConfig
from dnamamba.inference.sources import encode_all
from dnamamba.model.classifier import Classifier, VariantClassifier
from dnamamba.model.heads import HeadConfig, VariantHeadConfig

# The names are letters of the alphabet: nobody would notice if they were read.
TEXTS = {"KRAS": "ACGTTGCA", "TACK": "GATTACAG", "ARG": "CCNTATGG"}
LIST = list(TEXTS.values())
FASTA = "".join(f">{name} about it\n{text}\n" for name, text in TEXTS.items())
FRAME = pd.DataFrame({"name": list(TEXTS), "sequence": LIST})
TABLE = pa.table({"name": list(TEXTS), "sequence": LIST})


@pytest.fixture(scope="module")
def fasta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fasta") / "three.fa"
    path.write_text(FASTA)
    return path


def characters(dtype: str) -> np.ndarray:
    rows = np.array([list(text) for text in LIST], "S1")
    return rows.view("u1") if dtype == "u1" else rows.astype(dtype)


def records() -> list[SeqRecord]:
    return list(SeqIO.parse(StringIO(FASTA), "fasta"))


Make = Callable[[Path], Any]
CONTAINERS: dict[str, Make] = {
    # several, in an order
    "tuple": lambda _: tuple(LIST),
    "generator": lambda _: (text for text in LIST),
    "iterator": lambda _: iter(LIST),
    "values of a dict": lambda _: TEXTS.values(),
    "numpy, text": lambda _: np.array(LIST),
    "numpy, bytes": lambda _: np.array(LIST, "S"),
    "numpy, objects": lambda _: np.array(LIST, object),
    "numpy, rows of uint8": lambda _: characters("u1"),
    "numpy, rows that are not contiguous": lambda _: np.asfortranarray(characters("u1")),
    "numpy, rows of bytes": lambda _: characters("S1"),
    "numpy, rows of characters": lambda _: characters("U1"),
    "pandas column": lambda _: FRAME["sequence"],
    "pandas column, shuffled index": lambda _: FRAME.set_index([[2, 0, 1]])["sequence"],
    "pandas column, index of names": lambda _: FRAME.set_index("name")["sequence"],
    "pandas column of strings": lambda _: FRAME["sequence"].astype("string"),
    "pandas column of Arrow": lambda _: FRAME["sequence"].astype(pd.ArrowDtype(pa.string())),
    "pandas categories": lambda _: FRAME["sequence"].astype("category"),
    "pandas index": lambda _: FRAME.set_index("sequence").index,
    "pandas array": lambda _: pd.array(LIST),
    "Arrow array": lambda _: pa.array(LIST),
    "Arrow array of bytes": lambda _: pa.array([text.encode() for text in LIST]),
    "Arrow, large strings": lambda _: pa.array(LIST, pa.large_string()),
    "Arrow, dictionary": lambda _: pa.array(LIST).dictionary_encode(),
    "Arrow, chunks": lambda _: pa.chunked_array([LIST[:1], LIST[1:]]),
    "Arrow column": lambda _: TABLE["sequence"],
    "records being parsed": lambda _: SeqIO.parse(StringIO(FASTA), "fasta"),
    # a table with a column of several
    "frame": lambda _: FRAME,
    "frame, seq": lambda _: FRAME.rename(columns={"sequence": "seq"}).set_index("name"),
    "frame, DNA": lambda _: FRAME.rename(columns={"sequence": "DNA"}),
    "Arrow table": lambda _: TABLE,
    "Arrow batch": lambda _: TABLE.to_batches()[0],
    "pandas column, rows called as attributes": lambda _: pd.Series(LIST, ["seq", "columns", "x"]),
    # several, by name
    "dict": lambda _: TEXTS,
    "mapping": lambda _: MappingProxyType(TEXTS),
    "SeqIO.to_dict": lambda _: SeqIO.to_dict(SeqIO.parse(StringIO(FASTA), "fasta")),
    "SeqIO.index": lambda path: SeqIO.index(str(path), "fasta"),
    "pyfaidx.Fasta": lambda path: pyfaidx.Fasta(str(path)),
    "pyfaidx.Fasta, raw": lambda path: pyfaidx.Fasta(str(path), as_raw=True),
    # a list of
    "bytes": lambda _: [text.encode() for text in LIST],
    "bytearray": lambda _: [bytearray(text.encode()) for text in LIST],
    "memoryview": lambda _: [memoryview(text.encode() * 2)[: len(text)] for text in LIST],
    "lower case": lambda _: [text.lower() for text in LIST],
    "numpy scalars": lambda _: list(np.array(LIST)),
    "numpy scalars of bytes": lambda _: list(np.array(LIST, "S")),
    "numpy arrays of nothing but text": lambda _: [np.array(text) for text in LIST],
    "arrays of uint8": lambda _: list(characters("u1")),
    "arrays of every other uint8": lambda _: list(np.repeat(characters("u1"), 2, 1)[:, ::2]),
    "arrays of bytes": lambda _: list(characters("S1")),
    "arrays of characters": lambda _: list(characters("U1")),
    "Seq": lambda _: [Seq(text) for text in LIST],
    "MutableSeq": lambda _: [MutableSeq(text) for text in LIST],
    "SeqRecord": lambda _: records(),
    "Arrow scalars": lambda _: list(pa.array(LIST)),
    "pyfaidx records": lambda path: list(pyfaidx.Fasta(str(path))),
    "pyfaidx records, raw": lambda path: list(pyfaidx.Fasta(str(path), as_raw=True)),
    "pyfaidx sequences": lambda path: [record[:] for record in pyfaidx.Fasta(str(path))],
    "a mixture": lambda _: [LIST[0], Seq(LIST[1]), np.frombuffer(LIST[2].encode(), np.uint8)],
}
REFUSED: dict[str, tuple[Make, str]] = {
    "text": (lambda _: "ACGT", "got one string; wrap it in a list"),
    "bytes": (lambda _: b"ACGT", "got one string; wrap it in a list"),
    "bytearray": (lambda _: bytearray(b"ACGT"), "got one bytearray; wrap it in a list"),
    "Seq": (lambda _: Seq("ACGT"), "got one Seq; wrap it in a list"),
    "SeqRecord": (lambda _: records()[0], "got one SeqRecord; wrap it in a list"),
    "uint8": (lambda _: characters("u1")[0], "got one ndarray; wrap it in a list"),
    "array of no dimension": (lambda _: np.array("ACGT"), "got one ndarray; wrap it in a list"),
    "Arrow scalar": (lambda _: pa.scalar("ACGT"), "got one StringScalar; wrap it in a list"),
    "pyfaidx record": (
        lambda path: pyfaidx.Fasta(str(path))["ARG"],
        "got one FastaRecord; wrap it in a list",
    ),
    "pyfaidx sequence": (
        lambda path: pyfaidx.Fasta(str(path))["ARG"][:4],
        "got one Sequence; wrap it in a list",
    ),
    "path": (lambda path: path, r"got a path, .*three\.fa; read the file first"),
    "frame": (lambda _: FRAME[["name"]], r"DataFrame(; give| has no column of sequences \(seq)"),
    "Arrow table": (lambda _: TABLE.select(["name"]), r"Table(; give| has no .*; it has name\.)"),
    "Arrow batch": (
        lambda _: TABLE.select(["name"]).to_batches()[0],
        r"RecordBatch(; give| has no column of sequences .* give the column that holds them, as)",
    ),
    "frame with two such columns": (
        lambda _: pd.concat([FRAME, FRAME], axis=1),
        r"DataFrame(; give| has 2 columns named 'sequence'; names must be unique)",
    ),
    "set": (lambda _: set(LIST), "got a set, which has no order; sort it"),
    "None": (lambda _: None, "expected a list of (sequences|variants), got NoneType"),
    "number": (lambda _: 3, "expected a list of (sequences|variants), got int"),
    "empty list": (lambda _: [], "expected at least one (sequence|variant), got none"),
    "empty dict": (lambda _: {}, "expected at least one (sequence|variant), got none"),
    "empty generator": (lambda _: iter(()), "expected at least one (sequence|variant), got none"),
}
ITEMS: dict[str, tuple[Any, str]] = {
    "None": ([LIST[0], None], r"sequences\[1\] must be a string or bytes, got NoneType; leave mis"),
    "NaN, a number": ([LIST[0], float("nan")], r"got float; leave missing values out"),
    "NA of pandas": (pd.array([LIST[0], None]), r"sequences\[1\] must be .*, got NAType"),
    "null of Arrow": (pa.array([LIST[0], None]), r"sequences\[1\] must be .*, got NoneType"),
    "pairs": (list(TEXTS.items()), r"sequences\[0\] must be a string or bytes, got tuple"),
    "lists": ([list("ACGT")], r"sequences\[0\] must be a string or bytes, got list"),
    "numbers": (np.arange(3), r"sequences\[0\] must be a string or bytes, got int64"),
    "rows of numbers": (np.ones((2, 4)), r"sequences\[0\] must be .*, got an array of float64"),
    "rows of int64": (characters("u1").astype(int), r"sequences\[0\] must .* an array of int64"),
    "rows of words": (np.array([LIST]), r"sequences\[0\] must be .*, got an array of <U8"),
    "a path": ([Path("GATTACA")], r"sequences\[0\] must be a string or bytes, got \w*Path"),
    "tensors": (torch.zeros(2, 4, dtype=torch.uint8), r"sequences\[0\] must be .*, got Tensor"),
    "a sequence of known length alone": ([Seq(None, 4)], r"sequences\[0\] gives no bases"),
    "bad text of Arrow": (
        pa.array([b"AC", b"\xff"]).view(pa.string()),
        r"sequences\[1\] is not UTF-8",
    ),
    "a missing value cast to text": (
        pd.Series([LIST[0], None]).astype(str),
        r"sequences\[1\] is 'None', the word for a missing value; leave it out$",
    ),
    "NaN cast to text": (
        pd.Series([LIST[0], np.nan]).astype(str),
        r"sequences\[1\] is 'nan', the word .*; leave it out; if it .* bases, write it 'NAN'",
    ),
    "NA of R": ({"KRAS": "NA"}, r"sequences\['KRAS'\] is 'NA', .* leave it out; .* write it 'na'"),
    "NaN": ([LIST[0], "NaN"], r"sequences\[1\] is 'NaN', the word for a missing value"),
    "NaT": ([LIST[0], " NaT "], r"sequences\[1\] is 'NaT', the word for a missing value"),
    "bytes of a missing value": ([b"nan"], r"sequences\[0\] is 'nan', the word for"),
    "array of missing values": (np.array([LIST[0], "nan"]), r"sequences\[1\] is 'nan', the word"),
    "Arrow's text": (pa.array([LIST[0], "NA"]), r"sequences\[1\] is 'NA', the word for"),
    "null": (["null"], r"sequences\[0\] is 'null', the word for a missing value; leave it out$"),
    "NULL": (["NULL"], r"sequences\[0\] is 'NULL', the word for a missing value"),
    "NA of pandas, cast": (["<NA>"], r"sequences\[0\] is '<NA>', the word for a missing value"),
    "a dot": (["."], r"sequences\[0\] is '\.', the word for a missing value"),
    "null in a table": (
        pd.DataFrame({"seq": [LIST[0], None]}),
        r"column 'seq', row 1 \(0-based\) must be .*; leave missing values out",
    ),
    "a letter in a table": (pa.table({"dna": ["AC-T"]}), r"column 'dna', row 0 .*'-' is a gap"),
    "an empty one": ({"a": "ACGT", "b": ""}, r"sequences\['b'\] is empty; leave it out"),
    "a letter": ({"KRAS": "AC-T"}, r"sequences\['KRAS'\], position 2 \(0-based\): '-' is a gap"),
}


# Bases, though they read like the word: no program writes a missing value so, or they came in
# what holds nothing but bases.
BASES: dict[str, tuple[Make, bytes]] = {
    "upper case": (lambda _: ["NAN", "NAT"], b"NANNAT"),
    "lower case": (lambda _: ["na", "nat"], b"nanat"),
    "longer": (lambda _: ["NANA", "nann", "NAACGT"], b"NANAnannNAACGT"),
    "Seq": (lambda _: [Seq("NA")], b"NA"),
    "SeqRecord": (lambda _: list(SeqIO.parse(StringIO(">a\nNA\n"), "fasta")), b"NA"),
    "uint8": (lambda _: [np.frombuffer(b"nan", np.uint8)], b"nan"),
    "pyfaidx": (lambda path: pyfaidx.Fasta(str(_short(path))), b"NA"),
    "pyfaidx, raw": (lambda path: pyfaidx.Fasta(str(_short(path)), as_raw=True), b"NA"),
}


def _short(path: Path) -> Path:
    short = path.with_name("short.fa")
    short.write_text(">a\nNA\n")
    return short


@pytest.mark.parametrize("name", BASES)
def test_bases_that_read_like_a_missing_value(name: str, fasta: Path) -> None:
    make, bases = BASES[name]
    encoded = encode_all(Tokenizer("byte"), make(fasta))
    assert b"".join(sequence.tokens.tobytes() for sequence in encoded) == bases


def pretrained(kind: str) -> Pretrained:
    torch.manual_seed(0)
    config = MambaConfig(d_model=16, n_layers=1, d_state=4)
    model: Any = opinionated()
    if kind == "predict":
        model = Classifier(config, HeadConfig(kind="binary", labels=("no", "yes")))
    elif kind == "variants":
        head = VariantHeadConfig(kind="binary", labels=("no", "yes"))
        model = VariantClassifier(config, head)
    return Pretrained(model.eval(), Tokenizer())


SCORE, PREDICT = pretrained("score").score, pretrained("predict").predict
USES: dict[str, Callable[[Any], Any]] = {
    "embed": pretrained("embed").embed,
    "embed bases": partial(pretrained("embed").embed, pooling=None),
    "score": lambda inputs: SCORE(inputs).log_likelihood,
    "predict": lambda inputs: PREDICT(inputs).probabilities,
}


@pytest.fixture(scope="module", params=USES)
def use(request: pytest.FixtureRequest) -> tuple[Callable[[Any], Any], Any]:
    """A function, and what it gives for a list."""
    function = USES[request.param]
    return function, function(LIST)


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_is_read_as_a_list(
    use: tuple[Callable[[Any], Any], Any], name: str, fasta: Path
) -> None:
    function, expected = use
    container = CONTAINERS[name](fasta)
    np.testing.assert_array_equal(function(container), expected)
    getattr(container, "close", int)()  # of an index, its file


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("function", USES)
def test_what_is_no_container_is_refused(function: str, name: str, fasta: Path) -> None:
    make, message = REFUSED[name]
    with pytest.raises(ValueError, match=message) as error:
        USES[function](make(fasta))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ITEMS)
@pytest.mark.parametrize("function", USES)
def test_what_is_no_sequence_is_named(function: str, name: str) -> None:
    inputs, message = ITEMS[name]
    with pytest.raises(ValueError, match=message):
        USES[function](inputs)


ALLELES = {
    "KRAS": ("ACG", "G", "T", "TTGACG"),
    "TACK": ("ACG", "GA", "G", "CCCGT"),
    "ARG": ("", "A", "ATTT", "C"),
}
VARIANTS: dict[str, Callable[[], Any]] = {
    "tuple": lambda: tuple(ALLELES.values()),
    "generator": lambda: (alleles for alleles in ALLELES.values()),
    "dict": lambda: ALLELES,
    "lists": lambda: [list(alleles) for alleles in ALLELES.values()],
    "numpy": lambda: np.array(list(ALLELES.values())),
    "rows of a frame": lambda: pd.DataFrame(ALLELES.values()).itertuples(index=False),
    "Seq": lambda: [tuple(map(Seq, alleles)) for alleles in ALLELES.values()],
}


@pytest.mark.parametrize("name", VARIANTS)
def test_containers_of_variants(name: str) -> None:
    predict = pretrained("variants").predict
    expected = predict(list(ALLELES.values())).probabilities
    np.testing.assert_array_equal(predict(VARIANTS[name]()).probabilities, expected)


@pytest.mark.parametrize("table", [FRAME, TABLE, TABLE.to_batches()[0]])
def test_a_table_of_variants_is_refused(table: Any) -> None:
    kind = type(table).__name__
    with pytest.raises(ValueError, match=rf"got a {kind}; give the column .*table\['variant'\]"):
        pretrained("variants").predict(table)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_container_of_variants_is_refused(name: str, fasta: Path) -> None:
    make, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        pretrained("variants").predict(make(fasta))


@pytest.mark.parametrize(
    ("alleles", "message"),
    [
        (("nan", "A", "C", "G"), r"variants\[0\], left is 'nan', the word for a missing value"),
        (("ACG", "A", "NA", "G"), r"variants\[0\], alternative is 'NA', the word for a missing"),
        (("ACG", "A", None, "G"), r"variants\[0\], alternative must be .*; leave missing values"),
    ],
)
def test_a_missing_allele_is_named(alleles: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pretrained("variants").predict([alleles])


def test_a_variant_in_a_mapping_is_named() -> None:
    with pytest.raises(ValueError, match=r"variants\['x'\], left must be a string or bytes, got N"):
        pretrained("variants").predict({"x": (None, "A", "C", "G")})
