/* SPDX-License-Identifier: MIT */
#include "dnsbl_lists.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <postern/arena.h>
#include <postern/domain.h>
#include <postern/words.h>

enum { KEY_MAX = 63 }; /* a key is one label of a name */

static const char key_mark[] = "%{key}";
static const char file_mark[] = "file:";

enum probe_word { PROBE_AUTO, PROBE_IP, PROBE_IP6, PROBE_NAME, PROBE_NONE };

struct dnsbl_block {
    struct block_head head;
    const char *zone, *key;
    struct option_list listed, ask;
    int64_t weight, probe;
    bool ipv6, reason;
    /* Read from the above by check_block(): */
    struct dnsbl_ranges ranges;
    unsigned asks;
};

static const struct option_row rows[] = {
    {.name = "zone",
     .type = OPTION_TEXT,
     .offset = offsetof(struct dnsbl_block, zone),
     .required = true,
     .help = "zone of the list; %{key} in it stands for the key"},
    {.name = "key",
     .type = OPTION_TEXT,
     .offset = offsetof(struct dnsbl_block, key),
     .help = "file:PATH of the key for %{key}; the key is never shown"},
    {.name = "listed",
     .type = OPTION_LIST,
     .offset = offsetof(struct dnsbl_block, listed),
     .required = true,
     .help =
         "return codes that mean a listing: 127.0.0.2-11, 127.0.*.1-3; 127.0.0.1, 127.0.0.255 and "
         "127.0.1.255 only where they stand by themselves, since lists refuse queries with them"},
    {.name = "weight",
     .type = OPTION_NUMBER,
     .fallback = "1",
     .minimum = -1000,
     .maximum = 1000,
     .offset = offsetof(struct dnsbl_block, weight),
     .help = "what a listing adds to the score; negative for lists of good senders"},
    {.name = "ask",
     .type = OPTION_LIST,
     .fallback = "client.ip",
     .offset = offsetof(struct dnsbl_block, ask),
     .help = "what the list is asked about: client.ip, helo, sender.domain, from.domain"},
    {.name = "probe",
     .type = OPTION_WORD,
     .fallback = "auto",
     .words = "auto ip ip6 name none",
     .offset = offsetof(struct dnsbl_block, probe),
     .help = "test entries that show the list to be alive: 127.0.0.2 (ip), ::ffff:7f00:2 (ip6, for "
             "lists of "
             "IPv6 addresses alone), TEST (name), RFC 5782 5; auto: ip or name, by "
             "what is asked"},
    {.name = "ipv6",
     .type = OPTION_BOOL,
     .fallback = "yes",
     .offset = offsetof(struct dnsbl_block, ipv6),
     .help = "whether the list is asked about IPv6 addresses, too"},
    {.name = "reason",
     .type = OPTION_BOOL,
     .fallback = "yes",
     .offset = offsetof(struct dnsbl_block, reason),
     .help = "whether the list's TXT record is fetched for the reply"},
};

/* ---- looking at one block ---- */

static void check_listed(struct dnsbl_block *block, struct arena *arena, struct diag *diag)
{
    struct dnsbl_range *ranges = arena_alloc(arena, block->listed.count * sizeof(*ranges));
    const char *problem;
    size_t i;

    for (i = 0; i < block->listed.count; i++) {
        const char *text = block->listed.items[i];
        const struct place *at = &block->listed.places[i];

        if (!dnsbl_codes_parse(text, &ranges[i], &problem))
            diag_error(diag, at, "'%s' %s", text, problem);
    }
    block->ranges = (struct dnsbl_ranges){ranges, block->listed.count};
}

static void check_ask(struct dnsbl_block *block, struct diag *diag)
{
    const char *words[SUBJECT_COUNT];
    size_t i, j;

    for (j = 0; j < SUBJECT_COUNT; j++)
        words[j] = dnsbl_subjects[j].word;
    for (i = 0; i < block->ask.count; i++) {
        const char *word = block->ask.items[i];

        for (j = 0; j < SUBJECT_COUNT && strcmp(words[j], word) != 0; j++) {
        }
        if (j < SUBJECT_COUNT) {
            block->asks |= 1U << j;
            continue;
        }
        const char *near = words_nearest(word, words, SUBJECT_COUNT);

        diag_error(diag, &block->ask.places[i], "a list cannot be asked about '%s'; %s%s%s", word,
                   near != NULL ? "did you mean '"
                                : "client.ip, helo, sender.domain and from.domain are known",
                   near != NULL ? near : "", near != NULL ? "'?" : "");
    }
}

/* The zone with KEY in its place, canonical.  False when that is no name. */
static bool expand_zone(const char *zone, const char *key, char out[DOMAIN_SIZE])
{
    const char *mark = strstr(zone, key_mark);
    char whole[DOMAIN_SIZE + KEY_MAX + sizeof(key_mark)];

    if (strlen(zone) >= DOMAIN_SIZE || strlen(key) > KEY_MAX)
        return false;
    if (mark == NULL)
        return domain_canonical(zone, strlen(zone), out);
    size_t before = (size_t)(mark - zone);

    memcpy(whole, zone, before);
    snprintf(whole + before, sizeof(whole) - before, "%s%s", key, mark + strlen(key_mark));
    return domain_canonical(whole, strlen(whole), out);
}

static void check_zone(const struct dnsbl_block *block, struct diag *diag)
{
    const struct place *at = &block->head.at;
    bool marked = strstr(block->zone, key_mark) != NULL;
    char name[DOMAIN_SIZE];

    if (!expand_zone(block->zone, "key", name) || domain_labels(name) < 2)
        diag_error(diag, at, "the zone '%s' is no domain name", block->zone);
    if (marked && block->key == NULL)
        diag_error(diag, at, "the zone holds %%{key}, but no key is set; add key file:PATH");
    if (!marked && block->key != NULL)
        diag_error(diag, at, "a key is set, but the zone has no %%{key} where it belongs");
    if (block->key != NULL && strncmp(block->key, file_mark, strlen(file_mark)) != 0)
        diag_error(diag, at, "a key stands in a file of its own; write key file:PATH");
}

static void check_block(void *memory, struct arena *arena, struct diag *diag)
{
    struct dnsbl_block *block = memory;

    check_zone(block, diag);
    check_listed(block, arena, diag);
    check_ask(block, diag);
}

const struct option_block dnsbl_option_blocks[1] = {
    {.kind = "dnsbl",
     .named = true,
     .repeatable = true,
     .rows = rows,
     .row_count = sizeof(rows) / sizeof(rows[0]),
     .size = sizeof(struct dnsbl_block),
     .check = check_block,
     .help = "a DNS list of addresses or names (RFC 5782)"},
};

/* ---- keys ---- */

static bool is_key(const char *text)
{
    size_t length =
        strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");

    return length > 0 && length <= KEY_MAX && text[length] == '\0';
}

/* The first line of the key's file; "" after an error, reported.  The messages name the file only.
 */
static const char *read_key(const struct check_site *site, const struct dnsbl_block *block)
{
    const char *path = block->key + strlen(file_mark);
    char text[KEY_MAX + 2];
    struct stat status;
    ssize_t length;
    int fd;

    if (path[0] != '/')
        path = arena_printf(site->arena, "%s/%s", site->base_dir, path);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    length = fd < 0 || fstat(fd, &status) != 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (length < 0)
        diag_error(site->diag, &block->head.at, "cannot read the key in %s: %s", path,
                   strerror(errno));
    if (fd >= 0)
        close(fd);
    if (length < 0)
        return "";
    text[length] = '\0';
    text[strcspn(text, "\r\n")] = '\0';
    if (!is_key(text)) {
        diag_error(
            site->diag, &block->head.at,
            "%s does not begin with a key: up to %d letters, digits, '-' and '_' on one line", path,
            KEY_MAX);
        return "";
    }
    if ((status.st_mode & S_IROTH) != 0)
        diag_warning(site->diag, &block->head.at, "everybody can read the key in %s", path);
    return arena_strdup(site->arena, text);
}

/* ---- building the lists ---- */

struct building {
    struct dnsbl_lists *lists;
    struct dnsbl_list *items;
    struct dnsbl_zone *zones;
    unsigned *tests;     /* of each zone */
    const char **labels; /* of each zone: its blocks' names */
};

static unsigned tests_of(const struct dnsbl_block *block)
{
    unsigned tests = 0;
    size_t i;

    switch (block->probe) {
    case PROBE_IP:
        return DNSBL_TEST_IP;
    case PROBE_IP6:
        return DNSBL_TEST_IP6;
    case PROBE_NAME:
        return DNSBL_TEST_NAME;
    case PROBE_NONE:
        return 0;
    }
    for (i = 0; i < SUBJECT_COUNT; i++)
        if ((block->asks & 1U << i) != 0)
            tests |= dnsbl_subjects[i].is_name ? DNSBL_TEST_NAME : DNSBL_TEST_IP;
    return tests;
}

static void add_ranges(struct arena *arena, struct dnsbl_ranges *to,
                       const struct dnsbl_ranges *more)
{
    struct dnsbl_range *all = arena_alloc(arena, (to->count + more->count) * sizeof(*all));
    size_t i;

    for (i = 0; i < to->count; i++)
        all[i] = to->items[i];
    for (i = 0; i < more->count; i++)
        all[to->count + i] = more->items[i];
    *to = (struct dnsbl_ranges){all, to->count + more->count};
}

/* The number of the block's zone, a new one where no block before had it. */
static size_t add_zone(const struct check_site *site, struct building *to, const char *name,
                       const char *key, const struct dnsbl_block *block)
{
    size_t i;

    for (i = 0; i < to->lists->zone_count; i++)
        if (strcmp(to->zones[i].name, name) == 0)
            break;
    if (i == to->lists->zone_count) {
        to->zones[i] = (struct dnsbl_zone){.name = arena_strdup(site->arena, name), .key = key};
        to->labels[i] = block->head.name;
        to->lists->zone_count++;
    } else {
        to->labels[i] = arena_printf(site->arena, "%s, %s", to->labels[i], block->head.name);
    }
    to->tests[i] |= tests_of(block);
    add_ranges(site->arena, &to->zones[i].own, &block->ranges);
    return i;
}

static void add_list(const struct check_site *site, struct building *to,
                     const struct dnsbl_block *block)
{
    const char *key = block->key != NULL ? read_key(site, block) : "";
    char name[DOMAIN_SIZE];

    if (block->key != NULL && key[0] == '\0')
        return;
    if (!expand_zone(block->zone, key, name)) {
        diag_error(site->diag, &block->head.at, "the zone is no domain name with its key");
        return;
    }
    to->items[to->lists->count++] = (struct dnsbl_list){
        .name = block->head.name,
        .zone = add_zone(site, to, name, key, block),
        .listed = block->ranges,
        .weight = block->weight,
        .asks = block->asks,
        .ipv6 = block->ipv6,
        .reason = block->reason,
    };
}

struct dnsbl_lists *dnsbl_lists_open(const struct check_site *site)
{
    const struct block_head *first = site->blocks(site, "dnsbl");
    const struct block_head *head;
    struct dnsbl_lists *lists = arena_alloc(site->arena, sizeof(*lists));
    size_t room = 0;
    size_t i;

    for (head = first; head != NULL; head = head->next)
        room++;
    struct building to = {
        .lists = lists,
        .items = arena_alloc(site->arena, room * sizeof(*to.items)),
        .zones = arena_alloc(site->arena, room * sizeof(*to.zones)),
        .tests = arena_alloc(site->arena, room * sizeof(*to.tests)),
        .labels = arena_alloc(site->arena, room * sizeof(*to.labels)),
    };
    for (head = first; head != NULL; head = head->next)
        add_list(site, &to, (const struct dnsbl_block *)(const void *)head);
    lists->lists = to.items;
    lists->zones = to.zones;
    lists->health = dnsbl_health_new();
    for (i = 0; i < lists->zone_count; i++)
        dnsbl_health_add(lists->health, lists->zones[i].name, to.labels[i], to.tests[i],
                         &lists->zones[i].own);
    return lists;
}

void dnsbl_lists_close(struct dnsbl_lists *lists)
{
    if (lists != NULL)
        dnsbl_health_unref(lists->health);
}
