/* SPDX-License-Identifier: MIT */
#include "answer.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <postern/arena.h>

/* An answer and all it points to is one block: the records follow the struct, the texts the
 * records. */
struct shared {
    atomic_uint refs;
    size_t bytes;
    struct dns_answer answer;
    struct dns_record records[];
};

static struct shared *shared_of(const struct dns_answer *answer)
{
    return (struct shared *)((char *)(uintptr_t)answer - offsetof(struct shared, answer));
}

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

static const char *copy(char **at, const char *text, size_t length)
{
    char *begin = *at;

    if (length > 0)
        memcpy(begin, text, length);
    begin[length] = '\0';
    *at += length + 1;
    return begin;
}

const struct dns_answer *dns_answer_new(const struct dns_answer *draft)
{
    assert(draft->count <= DNS_RECORDS_MAX);
    const char *name = or_empty(draft->name), *problem = or_empty(draft->problem);
    size_t bytes = sizeof(struct shared) + draft->count * sizeof(struct dns_record) + strlen(name) +
                   strlen(problem) + 2;

    for (size_t i = 0; i < draft->count; i++)
        bytes += strlen(or_empty(draft->records[i].name)) + draft->records[i].length + 2;

    struct shared *shared = xmalloc(bytes);
    char *at = (char *)&shared->records[draft->count];

    atomic_init(&shared->refs, 1);
    shared->bytes = bytes;
    shared->answer = *draft;
    shared->answer.name = copy(&at, name, strlen(name));
    shared->answer.problem = copy(&at, problem, strlen(problem));
    shared->answer.records = shared->records;
    for (size_t i = 0; i < draft->count; i++) {
        const struct dns_record *from = &draft->records[i];
        struct dns_record *to = &shared->records[i];

        *to = *from;
        to->name = copy(&at, or_empty(from->name), strlen(or_empty(from->name)));
        to->text = copy(&at, from->text, from->length);
    }
    assert(at == (char *)shared + bytes);
    return &shared->answer;
}

const struct dns_answer *dns_answer_ref(const struct dns_answer *answer)
{
    atomic_fetch_add_explicit(&shared_of(answer)->refs, 1, memory_order_relaxed);
    return answer;
}

void dns_answer_unref(const struct dns_answer *answer)
{
    if (answer && atomic_fetch_sub_explicit(&shared_of(answer)->refs, 1, memory_order_acq_rel) == 1)
        free(shared_of(answer));
}

const struct dns_answer *answer_fault(const char *name, enum dns_type type, const char *problem,
                                      int64_t expires)
{
    return dns_answer_new(&(struct dns_answer){
        .status = DNS_FAULT, .type = type, .name = name, .problem = problem, .expires = expires});
}

size_t answer_bytes(const struct dns_answer *answer)
{
    return shared_of(answer)->bytes;
}
