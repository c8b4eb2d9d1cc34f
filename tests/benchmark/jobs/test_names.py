from dnamamba.benchmark.jobs.names import short_names


def test_models_are_called_by_the_end_of_their_path() -> None:
    typed = {
        "vertebrate-0.5m": "vertebrate-0.5m",
        "runs/quickstart/model": "quickstart/model",
        "a/best": "a/best",
        "b/best": "b/best",
        "owner/caduceus-ph_seqlen-1k": "caduceus-ph_seqlen-1k",
        "runs/x/last.ckpt/": "last.ckpt",
    }
    assert short_names([*typed]) == typed


def test_a_path_that_ends_another_keeps_what_tells_it_apart() -> None:
    assert short_names(["best", "a/best"]) == {"best": "best", "a/best": "a/best"}
