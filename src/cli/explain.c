/* SPDX-License-Identifier: MIT */
#include "explain.h"

#include <postern/arena.h>
#include <postern/check.h>
#include <postern/clock.h>
#include <postern/log.h>
#include <postern/loop.h>
#include <postern/session.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * `postern explain`: plays one SMTP transaction against the real checks, as an MTA would tell it,
 * and shows what was found out, which rule decided and what the client would see.
 */

/* ---- waiting for answers ---- */

struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t answered;
    const struct session_answer *answer;
};

static void on_answer(void *arg, const struct session_answer *answer)
{
    struct waiter *waiter = arg;
    pthread_mutex_lock(&waiter->lock);
    waiter->answer = answer;
    pthread_cond_signal(&waiter->answered);
    pthread_mutex_unlock(&waiter->lock);
}

static const struct session_answer *await(struct waiter *waiter)
{
    pthread_mutex_lock(&waiter->lock);
    while (waiter->answer == NULL)
        pthread_cond_wait(&waiter->answered, &waiter->lock);
    const struct session_answer *answer = waiter->answer;
    waiter->answer = NULL;
    pthread_mutex_unlock(&waiter->lock);
    return answer;
}

/* ---- what is kept of the answers ---- */

/* The reply that is spoken, or would be if the listen block did not only observe. */
static const struct reply *reply_of(const struct action *action)
{
    return action->kind == ACTION_REPLY || action->observed ? action->reply : NULL;
}

/* With mode observe the words of the records. */
static const char *verdict_word(const struct action *action)
{
    const struct reply *reply = reply_of(action);
    bool observed = action->observed;
    if (reply != NULL && reply->code >= 500)
        return observed ? "would-reject" : "reject";
    if (reply != NULL)
        return observed ? "would-defer" : "defer";
    switch (action->verdict.kind) {
    case VERDICT_ACCEPT:
        return "accept";
    case VERDICT_QUARANTINE:
        return observed ? "would-quarantine" : "quarantine";
    case VERDICT_FAULT:
        return "defer";
    case VERDICT_REPLY:
    case VERDICT_NONE:
    case VERDICT_OPEN:
        break;
    }
    return "none";
}

static const struct rule **keep_fired(struct explained *explained, const uint8_t *fired)
{
    const struct policy *policy = explained->config->policy;
    const struct rule **rules;
    size_t count = 0;

    if (fired == NULL)
        return NULL;
    rules = arena_alloc(explained->arena, (policy->rule_count + 1) * sizeof(rules[0]));
    for (size_t i = 0; i < policy->rule_count; i++)
        if (fired[i])
            rules[count++] = &policy->rules[i];
    rules[count] = NULL;
    return rules;
}

static struct explained_step *keep(struct explained *explained, enum stage stage, const char *what,
                                   const struct session_answer *answer)
{
    struct explained_step *step = &explained->steps[explained->step_count++];
    const struct action *action = answer->action;
    *step = (struct explained_step){.stage = stage, .what = what, .verdict = "none", .rule = ""};
    if (action == NULL)
        return step;
    step->verdict = verdict_word(action);
    step->rule = arena_strdup(explained->arena, action->rule != NULL ? action->rule : "");
    /* A recipient that an exemption takes out is not spoken of, but the rule is what one asks for.
     */
    if (step->rule[0] == '\0' && action->verdict.kind == VERDICT_ACCEPT &&
        action->verdict.rule >= 0)
        step->rule = explained->config->policy->rules[action->verdict.rule].name;
    step->refused = action->kind == ACTION_REPLY;
    step->observed = action->observed;
    if (reply_of(action) != NULL)
        step->reply = reply_format(explained->arena, action->reply);
    if (action->verdict.kind == VERDICT_QUARANTINE && action->reason != NULL)
        step->reason = arena_strdup(explained->arena, action->reason);
    step->fired = keep_fired(explained, action->fired);
    step->header_count = action->header_count;
    step->headers = arena_alloc(explained->arena, (action->header_count + 1) * sizeof(char *));
    for (size_t i = 0; i < action->header_count; i++)
        step->headers[i] = arena_printf(explained->arena, "%s: %s", action->headers[i].name,
                                        action->headers[i].value);
    return step;
}

/* Copies values that outlive the session: their texts live in its arenas. */
static const char *copy_text(struct arena *arena, const char *text)
{
    return text == NULL ? NULL : arena_strdup(arena, text);
}

static void keep_facts(struct explained *explained, const struct view *view, enum scope scope,
                       struct value *out)
{
    const struct layout *layout = explained->layout;
    for (slot_t i = 0; i < layout->count; i++) {
        if (layout->slots[i].row == NULL || layout->slots[i].scope != (uint8_t)scope)
            continue;
        struct value value = *view_value(layout, view, i);
        value.text = copy_text(explained->arena, value.text);
        value.shown = copy_text(explained->arena, value.shown);
        const char **items =
            arena_alloc(explained->arena, (value.set.count + 1) * sizeof(items[0]));
        for (size_t j = 0; j < value.set.count; j++)
            items[j] = arena_strdup(explained->arena, value.set.items[j]);
        value.set.items = items;
        out[i] = value;
    }
}

static void keep_all_facts(struct explained *explained, struct session *session)
{
    struct view view;
    engine_view(session_engine(session), &view);
    keep_facts(explained, &view, SCOPE_CONNECTION, explained->facts);
    keep_facts(explained, &view, SCOPE_TRANSACTION, explained->facts);
    keep_facts(explained, &view, SCOPE_MESSAGE, explained->facts);
}

static struct value *keep_recipient_facts(struct explained *explained, struct session *session)
{
    struct view view;
    struct value *out = arena_alloc(explained->arena, explained->layout->count * sizeof(out[0]));
    engine_view(session_engine(session), &view);
    keep_facts(explained, &view, SCOPE_RECIPIENT, out);
    return out;
}

/* ---- the transaction ---- */

static const char *get_macro(void *arg, const char *name)
{
    const struct explain_options *options = arg;
    if (strcmp(name, "{auth_authen}") == 0)
        return options->auth;
    if (strcmp(name, "{auth_type}") == 0)
        return options->auth != NULL ? "PLAIN" : NULL;
    if (strcmp(name, "{client_ptr}") == 0)
        return options->name;
    if (strcmp(name, "{daemon_name}") == 0)
        return options->daemon;
    return NULL;
}

static void play_message(struct explained *explained, struct session *session,
                         const struct message *message, const struct session_macros *macros,
                         struct waiter *waiter)
{
    session_data(session, macros, on_answer, waiter);
    await(waiter);
    for (size_t i = 0; i < message->header_count; i++)
        session_header(session, message->headers[i].name, message->headers[i].value);
    session_eoh(session, macros);
    session_body(session, (const unsigned char *)message->body, message->body_length);
    session_eom(session, macros, on_answer, waiter);
    keep(explained, STAGE_MESSAGE, "end of message", await(waiter));
    keep_all_facts(explained, session);
}

static void play(struct explained *explained, struct session *session,
                 const struct explain_options *options, const struct message *message)
{
    struct waiter waiter = {.lock = PTHREAD_MUTEX_INITIALIZER,
                            .answered = PTHREAD_COND_INITIALIZER};
    const struct session_macros macros = {get_macro, (void *)(uintptr_t)options};
    struct addr client = options->client;
    session_connect(session, options->name != NULL ? options->name : "", &client, 40000, &macros,
                    on_answer, &waiter);
    await(&waiter);
    session_helo(session, options->helo, &macros, on_answer, &waiter);
    await(&waiter);
    const char *mail[] = {arena_printf(explained->arena, "<%s>", options->from), NULL};
    session_mail(session, mail, &macros, on_answer, &waiter);
    const char *what = arena_printf(explained->arena, "MAIL FROM:%s", mail[0]);
    /* What would be refused is over, for the engine, too. */
    bool refused = keep(explained, STAGE_MAIL, what, await(&waiter))->reply != NULL;
    size_t taken = 0;
    for (size_t i = 0; i < options->rcpts.count && !refused; i++) {
        const char *rcpt[] = {arena_printf(explained->arena, "<%s>", options->rcpts.items[i]),
                              NULL};
        session_rcpt(session, rcpt, &macros, on_answer, &waiter);
        what = arena_printf(explained->arena, "RCPT TO:%s", rcpt[0]);
        struct explained_step *step = keep(explained, STAGE_RCPT, what, await(&waiter));
        step->recipient = options->rcpts.items[i];
        step->facts = keep_recipient_facts(explained, session);
        taken += step->reply != NULL ? 0 : 1;
    }
    keep_all_facts(explained, session);
    if (taken > 0 && message != NULL)
        play_message(explained, session, message, &macros, &waiter);
}

static int explain(const struct explain_options *options, struct config *config,
                   const struct message *message)
{
    char *error = NULL;
    struct loop *loop = loop_new();
    struct resolver *resolver = loop != NULL ? cli_resolver(config, loop, &error) : NULL;
    if (resolver == NULL) {
        fprintf(stderr, "postern: resolver: %s\n", error != NULL ? error : "no event loop");
        free(error);
        if (loop != NULL)
            loop_free(loop);
        return EXIT_TROUBLE;
    }
    const struct engine_options engine_options = {
        .dns = resolver_dns(resolver), .loop = loop, .everything = true};
    struct engine *engine = engine_new(&engine_options, config);
    engine_tick(engine);
    struct session *session = session_open(engine, options->listener);
    /* Values are fed as they stand in the file. */
    session_leading_space(session, true);
    struct explained explained = {.arena = arena_new(),
                                  .config = config,
                                  .listener = options->listener,
                                  .layout = config->policy->layout};
    explained.facts =
        arena_alloc(explained.arena, explained.layout->count * sizeof(explained.facts[0]));
    explained.steps =
        arena_alloc(explained.arena, (options->rcpts.count + 2) * sizeof(explained.steps[0]));
    explained.message_given = message != NULL;
    play(&explained, session, options, message);
    session_close(session);
    if (options->json)
        explain_print_json(&explained, stdout);
    else
        explain_print_text(&explained, options->brief, stdout);
    engine_free(engine);
    resolver_free(resolver);
    loop_free(loop);
    arena_free(explained.arena);
    return EXIT_DONE;
}

/* ---- the command line ---- */

/* The address without the angle brackets that a user may have typed. */
static const char *bare(struct arena *arena, const char *path)
{
    size_t length = strlen(path);
    if (length >= 2 && path[0] == '<' && path[length - 1] == '>')
        return arena_strndup(arena, path + 1, length - 2);
    return path;
}

/* The block that was asked for, or the first one.  NULL after a message on stderr. */
static const char *find_listener(const struct config *config, const char *name)
{
    const struct block_head *head = config->listens != NULL ? &config->listens->head : NULL;
    if (name == NULL)
        return head != NULL ? head->name : "";
    for (; head != NULL; head = head->next)
        if (strcmp(head->name, name) == 0)
            return head->name;
    fprintf(stderr, "postern: there is no listen block '%s' ('postern check' shows them)\n", name);
    return NULL;
}

static int run_with(const struct command *command, struct explain_options *options,
                    struct arena *arena)
{
    const char *missing = options->client_text == NULL ? "--client"
                          : options->helo == NULL      ? "--helo"
                          : options->from == NULL      ? "--from"
                          : options->rcpts.count == 0  ? "--rcpt"
                                                       : NULL;
    if (missing != NULL)
        return cli_usage(
            command, "%s is missing; --client, --helo, --from and --rcpt must be given", missing);
    if (!addr_parse(options->client_text, &options->client))
        return cli_usage(command, "--client takes an IP address, not '%s'", options->client_text);
    options->from = bare(arena, options->from);
    for (size_t i = 0; i < options->rcpts.count; i++)
        options->rcpts.items[i] = bare(arena, options->rcpts.items[i]);
    struct message *message = NULL;
    if (options->message != NULL) {
        message = message_read(arena, options->message);
        if (message == NULL)
            return EXIT_TROUBLE;
    }
    struct config *config = cli_load(options->config, true);
    if (config == NULL)
        return EXIT_TROUBLE;
    options->listener = find_listener(config, options->listener);
    int result = options->listener != NULL ? explain(options, config, message) : EXIT_TROUBLE;
    config_unref(config);
    return result;
}

static int run_explain(const struct command *command, void *memory, char **words)
{
    struct explain_options *options = memory;
    log_open("postern", LOG_LEVEL_WARNING, 1, 0);
    if (options->id != NULL)
        return explain_record(options->id, words);
    if (words[0] != NULL)
        return cli_usage(command, "'%s': files of records are read with --id only", words[0]);
    struct arena *arena = arena_new();
    int result = run_with(command, options, arena);
    arena_free(arena);
    return result;
}

#define ROW(name, type, argument, choices, member, help)                                           \
    {                                                                                              \
        name, '\0', type, argument, choices, NULL, offsetof(struct explain_options, member), help  \
    }

static const struct cli_option rows[] = {
    CLI_CONFIG(struct explain_options),
    ROW("client", CLI_VALUE, "IP", NULL, client_text, "address of the SMTP client"),
    ROW("name", CLI_VALUE, "NAME", NULL, name, "its name, as its PTR claims"),
    ROW("helo", CLI_VALUE, "HELO", NULL, helo, "what it says at HELO"),
    ROW("from", CLI_VALUE, "ADDRESS", NULL, from, "the reverse-path; \"\" is the null sender"),
    ROW("rcpt", CLI_LIST, "ADDRESS", NULL, rcpts, "a recipient; may be repeated"),
    ROW("auth", CLI_VALUE, "USER", NULL, auth, "the client is authenticated as USER"),
    ROW("listener", CLI_VALUE, "NAME", NULL, listener,
        "it comes through this listen block; default: the first"),
    ROW("daemon", CLI_VALUE, "NAME", NULL, daemon, "what the MTA calls its daemon (mta.daemon)"),
    ROW("message", CLI_VALUE, "FILE", CLI_FILES, message,
        "the message; without it the end of message is not reached"),
    ROW("brief", CLI_FLAG, NULL, NULL, brief, "the dialogue alone, without the facts behind it"),
    ROW("json", CLI_FLAG, NULL, NULL, json, "one JSON object"),
    ROW("id", CLI_VALUE, "ID", NULL, id,
        "what the records of a transaction say, from AUDIT files or standard input; ID is the "
        "reference that the reply showed, or the MTA's queue id"),
};

const struct command command_explain = {
    .name = "explain",
    .arguments = "[-c FILE] --client IP [--name NAME] --helo HELO --from ADDRESS --rcpt ADDRESS... "
                 "[--auth USER] [--listener NAME] [--daemon NAME] [--message FILE] [--brief | "
                 "--json] | --id ID [AUDIT...]",
    .summary = "Plays a transaction against the real checks and shows facts, rules and replies",
    CLI_OPTIONS(rows),
    .choices = CLI_FILES,
    .more = CLI_FILES,
    .max_words = CLI_MANY,
    .size = sizeof(struct explain_options),
    .run = run_explain,
};
