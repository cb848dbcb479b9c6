"""Run headroom-ai's own compressor in its own environment; bench_score drives it.

    python score_headroom.py texts.json MODEL_ID

Says {"backend": …} once, then for each line it reads: compresses every text and says
{"seconds": …, "cpu_s": …}, or for "masks" which words the last pass kept.
"""

import json
import sys
import time
from pathlib import Path

from headroom.transforms import kompress_compressor


def main() -> None:
    texts = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    compressor = kompress_compressor.KompressCompressor(
        kompress_compressor.KompressConfig(
            model_id=sys.argv[2], device="cpu", enable_ccr=False
        )
    )
    kept: list[list[int]] = []
    join = kompress_compressor._join_kept_words_by_line  # noqa: SLF001  # masks are not public

    def note(words: list[str], line_ids: list[int], kept_ids: set[int]) -> str:
        kept[-1] = sorted(kept_ids)
        return str(join(words, line_ids, kept_ids))

    kompress_compressor._join_kept_words_by_line = note  # noqa: SLF001
    say({"backend": compressor.preload(allow_download=False)})
    for line in sys.stdin:
        if line.strip() == "masks":
            say({"kept": kept})
            continue
        kept.clear()
        started, busy = time.perf_counter(), time.process_time()
        for text in texts:
            kept.append([])
            compressor.compress(text, allow_download=False)
        seconds, cpu_s = time.perf_counter() - started, time.process_time() - busy
        say({"seconds": seconds, "cpu_s": cpu_s})


def say(answer: dict[str, object]) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
