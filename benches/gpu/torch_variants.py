#!/usr/bin/env python3
"""PyTorch on the shapes that benches/gpu measures: eager, torch.compile and CUDA graphs, single and half precision; and the
machine's ceilings as PyTorch reaches them (a large product of matrices, copies of pinned memory).

    torch_variants.py OUT.json [SECONDS]

Results lie on the device when the clock stops for "device" figures; "host" figures include the copies of inputs up and
results down from and to pinned memory, which is what the engine of forebay does for every batch.
"""

import json
import sys
import time


def shapes(torch):
    nn = torch.nn

    class Layer(nn.Module):
        def __init__(self, hidden, heads, inner):
            super().__init__()
            self.heads = heads
            self.qkv = nn.Linear(hidden, 3 * hidden)
            self.out = nn.Linear(hidden, hidden)
            self.one, self.two = nn.LayerNorm(hidden), nn.LayerNorm(hidden)
            self.up, self.down = nn.Linear(hidden, inner), nn.Linear(inner, hidden)

        def forward(self, x, mask):
            rows, tokens, hidden = x.shape
            parts = self.qkv(x).view(rows, tokens, 3, self.heads, hidden // self.heads).permute(2, 0, 3, 1, 4)
            mixed = nn.functional.scaled_dot_product_attention(parts[0], parts[1], parts[2], attn_mask=mask)
            x = self.one(x + self.out(mixed.transpose(1, 2).reshape(rows, tokens, hidden)))
            return self.two(x + self.down(nn.functional.gelu(self.up(x))))

    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.places = nn.Embedding(30522, 384), nn.Parameter(torch.randn(1, 128, 384))
            self.norm = nn.LayerNorm(384)
            self.layers = nn.ModuleList(Layer(384, 12, 1536) for _ in range(6))

        def forward(self, ids, mask):
            x = self.norm(self.words(ids) + self.places)
            shown = mask[:, None, None, :].bool()
            for layer in self.layers:
                x = layer(x, shown)
            kept = mask[:, :, None].to(x.dtype)
            return (x * kept).sum(1) / kept.sum(1)

    widths = [64, 512, 512, 256, 3]
    layers = []
    for index, (inputs, outputs) in enumerate(zip(widths, widths[1:])):
        layers += [nn.Linear(inputs, outputs)] + ([nn.ReLU()] if index < 3 else [])
    mlp = nn.Sequential(*layers)

    def tokens(rows):
        return torch.randint(30522, (rows, 128)), torch.ones(rows, 128, dtype=torch.int64)

    return {
        "encoder": (Encoder(), tokens, (1, 8, 64, 256)),
        "mlp": (mlp, lambda rows: (torch.randn(rows, 64),), (1, 64, 1024, 8192)),
    }


def rate(torch, run, rows, seconds):
    """Rows per second and the median of a batch in microseconds, host time with a wait behind each batch."""
    for _ in range(5):
        run()
    torch.cuda.synchronize()
    took, start = [], time.perf_counter()
    while time.perf_counter() - start < seconds:
        begin = time.perf_counter()
        run()
        torch.cuda.synchronize()
        took.append(time.perf_counter() - begin)
    took.sort()
    return rows * len(took) / sum(took), took[len(took) // 2] * 1e6


def graph_of(torch, model, inputs):
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        for _ in range(3):
            model(*inputs)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        output = model(*inputs)
    return graph, output


def variants(torch, model, inputs):
    """(name, a function of the inputs on the device that gives the output there)"""
    yield "eager", lambda: model(*inputs)
    graph, output = graph_of(torch, model, inputs)

    def replay():
        graph.replay()
        return output

    yield "CUDA graph", replay
    try:
        compiled = torch.compile(model, mode="max-autotune")
        compiled(*inputs)
    except Exception as error:  # it wants a compiler and Triton, which not every machine has
        print("torch.compile: %s" % str(error).splitlines()[0], file=sys.stderr)
        return
    yield "torch.compile", lambda: compiled(*inputs)


def measure(torch, seconds):
    results = []
    for name, (module, make, sizes) in shapes(torch).items():
        for precision in ("fp32", "fp16"):
            dtype = torch.float16 if precision == "fp16" else torch.float32
            model = module.to("cuda", dtype).eval()
            for rows in sizes:
                host = [x.to(dtype) if x.is_floating_point() else x for x in make(rows)]
                host = [x.pin_memory() for x in host]
                inputs = [x.cuda() for x in host]
                with torch.inference_mode():
                    pinned = torch.empty_like(model(*inputs), device="cpu").pin_memory()
                    for variant, run in variants(torch, model, inputs):

                        def whole(run=run):
                            for to, source in zip(inputs, host):
                                to.copy_(source, non_blocking=True)
                            pinned.copy_(run(), non_blocking=True)

                        for where, call in (("device", run), ("host", whole)):
                            per_second, p50 = rate(torch, call, rows, seconds)
                            results.append(
                                dict(model=name, precision=precision, rows=rows, variant=variant, where=where)
                                | dict(rows_per_second=per_second, p50_us=p50)
                            )
    return results


def ceilings(torch):
    found = {}
    for precision, dtype in (("fp32", torch.float32), ("fp16", torch.float16)):
        a, b = (torch.randn(8192, 8192, device="cuda", dtype=dtype) for _ in range(2))
        a @ b
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(10):
            a @ b
        torch.cuda.synchronize()
        found["gemm_%s_tflop_s" % precision] = 2 * 8192**3 * 10 / (time.perf_counter() - start) / 1e12
    host = torch.empty(256 << 20, dtype=torch.uint8).pin_memory()
    device = host.cuda()
    for name, to, source in (("up_gb_s", device, host), ("down_gb_s", host, device)):
        to.copy_(source, non_blocking=True)
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(5):
            to.copy_(source, non_blocking=True)
        torch.cuda.synchronize()
        found[name] = 5 * (256 << 20) / (time.perf_counter() - start) / 1e9
    return found


def main():
    import torch

    if not torch.cuda.is_available():
        sys.exit("torch_variants: this PyTorch sees no GPU")
    torch.manual_seed(1)
    torch.backends.cuda.matmul.allow_tf32 = True
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 0.5
    everything = dict(
        torch=torch.__version__,
        gpu=torch.cuda.get_device_name(0),
        ceilings=ceilings(torch),
        results=measure(torch, seconds),
    )
    with open(sys.argv[1], "w") as file:
        json.dump(everything, file, indent=1)


if __name__ == "__main__":
    main()
