/* SPDX-License-Identifier: MIT */
#include <postern/words.h>

#include <string.h>

#include <postern/arena.h>

/* No word of the configuration language is longer; longer ones are nobody's slip of the pen. */
enum { WORD_MAX = 64 };

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Insertions, deletions, replacements and swaps of neighbours that turn A into B (optimal string
 * alignment); case does not count.  Both at most WORD_MAX long. */
static size_t distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
    size_t rows[3][WORD_MAX + 1];
    size_t *before = rows[0];
    size_t *above = rows[1];
    size_t *here = rows[2];
    size_t i, j, cost;

    for (j = 0; j <= b_length; j++)
        above[j] = j;
    for (i = 1; i <= a_length; i++) {
        size_t *spare = before;

        here[0] = i;
        for (j = 1; j <= b_length; j++) {
            cost = lower(a[i - 1]) == lower(b[j - 1]) ? 0 : 1;
            here[j] = min_size(above[j - 1] + cost, min_size(above[j], here[j - 1]) + 1);
            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
                lower(a[i - 2]) == lower(b[j - 1]))
                here[j] = min_size(here[j], before[j - 2] + 1);
        }
        before = above;
        above = here;
        here = spare;
    }
    return above[b_length];
}

const char *words_nearest(const char *wrong, const char *const *words, size_t count)
{
    size_t length = strlen(wrong);
    /* One slip in a short word, two or three in a long one; more is another word. */
    size_t best = min_size((length + 1) / 3, 3) + 1;
    const char *nearest = NULL;
    size_t i;

    if (length > WORD_MAX)
        return NULL;
    for (i = 0; i < count; i++) {
        size_t other, slips;

        if (words[i] == NULL)
            continue;
        other = strlen(words[i]);
        if (other > WORD_MAX)
            continue;
        slips = distance(wrong, length, words[i], other);
        if (slips < best && slips < length && slips < other) {
            best = slips;
            nearest = words[i];
        }
    }
    return nearest;
}

size_t words_split(struct arena *arena, const char *text, const char **words, size_t limit)
{
    size_t count = 0;
    size_t length;

    for (text += strspn(text, " "); *text != '\0' && count < limit; text += strspn(text, " ")) {
        length = strcspn(text, " ");
        words[count++] = arena_strndup(arena, text, length);
        text += length;
    }
    return count;
}
