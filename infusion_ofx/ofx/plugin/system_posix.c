/* Linux and macOS; tried on Linux alone. See system.h. */
#define _GNU_SOURCE /* dladdr, POSIX_SPAWN_SETSID */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "system.h"

#ifdef __APPLE__
#include <crt_externs.h> /* a shared library has no `environ` of its own there */
#define ENVIRONMENT (*_NSGetEnviron())
#else
extern char **environ;
#define ENVIRONMENT environ
#endif

/* Settings of the host's own Python, loader and Qt: each is known to keep another Python from
 * starting, or to have it load the host's libraries. */
static const char *const not_inherited[] = {
    "PYTHON", "__PYVENV_LAUNCHER__", "LD_", "DYLD_", "QT_", NULL,
};

FILE *system_open(const char *path, const char *mode)
{
    FILE *file = fopen(path, mode);
    if (file)
        fcntl(fileno(file), F_SETFD, FD_CLOEXEC); /* the host may start programs meanwhile */
    return file;
}

int system_make_folder(const char *path)
{
    struct stat found;
    if (mkdir(path, 0777) == 0)
        return 0;
    return stat(path, &found) == 0 && S_ISDIR(found.st_mode) ? 0 : -1;
}

int system_replace(const char *from, const char *to)
{
    return rename(from, to);
}

void system_remove(const char *path)
{
    unlink(path);
}

long system_age(const char *path)
{
    struct stat found;
    long age;
    if (stat(path, &found) != 0)
        return -1;
    age = (long)(time(NULL) - found.st_mtime);
    return age > 0 ? age : 0;
}

int system_is_absolute(const char *path)
{
    return path[0] == '/';
}

unsigned long system_process(void)
{
    return (unsigned long)getpid();
}

int system_own_path(char *path, size_t size)
{
    static const char here = 0;
    Dl_info found;
    if (!dladdr(&here, &found) || !found.dli_fname || strlen(found.dli_fname) >= size)
        return -1;
    strcpy(path, found.dli_fname);
    return 0;
}

static int is_inherited(const char *setting)
{
    int i;
    for (i = 0; not_inherited[i]; i++)
        if (strncmp(setting, not_inherited[i], strlen(not_inherited[i])) == 0)
            return 0;
    return 1;
}

/* The host's environment without what would break the program; the strings stay the host's. */
static char **clean_environment(void)
{
    char **all = ENVIRONMENT, **kept;
    size_t count = 0, i;
    while (all[count])
        count++;
    kept = calloc(count + 1, sizeof *kept);
    if (!kept)
        return NULL;
    for (i = 0, count = 0; all[i]; i++)
        if (is_inherited(all[i]))
            kept[count++] = all[i];
    return kept;
}

/* A session of its own where there is a flag for it (the program asks for one itself as well), and
 * no signal blocked or ignored because the host does so. */
static int set_attributes(posix_spawnattr_t *attributes)
{
    short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    sigset_t none, usual;
    sigemptyset(&none);
    sigemptyset(&usual);
    sigaddset(&usual, SIGINT);
    sigaddset(&usual, SIGTERM);
    sigaddset(&usual, SIGHUP);
    sigaddset(&usual, SIGCHLD);
    sigaddset(&usual, SIGPIPE);
#ifdef POSIX_SPAWN_SETSID
    flags |= POSIX_SPAWN_SETSID;
#endif
    return posix_spawnattr_setsigmask(attributes, &none) ||
           posix_spawnattr_setsigdefault(attributes, &usual) ||
           posix_spawnattr_setflags(attributes, flags);
}

/* Files, never pipes: a pipe to a host that is gone would end the program at its next word. */
static int set_files(posix_spawn_file_actions_t *files, const char *log)
{
    return posix_spawn_file_actions_addopen(files, 0, "/dev/null", O_RDONLY, 0) ||
           posix_spawn_file_actions_addopen(files, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0666) ||
           posix_spawn_file_actions_adddup2(files, 1, 2);
}

/* posix_spawn, not fork: a host with many threads and tens of gigabytes must not be copied. */
static int spawn(char *const argv[], char **environment, const char *log, pid_t *child)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    int failed = posix_spawn_file_actions_init(&files);
    if (failed)
        return failed;
    failed = posix_spawnattr_init(&attributes);
    if (!failed) {
        failed = set_files(&files, log) || set_attributes(&attributes);
        if (!failed)
            failed = posix_spawn(child, argv[0], &files, &attributes, argv, environment);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&files);
    return failed;
}

/* Its exit code. A host that reaps every child by itself leaves nothing to wait for. */
static int wait_for(pid_t child)
{
    int status = 0;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int system_start(char *const argv[], const char *log)
{
    pid_t child = 0;
    char **environment = clean_environment();
    int failed = environment ? spawn(argv, environment, log, &child) : ENOMEM;
    free(environment);
    return failed ? failed : wait_for(child);
}
