"""What a line of `perf report --sort dso,symbol` stands for in a training step on the CPU."""
import collections
import re

KINDS = [  # the first pattern that fits a line of perf's report names it
    ("matrix products in generated code (oneDNN)", r"\[JIT\]|dnnl::"),
    ("float32 matrix products (MKL)", r"sgemm_kernel"),
    ("packing of matrices for products (MKL)", r"gemm\w*_s?copy|gemm_\w*copy|gemm_mscale"),
    ("BF16 products inside attention (MKL)", r"gemm_bf16bf16f32_kernel"),
    ("BF16 products in LibTorch's own loops", r"cpublas_gemm|bf16_(dot|gemv|gemm)"),
    ("rows and panels widened to float32", r"widen_(each|rows)"),
    ("results rounded to BF16", r"round_(each|rows)"),
    ("attention", r"flash_attention|softmax_row|probabilities_row|score_gradient_row|inner_product"),
    ("cross-entropy", r"cpu::.*::loss\b"),
    ("RMSNorm, SwiGLU, RoPE and block rotation", r"nkat::layers::cpu"),
    ("system calls and page faults", r"\[k\]"),
    ("waiting for each other inside parallel loops (libgomp)", r"libgomp|libiomp"),
    ("heap", r"libc\.so.*(malloc|free|memalign|unlink_chunk)"),
    ("LibTorch's element-wise loops and copies", r"at::native|at::internal|Sleef|vml"),
    ("copies and fills by the C library", r"libc\.so.*(mem(cpy|move|set)|clear)"),
    ("Python's interpreter", r"libpython|python3"),
    ("hashing of the base", r"libcrypto"),
    ("loading of libraries", r"ld-linux|libcu|libnv"),
    ("LibTorch's calls, tensors and autograd", r"libtorch|libc10"),
]
REST = "everything else"


def shares(report):
    """Percent of the samples by kind: 100 together."""
    found = collections.Counter()
    for line in report.splitlines():
        if match := re.match(r"\s*([0-9.]+)%\s+(.*)", line):
            found[next((name for name, pattern in KINDS if re.search(pattern, match[2])), REST)] += float(match[1])
    whole = sum(found.values())
    return collections.Counter({name: 100 * share / whole for name, share in found.items()})


def rows(found, count=10):
    """(kind, percent) of the largest, and what the others come to, so that the column adds up to the whole."""
    largest = found.most_common(count)
    return largest + [("the other kinds", sum(found.values()) - sum(share for _, share in largest))]


def beside(profiles, count=10):
    """(kind, what each profile has of it) of the kinds that are largest in all together, and what the others come to in each."""
    names = [name for name, _ in sum(profiles, collections.Counter()).most_common(count)]
    others = [sum(found.values()) - sum(found[name] for name in names) for found in profiles]
    return [(name, [found[name] for found in profiles]) for name in names] + [("the other kinds", others)]
