/* SPDX-License-Identifier: MIT */
#include "explain.h"

#include <postern/arena.h>

#include <stdarg.h>
#include <string.h>

/*
 * In sentences, for a person: why SPF, DKIM, DMARC and ARC came out as they did.  It tells the
 * facts that are printed above it, and finds nothing out.
 */
struct teller {
    const struct explained *explained;
    FILE *out;
};

/* ---- facts by name ---- */

static const struct value *fact(const struct teller *teller, const char *name,
                                const struct slot **slot)
{
    static const struct value open;
    const struct layout *layout = teller->explained->layout;
    slot_t number = layout_find(layout, name);
    *slot = number != SLOT_NONE ? &layout->slots[number] : NULL;
    return number != SLOT_NONE ? &teller->explained->facts[number] : &open;
}

static const char *text_of(const struct teller *teller, const char *name)
{
    const struct slot *slot;
    const struct value *value = fact(teller, name, &slot);
    return slot != NULL ? value_show(teller->explained->arena, slot, value) : "";
}

static bool is(const char *text, const char *word)
{
    return strcmp(text, word) == 0;
}

static const char *cell_of(const struct slot *slot, const struct value *rows, size_t row,
                           const char *column)
{
    int number = slot_word(slot, column);
    return number >= 0 ? rows->set.items[row * slot->word_count + (size_t)number] : "";
}

/* ---- lines ---- */

__attribute__((format(printf, 3, 4))) static void tell(const struct teller *teller,
                                                       const char *method, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *text = arena_vprintf(teller->explained->arena, format, args);
    va_end(args);
    fprintf(teller->out, "  %-6s ", method);
    cli_put_clean(text, teller->out);
    fputc('\n', teller->out);
}

/* ", and what follows", or nothing. */
static const char *also(const struct teller *teller, const char *before, const char *text)
{
    return text[0] != '\0' ? arena_printf(teller->explained->arena, "%s%s", before, text) : "";
}

/* ---- SPF ---- */

static void tell_spf(const struct teller *teller)
{
    const char *result = text_of(teller, "spf.result");
    const char *domain = text_of(teller, "spf.domain");
    const char *mechanism = text_of(teller, "spf.mechanism");
    const char *helo = text_of(teller, "spf.helo");
    if (result[0] == '\0')
        return;
    if (is(result, "none"))
        tell(teller, "SPF", "none: %s",
             domain[0] == '\0'
                 ? "there is no domain to ask about"
                 : arena_printf(teller->explained->arena, "%s has no SPF record", domain));
    else if (is(result, "permerror") || is(result, "temperror"))
        tell(teller, "SPF", "%s for %s: %s", result, domain, text_of(teller, "spf.problem"));
    else
        tell(teller, "SPF", "%s for %s, %s%s%s", result, domain,
             is(mechanism, "default") ? "no term of its record matches this client"
                                      : "by the term ",
             is(mechanism, "default") ? "" : text_of(teller, "spf.path"),
             also(teller, "; the domain says: ", text_of(teller, "spf.explanation")));
    if (helo[0] != '\0' && !is(helo, "none") && !is(text_of(teller, "sender"), ""))
        tell(teller, "", "%s for %s, the name at HELO", helo, text_of(teller, "helo.domain"));
}

/* ---- DKIM ---- */

static void tell_signature(const struct teller *teller, const char *method, const struct slot *slot,
                           const struct value *rows, size_t row)
{
    const char *domain = cell_of(slot, rows, row, "domain");
    const char *bits = cell_of(slot, rows, row, "bits");
    const char *result = cell_of(slot, rows, row, "result");
    const char *selector = cell_of(slot, rows, row, "selector");
    struct arena *arena = teller->explained->arena;
    tell(teller, method, "%s: the signature%s%s%s %s", result, also(teller, " of ", domain),
         selector[0] != '\0' ? arena_printf(arena, ", key %s._domainkey.%s", selector, domain) : "",
         bits[0] != '\0' ? arena_printf(arena, " of %s bits,", bits)
                         : (selector[0] != '\0' ? "," : ""),
         is(result, "pass") ? "fits" : cell_of(slot, rows, row, "reason"));
}

static void tell_dkim(const struct teller *teller)
{
    const char *result = text_of(teller, "dkim.result");
    const struct slot *slot, *count_slot;
    const struct value *rows = fact(teller, "dkim.signatures", &slot);
    const struct value *count = fact(teller, "dkim.count", &count_slot);
    if (result[0] == '\0' || slot == NULL)
        return;
    size_t shown = rows->set.count / slot->word_count;
    for (size_t i = 0; i < shown; i++)
        tell_signature(teller, i == 0 ? "DKIM" : "", slot, rows, i);
    if (count->low > (int64_t)shown)
        tell(teller, shown == 0 ? "DKIM" : "", "%lld further signatures were not tried",
             (long long)count->low - (long long)shown);
    else if (shown == 0)
        tell(teller, "DKIM", "none: there is no signature");
}

/* ---- DMARC ---- */

/* What the walks met first: the question that failed, or the one that gave the record. */
static const char *query(const struct teller *teller, const char *answer, const char *record)
{
    const struct slot *slot;
    const struct value *rows = fact(teller, "dmarc.queries", &slot);
    for (size_t i = 0; slot != NULL && i < rows->set.count / slot->word_count; i++) {
        const char *said = cell_of(slot, rows, i, "answer");
        if (strncmp(said, answer, strlen(answer)) != 0)
            continue;
        if (record == NULL)
            return arena_printf(teller->explained->arena, "%s (%s)", cell_of(slot, rows, i, "name"),
                                said);
        if (is(cell_of(slot, rows, i, "record"), record))
            return cell_of(slot, rows, i, "name");
    }
    return "";
}

static const char *who_vouches(const char *aligned)
{
    return is(aligned, "both")  ? "SPF and DKIM vouch"
           : is(aligned, "spf") ? "SPF vouches"
                                : "DKIM vouches";
}

/* Whose SPF or DKIM passes, and is of no use. */
static const char *others(const struct teller *teller)
{
    const char *signers = text_of(teller, "dkim.domains");
    const char *spf =
        is(text_of(teller, "spf.result"), "pass") ? text_of(teller, "spf.domain") : "";
    const char *text =
        arena_printf(teller->explained->arena, "%s%s", also(teller, "; SPF passes for ", spf),
                     also(teller, "; DKIM passes for ", signers));
    return text[0] != '\0' ? arena_printf(teller->explained->arena, "%s, not aligned", text) : "";
}

/* ", whose policy is reject, by _dmarc.example.org" */
static const char *policy(const struct teller *teller)
{
    return arena_printf(
        teller->explained->arena, "%s%s",
        also(teller, ", whose policy is ", text_of(teller, "dmarc.policy")),
        also(teller, ", by ", query(teller, "found", text_of(teller, "dmarc.record"))));
}

static void tell_dmarc(const struct teller *teller)
{
    const char *result = text_of(teller, "dmarc.result");
    const char *author = text_of(teller, "from.domain");
    const char *failed = query(teller, "fault", NULL);
    if (result[0] == '\0')
        return;
    if (author[0] == '\0')
        tell(teller, "DMARC", "%s: the message has no author, or authors of several domains",
             result);
    else if (is(result, "none"))
        tell(teller, "DMARC", "none: neither %s nor a domain above it has a DMARC record", author);
    else if (is(result, "pass"))
        tell(teller, "DMARC", "pass: %s for %s%s", who_vouches(text_of(teller, "dmarc.aligned")),
             author, policy(teller));
    else if (is(result, "fail"))
        tell(teller, "DMARC", "fail: neither SPF nor DKIM vouches for %s%s%s", author,
             policy(teller), others(teller));
    else if (is(result, "permerror"))
        tell(teller, "DMARC",
             "permerror: the record of %s asks for nothing that can be understood: %s", author,
             text_of(teller, "dmarc.record"));
    else
        tell(teller, "DMARC", "temperror: whether %s is vouched for cannot be told now: %s", author,
             failed[0] != '\0' ? failed : "see SPF and DKIM");
}

/* ---- ARC ---- */

static void tell_arc(const struct teller *teller)
{
    const char *result = text_of(teller, "arc.result");
    if (is(result, "pass"))
        tell(teller, "ARC", "pass: sealed by %s; %s", text_of(teller, "arc.sealers"),
             is(text_of(teller, "arc.dmarc_passed"), "yes")
                 ? "DMARC had passed there, and we trust them"
                 : "no sealer whom we trust says that DMARC had passed");
    else if (result[0] != '\0')
        tell(teller, "ARC", "%s: %s", result,
             is(result, "none") ? "nobody sealed the message" : text_of(teller, "arc.reason"));
}

void explain_print_why(const struct explained *explained, FILE *out)
{
    const struct teller teller = {explained, out};
    tell_spf(&teller);
    tell_dkim(&teller);
    tell_dmarc(&teller);
    tell_arc(&teller);
}
