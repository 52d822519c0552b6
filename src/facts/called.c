/* SPDX-License-Identifier: MIT */
#include <postern/facts.h>

#include <strings.h>

/* Names from Postfix's policy protocol (SMTPD_POLICY_README) and its macros, and what people try
 * first. */
static const struct {
    const char *name, *fact;
} called[] = {
    {"client_address", "client.ip"},
    {"client_addr", "client.ip"},
    {"client.addr", "client.ip"},
    {"client.address", "client.ip"},
    {"ip", "client.ip"},
    {"client_name", "client.name"},
    {"client_hostname", "client.name"},
    {"client.hostname", "client.name"},
    {"client.host", "client.name"},
    {"reverse_client_name", "client.ptr"},
    {"rdns", "client.rdns"},
    {"iprev", "client.rdns"},
    {"helo_name", "helo"},
    {"helo.name", "helo"},
    {"mail_from", "sender"},
    {"mailfrom", "sender"},
    {"envelope_from", "sender"},
    {"sender.address", "sender"},
    {"sender_domain", "sender.domain"},
    {"recipient", "rcpt"},
    {"rcpt_to", "rcpt"},
    {"rcpt.address", "rcpt"},
    {"recipient.domain", "rcpt.domain"},
    {"recipient_domain", "rcpt.domain"},
    {"recipient_count", "rcpt.count"},
    {"sasl_username", "auth.user"},
    {"sasl_method", "auth.type"},
    {"auth_authen", "auth.user"},
    {"encryption_protocol", "tls.version"},
    {"tls_version", "tls.version"},
    {"daemon_name", "mta.daemon"},
    {"size", "message.size"},
    {"from.address", "from"},
    {"spf", "spf.result"},
    {"dkim", "dkim.result"},
    {"dmarc", "dmarc.result"},
    {"arc", "arc.result"},
    {"dnsbl", "dnsbl.score"},
};

const char *fact_called(const char *name)
{
    for (size_t i = 0; i < sizeof(called) / sizeof(called[0]); i++)
        if (strcasecmp(called[i].name, name) == 0)
            return called[i].fact;
    return NULL;
}
