/* SPDX-License-Identifier: MIT */
#include "engine_private.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/*
 * The engine itself: the present configuration, the number of sessions, the housekeeping.
 */

/* ---- the listeners ---- */

static struct known_listener *find_listener(const struct engine *engine, const char *name)
{
    struct known_listener *known = engine->listeners;

    while (known != NULL && strcmp(known->name, name) != 0)
        known = known->next;
    return known;
}

static const struct listen_options *next_listen(const struct listen_options *listen)
{
    return (const struct listen_options *)(const void *)listen->head.next;
}

static void note_listeners(struct engine *engine, const struct config *config)
{
    for (const struct listen_options *listen = config->listens; listen != NULL;
         listen = next_listen(listen)) {
        struct known_listener *known = find_listener(engine, listen->head.name);
        if (known == NULL) {
            size_t size = strlen(listen->head.name) + 1;
            known = xcalloc(1, sizeof(*known) + size);
            memcpy(known->name, listen->head.name, size);
            known->next = engine->listeners;
            engine->listeners = known;
        }
        known->observes = listen->mode == LISTEN_OBSERVE;
    }
}

bool engine_observes(struct engine *engine, const struct wiring *wiring, const char *listener)
{
    for (const struct listen_options *listen = wiring->config->listens; listen != NULL;
         listen = next_listen(listen))
        if (strcmp(listen->head.name, listener) == 0)
            return listen->mode == LISTEN_OBSERVE;
    pthread_mutex_lock(&engine->lock);
    const struct known_listener *known = find_listener(engine, listener);
    bool observes = known != NULL && known->observes;
    pthread_mutex_unlock(&engine->lock);
    return observes;
}

/* ---- the configurations in use ---- */

/* The present one from now on; returns the one before. */
static struct wiring *enlist(struct engine *engine, struct wiring *wiring)
{
    struct wiring *old;

    pthread_mutex_lock(&engine->lock);
    note_listeners(engine, wiring->config);
    wiring->engine = engine;
    wiring->next = engine->wirings;
    wiring->link = &engine->wirings;
    if (wiring->next != NULL)
        wiring->next->link = &wiring->next;
    engine->wirings = wiring;
    engine->wiring_count++;
    old = engine->wiring;
    engine->wiring = wiring;
    pthread_mutex_unlock(&engine->lock);
    return old;
}

void engine_wiring_gone(struct engine *engine, struct wiring *wiring)
{
    pthread_mutex_lock(&engine->lock);
    *wiring->link = wiring->next;
    if (wiring->next != NULL)
        wiring->next->link = wiring->link;
    engine->wiring_count--;
    pthread_mutex_unlock(&engine->lock);
}

/* A reference unless the last one has gone, and the wiring is about to leave the list. */
static bool try_ref(struct wiring *wiring)
{
    unsigned refs = atomic_load(&wiring->refs);

    while (refs > 0)
        if (atomic_compare_exchange_weak(&wiring->refs, &refs, refs + 1))
            return true;
    return false;
}

/* References to all of them, in an array to be freed. */
static struct wiring **all_wirings(struct engine *engine, size_t *count)
{
    struct wiring **all;

    *count = 0;
    pthread_mutex_lock(&engine->lock);
    all = xcalloc(engine->wiring_count, sizeof(struct wiring *));
    for (struct wiring *wiring = engine->wirings; wiring != NULL; wiring = wiring->next)
        if (try_ref(wiring))
            all[(*count)++] = wiring;
    pthread_mutex_unlock(&engine->lock);
    return all;
}

/* ---- the engine ---- */

struct engine *engine_new(const struct engine_options *options, struct config *config)
{
    struct engine *engine = xcalloc(1, sizeof(*engine));

    engine->options = *options;
    pthread_mutex_init(&engine->lock, NULL);
    pthread_cond_init(&engine->idle, NULL);
    enlist(engine, wiring_new(config));
    engine->split = split_new(SPLIT_ENTRIES);
    return engine;
}

void engine_free(struct engine *engine)
{
    if (engine == NULL)
        return;
    pthread_mutex_lock(&engine->lock);
    while (engine->sessions > 0)
        pthread_cond_wait(&engine->idle, &engine->lock);
    pthread_mutex_unlock(&engine->lock);
    wiring_unref(engine->wiring);
    for (struct known_listener *next; engine->listeners != NULL; engine->listeners = next) {
        next = engine->listeners->next;
        free(engine->listeners);
    }
    split_free(engine->split);
    pthread_cond_destroy(&engine->idle);
    pthread_mutex_destroy(&engine->lock);
    free(engine);
}

void engine_configure(struct engine *engine, struct config *config)
{
    wiring_unref(enlist(engine, wiring_new(config)));
}

void engine_random(struct engine *engine, unsigned char *to, size_t count)
{
    pthread_mutex_lock(&engine->lock);
    while (engine->random_left < count)
        if (getrandom(engine->random, sizeof(engine->random), 0) == (ssize_t)sizeof(engine->random))
            engine->random_left = sizeof(engine->random);
    engine->random_left -= count;
    memcpy(to, &engine->random[engine->random_left], count);
    pthread_mutex_unlock(&engine->lock);
}

static struct wiring *present(struct engine *engine)
{
    struct wiring *wiring;

    pthread_mutex_lock(&engine->lock);
    wiring = wiring_ref(engine->wiring);
    pthread_mutex_unlock(&engine->lock);
    return wiring;
}

struct config *engine_config(struct engine *engine)
{
    struct wiring *wiring = present(engine);
    struct config *config = config_ref(wiring->config);

    wiring_unref(wiring);
    return config;
}

static void tick(struct engine *engine, const struct wiring *wiring)
{
    const struct config *config = wiring->config;

    config_refresh(wiring->config);
    for (size_t i = 0; i < config->schema->check_count; i++) {
        const struct check *check = config->schema->checks[i];
        if (check->tick != NULL)
            check->tick(config->check_states[i], engine->options.dns, engine->options.loop);
    }
}

/* Sessions keep the configuration they began with, but not what its tables held then. */
void engine_tick(struct engine *engine)
{
    size_t count;
    struct wiring **all = all_wirings(engine, &count);

    for (size_t i = 0; i < count; i++) {
        tick(engine, all[i]);
        wiring_unref(all[i]);
    }
    free(all);
    split_expire(engine->split, clock_ms());
}

struct engine_session *engine_open(struct engine *engine, const char *listener)
{
    struct wiring *wiring = present(engine);

    pthread_mutex_lock(&engine->lock);
    engine->sessions++;
    pthread_mutex_unlock(&engine->lock);
    return session_new(engine, wiring, listener);
}

void engine_session_gone(struct engine *engine)
{
    pthread_mutex_lock(&engine->lock);
    if (--engine->sessions == 0)
        pthread_cond_broadcast(&engine->idle);
    pthread_mutex_unlock(&engine->lock);
}
