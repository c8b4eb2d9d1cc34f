"""Regions of a genome that a command explains by a model: all that is named, checked and opened."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dnamamba.commands.meme import check_width
from dnamamba.commands.places import Place, named_outputs, named_places
from dnamamba.commands.processes import World
from dnamamba.data.genome.fasta import Genome
from dnamamba.device import best_device

if TYPE_CHECKING:
    from dnamamba.alphabet import Tokenizer
    from dnamamba.checkpoint import Model

__all__ = ["Regions", "open_regions"]


class Regions(NamedTuple):
    """What a command reads, and what it is to write.

    Attributes:
        genome: the reference.
        places: the regions.
        paths: a file for each ending, of all regions together.
        pictures: a file a region, as many as are drawn.
        model: on its device.
        tokenizer: the model's.
    """

    genome: Genome
    places: list[Place]
    paths: list[Path]
    pictures: list[Path]
    model: "Model"
    tokenizer: "Tokenizer"


def open_regions(
    world: World,
    model: str,
    fasta: str,
    output: str,
    endings: Sequence[str],
    *,
    region: str | None,
    bed: str | None,
    motifs: int | None,
    device: str,
    overwrite: bool,
) -> Regions:
    """Check and open all that is named, before anything is computed.

    Args:
        world: the processes that share the work; they must have named the same.
        model: as a command takes it.
        fasta: the reference.
        output: how the names of the files begin.
        endings: how those go on that hold all regions; with ``motifs`` meme is one more.
        region: contig:start-end.
        bed: regions instead of one.
        motifs: bases of a motif; None: none are written.
        device: as a command takes it.
        overwrite: files that exist are replaced.

    Raises:
        ValueError: bad input; names file, line or argument, and a remedy.
    """
    from dnamamba.checkpoint import load
    from dnamamba.commands.agreement import check_same

    genome = Genome(fasta)
    places = named_places(genome, region, bed)
    endings = [*endings, *(["meme"] if motifs else [])]
    paths, pictures = named_outputs(output, endings, len(places), overwrite)
    check_width(motifs, places)
    network, tokenizer = load(model, best_device(device))
    genome.check(tokenizer, [contig for contig, _, _ in places])
    check_same(world, network, tokenizer, [genome], bed)
    return Regions(genome, places, paths, pictures, network, tokenizer)
