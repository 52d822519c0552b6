/* SPDX-License-Identifier: MIT */
#include <getopt.h>
#include <libmilter/mfapi.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * A filter on libmilter that does nothing: the floor under everything that postern costs.  It
 * negotiates the steps that it is told to, so that both are measured with the same conversation.
 */

static const struct {
    const char *name;
    unsigned long steps;
} modes[] = {
    {"plain", 0},
    {"nr", SMFIP_NR_CONN | SMFIP_NR_HELO | SMFIP_NR_MAIL | SMFIP_NR_RCPT | SMFIP_NR_DATA |
               SMFIP_NR_HDR | SMFIP_NR_EOH | SMFIP_NR_BODY | SMFIP_NR_UNKN},
    {"skip", SMFIP_NOHDRS | SMFIP_NOEOH | SMFIP_NOBODY | SMFIP_NODATA | SMFIP_NOUNKNOWN},
    {"skip-nr", SMFIP_NOHDRS | SMFIP_NOEOH | SMFIP_NOBODY | SMFIP_NODATA | SMFIP_NOUNKNOWN |
                    SMFIP_NR_CONN | SMFIP_NR_HELO | SMFIP_NR_MAIL | SMFIP_NR_RCPT},
};

/* libmilter passes nothing of ours to its negotiation. */
static unsigned long wanted;

/* What a connection negotiated; libmilter keeps one pointer for each. */
static sfsistat answer(SMFICTX *context, unsigned long no_reply)
{
    unsigned long steps = (unsigned long)(uintptr_t)smfi_getpriv(context);
    return (steps & no_reply) != 0 ? SMFIS_NOREPLY : SMFIS_CONTINUE;
}

static sfsistat on_negotiate(SMFICTX *context, unsigned long offered_actions,
                             unsigned long offered_steps, unsigned long f2, unsigned long f3,
                             unsigned long *actions, unsigned long *steps, unsigned long *out2,
                             unsigned long *out3)
{
    (void)offered_actions;
    (void)f2;
    (void)f3;
    *actions = 0;
    *steps = wanted & offered_steps;
    *out2 = 0;
    *out3 = 0;
    smfi_setpriv(context, (void *)(uintptr_t)*steps);
    return SMFIS_CONTINUE;
}

static sfsistat on_connect(SMFICTX *context, char *host, _SOCK_ADDR *address)
{
    (void)host;
    (void)address;
    return answer(context, SMFIP_NR_CONN);
}

static sfsistat on_helo(SMFICTX *context, char *helo)
{
    (void)helo;
    return answer(context, SMFIP_NR_HELO);
}

static sfsistat on_mail(SMFICTX *context, char **argv)
{
    (void)argv;
    return answer(context, SMFIP_NR_MAIL);
}

static sfsistat on_rcpt(SMFICTX *context, char **argv)
{
    (void)argv;
    return answer(context, SMFIP_NR_RCPT);
}

static sfsistat on_data(SMFICTX *context)
{
    return answer(context, SMFIP_NR_DATA);
}

static sfsistat on_header(SMFICTX *context, char *name, char *value)
{
    (void)name;
    (void)value;
    return answer(context, SMFIP_NR_HDR);
}

static sfsistat on_eoh(SMFICTX *context)
{
    return answer(context, SMFIP_NR_EOH);
}

static sfsistat on_body(SMFICTX *context, unsigned char *bytes, size_t length)
{
    (void)bytes;
    (void)length;
    return answer(context, SMFIP_NR_BODY);
}

static sfsistat on_unknown(SMFICTX *context, const char *line)
{
    (void)line;
    return answer(context, SMFIP_NR_UNKN);
}

static sfsistat on_eom(SMFICTX *context)
{
    (void)context;
    return SMFIS_CONTINUE;
}

static bool parse_steps(const char *text)
{
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (strcmp(text, modes[i].name) == 0) {
            wanted = modes[i].steps;
            return true;
        }
    }
    char *end;
    wanted = strtoul(text, &end, 0);
    return *text >= '0' && *text <= '9' && *end == '\0';
}

static int usage(void)
{
    fputs("usage: bench_null_filter --socket PATH [--steps plain|nr|skip|skip-nr|0xBITS]\n",
          stderr);
    return 2;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"socket", required_argument, NULL, 's'},
        {"steps", required_argument, NULL, 'p'},
        {NULL, 0, NULL, 0},
    };
    char name[256] = "";
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 's')
            snprintf(name, sizeof(name), "unix:%s", optarg);
        else if (option != 'p' || !parse_steps(optarg))
            return usage();
    }
    if (name[0] == '\0' || optind != argc)
        return usage();
    static char title[] = "null";
    struct smfiDesc description = {
        .xxfi_name = title,
        .xxfi_version = SMFI_VERSION,
        .xxfi_connect = on_connect,
        .xxfi_helo = on_helo,
        .xxfi_envfrom = on_mail,
        .xxfi_envrcpt = on_rcpt,
        .xxfi_header = on_header,
        .xxfi_eoh = on_eoh,
        .xxfi_body = on_body,
        .xxfi_eom = on_eom,
        .xxfi_unknown = on_unknown,
        .xxfi_data = on_data,
        .xxfi_negotiate = on_negotiate,
    };
    if (smfi_setconn(name) != MI_SUCCESS || smfi_register(description) != MI_SUCCESS ||
        smfi_opensocket(1) != MI_SUCCESS) {
        fprintf(stderr, "bench_null_filter: libmilter does not take %s\n", name);
        return 1;
    }
    return smfi_main() == MI_SUCCESS ? 0 : 1;
}
