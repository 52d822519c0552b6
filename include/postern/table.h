/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_TABLE_H
#define POSTERN_TABLE_H

#include <postern/addr.h>
#include <postern/diag.h>

struct arena;

/*
 * Tables: key -> value, absent, or unavailable.  One constant per backend (table_backend.h); a
 * table is reloaded by itself when its file changes, entries may expire, and a table of recipients
 * is trusted only while it looks sane (the shrink guard).
 *
 * Lookups are safe from any thread and do not block on anything but local files.
 */
enum table_status {
    TABLE_FOUND,
    TABLE_ABSENT,
    TABLE_UNAVAILABLE, /* could not be found out: never to be taken for absent */
};

struct table_answer {
    enum table_status status;
    const char *value;   /* FOUND: "" when the entry has none; constant or in the caller's arena */
    const char *key;     /* FOUND: the key that matched, in the caller's arena */
    const char *problem; /* UNAVAILABLE: why, for the log */
};

/* What is looked up.  All strings canonical (domain.h, mailbox.h) and never NULL. */
enum table_key_kind {
    TABLE_KEY_TEXT,      /* as it is */
    TABLE_KEY_ADDR,      /* an IP address: the address, then networks around it */
    TABLE_KEY_DOMAIN,    /* access(5): domain, .parent, ... */
    TABLE_KEY_ADDRESS,   /* access(5): user@domain, domain, .parent ..., user@ */
    TABLE_KEY_RECIPIENT, /* virtual(5): user@domain, user (where bare_user), @domain; never the bare
                            domain */
};

struct table_key {
    enum table_key_kind kind;
    const char *text;      /* TEXT, DOMAIN */
    const char *local;     /* ADDRESS, RECIPIENT: as sent; compared without case */
    const char *domain;    /* ADDRESS, RECIPIENT */
    struct addr addr;      /* ADDR */
    const char *delimiter; /* characters that begin an address extension; "" for none */
    bool bare_user; /* RECIPIENT: whether `user` alone may match (the domain is a local one) */
};

/* The state that outlives a process: counts per domain of guarded tables. */
struct table_guard {
    const char *state_dir;   /* /var/lib/postern; NULL: counts are kept in memory only */
    unsigned shrink_percent; /* 0: no guard */
    bool read_only;          /* a command looks: kept counts are read, never written */
    bool may_begin_empty;    /* a table without entries is good when it is opened, unless more than
                                one was known before; not later on */
};

struct table;

/* Opens TABLE `NAME TYPE:ARGUMENT;`.  A table that cannot be read now is opened all the same and
 * answers TABLE_UNAVAILABLE until it can (one log line says so; table_problem() tells `check`).
 * Returns NULL with an error in DIAG for an unknown type or an argument that is wrong whatever the
 * file holds.  BASE_DIR: relative file names are relative to it. Errors inside the file (a bad
 * line) are reported with its path and line; the last good image stays. */
struct table *table_open(const char *name, const char *spec, const char *base_dir,
                         const struct place *at, struct diag *diag);

/* An inline table.  Entries: networks, addresses, names (".example.org": it and all below;
 * "user@example.org"). One that is none of these is an error in DIAG. */
struct table *table_open_inline(const char *name, const char *const *entries,
                                const struct place *places, size_t count, struct diag *diag);

struct table *table_ref(struct table *table);
void table_unref(struct table *table);

/* The first entry of an inline table that is a domain name by itself (no ".example.org", no
 * address), canonical; NULL when there is none, and for other types.  Lives as long as the table.
 */
const char *table_first_domain(const struct table *table);

/* Whether an inline TABLE has any entry that an IP address (ADDRESSES) or a domain or mail address
 * (else) could be found as; true for empty ones, which are meant to be empty, and for other types,
 * whose files change. */
bool table_could_hold(const struct table *table, bool addresses);

const char *table_name(const struct table *table);
const char *table_type(const struct table *table);
/* The file behind it; NULL where there is none.  Lives as long as the table. */
const char *table_path(const struct table *table);

/* What is wrong with the file behind TABLE, "PATH:LINE: text" or "PATH: text", several lines where
 * there are several errors, copied to the arena; NULL when all is well.  The table may still answer
 * from its last good image. */
const char *table_problem(const struct table *table, struct arena *arena);

/* After a reload: TABLE, opened and guarded anew, takes over from OLD, of the same type and file,
 * what it cannot find out itself: the last good image when the file is bad now, and counts that no
 * state file keeps.  Call before lookups in TABLE; lookups in OLD may go on. */
void table_inherit(struct table *table, struct table *old);

/* Makes TABLE guarded (recipients { known ... }): a new image of `file`, `cidr`, `regex` that is
 * empty, unreadable or in any one domain smaller by more than the share is refused and the last
 * good one stays; for `lmdb` the counts per domain are kept and a shrunken table answers
 * TABLE_UNAVAILABLE.  Without any image ever seen, an empty one is TABLE_UNAVAILABLE too, unless it
 * may begin empty. Call once, before lookups. */
void table_guard(struct table *table, const struct table_guard *guard);

/* Takes the present size as the right one (`postern table NAME --accept`).  -1 with a text in
 * *problem. */
int table_accept(struct table *table, const char **problem, struct arena *arena);

/* Looks KEY up in the order of its kind.  Strings of the answer live in ARENA. */
struct table_answer table_find(struct table *table, const struct table_key *key,
                               struct arena *arena);

/* Looks whether the file behind the table has changed and takes the new image.  Cheap when it has
 * not. Called every second or two by whoever owns the tables, from one thread; table_accept()
 * belongs to the same one. Reads a changed file whole, which takes some 0.1 s for 100,000 entries;
 * lookups go on meanwhile. */
void table_refresh(struct table *table);

/* Entries that have not expired; -1 when the backend cannot count or there is no image. */
long table_count(const struct table *table);

/* Lines of the file behind TABLE that no lookup of one kind can ever find. */
struct table_vain {
    size_t count;
    const char *path; /* of the file; the table's */
    unsigned line;    /* the first one */
    const char *key;  /* as it stands there; in the arena */
};

/* Reads a text file of keys anew for a lookup of KIND (DOMAIN or RECIPIENT; BARE_USER: for some
 * domains), so that an administrator can be told; count 0 for other types, and when it cannot be
 * read.  Lines that are an error count for nothing: table_problem() has them. */
struct table_vain table_vain_lines(const struct table *table, enum table_key_kind kind,
                                   bool bare_user, struct arena *arena);

/* Whether SPEC's type is known ("file", "cidr", ...), for the parser; the nearest type for a
 * message. */
bool table_type_known(const char *spec);
const char *table_type_nearest(const char *spec);

#endif
