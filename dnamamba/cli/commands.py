"""The table of commands that use a model: what each says of itself, and where its function is."""

from typing import NamedTuple

__all__ = ["COMMANDS", "Command"]


class Command(NamedTuple):
    """A command that is a function.

    Attributes:
        about: one line, for the overview.
        function: ``module:name``; its signature and docstring make the parser and the help.
        examples: lines as they are typed.
        shared: processes that torchrun starts divide its work.
        on_device: a device does it; takes ``--device``.
        lightning: it works by Lightning, which is imported first.
        tried: it has a dry run (see ``dnamamba.commands.dry_run``).
    """

    about: str
    function: str
    examples: tuple[str, ...]
    shared: bool = True
    on_device: bool = True
    lightning: bool = False
    tried: bool = False


COMMANDS = {
    "embed": Command(
        "FASTA, BED, VCF or tables to vectors, as Parquet, npz or AnnData; resumable",
        "dnamamba.commands.embed:embed_fasta",
        (
            "dnamamba embed runs/quickstart/model genome.fa vectors.npz",
            "dnamamba embed runs/quickstart/model genome.fa vectors.parquet --bed regions.bed",
            "dnamamba embed runs/quickstart/model sequences.csv vectors.h5ad --keep label",
            "dnamamba embed runs/quickstart/model gene.fa bases.npz --pooling null",
            "dnamamba embed model genome.fa alleles.h5ad --vcf variants.vcf --window 1024"
            " --layer 3",
            "dnamamba embed model genome.fa vectors.npz --both_strands",
            "torchrun --nproc-per-node 8 -m dnamamba embed model genome.fa all.parquet"
            " --window 1000",
        ),
        tried=True,
    ),
    "predict": Command(
        "labels of FASTA, BED, VCF or tables by a fine-tuned model, as a table",
        "dnamamba.commands.predict:predict_file",
        (
            "dnamamba predict runs/finetune-sequence/model new.fa labels.tsv",
            "dnamamba predict runs/finetune-sequence/model new.csv labels.tsv --keep all",
            "dnamamba predict runs/finetune-species/model unknown.fa species.parquet --window 500",
            "dnamamba predict runs/finetune-variant/model ref.fa labels.tsv --vcf new.vcf",
        ),
        tried=True,
    ),
    "score": Command(
        "effects of a VCF's variants, without training: INFO fields or a table",
        "dnamamba.commands.score:score_vcf",
        (
            "dnamamba score runs/quickstart/model ref.fa scored.vcf --vcf variants.vcf",
            "dnamamba score vertebrate-0.5m hg38.fa.gz scores.tsv --vcf clinvar.vcf.gz"
            " --checks.contig_names add_chr",
            "dnamamba score model ref.fa scores.tsv --vcf variants.vcf"
            " --checks.mismatch skip --both_strands false",
        ),
        tried=True,
    ),
    "mutagenesis": Command(
        "every substitution of a region: table, tracks, heat map",
        "dnamamba.commands.mutagenesis:mutagenesis",
        (
            "dnamamba mutagenesis model hg38.fa.gz effects/brca1 --region chr17:43044000-43044200",
            "dnamamba mutagenesis model ref.fa effects/exons --bed exons.bed",
        ),
        tried=True,
    ),
    "attribute": Command(
        "what each base of a region adds to a label or the likelihood: table, track, logo",
        "dnamamba.commands.attribute:attribute_regions",
        (
            "dnamamba attribute runs/my/model ref.fa why/one --region chr1:1000-1150",
            "dnamamba attribute model hg38.fa.gz why/peaks --bed peaks.bed --tracks bw --motifs 12",
            "dnamamba attribute model ref.fa why/one --region chr1:1000-1150 --method gradient",
        ),
        tried=True,
    ),
    "motifs": Command(
        "aligned sequences to a motif, in MEME's format",
        "dnamamba.commands.motifs:motif_file",
        (
            "dnamamba motifs sites.fa sites.meme",
            "dnamamba motifs hg38.fa.gz ctcf.meme --bed ctcf-sites.bed --pseudocount 0.5",
        ),
        shared=False,
        on_device=False,
    ),
    "generate": Command(
        "continue a prompt by a causal model, as FASTA",
        "dnamamba.commands.generate:generate_fasta",
        (
            "dnamamba generate runs/quickstart/model out.fa --prompt ATGGCC --length 500",
            "dnamamba generate runs/quickstart/model out.fa --n 10 --temperature 0.8 --top_k 2",
        ),
        shared=False,
    ),
    "evaluate": Command(
        "bits per base of FASTA: whole contigs streamed, or each base masked",
        "dnamamba.commands.evaluate:evaluate_fasta",
        (
            "dnamamba evaluate runs/quickstart/model genome.fa",
            "dnamamba evaluate runs/quickstart/model a.fa b.fa.gz --output bits.tsv",
            "dnamamba evaluate runs/quickstart/model genome.fa --bed held_out.bed --window 1024",
            "dnamamba evaluate bidirectional genome.fa --bed held_out.bed --mask_every 16",
        ),
        tried=True,
    ),
    "convert": Command(
        "a model of others to ours, or ours to theirs",
        "dnamamba.commands.convert:convert",
        (
            "dnamamba convert kuleshov-group/caduceus-ph_seqlen-131k_d_model-256_n_layer-16 ph",
            "dnamamba convert runs/quickstart/model hf --to transformers",
            "dnamamba convert downloaded model --tokens tokens.json",
        ),
        shared=False,
        on_device=False,
    ),
    "push": Command(
        "a model's folder with its card to the Hugging Face hub",
        "dnamamba.commands.push:push",
        (
            "dnamamba push runs/quickstart/model owner/quickstart --license apache-2.0",
            "dnamamba push model owner/model --private --message 'Trained for longer'",
        ),
        shared=False,
        on_device=False,
    ),
    "doctor": Command(
        "versions, devices, kernels tried, folders: what an issue report needs",
        "dnamamba.commands.doctor:doctor",
        ("dnamamba doctor",),
        shared=False,
        on_device=False,
    ),
    "genome": Command(
        "a reference genome by its name, as hg38, fetched and checked",
        "dnamamba.commands.genome:fetch_genome",
        ("dnamamba genome hg38", "dnamamba genome TAIR10 -o thale.fa.gz", "dnamamba genome --list"),
        shared=False,
        on_device=False,
    ),
    "report": Command(
        "table, figures and samples of a finished run",
        "dnamamba.report.report:report",
        ("dnamamba report runs/quickstart",),
        shared=False,
        lightning=True,
    ),
    "probe": Command(
        "what a frozen model's vectors know of labels, beside k-mers and random weights",
        "dnamamba.probing.command:probe_file",
        (
            "dnamamba probe vertebrate-0.5m labelled.csv -o out",
            "dnamamba probe runs/quickstart/model labelled.csv -o out --layers all",
            "dnamamba probe model folder --folds 10 --groups none --learners linear",
        ),
        shared=False,
    ),
    "benchmark": Command(
        "models on labelled tasks, beside k-mers, random weights and training from scratch",
        "dnamamba.benchmark.command:benchmark",
        (
            "dnamamba benchmark labelled.csv --models vertebrate-0.5m caduceus-folder -o out",
            "dnamamba benchmark gue --models vertebrate-0.5m --data folder -o out --seeds 5",
            "dnamamba benchmark gue/tf/0 gue/mouse --models model -o out --protocols frozen",
            "dnamamba benchmark --list --data folder",
        ),
        shared=False,
        lightning=True,
    ),
}
