"""The letters of nucleic acids: which there are, how they pair, and what is wrong with others."""

__all__ = ["BASES", "COMPLEMENT", "IUPAC", "LETTERS", "complement_bases", "why_refused"]

BASES = b"ACGTN"
IUPAC = b"RYSWKMBDHV"
LETTERS = BASES + b"U" + IUPAC + BASES.lower() + b"u" + IUPAC.lower()
"""Every byte that some tokenizer accepts."""
# U is its own complement here, so that reverse_complement is an involution: A pairs with T.
COMPLEMENT = bytes.maketrans(b"ACGTRYSWKMBDHVacgtryswkmbdhv", b"TGCAYRSWMKVHDBtgcayrswmkvhdb")
_COMPLEMENT_WITH_URACIL = COMPLEMENT.replace(b"U", b"A").replace(b"u", b"a")


def complement_bases(sequence: bytes) -> bytes:
    """Letters of the complementary bases, case kept; IUPAC codes too. U pairs with A."""
    return sequence.translate(_COMPLEMENT_WITH_URACIL)


def why_refused(byte: int) -> str:
    """What is wrong with a byte that no tokenizer accepts, and what to look for."""
    shown = repr(chr(byte)) if 32 <= byte < 127 else f"byte 0x{byte:02x}"
    if bytes([byte]).upper() in b"EFIJLOPQXZ":
        return f"{shown} is no nucleotide; is this a protein sequence?"
    if byte == ord(">"):
        return f"{shown} inside a sequence line; is a line end missing before a header?"
    if byte in b"-.":
        return f"{shown} is a gap; remove gaps from the alignment (seqkit seq -g)"
    if byte == 0:
        return f"{shown} (NUL) is no nucleotide; is the file damaged, binary or UTF-16?"
    return f"{shown} is no nucleotide; only letters of DNA or RNA are accepted"
