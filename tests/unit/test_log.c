/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <postern/log.h>

/* Standard error, caught in a file. */
struct caught {
    int before;
    FILE *file;
    char text[200000];
};

static void catch_begin(struct caught *caught)
{
    caught->file = tmpfile();
    assert_non_null(caught->file);
    fflush(stderr);
    caught->before = dup(STDERR_FILENO);
    assert_true(caught->before >= 0);
    assert_true(dup2(fileno(caught->file), STDERR_FILENO) >= 0);
}

static void catch_end(struct caught *caught)
{
    size_t length;

    assert_true(dup2(caught->before, STDERR_FILENO) >= 0);
    close(caught->before);
    rewind(caught->file);
    length = fread(caught->text, 1, sizeof(caught->text) - 1, caught->file);
    caught->text[length] = '\0';
    fclose(caught->file);
}

static void test_before_log_open(void **state)
{
    struct caught *caught = *state;

    catch_begin(caught);
    log_warning("no configuration");
    log_debug("hidden");
    catch_end(caught);
    assert_string_equal(caught->text, "postern: warning: no configuration\n");
}

static void test_levels(void **state)
{
    static const char *const expected[] = {
        [LOG_LEVEL_ERROR] = "p: error: 1\n",
        [LOG_LEVEL_WARNING] = "p: error: 1\np: warning: 2\n",
        [LOG_LEVEL_INFO] = "p: error: 1\np: warning: 2\np: info: 3\n",
        [LOG_LEVEL_DEBUG] = "p: error: 1\np: warning: 2\np: info: 3\np: debug: 4\n",
    };
    struct caught *caught = *state;
    int level;

    for (level = LOG_LEVEL_ERROR; level <= LOG_LEVEL_DEBUG; level++) {
        char ident[] = "p";

        log_open(ident, LOG_LEVEL_INFO, 1, 0);
        ident[0] = 'x';
        log_set_level((enum log_level)level);
        catch_begin(caught);
        log_error("%d", 1);
        log_warning("%d", 2);
        log_info("%d", 3);
        log_debug("%d", 4);
        catch_end(caught);
        assert_string_equal(caught->text, expected[level]);
    }
}

static void test_no_stderr(void **state)
{
    struct caught *caught = *state;

    log_open("postern", LOG_LEVEL_DEBUG, 0, 0);
    catch_begin(caught);
    log_error("nobody hears this");
    catch_end(caught);
    log_open("postern", LOG_LEVEL_DEBUG, 1, 0);
    assert_string_equal(caught->text, "");
}

static void test_cleaned(void **state)
{
    static const struct {
        const char *text, *line;
    } rows[] = {
        {"plain ~", "postern: info: plain ~\n"},
        {"a\nb", "postern: info: a\\x0ab\n"},
        {"\r\t\x1b[31m\x7f", "postern: info: \\x0d\\x09\\x1b[31m\\x7f\n"},
        {"m\xc3\xbcnchen", "postern: info: m\\xc3\\xbcnchen\n"},
        {"100% %s %n", "postern: info: 100% %s %n\n"},
        {"", "postern: info: \n"},
    };
    struct caught *caught = *state;
    size_t i;

    log_open("postern", LOG_LEVEL_DEBUG, 1, 0);
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        catch_begin(caught);
        log_info("%s", rows[i].text);
        catch_end(caught);
        assert_string_equal(caught->text, rows[i].line);
    }
}

static void test_cut(void **state)
{
    struct caught *caught = *state;
    static char text[5000];
    size_t length, visible;
    int fill;

    log_open("postern", LOG_LEVEL_DEBUG, 1, 0);
    for (fill = 0; fill < 2; fill++) {
        for (length = 400; length < sizeof(text); length += 13) {
            memset(text, fill == 0 ? 'x' : '\n', length);
            text[length] = '\0';
            catch_begin(caught);
            log_info("%s", text);
            catch_end(caught);
            visible = strlen(caught->text) - strlen("postern: info: \n");
            assert_true(visible < 2048);
            if (length * (fill == 0 ? 1 : 4) < 2040)
                assert_int_equal(visible, length * (fill == 0 ? 1 : 4));
            else if (length >= 2048)
                assert_non_null(strstr(caught->text, "...\n"));
            assert_ptr_equal(strchr(caught->text, '\n'), caught->text + strlen(caught->text) - 1);
        }
    }
}

static void test_errno_is_kept(void **state)
{
    struct caught *caught = *state;

    log_open("postern", LOG_LEVEL_DEBUG, 1, 0);
    catch_begin(caught);
    close(STDERR_FILENO);
    errno = ENOENT;
    log_error("standard error is closed");
    assert_int_equal(errno, ENOENT);
    catch_end(caught);
}

static void *write_lines(void *arg)
{
    int i;

    for (i = 0; i < 200; i++)
        log_info("%s line", (const char *)arg);
    return NULL;
}

/* Whole lines from each thread, none lost. */
static void test_threads(void **state)
{
    static char names[] = "abcdefgh";
    struct caught *caught = *state;
    char name[8][2];
    int count[8] = {0};
    pthread_t threads[8];
    char *line, *rest;
    char expected[64];
    int i;

    log_open("postern", LOG_LEVEL_DEBUG, 1, 0);
    catch_begin(caught);
    for (i = 0; i < 8; i++) {
        name[i][0] = names[i];
        name[i][1] = '\0';
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, name[i]), 0);
    }
    for (i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    catch_end(caught);
    rest = caught->text;
    while ((line = strsep(&rest, "\n")) != NULL && *line != '\0') {
        i = line[strlen("postern: info: ")] - 'a';
        assert_in_range(i, 0, 7);
        snprintf(expected, sizeof(expected), "postern: info: %s line", name[i]);
        assert_string_equal(line, expected);
        count[i]++;
    }
    for (i = 0; i < 8; i++)
        assert_int_equal(count[i], 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_before_log_open),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_no_stderr),
        cmocka_unit_test(test_cleaned),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_errno_is_kept),
        cmocka_unit_test(test_threads),
    };
    static struct caught caught;
    size_t i;
    struct CMUnitTest with_state[sizeof(tests) / sizeof(tests[0])];

    memcpy(with_state, tests, sizeof(tests));
    for (i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
        with_state[i].initial_state = &caught;
    return cmocka_run_group_tests(with_state, NULL, NULL);
}
