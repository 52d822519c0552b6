/* SPDX-License-Identifier: MIT */
#include "random_config.h"

#include <string.h>

enum { RULES_MAX = 7 };

/* ---- chance ---- */

unsigned random_config_below(struct random_config *config, unsigned limit)
{
    uint64_t z = config->state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (unsigned)((z ^ z >> 31) % limit);
}

bool random_config_chance(struct random_config *config, unsigned percent)
{
    return random_config_below(config, 100) < percent;
}

/* ---- the DNS ---- */

const struct rig_answer random_config_dns[] = {
    {"client.test", DNS_A, "none"},
    {"client.test", DNS_TXT, "none"},
    {"name.helo.test", DNS_A, "none"},
    {"other.helo.test", DNS_A, "none"},
    {"a.sender.test", DNS_A, "none"},
    {"b.sender.test", DNS_A, "none"},
    {"x.rcpt.test", DNS_A, "none"},
    {"y.rcpt.test", DNS_A, "none"},
    {"z.rcpt.test", DNS_A, "none"},
    {"message.test", DNS_A, "none"},
    {"last.test", DNS_A, "none"},
    {"1.2.0.192.in-addr.arpa", DNS_PTR, "none"},
    {"claimed.example", DNS_A, "none"},
    {"a.example", DNS_A, "none"},
    {"a.example", DNS_MX, "none"},
    {"a.example", DNS_TXT, "none"},
    {"_dmarc.a.example", DNS_TXT, "none"},
    {"claimed.example", DNS_TXT, "none"},
    {"1.2.0.192.list.test", DNS_A, "none"},
    {"1.2.0.192.list.test", DNS_TXT, "none"},
    {"a.example.names.test", DNS_A, "none"},
    {NULL, DNS_A, NULL},
};

const char *random_config_data(struct random_config *config, const struct rig_answer *row)
{
    static const char *const numbers[] = {"127.0.0.1", "127.0.0.2", "127.0.0.3",
                                          "127.0.0.5", "192.0.2.1", "none"};
    static const char *const texts[] = {"none",
                                        "bad client",
                                        "v=spf1 -all",
                                        "v=spf1 ip4:192.0.2.1",
                                        "v=DMARC1; p=reject",
                                        "v=DMARC1; p=none"};
    static const char *const pointers[] = {"claimed.example", "other.example", "none"};
    static const char *const hosts[] = {"0 .", "10 mx.a.example", "none"};

    switch (row->type) {
    case DNS_TXT:
        return RANDOM_PICK(config, texts);
    case DNS_PTR:
        return RANDOM_PICK(config, pointers);
    case DNS_MX:
        return RANDOM_PICK(config, hosts);
    default:
        return RANDOM_PICK(config, numbers);
    }
}

/* ---- policies ---- */

struct atom {
    const char *text;
    enum stage stage; /* from which it is known; MAIL, where a verdict may fall, at the earliest */
};

static const struct atom atoms[] = {
    {"t.client >= 3", STAGE_MAIL},
    {"t.client == 5", STAGE_MAIL},
    {"t.reason == \"bad client\"", STAGE_MAIL},
    {"t.helo > 0", STAGE_MAIL},
    {"t.sender >= 2", STAGE_MAIL},
    {"client.local", STAGE_MAIL},
    {"client.ptr == claimed.example", STAGE_MAIL},
    {"client.rdns == none", STAGE_MAIL},
    {"client.rdns == pass", STAGE_MAIL},
    {"client.name in friends", STAGE_MAIL},
    {"client.ip in friends", STAGE_MAIL},
    {"auth.user != \"\"", STAGE_MAIL},
    {"auth.type == \"PLAIN\"", STAGE_MAIL},
    {"tls.version == \"TLSv1.3\"", STAGE_MAIL},
    {"mta.daemon == \"smtpd\"", STAGE_MAIL},
    {"helo.kind == literal", STAGE_MAIL},
    {"helo == name", STAGE_MAIL},
    {"sender.null", STAGE_MAIL},
    {"sender.domain in friends", STAGE_MAIL},
    {"sender.domain_status == null_mx", STAGE_MAIL},
    {"sender.domain_status == missing", STAGE_MAIL},
    {"spf.result == fail", STAGE_MAIL},
    {"spf.result == pass", STAGE_MAIL},
    {"spf.helo == none", STAGE_MAIL},
    {"dnsbl.score >= 1", STAGE_MAIL},
    {"dnsbl.score < 3", STAGE_MAIL},
    {"rhsbl.sender.score > 0", STAGE_MAIL},
    {"lookup(words, t.reason) == \"listed\"", STAGE_MAIL},
    {"true", STAGE_MAIL},
    {"t.rcpt < 3", STAGE_RCPT},
    {"t.rcpt == 5", STAGE_RCPT},
    {"rcpt.local == x", STAGE_RCPT},
    {"rcpt.domain in friends", STAGE_RCPT},
    {"rcpt.count > 0", STAGE_RCPT},
    {"rcpt in friends", STAGE_RCPT},
    {"rcpt.status == unknown", STAGE_RCPT},
    {"rcpt.domain_status == missing", STAGE_RCPT},
    {"lookup(words, rcpt.local) == \"one\"", STAGE_RCPT},
    {"t.message != 0", STAGE_MESSAGE},
    {"s.seen matches 'X-Y'", STAGE_MESSAGE},
    {"b.seen matches '1000'", STAGE_MESSAGE},
    {"s.after matches '=5'", STAGE_MESSAGE},
    {"s.last > 2", STAGE_MESSAGE},
    {"rhsbl.from.score > 0", STAGE_MESSAGE},
    {"message.size > 300", STAGE_MESSAGE},
    {"received.count > 1", STAGE_MESSAGE},
    {"header('X-Y') == \"1\"", STAGE_MESSAGE},
    {"header('Subject') matches 'hello'", STAGE_MESSAGE},
    {"header.fault == no_from", STAGE_MESSAGE},
    {"from.domain in friends", STAGE_MESSAGE},
    {"list.id != \"\"", STAGE_MESSAGE},
    {"dkim.count > 0", STAGE_MESSAGE},
    {"dkim.result == none", STAGE_MESSAGE},
    {"dmarc.result == fail", STAGE_MESSAGE},
    {"dmarc.result == none", STAGE_MESSAGE},
    {"arc.result == none", STAGE_MESSAGE},
};

static const struct atom texts[] = {
    {"t", STAGE_MAIL},
    {"%{client.ip}", STAGE_MAIL},
    {"%{client.ptr}", STAGE_MAIL},
    {"%{hostname}", STAGE_MAIL},
    {"%{helo}", STAGE_MAIL},
    {"%{auth.user}", STAGE_MAIL},
    {"%{t.reason}", STAGE_MAIL},
    {"%{tls.version}", STAGE_MAIL},
    {"%{sender}", STAGE_MAIL},
    {"%{rule}", STAGE_MAIL},
    {"%{dnsbl.name}", STAGE_MAIL},
    {"%{spf.problem}", STAGE_MAIL},
    {"%{rcpt}", STAGE_RCPT},
    {"%{t.rcpt}", STAGE_RCPT},
    {"%{message.size}", STAGE_MESSAGE},
    {"%{from}", STAGE_MESSAGE},
    {"%{header.fault}", STAGE_MESSAGE},
    {"%{t.message}", STAGE_MESSAGE},
    {"%{s.seen}", STAGE_MESSAGE},
    {"%{b.seen}", STAGE_MESSAGE},
    {"%{dkim.reason}", STAGE_MESSAGE},
};

static const char *random_atom(struct random_config *config, enum stage from, enum stage to)
{
    const struct atom *atom;

    do
        atom = &RANDOM_PICK(config, atoms);
    while (atom->stage < from || atom->stage > to);
    return atom->text;
}

/* A rule for some recipients about the message: what makes their policies differ. */
static enum stage mixed_condition(struct random_config *config, struct str *out)
{
    str_add_format(out, "(%s) and ", random_atom(config, STAGE_RCPT, STAGE_RCPT));
    str_add_format(out, "(%s)", random_atom(config, STAGE_MESSAGE, STAGE_MESSAGE));
    return STAGE_MESSAGE;
}

/* Writes a condition; returns the stage from which all of it is known. */
static enum stage random_condition(struct random_config *config, struct str *out, int depth,
                                   bool early)
{
    enum stage latest = STAGE_MAIL;
    unsigned parts = 2 + random_config_below(config, 2);
    const char *joint;

    if (!early && random_config_chance(config, 15))
        return mixed_condition(config, out);
    if (depth == 0 || random_config_chance(config, 40)) {
        const struct atom *atom;
        do
            atom = &RANDOM_PICK(config, atoms);
        while (early && atom->stage > STAGE_MAIL);
        str_add(out, atom->text);
        return atom->stage;
    }
    joint = random_config_chance(config, 50) ? " and " : " or ";
    for (unsigned i = 0; i < parts; i++) {
        enum stage stage;
        str_add_format(out, "%s%s(", i > 0 ? joint : "",
                       random_config_chance(config, 25) ? "not " : "");
        stage = random_condition(config, out, depth - 1, early);
        latest = stage > latest ? stage : latest;
        str_add(out, ")");
    }
    return latest;
}

static const char *random_text(struct random_config *config, enum stage stage)
{
    const struct atom *text;

    do
        text = &RANDOM_PICK(config, texts);
    while (text->stage > stage);
    return text->text;
}

/* Options that any rule may have. */
static void random_options(struct random_config *config, struct str *out, bool final)
{
    static const char *const options[] = {"observe;", "share 50%;", "local;", "until 2020-01-01;"};

    str_add(out, " late;");
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
        if (random_config_chance(config, 12))
            str_add_format(out, " %s", options[i]);
    if (final && random_config_chance(config, 15))
        str_add(out, " on_fault defer;");
}

static void random_rule(struct random_config *config, unsigned number, bool *early)
{
    struct str when = {0};
    struct str *out = &config->text;
    enum stage known = random_condition(config, &when, (int)random_config_below(config, 3),
                                        *early && random_config_chance(config, 40));
    unsigned outcome = random_config_below(config, 12);
    /* With `or` in it, it may be true before all of it is known. */
    bool plain = strchr(str_text(&when), '(') == NULL;

    str_add_format(out, "rule r%u { when %s; ", number, str_text(&when));
    if (outcome < 6)
        str_add_format(out, "reply %s \"%s\";",
                       *early && known == STAGE_MAIL && random_config_chance(config, 30)
                           ? "521 5.7.1"
                       : random_config_chance(config, 25) ? "451 4.7.1"
                                                          : "550 5.7.1",
                       random_text(config, plain ? known : STAGE_MAIL));
    else if (outcome < 9)
        str_add(out, "accept;");
    else if (outcome < 10)
        str_add_format(out, "quarantine \"q %s\";", random_text(config, STAGE_MESSAGE));
    else
        str_add_format(out, "header \"X-%s: h %s\";", random_config_chance(config, 50) ? "Y" : "Z",
                       random_text(config, STAGE_MESSAGE));
    random_options(config, out, outcome < 10);
    str_add(out, " }\n");
    *early &= known == STAGE_MAIL || outcome >= 10;
    str_free(&when);
}

void random_config_make(struct random_config *config)
{
    static const char *const modes[] = {"late", "strictest", "lenient"};
    unsigned rules = 1 + random_config_below(config, RULES_MAX);
    bool early = true;

    str_free(&config->text);
    str_add_format(&config->text,
                   "speak_at %s; mixed_recipients %s;\n"
                   "table friends { 192.0.2.1; a.example; y@rcpt.example; claimed.example; }\n"
                   "table words file:values;\n"
                   "table ours { rcpt.example; } table users { x@rcpt.example; y@rcpt.example; }\n"
                   "recipients { domains ours; known users; }\n"
                   "dnsbl list { zone list.test; listed 127.0.0.2-3; weight 2; probe none; }\n"
                   "dnsbl names { zone names.test; listed 127.0.0.2-3; weight 2;"
                   " probe none; ask sender.domain from.domain; }\n",
                   random_config_chance(config, 40) ? "mail" : "rcpt", RANDOM_PICK(config, modes));
    if (random_config_chance(config, 30))
        str_add_format(&config->text, "results { add %s; authserv_id me.example; }\n",
                       random_config_chance(config, 50) ? "iprev spf" : "spf dkim dmarc");
    for (unsigned i = 0; i < rules; i++)
        random_rule(config, i, &early);
    if (strstr(str_text(&config->text), "rcpt.status ") != NULL)
        str_add(&config->text, "rule directory { when rcpt.status == unavailable; "
                               "reply 451 4.3.0 \"directory\"; late; }\n");
}

void random_config_free(struct random_config *config)
{
    str_free(&config->text);
}
