/* Preloaded into every program of a test phone: which programs it can execute.
 *
 * Linux would hand a program of another processor to an emulator through binfmt_misc, which a
 * container cannot set up. So the calls that execute a program look at its ELF header themselves.
 * What does not lie on /system was pushed, and /dev/emulator/<bits>-<machine> tells what the phone
 * makes of it: a link to "native", to an emulator, or nothing: then no such phone could run it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#define FOLDER "/dev/emulator"
#define MOST_ARGUMENTS 4096

static int is_pushed(const char *path) {
    char real[PATH_MAX];
    return realpath(path, real) && strncmp(real, "/system/", 8) != 0;
}

/* Return 0 for what the kernel may have as it is, 1 with `emulator` set, or -1 with errno. */
static int look_at(const char *path, char *emulator) {
    unsigned char head[20] = {0};
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    ssize_t got = read(file, head, sizeof head);
    close(file);
    if (got != sizeof head || memcmp(head, ELFMAG, SELFMAG) != 0 || !is_pushed(path)) return 0;
    /* The emulator would read it where the kernel executes nothing: noexec, or no x bit. */
    if (access(path, X_OK) != 0) return -1;
    char entry[64];
    snprintf(entry, sizeof entry, FOLDER "/%d-%d", head[EI_CLASS] == ELFCLASS64 ? 64 : 32,
             head[18] | head[19] << 8);
    ssize_t length = readlink(entry, emulator, PATH_MAX - 1);
    if (length < 0) {
        errno = ENOEXEC;
        return -1;
    }
    emulator[length] = 0;
    return strcmp(emulator, "native") != 0;
}

/* A processor that every arm64 phone is at least; -0 keeps the name that the program is called. */
static int emulate(const char *emulator, const char *path, char *const argv[], char *const env[],
                   int (*execute)(const char *, char *const[], char *const[])) {
    const char *words[MOST_ARGUMENTS] = {emulator, "-cpu",  "cortex-a76", "-L", FOLDER "/root",
                                         "-0",     argv[0], path};
    size_t count = 8;
    for (size_t i = 1; argv[0] && argv[i]; i++) {
        if (count >= MOST_ARGUMENTS - 1) {
            errno = E2BIG;
            return -1;
        }
        words[count++] = argv[i];
    }
    return execute(emulator, (char *const *)words, env);
}

int execve(const char *path, char *const argv[], char *const env[]) {
    int (*execute)(const char *, char *const[], char *const[]) = dlsym(RTLD_NEXT, "execve");
    char emulator[PATH_MAX];
    int found = look_at(path, emulator);
    if (found < 0) return -1;
    return found ? emulate(emulator, path, argv, env, execute) : execute(path, argv, env);
}

int execv(const char *path, char *const argv[]) { return execve(path, argv, environ); }

/* As execvp does it, but for ENOEXEC: no shell tries to read a program of a foreign processor. */
int execvpe(const char *name, char *const argv[], char *const env[]) {
    if (strchr(name, '/')) return execve(name, argv, env);
    const char *folders = getenv("PATH");
    int denied = 0;
    errno = ENOENT;
    for (const char *at = folders ? folders : "/system/bin"; at; at = strchr(at, ':')) {
        if (*at == ':') at++;
        char path[PATH_MAX];
        int length = (int)strcspn(at, ":");
        if (snprintf(path, sizeof path, "%.*s/%s", length, at, name) >= (int)sizeof path) continue;
        execve(path, argv, env);
        if (errno == EACCES) denied = 1;
        else if (errno != ENOENT && errno != ENOTDIR) return -1;
    }
    if (denied) errno = EACCES;
    return -1;
}

int execvp(const char *name, char *const argv[]) { return execvpe(name, argv, environ); }

/* `uname -m` names the phone's processor, not this machine's. */
int uname(struct utsname *names) {
    int (*ask)(struct utsname *) = dlsym(RTLD_NEXT, "uname");
    if (ask(names) != 0) return -1;
    char said[sizeof names->machine];
    ssize_t length = readlink(FOLDER "/machine", said, sizeof said - 1);
    if (length > 0) snprintf(names->machine, sizeof names->machine, "%.*s", (int)length, said);
    length = readlink(FOLDER "/release", said, sizeof said - 1);
    if (length > 0) snprintf(names->release, sizeof names->release, "%.*s", (int)length, said);
    return 0;
}
