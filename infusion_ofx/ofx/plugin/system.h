/* What differs between operating systems: files, and a process that outlives the host.
 *
 * system_posix.c serves Linux and macOS, system_windows.c Windows. Paths are UTF-8 everywhere.
 */
#ifndef INFUSION_SYSTEM_H
#define INFUSION_SYSTEM_H

#include <stddef.h>
#include <stdio.h>

/* fopen; NULL where it may not be. */
FILE *system_open(const char *path, const char *mode);

/* Makes a folder whose parent is there. 0 when it is there in the end. */
int system_make_folder(const char *path);

/* Gives a file its name, whole, in place of one that may be there. 0 on success. */
int system_replace(const char *from, const char *to);

void system_remove(const char *path);

/* Seconds since a file was last changed; -1 where there is none. */
long system_age(const char *path);

int system_is_absolute(const char *path);

/* A number that no other process of this machine has. */
unsigned long system_process(void);

/* The path of this plug-in's own binary. 0 on success. */
int system_own_path(char *path, size_t size);

/* Starts a program, argv[0], outside the host: without the host's Python and loader settings, its
 * signals or its terminal; with stdin empty and all that it says appended to the file `log`. On
 * POSIX the program is expected to leave a child to do the work and to return at once, so that the
 * host is left with no child; elsewhere it is not waited for.
 * 0 when it has started well, else the system's error or the program's own exit code, not 0. */
int system_start(char *const argv[], const char *log);

#endif
