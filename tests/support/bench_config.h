/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_TEST_BENCH_CONFIG_H
#define POSTERN_TEST_BENCH_CONFIG_H

#include <postern/check.h>

/*
 * The configuration that a check sees in a test, read from a text: blocks of the given checks,
 * tables
 * ("table NAME { ENTRY; }", "table NAME TYPE:ARGUMENT;") and "hostname NAME;".
 */
struct bench_config;

/* Never NULL; what is wrong is in the diag of its site.  BASE_DIR may be NULL: ".".  Lives in
 * ARENA, but must be closed. */
struct bench_config *bench_config_read(struct arena *arena, const struct check *const *checks,
                                       size_t check_count, const char *text, const char *base_dir);
void bench_config_close(struct bench_config *config);

const struct check_site *bench_config_site(const struct bench_config *config);

#endif
