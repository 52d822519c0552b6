/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/*
 * A name server far away: passes questions on to a near one over UDP, and gives each answer back
 * when the given time has passed since its question came.  However many are under way, none waits
 * for another.  Prints a line for each question: its type as a number and its name.
 *
 * usage: bench_dns_delay PORT UPSTREAM-ADDRESS UPSTREAM-PORT MILLISECONDS
 */
#define PATIENCE_NS INT64_C(1000000000)

enum { PACKET_MAX = 65535, HEADER = 12, IDS = 65536, NAME_MAX_TEXT = 1024 };

/* A question under way, found by the id that it was passed on with. */
struct question {
    struct sockaddr_in client;
    uint16_t id;  /* the client's */
    int64_t due;  /* when its answer leaves, ns; 0: none such */
    char *answer; /* NULL: not here yet */
    size_t length;
};

struct proxy {
    int near, far; /* sockets towards the clients and the server */
    int64_t delay;
    struct question *questions; /* by id; ids are given in turn, so these are in order of time */
    uint16_t next, oldest;
};

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
    (void)number;
    stopped = 1;
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void note(const unsigned char *packet, size_t length)
{
    char name[NAME_MAX_TEXT];
    size_t used = 0;
    size_t at = HEADER;
    while (at < length && packet[at] != 0 && packet[at] < 64 && at + 1 + packet[at] < length &&
           used + packet[at] + 2 < sizeof(name)) {
        memcpy(name + used, packet + at + 1, packet[at]);
        used += packet[at];
        name[used++] = '.';
        at += 1U + packet[at];
    }
    name[used] = '\0';
    if (at + 3 <= length)
        printf("%d %s\n", packet[at + 1] << 8 | packet[at + 2], name);
}

/* Passes on all that clients have sent. */
static void take_questions(struct proxy *proxy)
{
    unsigned char packet[PACKET_MAX];
    for (;;) {
        struct question *question = &proxy->questions[proxy->next];
        socklen_t size = sizeof(question->client);
        if (question->due != 0)
            return; /* all ids are under way */
        ssize_t n = recvfrom(proxy->near, packet, sizeof(packet), MSG_DONTWAIT,
                             (struct sockaddr *)&question->client, &size);
        if (n < HEADER)
            return;
        question->due = now_ns() + proxy->delay;
        question->id = (uint16_t)(packet[0] << 8 | packet[1]);
        note(packet, (size_t)n);
        packet[0] = (unsigned char)(proxy->next >> 8);
        packet[1] = (unsigned char)proxy->next;
        (void)!send(proxy->far, packet, (size_t)n, 0);
        proxy->next++;
    }
}

static void take_answers(struct proxy *proxy)
{
    unsigned char packet[PACKET_MAX];
    ssize_t n;
    while ((n = recv(proxy->far, packet, sizeof(packet), MSG_DONTWAIT)) >= HEADER) {
        struct question *question = &proxy->questions[packet[0] << 8 | packet[1]];
        if (question->due == 0 || question->answer != NULL)
            continue;
        packet[0] = (unsigned char)(question->id >> 8);
        packet[1] = (unsigned char)question->id;
        question->answer = malloc((size_t)n);
        if (question->answer == NULL)
            abort();
        memcpy(question->answer, packet, (size_t)n);
        question->length = (size_t)n;
    }
}

/* Gives back what is due; returns the nanoseconds to the next one, at most a second.  What the
 * server does not answer within PATIENCE_NS is forgotten. */
static int64_t give_answers(struct proxy *proxy)
{
    int64_t now = now_ns();
    for (uint16_t id = proxy->oldest; id != proxy->next; id++) {
        struct question *question = &proxy->questions[id];
        if (question->due > now)
            return question->due - now;
        if (question->answer != NULL)
            (void)!sendto(proxy->near, question->answer, question->length, 0,
                          (struct sockaddr *)&question->client, sizeof(question->client));
        if (question->answer != NULL || now > question->due + PATIENCE_NS) {
            free(question->answer);
            *question = (struct question){0};
        }
        if (question->due == 0 && id == proxy->oldest)
            proxy->oldest++;
    }
    return 1000000000;
}

static int open_socket(bool server, const char *address, const char *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    int room = 8 << 20;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || inet_pton(AF_INET, address, &at.sin_addr) != 1)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
    int failed = server ? bind(fd, (struct sockaddr *)&at, sizeof(at))
                        : connect(fd, (struct sockaddr *)&at, sizeof(at));
    return failed ? -1 : fd;
}

int main(int argc, char **argv)
{
    if (argc != 5 || atof(argv[4]) < 0) {
        fputs("usage: bench_dns_delay PORT UPSTREAM-ADDRESS UPSTREAM-PORT MILLISECONDS\n", stderr);
        return 2;
    }
    struct proxy proxy = {.near = open_socket(true, "127.0.0.1", argv[1]),
                          .far = open_socket(false, argv[2], argv[3]),
                          .delay = (int64_t)(atof(argv[4]) * 1e6),
                          .questions = calloc(IDS, sizeof(*proxy.questions))};
    if (proxy.near < 0 || proxy.far < 0 || proxy.questions == NULL) {
        fprintf(stderr, "bench_dns_delay: %s\n", strerror(errno));
        return 1;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGTERM, &action, NULL);
    while (!stopped) {
        struct pollfd fds[] = {{.fd = proxy.near, .events = POLLIN},
                               {.fd = proxy.far, .events = POLLIN}};
        int64_t rest = give_answers(&proxy);
        struct timespec wait = {.tv_sec = rest / 1000000000, .tv_nsec = rest % 1000000000};
        if (ppoll(fds, 2, &wait, NULL) <= 0)
            continue;
        take_answers(&proxy);
        take_questions(&proxy);
    }
    return 0;
}
