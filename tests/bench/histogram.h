/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_BENCH_HISTOGRAM_H
#define POSTERN_BENCH_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

/*
 * A histogram of nanoseconds with 32 bins to each power of two: what it tells is true within 2 %,
 * whatever the range.  The zero-initialised struct is empty.
 */
enum { HISTOGRAM_PART_BITS = 5, HISTOGRAM_PARTS = 1 << HISTOGRAM_PART_BITS };

struct histogram {
    uint64_t count;
    uint64_t most;
    uint64_t bins[64 * HISTOGRAM_PARTS];
};

static inline void histogram_add(struct histogram *histogram, int64_t duration)
{
    uint64_t value = duration < 0 ? 0 : (uint64_t)duration;
    size_t bin = (size_t)value;
    if (value >= HISTOGRAM_PARTS) {
        unsigned power = 63U - (unsigned)__builtin_clzll(value);
        unsigned part = (unsigned)(value >> (power - HISTOGRAM_PART_BITS)) & (HISTOGRAM_PARTS - 1);
        bin = (power - HISTOGRAM_PART_BITS + 1) * HISTOGRAM_PARTS + part;
    }
    histogram->bins[bin]++;
    histogram->count++;
    if (value > histogram->most)
        histogram->most = value;
}

/* The least value that no more than 1 - SHARE of all are above; 0 when there are none. */
static inline uint64_t histogram_at(const struct histogram *histogram, double share)
{
    double wanted = share * (double)histogram->count;
    uint64_t seen = 0;
    size_t bin = 0;
    for (; bin < sizeof(histogram->bins) / sizeof(histogram->bins[0]); bin++) {
        seen += histogram->bins[bin];
        if (seen > 0 && (double)seen >= wanted)
            break;
    }
    if (histogram->count == 0)
        return 0;
    uint64_t value = bin;
    if (bin >= HISTOGRAM_PARTS) {
        unsigned shift = (unsigned)(bin / HISTOGRAM_PARTS) - 1;
        /* The middle of the bin. */
        value = ((HISTOGRAM_PARTS + bin % HISTOGRAM_PARTS) << shift) + ((1ULL << shift) >> 1);
    }
    return value < histogram->most ? value : histogram->most;
}

#endif
