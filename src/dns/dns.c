/* SPDX-License-Identifier: MIT */
#include <postern/dns.h>

const struct dns_answer *dns_ask(struct dns *dns, const char *name, enum dns_type type,
                                 unsigned timeout_ms, dns_done *done, void *arg,
                                 struct dns_query **query)
{
    return dns->ops->ask(dns, name, type, timeout_ms, done, arg, query);
}

bool dns_cancel(struct dns *dns, struct dns_query *query)
{
    return dns->ops->cancel(dns, query);
}

const char *dns_status_name(enum dns_status status)
{
    switch (status) {
    case DNS_FOUND:
        return "found";
    case DNS_NO_DATA:
        return "no data";
    case DNS_NO_NAME:
        return "no such name";
    case DNS_FAULT:
        break;
    }
    return "fault";
}

const char *dns_type_name(enum dns_type type)
{
    switch (type) {
    case DNS_A:
        return "A";
    case DNS_CNAME:
        return "CNAME";
    case DNS_PTR:
        return "PTR";
    case DNS_MX:
        return "MX";
    case DNS_TXT:
        return "TXT";
    case DNS_AAAA:
        return "AAAA";
    }
    return "unknown type";
}
