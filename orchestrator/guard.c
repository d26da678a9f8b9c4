/* The quick client of live permission: hands one question from standard input to the harness, prints its answer.

   guard [--socket PATH]        default: the environment variable ORCHESTRATE_GUARD

   Exit 0 with the answer as JSON; on any trouble exit 2 with a sentence on standard error, which every client takes
   for a refusal. The same program as guard.py, without an interpreter to start. For Linux. Compiled with -DBARE (see
   guard_clients.py) it does without the C library, whose start takes longer than all the rest of it. */
#include <linux/poll.h>
#include <linux/time_types.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

enum { PATIENCE_S = 5, LONGEST_ANSWER = 1 << 20, CHUNK = 1 << 16 };

#if defined BARE && defined __x86_64__
__asm__(".globl _start\n_start:\n xor %ebp, %ebp\n mov %rsp, %rdi\n and $-16, %rsp\n call begin\n hlt\n");

static long ask_kernel(long number, long a, long b, long c, long d, long e, long f)
{
    register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}
#elif defined BARE && defined __aarch64__
__asm__(".globl _start\n_start:\n mov x29, xzr\n mov x30, xzr\n mov x0, sp\n bl begin\n");

static long ask_kernel(long number, long a, long b, long c, long d, long e, long f)
{
    register long x8 __asm__("x8") = number, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d, x4 __asm__("x4") = e, x5 __asm__("x5") = f;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
    return x0;
}
#elif defined BARE
#error "the start of a program without the C library is not written for this processor"
#else
#include <unistd.h>
extern long syscall(long number, ...);
#define ask_kernel syscall
#endif

static size_t length(const char *text)
{
    size_t size = 0;
    while (text[size] != '\0')
        size++;
    return size;
}

static int begins(const char *text, const char *with)
{
    while (*with != '\0')
        if (*text++ != *with++)
            return 0;
    return 1;
}

static void leave(int code)
{
    for (;;)
        ask_kernel(SYS_exit_group, code, 0, 0, 0, 0, 0);
}

static void say(const char *text)
{
    ask_kernel(SYS_write, 2, (long)text, (long)length(text), 0, 0, 0);
}

static void fail(const char *why)
{
    say("refused, because the harness could not be asked: ");
    say(why);
    say("\n");
    leave(2);
}

/* Reads what is there, after waiting for it no longer than our patience. */
static size_t received(int from, char *into, size_t room)
{
    struct pollfd watched = {.fd = from, .events = POLLIN};
    struct __kernel_timespec patience = {.tv_sec = PATIENCE_S};
    long got;
    if (ask_kernel(SYS_ppoll, (long)&watched, 1, (long)&patience, 0, 8, 0) <= 0)
        fail("nothing came within 5 seconds");
    got = ask_kernel(SYS_read, from, (long)into, (long)room, 0, 0, 0);
    if (got < 0)
        fail("the connection broke");
    return (size_t)got;
}

static void send_all(int to, const char *data, size_t size)
{
    while (size > 0) {
        long sent = ask_kernel(SYS_sendto, to, (long)data, (long)size, MSG_NOSIGNAL, 0, 0);
        if (sent <= 0)
            fail("the connection broke");
        data += sent;
        size -= (size_t)sent;
    }
}

static void print(const char *data, size_t size)
{
    while (size > 0) {
        long put = ask_kernel(SYS_write, 1, (long)data, (long)size, 0, 0, 0);
        if (put <= 0)
            fail("its answer could not be printed");
        data += put;
        size -= (size_t)put;
    }
}

static int connected(const char *path)
{
    static struct sockaddr_un address = {.sun_family = AF_UNIX};
    static struct __kernel_old_timeval patience = {.tv_sec = PATIENCE_S};
    int line;
    if (path == NULL || *path == '\0')
        fail("ORCHESTRATE_GUARD does not name its socket");
    if (length(path) >= sizeof address.sun_path)
        fail("the path of its socket is too long");
    for (size_t at = 0; path[at] != '\0'; at++)
        address.sun_path[at] = path[at];
    line = (int)ask_kernel(SYS_socket, AF_UNIX, SOCK_STREAM, 0, 0, 0, 0);
    if (line < 0)
        fail("no unix socket may be opened here");
    ask_kernel(SYS_setsockopt, line, SOL_SOCKET, SO_SNDTIMEO, (long)&patience, sizeof patience, 0);
    if (ask_kernel(SYS_connect, line, (long)&address, sizeof address, 0, 0, 0) < 0)
        fail("nobody listens on its socket");
    return line;
}

static void guard(int count, char **arguments, char **environment)
{
    static char question[CHUNK], answer[LONGEST_ANSWER];
    const char *path = NULL;
    size_t size = 0, got;
    int line;

    for (; *environment != NULL; environment++)
        if (begins(*environment, "ORCHESTRATE_GUARD="))
            path = *environment + sizeof "ORCHESTRATE_GUARD=" - 1;
    if (count == 3 && begins(arguments[1], "--socket") && arguments[1][8] == '\0')
        path = arguments[2];
    else if (count != 1)
        fail("usage: guard [--socket PATH], with the question on standard input");
    line = connected(path);
    while ((got = received(0, question, sizeof question)) > 0)
        send_all(line, question, got);
    ask_kernel(SYS_shutdown, line, SHUT_WR, 0, 0, 0, 0);
    while (size < sizeof answer && (size == 0 || answer[size - 1] != '\n') &&
           (got = received(line, answer + size, sizeof answer - size)) > 0)
        size += got;
    if (size < 3 || answer[0] != '{' || answer[size - 2] != '}' || answer[size - 1] != '\n')
        fail("its answer was cut off");
    print(answer, size);
    leave(0);
}

#ifdef BARE
__attribute__((used)) void begin(long *stack)
{
    char **arguments = (char **)(stack + 1);
    guard((int)stack[0], arguments, arguments + stack[0] + 1);
}
#else
extern char **environ;

int main(int count, char **arguments)
{
    guard(count, arguments, environ);
}
#endif
