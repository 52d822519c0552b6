/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_TEST_PROBE_BENCH_H
#define POSTERN_TEST_PROBE_BENCH_H

#include <postern/check.h>

/*
 * A stand-in for the engine that runs one probe of one check with given inputs, a configuration and
 * DNS answers from rows, and shows what the facts became.  One thread, no clock, no network.
 */
struct bench;

/*
 * What the DNS says.  RECORDS of A and AAAA: addresses; of PTR: names; of MX: "10 mx.example.org",
 * all separated by ", "; of TXT: the text of one record.  Instead of records: "!nodata", "!noname",
 * "!fault",
 * "!silent" (never answered).  What has no row does not exist.  The last row has no name.
 */
struct bench_answer {
    const char *name;
    enum dns_type type;
    const char *records;
};

/* CONFIG holds the check's blocks, tables ("table NAME { ENTRY; }" and "table NAME
 * TYPE:ARGUMENT;"), and `hostname NAME;`.  BASE_DIR may be NULL.  Other checks' blocks are not
 * known; their kinds come from OTHERS (may be NULL). */
struct bench *bench_new(const struct check *check, const struct check *other, const char *config,
                        const char *base_dir);
void bench_free(struct bench *bench);

/* The first messages about CONFIG, one a line; "" when there were none. */
const char *bench_problems(struct bench *bench);

/* From now on the DNS answers from ROWS (NULL: nothing exists). */
void bench_dns(struct bench *bench, const struct bench_answer *rows);

/* From now on the DNS answers what SOURCE says: an answer with a reference for the bench, or NULL
 * for silence. */
typedef const struct dns_answer *bench_source(void *arg, const char *name, enum dns_type type);
void bench_dns_by(struct bench *bench, bench_source *source, void *arg);

/* Whether from now on probe_look_up() has its answers at once. */
void bench_dns_at_once(struct bench *bench, bool at_once);

/* Inputs with every text empty: what a test fills in. */
struct inputs bench_inputs(void);

/* Runs the probe of this name until it has finished; when all that is left is silent, its time is
 * up.  LAST_FIRST: answers come in the reverse order of the questions.  Returns its facts, each
 * without the part of the name before the last dot: "score=3 name=zen lists=zen, dnswl".  A value
 * in fault has '~' before it; what is shown otherwise than it is compared follows in brackets.
 * Tables are left out: bench_fact() and bench_cell() show them.
 * Lives as long as BENCH. */
const char *bench_run(struct bench *bench, const char *probe, const struct inputs *inputs,
                      bool last_first);

/* What the fact of this name ("spf.result") became in the last run, as bench_run() shows it. */
const char *bench_fact(struct bench *bench, const char *name);

/* The cell of the fact's ROW (from 0) in this column, whole; "" where there is no such row. */
const char *bench_cell(struct bench *bench, const char *name, size_t row, const char *column);

/* What probe_value() says from now on of another check's fact: ROW is the fact's row, TEXT its
 * word, its text, a number, "yes" or "no", the members of a set or the cells of rows with ", "
 * between them, or "!fault".  Facts that were not given are absent and have no words. */
void bench_give(struct bench *bench, const struct fact_row *row, const char *text);

/* Opens the check's stream, after closing one that is open, and feeds it field by field; the runs
 * that follow see it.  It stays open until the next one or bench_free(). */
void bench_stream(struct bench *bench, const struct inputs *inputs);
void bench_header(struct bench *bench, const char *name, const char *value);
void bench_eoh(struct bench *bench);
void bench_chunk(struct bench *bench, const void *bytes, size_t length);

/* A whole message: "Name: value\n" with folded lines, "\n", the body.  What is behind the colon is
 * the field's value, folded lines have LF alone; the lines of the body get CRLF. */
void bench_message(struct bench *bench, const struct inputs *inputs, const char *message);

/* The questions that the stream asked (stream_warm) since it was opened, as bench_asked(). */
const char *bench_warmed(const struct bench *bench);

/* The questions of the last run (or since bench_tick), in order: "A 2.0.0.127.zen.test, TXT ...".
 */
const char *bench_asked(const struct bench *bench);

/* A DNS that answers from the rows of bench_dns(): at once, or when bench_deliver() is called. */
struct dns *bench_struct_dns(struct bench *bench, bool at_once);
void bench_deliver(struct bench *bench);

/* Calls the check's tick() with that DNS. */
void bench_tick(struct bench *bench, bool at_once);

const char *bench_cost(struct bench *bench, const char *probe);
bool bench_used(struct bench *bench, const char *probe);

#endif
