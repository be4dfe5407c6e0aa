/* Windows. Written with care and never run: no Windows was at hand. See system.h. */
#define UNICODE
#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "system.h"

enum { LONGEST_COMMAND = 32767 }; /* characters that CreateProcess takes */

static const wchar_t *const not_inherited[] = {L"PYTHON", L"__PYVENV_LAUNCHER__", L"QT_", NULL};

/* UTF-16 of a UTF-8 text, to be freed; NULL where it is none or memory runs out. */
static wchar_t *wide(const char *text)
{
    int length = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, NULL, 0);
    wchar_t *made = length > 0 ? malloc((size_t)length * sizeof *made) : NULL;
    if (made)
        MultiByteToWideChar(CP_UTF8, 0, text, -1, made, length);
    return made;
}

FILE *system_open(const char *path, const char *mode)
{
    wchar_t *name = wide(path), *how = wide(mode);
    FILE *file = name && how ? _wfopen(name, how) : NULL;
    free(name);
    free(how);
    return file;
}

int system_make_folder(const char *path)
{
    wchar_t *name = wide(path);
    DWORD found;
    if (!name)
        return -1;
    CreateDirectoryW(name, NULL);
    found = GetFileAttributesW(name);
    free(name);
    return found != INVALID_FILE_ATTRIBUTES && (found & FILE_ATTRIBUTE_DIRECTORY) ? 0 : -1;
}

int system_replace(const char *from, const char *to)
{
    wchar_t *source = wide(from), *target = wide(to);
    BOOL done = source && target && MoveFileExW(source, target, MOVEFILE_REPLACE_EXISTING);
    free(source);
    free(target);
    return done ? 0 : -1;
}

void system_remove(const char *path)
{
    wchar_t *name = wide(path);
    if (name)
        DeleteFileW(name);
    free(name);
}

long system_age(const char *path)
{
    WIN32_FILE_ATTRIBUTE_DATA found;
    FILETIME now;
    ULARGE_INTEGER then_ticks, now_ticks;
    wchar_t *name = wide(path);
    BOOL there = name && GetFileAttributesExW(name, GetFileExInfoStandard, &found);
    free(name);
    if (!there)
        return -1;
    GetSystemTimeAsFileTime(&now);
    then_ticks.LowPart = found.ftLastWriteTime.dwLowDateTime;
    then_ticks.HighPart = found.ftLastWriteTime.dwHighDateTime;
    now_ticks.LowPart = now.dwLowDateTime;
    now_ticks.HighPart = now.dwHighDateTime;
    if (now_ticks.QuadPart < then_ticks.QuadPart)
        return 0;
    return (long)((now_ticks.QuadPart - then_ticks.QuadPart) / 10000000u);
}

int system_is_absolute(const char *path)
{
    int drive = path[0] && path[1] == ':' && (path[2] == '\\' || path[2] == '/');
    return drive || strncmp(path, "\\\\", 2) == 0 || strncmp(path, "//", 2) == 0;
}

unsigned long system_process(void)
{
    return GetCurrentProcessId();
}

int system_own_path(char *path, size_t size)
{
    static const char here = 0;
    wchar_t name[LONGEST_COMMAND];
    HMODULE module;
    DWORD flags =
        GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT;
    if (!GetModuleHandleExW(flags, (LPCWSTR)&here, &module) ||
        !GetModuleFileNameW(module, name, LONGEST_COMMAND))
        return -1;
    return WideCharToMultiByte(CP_UTF8, 0, name, -1, path, (int)size, NULL, NULL) > 0 ? 0 : -1;
}

/* Appends an argument so that the C runtime's own rules give it back: in quotes, a quote and the
 * backslashes before it escaped. It takes no more than twice its length and 4. */
static wchar_t *quote(wchar_t *out, const wchar_t *argument)
{
    size_t slashes = 0;
    *out++ = L'"';
    for (; *argument; argument++) {
        if (*argument == L'\\') {
            slashes++;
            continue;
        }
        for (slashes = *argument == L'"' ? 2 * slashes + 1 : slashes; slashes; slashes--)
            *out++ = L'\\';
        *out++ = *argument;
    }
    for (slashes = 2 * slashes; slashes; slashes--)
        *out++ = L'\\';
    *out++ = L'"';
    *out++ = L' ';
    return out;
}

static wchar_t *command_line(char *const argv[])
{
    wchar_t *line = malloc(LONGEST_COMMAND * sizeof *line), *out = line;
    for (; out && *argv; argv++) {
        wchar_t *argument = wide(*argv);
        size_t used = (size_t)(out - line);
        int fits = argument && used + 2 * wcslen(argument) + 4 < LONGEST_COMMAND;
        out = fits ? quote(out, argument) : NULL;
        free(argument);
    }
    if (!out) {
        free(line);
        return NULL;
    }
    *out = 0;
    return line;
}

static int is_inherited(const wchar_t *setting)
{
    int i;
    for (i = 0; not_inherited[i]; i++)
        if (_wcsnicmp(setting, not_inherited[i], wcslen(not_inherited[i])) == 0)
            return 0;
    return 1;
}

/* The host's environment block without what would break the program. */
static wchar_t *clean_environment(void)
{
    wchar_t *all = GetEnvironmentStringsW(), *kept = NULL, *from, *to;
    size_t length = 0;
    if (!all)
        return NULL;
    while (all[length] || all[length + 1])
        length++;
    kept = malloc((length + 2) * sizeof *kept);
    for (from = all, to = kept; kept && *from; from += wcslen(from) + 1)
        if (is_inherited(from)) {
            wcscpy(to, from);
            to += wcslen(to) + 1;
        }
    if (kept)
        *to = 0;
    FreeEnvironmentStringsW(all);
    return kept;
}

static HANDLE open_inherited(const wchar_t *path, DWORD access, DWORD how)
{
    SECURITY_ATTRIBUTES inherited = {sizeof inherited, NULL, TRUE};
    return CreateFileW(path, access, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                       &inherited, how, FILE_ATTRIBUTE_NORMAL, NULL);
}

static int create(wchar_t *line, wchar_t *environment, HANDLE nothing, HANDLE log)
{
    STARTUPINFOW start = {0};
    PROCESS_INFORMATION made;
    DWORD flags = DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP | CREATE_UNICODE_ENVIRONMENT;
    start.cb = sizeof start;
    start.dwFlags = STARTF_USESTDHANDLES;
    start.hStdInput = nothing;
    start.hStdOutput = start.hStdError = log;
    if (!CreateProcessW(NULL, line, NULL, NULL, TRUE, flags, environment, NULL, &start, &made))
        return (int)GetLastError();
    CloseHandle(made.hThread);
    CloseHandle(made.hProcess);
    return 0;
}

int system_start(char *const argv[], const char *log)
{
    wchar_t *line = command_line(argv), *environment = clean_environment(), *name = wide(log);
    int failed = ERROR_NOT_ENOUGH_MEMORY;
    if (line && environment && name) {
        HANDLE nothing = open_inherited(L"NUL", GENERIC_READ, OPEN_EXISTING);
        HANDLE file = open_inherited(name, FILE_APPEND_DATA, OPEN_ALWAYS);
        failed = create(line, environment, nothing, file);
        CloseHandle(file);
        CloseHandle(nothing);
    }
    free(line);
    free(environment);
    free(name);
    return failed;
}
