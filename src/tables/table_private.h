/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_TABLE_PRIVATE_H
#define POSTERN_TABLE_PRIVATE_H

#include "guard.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>
#include <time.h>

/* An image in force, shared by the lookups under way. */
struct image {
    atomic_uint refs;
    const struct table_backend *backend;
    void *data;
};

/* What tells one version of a file from another.  The time of the last change of the inode is among
 * it: a file that was made readable has a new image too. */
struct stamp {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified;
    struct timespec changed;
};

enum table_state {
    STATE_NEW,  /* nothing is known yet */
    STATE_WELL, /* the image is that of the file */
    STATE_KEPT, /* the file is bad, the last good image stays */
    STATE_OUT,  /* no answer is to be had */
};

struct table {
    atomic_uint refs;
    const struct table_backend *backend;
    char *name;
    char *path;          /* NULL without a file */
    char *first_domain;  /* inline; NULL: none */
    bool only_names;     /* inline: no entry is an address or a network */
    bool only_addresses; /* inline: all entries are */

    pthread_mutex_t lock; /* for the three below */
    struct image *image;  /* NULL: none */
    enum table_state state;
    char *problem; /* STATE_KEPT, STATE_OUT: all that is wrong, lines */

    /* Of the one thread that refreshes. */
    struct guard *guard; /* NULL: not guarded */
    struct stamp stamp;
    bool unsettled;     /* read it again, whatever the stamp says */
    bool refused;       /* by the guard */
    unsigned postponed; /* how often a bad image was given time */
};

struct image *image_new(const struct table_backend *backend, void *data);
struct image *image_ref(struct image *image);
void image_unref(struct image *image);

/* The image in force, with a reference, or NULL. */
struct image *table_image(struct table *table);

/* Reads the file for the first time, or whether it changed. */
void table_read(struct table *table);

#endif
