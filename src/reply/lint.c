/* SPDX-License-Identifier: MIT */
#include <postern/reply.h>

#include <stddef.h>

/*
 * What RFC 5321 4.3.2, RFC 7504, RFC 3463 and the registry of RFC 5248 say of codes, as rows.  What
 * an MTA would answer with a failure of its own, or what would hit other mail than the rule's, is
 * an error; what is only misleading is a warning.
 */

enum { ANY = -1 };

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

/* Codes that SMTP knows, but not as a refusal by policy. */
static const struct {
    int first, last;
    const char *why;
} foreign_codes[] = {
    {432, 432, "is an answer to AUTH (RFC 4954)"},
    {454, 454, "is an answer to AUTH or STARTTLS (RFC 4954, RFC 3207)"},
    {455, 455, "says that a parameter of MAIL or RCPT cannot be met now (RFC 5321 4.1.1.11)"},
    {500, 504, "says that the client does not speak SMTP well (RFC 5321 4.2.2)"},
    {530, 530, "asks the client to authenticate or to start TLS (RFC 4954, RFC 3207)"},
    {534, 535, "is an answer to AUTH (RFC 4954)"},
    {538, 538, "is an answer to AUTH (RFC 4954)"},
    {555, 555, "says that a parameter of MAIL or RCPT is unknown (RFC 5321 4.1.1.11)"},
};

/* Codes that a refusal by policy can have. */
static const int refusals[] = {450, 451, 452, 521, 550, 551, 552, 553, 554, 556};

/* What some codes go with; a code in no row goes with any. */
static const struct {
    int code;
    int subject;
    int detail;
    const char *advice;
} partners[] = {
    {521, 3, 2, "521 is for a host that takes no mail at all and goes with 5.3.2 (RFC 7504)"},
    {551, 1, 6, "551 names the new address of a mailbox and goes with 5.1.6"},
    {551, 7, 1, NULL}, /* what the registry names for 551 */
    {552, 2, ANY, "552 speaks of size or space and goes with 5.2.2, 5.2.3 or 5.3.4"},
    {552, 3, ANY, NULL},
    {553, 1, ANY, "553 speaks of how an address is written and goes with 5.1.3 or 5.1.7"},
    {553, 6, ANY, NULL}, /* addresses outside ASCII, RFC 6531 */
    {556, 1, 10, "556 is for a domain that takes no mail and goes with 5.1.10 (RFC 7505)"},
};

/* What some enhanced codes go with: a code, or a class. */
static const struct {
    int subject;
    int detail;
    int code;  /* 0: any of the class */
    int class; /* 0: any */
    const char *advice;
} wishes[] = {
    {1, 5, 0, 2, "X.1.5 says that the address is valid (RFC 3463)"},
    {1, 9, 0, 2, "X.1.9 tells of a message that was passed on (RFC 3886)"},
    {1, 10, 556, 0, "X.1.10 is a recipient domain with a null MX and goes with 556 (RFC 7505)"},
    {2, 2, 0, 4, "a mailbox that is full now may have room tomorrow: 452 4.2.2 (RFC 3463)"},
    {3, 1, 0, 4, "a full mail system is a passing state: 452 4.3.1 (RFC 3463)"},
    {4, 5, 0, 4, "congestion passes: 451 4.4.5 (RFC 3463)"},
    {7, 20, 0, 5,
     "X.7.20 is permanent; a key that could not be fetched is 451 4.7.5 (RFC 6376 6.3)"},
    {7, 21, 0, 5,
     "X.7.21 is permanent; a key that could not be fetched is 451 4.7.5 (RFC 6376 6.3)"},
    {7, 22, 0, 5,
     "X.7.22 is permanent; a key that could not be fetched is 451 4.7.5 (RFC 6376 6.3)"},
    {7, 23, 0, 5,
     "X.7.23 is an SPF fail; SPF that DNS kept from an answer is 451 4.7.24 (RFC 7372)"},
    {7, 26, 0, 5, "X.7.26 is permanent (RFC 7372)"},
    {7, 27, 0, 5, "X.7.27 is a sender domain with a null MX, which is permanent (RFC 7505)"},
};

/* The last registered detail of each subject (RFC 3463, 4954, 6531, 6710, 7372, 7505, 8617, 8689).
 */
static const int last_details[] = {0, 10, 4, 6, 7, 6, 10, 30};

struct pair {
    struct diag *diag;
    const struct place *at;
    const char *rule;
    int code;
    const int *enhanced;
    enum stage speaks;
    bool recipient;
};

static bool is_refusal(int code)
{
    for (size_t i = 0; i < COUNT(refusals); i++) {
        if (refusals[i] == code)
            return true;
    }
    return false;
}

/* What makes any further advice idle.  False after an error. */
static bool check_code(const struct pair *p)
{
    if (p->code < 400 || p->code > 599) {
        diag_error(p->diag, p->at,
                   "rule '%s': %d refuses nothing; a reply has 4xx (later again) or 5xx (never), "
                   "and mail goes on with 'accept'",
                   p->rule, p->code);
        return false;
    }
    if (p->enhanced[0] != p->code / 100) {
        diag_error(p->diag, p->at,
                   "rule '%s': %d with %d.%d.%d: their first digits must agree (RFC 2034), or "
                   "Postfix refuses every mail of the session with 451 4.3.5",
                   p->rule, p->code, p->enhanced[0], p->enhanced[1], p->enhanced[2]);
        return false;
    }
    if (p->enhanced[1] < 0 || p->enhanced[1] > 999 || p->enhanced[2] < 0 || p->enhanced[2] > 999) {
        diag_error(p->diag, p->at,
                   "rule '%s': %d.%d.%d is no enhanced code; each number is 0 to 999", p->rule,
                   p->enhanced[0], p->enhanced[1], p->enhanced[2]);
        return false;
    }
    if (p->code == 421) {
        diag_error(
            p->diag, p->at,
            "rule '%s': 421 closes the whole session, with all mail still to come in it; 450 "
            "or 451 defers this one",
            p->rule);
        return false;
    }
    return true;
}

/* 551 and 556 are answers to RCPT alone (RFC 5321 4.3.2, RFC 7504 5.1). */
static bool check_rcpt_only(const struct pair *p)
{
    const char *meaning =
        p->code == 551 ? "where a recipient has moved" : "that a recipient's domain takes no mail";

    if (p->code != 551 && p->code != 556)
        return true;
    if (!p->recipient) {
        diag_error(p->diag, p->at,
                   "rule '%s': %d says %s, but the rule asks for no fact of the recipient", p->rule,
                   p->code, meaning);
        return false;
    }
    if (p->speaks > STAGE_RCPT) {
        diag_error(p->diag, p->at,
                   "rule '%s': %d says %s and answers RCPT alone, but the rule speaks at %s",
                   p->rule, p->code, meaning, stage_name(p->speaks));
        return false;
    }
    return true;
}

static void advise_code(const struct pair *p)
{
    if (p->code == 553 && p->speaks > STAGE_RCPT)
        diag_warning(p->diag, p->at,
                     "rule '%s': 553 answers MAIL and RCPT, but the rule speaks at %s; use 550 or "
                     "554",
                     p->rule, stage_name(p->speaks));
    if (is_refusal(p->code))
        return;
    int usual = p->code < 500 ? 450 : 550;
    for (size_t i = 0; i < COUNT(foreign_codes); i++) {
        if (p->code < foreign_codes[i].first || p->code > foreign_codes[i].last)
            continue;
        diag_warning(p->diag, p->at, "rule '%s': %d %s; a refusal by policy is %d", p->rule,
                     p->code, foreign_codes[i].why, usual);
        return;
    }
    diag_warning(p->diag, p->at, "rule '%s': SMTP knows no code %d; a refusal by policy is %d",
                 p->rule, p->code, usual);
}

static void warn_pair(const struct pair *p, const char *advice)
{
    diag_warning(p->diag, p->at, "rule '%s': %d with %d.%d.%d: %s", p->rule, p->code,
                 p->enhanced[0], p->enhanced[1], p->enhanced[2], advice);
}

/* False after a warning. */
static bool advise_partner(const struct pair *p)
{
    const char *advice = NULL;

    for (size_t i = 0; i < COUNT(partners); i++) {
        if (partners[i].code != p->code)
            continue;
        if (partners[i].subject == p->enhanced[1] &&
            (partners[i].detail == ANY || partners[i].detail == p->enhanced[2]))
            return true;
        if (advice == NULL)
            advice = partners[i].advice;
    }
    if (advice != NULL)
        warn_pair(p, advice);
    return advice == NULL;
}

static void advise_enhanced(const struct pair *p)
{
    int subject = p->enhanced[1];
    int detail = p->enhanced[2];

    if ((size_t)subject >= COUNT(last_details) || detail > last_details[subject]) {
        warn_pair(p, "the enhanced code is not registered (RFC 5248), so nobody knows what it "
                     "means; 7.1 is a refusal by policy");
        return;
    }
    for (size_t i = 0; i < COUNT(wishes); i++) {
        if (wishes[i].subject != subject || wishes[i].detail != detail)
            continue;
        if ((wishes[i].code != 0 && wishes[i].code != p->code) ||
            (wishes[i].class != 0 && wishes[i].class != p->enhanced[0]))
            warn_pair(p, wishes[i].advice);
    }
}

/* Lists and forwarders take an address for dead on these (RFC 7372 section 4), so they must be
 * about it. */
static void advise_about_recipient(const struct pair *p)
{
    int subject = p->enhanced[1];
    int detail = p->enhanced[2];
    bool address = subject == 1 && ((detail >= 1 && detail <= 4) || detail == 6 || detail == 10);

    if (!address && subject != 2)
        return;
    if (!p->recipient)
        warn_pair(p, "the enhanced code blames the recipient's address, but the rule asks for no "
                     "fact of it; mailing lists would drop the subscriber");
    else if (p->speaks > STAGE_RCPT)
        warn_pair(p, "the enhanced code blames one recipient's address, but the rule answers the "
                     "whole message; mailing lists would drop other subscribers");
}

void reply_lint(struct diag *diag, const struct place *at, const char *rule, int code,
                const int enhanced[3], enum stage speaks, bool recipient)
{
    const struct pair pair = {
        .diag = diag,
        .at = at,
        .rule = rule,
        .code = code,
        .enhanced = enhanced,
        .speaks = speaks,
        .recipient = recipient,
    };

    if (!check_code(&pair) || !check_rcpt_only(&pair))
        return;
    advise_code(&pair);
    /* One advice on the pair is enough: after the first the second would often contradict it. */
    if (advise_partner(&pair))
        advise_enhanced(&pair);
    advise_about_recipient(&pair);
}
