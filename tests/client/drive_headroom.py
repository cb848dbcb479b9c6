"""Runs in headroom's own environment: its compressor and its remote client at work.

    python drive_headroom.py job.json answer.json

A job is {"texts": […], "model_id": "org/name"} or {"texts": […], "endpoint": "http://…",
"target_ratio": …}.
"""

import json
import sys
from pathlib import Path


def main():
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    answer = run_remote(job) if "endpoint" in job else run_local(job)
    answer["modules"] = [name for name in ("torch",) if name in sys.modules]
    Path(sys.argv[2]).write_text(json.dumps(answer), encoding="utf-8")


def run_local(job):
    from headroom.transforms.kompress_compressor import (
        KompressCompressor,
        KompressConfig,
    )

    compressor = KompressCompressor(
        KompressConfig(model_id=job["model_id"], device="cpu", enable_ccr=False)
    )
    backend = compressor.preload(allow_download=False)
    results = [compressor.compress(t, allow_download=False) for t in job["texts"]]
    return {
        "backend": backend,
        "degraded": compressor._degraded_reason,
        "compressed": [result.compressed for result in results],
        "models": sorted({result.model_used for result in results}),
    }


def run_remote(job):
    from headroom.transforms.kompress_compressor import KompressConfig
    from headroom.transforms.kompress_remote import RemoteKompressCompressor

    client = RemoteKompressCompressor(
        job["endpoint"], config=KompressConfig(enable_ccr=False), timeout=120.0
    )
    ratio = job.get("target_ratio")
    results = [client.compress(text, target_ratio=ratio) for text in job["texts"]]
    return {
        "compressed": [result.compressed for result in results],
        "original_tokens": [result.original_tokens for result in results],
        "compressed_tokens": [result.compressed_tokens for result in results],
        "ratios": [result.compression_ratio for result in results],
        "models": sorted({result.model_used for result in results}),
    }


if __name__ == "__main__":
    main()
