/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_MILTER_WIRE_PACKET_H
#define POSTERN_MILTER_WIRE_PACKET_H

#include <postern/addr.h>
#include <postern/session.h>
#include <postern/str.h>

#include <stdint.h>

/*
 * Packets of the milter protocol, version 6: four octets of length (network order), which counts
 * what follows; one octet, the command; data.  Reading and writing only: nothing here knows of
 * sockets or of the order of commands.  All is pure and safe from any thread.
 */
enum {
    WIRE_HEAD = 5, /* length and command */
    /* libmilter takes 64 kB of data, and Sendmail sends no more unless more was negotiated (up to
     * this size), but Postfix passes header fields on whole, up to its header_size_limit. */
    WIRE_DATA_MAX = 1048575,
    WIRE_STRINGS_MAX = 100,  /* arguments of MAIL or RCPT */
    WIRE_MACROS_MAX = 262144 /* octets of macros that a connection may keep */
};

struct wire_packet {
    char command;
    const char *data; /* not terminated */
    size_t length;
};

enum wire_next {
    WIRE_WHOLE,   /* *packet is filled */
    WIRE_PART,    /* more octets are needed */
    WIRE_REFUSED, /* an impossible length */
};

/* Looks at the first packet of LENGTH octets at BYTES.  *size is how many octets it has with its
 * head, or at least has, when only a part of the head is there. */
enum wire_next wire_next(const char *bytes, size_t length, struct wire_packet *packet,
                         size_t *size);

/* ---- reading what an MTA says; false where the packet is not of the form ---- */

struct wire_offer {
    uint32_t version, actions, steps;
};
bool wire_read_offer(const struct wire_packet *packet, struct wire_offer *offer);

struct wire_client {
    const char *host;
    struct addr addr; /* ADDR_NONE where there is none */
    unsigned port;
};
bool wire_read_client(const struct wire_packet *packet, struct wire_client *client);

/* One string. */
bool wire_read_text(const struct wire_packet *packet, const char **text);

/* A name, which is not empty, and a value. */
bool wire_read_field(const struct wire_packet *packet, const char **name, const char **value);

/* At least one string and at most WIRE_STRINGS_MAX; ARGV ends with NULL. */
bool wire_read_strings(const struct wire_packet *packet, const char *argv[WIRE_STRINGS_MAX + 1]);

/* ---- macros, kept by stage as libmilter keeps them ---- */

/* In the order in which later ones hide earlier ones. */
enum wire_place {
    WIRE_AT_CONNECT,
    WIRE_AT_HELO,
    WIRE_AT_MAIL,
    WIRE_AT_RCPT,
    WIRE_AT_DATA,
    WIRE_AT_EOH,
    WIRE_AT_EOM,
    WIRE_PLACES
};

struct wire_macros {
    struct wire_macro_set {
        char *bytes; /* name, value, name, value, each with its NUL */
        uint32_t length, room;
    } sets[WIRE_PLACES];
};

/* Keeps a copy of what the packet says instead of what was said for the stage before; macros for a
 * stage that has none of interest are left out.  False where the packet is not of the form, or too
 * much would be kept. */
bool wire_macros_take(struct wire_macros *macros, const struct wire_packet *packet);

/* Forgets all from PLACE on. */
void wire_macros_clear(struct wire_macros *macros, enum wire_place place);
void wire_macros_free(struct wire_macros *macros);

/* The value of the macro, which may be named "i" or "{i}" here and there, from the latest stage
 * that has it; NULL when there is none. A session_macro: ARG is the struct wire_macros. */
const char *wire_macro(void *arg, const char *name);

/* ---- writing: each adds one packet to *out ---- */

void wire_put(struct str *out, char command, const char *data, size_t length);
/* With the macros that are to be sent; SYMBOLS NULL: as the MTA likes. */
void wire_put_choice(struct str *out, const struct wire_offer *choice,
                     const struct engine_needs *symbols);
/* As smfi_setmlreply(3) words it: code and enhanced code on each line, CR LF between lines. */
void wire_put_reply(struct str *out, const struct session_answer *answer);
void wire_put_change(struct str *out, const struct session_change *change);

#endif
