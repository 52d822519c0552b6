/* SPDX-License-Identifier: MIT */
#include "dmarc_record.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

struct span {
    const char *at;
    size_t length;
};

/* The tags that matter. */
enum tag { TAG_P, TAG_SP, TAG_NP, TAG_ADKIM, TAG_ASPF, TAG_T, TAG_PSD, TAG_RUA, TAG_COUNT };

static const char *const tag_names[TAG_COUNT] = {"p",    "sp", "np",  "adkim",
                                                 "aspf", "t",  "psd", "rua"};

static bool span_is(struct span span, const char *text)
{
    return span.length == strlen(text) && strncasecmp(span.at, text, span.length) == 0;
}

static bool is_wsp(char c)
{
    return c == ' ' || c == '\t';
}

static struct span trim(struct span span)
{
    while (span.length > 0 && is_wsp(span.at[0])) {
        span.at++;
        span.length--;
    }
    while (span.length > 0 && is_wsp(span.at[span.length - 1]))
        span.length--;
    return span;
}

/* Cuts what stands before C off *REST, or all of it. */
static struct span cut(struct span *rest, char c)
{
    const char *found = rest->length > 0 ? memchr(rest->at, c, rest->length) : NULL;
    struct span part = *rest;

    if (found == NULL) {
        *rest = (struct span){part.at + part.length, 0};
        return part;
    }
    part.length = (size_t)(found - part.at);
    *rest = (struct span){found + 1, rest->length - part.length - 1};
    return part;
}

/* ---- values ---- */

/* Sets *INDEX to that of VALUE among WORDS.  False when it is none of them. */
static bool read_word(struct span value, const char *const *words, size_t count, unsigned *index)
{
    size_t i;

    for (i = 0; i < count; i++) {
        if (span_is(value, words[i])) {
            *index = (unsigned)i;
            return true;
        }
    }
    return false;
}

static bool read_policy(struct span value, enum dmarc_policy *policy)
{
    static const char *const words[] = {"none", "quarantine", "reject"};
    unsigned index;

    if (!read_word(value, words, 3, &index))
        return false;
    *policy = (enum dmarc_policy)index;
    return true;
}

/* RFC 3986 3: SCHEME ":" and something behind it; for mailto something with an '@' in it. */
static bool is_uri(struct span uri)
{
    struct span rest = uri;
    struct span scheme = cut(&rest, ':');
    size_t i;

    if (scheme.length == 0 || !isalpha((unsigned char)scheme.at[0]) || rest.length == 0)
        return false;
    for (i = 0; i < scheme.length; i++)
        if (!isalnum((unsigned char)scheme.at[i]) && strchr("+-.", scheme.at[i]) == NULL)
            return false;
    for (i = 0; i < rest.length; i++)
        if (rest.at[i] <= ' ' || rest.at[i] >= 0x7f)
            return false;
    if (!span_is(scheme, "mailto"))
        return true;
    struct span local = cut(&rest, '@');

    return local.length > 0 && rest.length > 0;
}

static bool has_uri(struct span value)
{
    while (value.length > 0)
        if (is_uri(trim(cut(&value, ','))))
            return true;
    return false;
}

/* ---- the record ---- */

/* RFC 9989 4.7: a record without p is one with p=none.  RFC 9989 4.10.1: with a p, sp or np that is
 * no policy, a record that at least says where reports go counts as p=none, and any other is as
 * good as none.  About what sp and np are worth without p the two do not agree: nothing, here, so
 * that no refusal rests on a doubt. */
static void read_policies(const struct span *values, struct dmarc_record *record)
{
    bool absent = values[TAG_P].at == NULL;
    bool good = absent || read_policy(values[TAG_P], &record->p);

    record->sp = record->p;
    if (values[TAG_SP].at != NULL)
        good = read_policy(values[TAG_SP], &record->sp) && good;
    record->np = record->sp;
    if (values[TAG_NP].at != NULL)
        good = read_policy(values[TAG_NP], &record->np) && good;
    record->usable = good || has_uri(values[TAG_RUA]);
    if (!good || absent)
        record->p = record->sp = record->np = DMARC_NONE;
}

bool dmarc_record_parse(const char *text, size_t length, struct dmarc_record *record)
{
    static const char *const psd[] = {"u", "y", "n"};
    struct span rest = {text, length};
    struct span value = cut(&rest, ';');
    struct span values[TAG_COUNT] = {{NULL, 0}};
    struct span name = cut(&value, '=');
    unsigned index = 0;

    *record = (struct dmarc_record){.psd = DMARC_PSD_UNSAID};
    /* The version comes first, before any blank, and in capitals. */
    if (name.length == 0 || is_wsp(name.at[0]) || !span_is(trim(name), "v"))
        return false;
    value = trim(value);
    if (value.length != strlen("DMARC1") || memcmp(value.at, "DMARC1", value.length) != 0)
        return false;
    while (rest.length > 0) {
        value = cut(&rest, ';');
        name = trim(cut(&value, '='));
        if (read_word(name, tag_names, TAG_COUNT, &index) && values[index].at == NULL)
            values[index] = trim(value);
    }
    read_policies(values, record);
    record->strict_dkim = span_is(values[TAG_ADKIM], "s");
    record->strict_spf = span_is(values[TAG_ASPF], "s");
    record->testing = span_is(values[TAG_T], "y");
    index = 0;
    read_word(values[TAG_PSD], psd, 3, &index);
    record->psd = (enum dmarc_psd)index;
    return true;
}

enum dmarc_policy dmarc_policy_tested(enum dmarc_policy policy)
{
    return policy == DMARC_REJECT ? DMARC_QUARANTINE : DMARC_NONE;
}
