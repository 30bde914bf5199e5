// Tests of kernels/canary.cu.
#include "harness.h"

#include "canary.cu"

CASE(writes_the_pattern_and_nothing_else) {
    for (uint32_t count : {0u, 1u, 255u, 256u, 257u, 2000u}) {
        Buffer<uint32_t> to(count, 1);
        run(canary, 2, 256, 0, CanaryArgs{to.data, count, 12345u + count});
        for (uint32_t i = 0; i < count; i++) CHECK(to[i] == ((i * 2654435761u) ^ (12345u + count)));
    }
}
