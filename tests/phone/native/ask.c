/* getprop, settings, dumpsys, ...: asks the phone's system, and prints what it answers.
 *
 * On a phone these are clients of binder; here of the socket /dev/socket/system. The question is
 * the arguments, each ended by a zero byte, the program's own name first. The answer is three
 * 32-bit numbers in the machine's order (exit status, length of output, length of errors), then
 * both.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int all(int in, int out, uint32_t length) {
    char piece[4096];
    while (length > 0) {
        ssize_t got = read(in, piece, length < sizeof piece ? length : sizeof piece);
        if (got <= 0) return -1;
        for (ssize_t done = 0, put; done < got; done += put)
            if ((put = write(out, piece + done, (size_t)(got - done))) < 0) return -1;
        length -= (uint32_t)got;
    }
    return 0;
}

int main(int count, char **words) {
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/dev/socket/system"};
    int system = socket(AF_UNIX, SOCK_STREAM, 0);
    if (system < 0 || connect(system, (struct sockaddr *)&address, sizeof address) != 0) {
        fprintf(stderr, "%s: the system does not answer\n", words[0]);
        return 20;
    }
    const char *slash = strrchr(words[0], '/');
    if (slash) words[0] = (char *)slash + 1;
    for (int i = 0; i < count; i++)
        if (write(system, words[i], strlen(words[i]) + 1) < 0) return 20;
    shutdown(system, SHUT_WR);
    uint32_t head[3];
    if (recv(system, head, sizeof head, MSG_WAITALL) != sizeof head) return 20;
    if (all(system, STDOUT_FILENO, head[1]) || all(system, STDERR_FILENO, head[2])) return 1;
    return (int)head[0];
}
