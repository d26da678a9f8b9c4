/* The quick client of live permission: hands one question from standard input to the harness, prints its answer.

   guard [--socket PATH]        default: the environment variable ORCHESTRATE_GUARD

   Exit 0 with the answer as JSON; on any trouble exit 2 with a sentence on standard error, which every client takes
   for a refusal. The same program as guard.py, without an interpreter to start. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { PATIENCE_S = 5, LONGEST_ANSWER = 1 << 20 };

static void fail(const char *why)
{
    static const char before[] = "refused, because the harness could not be asked: ";
    (void)!write(2, before, sizeof before - 1);
    (void)!write(2, why, strlen(why));
    (void)!write(2, "\n", 1);
    _exit(2);
}

static void late(int number)
{
    (void)number;
    fail("no answer within 5 seconds");
}

static void send_all(int to, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t sent = write(to, data, size);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            fail("the connection broke");
        data += sent;
        size -= (size_t)sent;
    }
}

static int connected(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int line;
    if (path == NULL || *path == '\0')
        fail("ORCHESTRATE_GUARD does not name its socket");
    if (strlen(path) >= sizeof address.sun_path)
        fail("the path of its socket is too long");
    memcpy(address.sun_path, path, strlen(path) + 1);
    line = socket(AF_UNIX, SOCK_STREAM, 0);
    if (line < 0 || connect(line, (struct sockaddr *)&address, sizeof address) != 0)
        fail("nobody listens on its socket");
    return line;
}

int main(int count, char **arguments)
{
    static char question[65536], answer[LONGEST_ANSWER];
    const char *path = getenv("ORCHESTRATE_GUARD");
    size_t size = 0;
    ssize_t got;
    int line;

    if (count == 3 && strcmp(arguments[1], "--socket") == 0)
        path = arguments[2];
    else if (count != 1)
        fail("usage: guard [--socket PATH], with the question on standard input");
    signal(SIGPIPE, SIG_IGN);
    signal(SIGALRM, late);
    alarm(PATIENCE_S);
    line = connected(path);
    while ((got = read(0, question, sizeof question)) > 0)
        send_all(line, question, (size_t)got);
    if (got < 0)
        fail("the question could not be read");
    shutdown(line, SHUT_WR);
    while (size < sizeof answer && (size == 0 || answer[size - 1] != '\n') &&
           (got = read(line, answer + size, sizeof answer - size)) > 0)
        size += (size_t)got;
    if (size < 3 || answer[0] != '{' || answer[size - 2] != '}' || answer[size - 1] != '\n')
        fail("its answer was cut off");
    send_all(1, answer, size);
    return 0;
}
