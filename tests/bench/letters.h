/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_BENCH_LETTERS_H
#define POSTERN_BENCH_LETTERS_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Real messages for bench_milter_load, read from a folder: its file "index" has a line for each,
 * FILE CLIENT-ADDRESS CLIENT-NAME HELO SENDER RECIPIENT, with one blank between them.  The files
 * are messages as they stand in SMTP, with lines that end in CR LF.
 */
struct letter_field {
    const char *name, *value; /* the value with its leading blank, folded lines with a bare LF */
};

struct letter {
    char *address, *client, *helo, *sender, *recipient;
    struct letter_field *fields;
    unsigned field_count;
    const char *body;
    size_t body_length;
};

struct letters {
    struct letter *list;
    unsigned count;
};

/* The whole file with a NUL after it, or NULL. */
static inline char *letter_file(const char *path, size_t *length)
{
    FILE *file = fopen(path, "rb");
    char *data = NULL;

    if (file == NULL || fseek(file, 0, SEEK_END) != 0)
        return NULL;
    *length = (size_t)ftell(file);
    rewind(file);
    data = malloc(*length + 1);
    if (data == NULL || fread(data, 1, *length, file) != *length)
        return NULL;
    data[*length] = '\0';
    fclose(file);
    return data;
}

/* Where a header field ends: at a CR LF that no blank follows. */
static inline char *letter_field_end(char *at)
{
    char *end = strstr(at, "\r\n");

    while (end != NULL && (end[2] == ' ' || end[2] == '\t'))
        end = strstr(end + 2, "\r\n");
    return end;
}

static inline void letter_unfold(char *value)
{
    char *to = value;

    for (; *value != '\0'; value++)
        if (*value != '\r')
            *to++ = *value;
    *to = '\0';
}

/* Cuts the message into its parts, in place. */
static inline bool letter_cut(struct letter *letter, char *data, size_t length)
{
    char *at = data;

    while (strncmp(at, "\r\n", 2) != 0) {
        char *end = letter_field_end(at);
        char *colon = strchr(at, ':');

        if (end == NULL || colon == NULL || colon > end)
            return false;
        *end = *colon = '\0';
        letter_unfold(colon + 1);
        letter->fields =
            realloc(letter->fields, (letter->field_count + 1) * sizeof(*letter->fields));
        if (letter->fields == NULL)
            return false;
        letter->fields[letter->field_count++] = (struct letter_field){at, colon + 1};
        at = end + 2;
    }
    letter->body = at + 2;
    letter->body_length = length - (size_t)(letter->body - data);
    return true;
}

/* One line of the index; false where it, or its file, cannot be read. */
static inline bool letter_read(struct letter *letter, const char *folder, char *line)
{
    char *words[6];
    char path[4096];
    size_t length;
    char *data;
    int i;

    for (i = 0; i < 6; i++)
        if ((words[i] = strtok(i == 0 ? line : NULL, " \n")) == NULL)
            return false;
    *letter = (struct letter){.address = strdup(words[1]),
                              .client = strdup(words[2]),
                              .helo = strdup(words[3]),
                              .sender = strdup(words[4]),
                              .recipient = strdup(words[5])};
    snprintf(path, sizeof(path), "%s/%s", folder, words[0]);
    data = letter_file(path, &length);
    return data != NULL && letter_cut(letter, data, length);
}

/* All of the folder, for the life of the program; false, and the count so far, where one cannot be
 * read, or there is none. */
static inline bool letters_read(struct letters *letters, const char *folder)
{
    char path[4096];
    char line[1024];
    FILE *index;
    bool good = true;

    snprintf(path, sizeof(path), "%s/index", folder);
    index = fopen(path, "r");
    while (index != NULL && good && fgets(line, sizeof(line), index) != NULL) {
        letters->list = realloc(letters->list, (letters->count + 1) * sizeof(*letters->list));
        good = letters->list != NULL && letter_read(&letters->list[letters->count], folder, line);
        letters->count += good;
    }
    if (index != NULL)
        fclose(index);
    return good && letters->count > 0;
}

#endif
