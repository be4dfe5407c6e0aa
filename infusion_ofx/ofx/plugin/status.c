/* How a job stands, from the engine's status.json: infusion_ofx/attempt.py lists its fields. */
#include <stdlib.h>
#include <string.h>

#include "infusion.h"
#include "system.h"

enum { STATUS_SIZE = 16384, SILENT_SECONDS = 90 };

/* What `current` or `shown` points to, from the job folder on. */
static int read_pointer(const Instance *instance, const char *name, char *line, size_t size)
{
    char path[PATH_SIZE];
    return job_path(instance, name, path, sizeof path) == 0 ? read_line(path, line, size) : -1;
}

int engine_folder(const Instance *instance, char *path, size_t size)
{
    char current[PATH_SIZE];
    if (read_pointer(instance, "current", current, sizeof current) != 0)
        return -1;
    return job_path(instance, current, path, size);
}

static unsigned hexadecimal(const char *digits)
{
    unsigned value = 0;
    int i;
    for (i = 0; i < 4 && digits[i]; i++) {
        const char *found = strchr("0123456789abcdef", digits[i] | 0x20);
        value = 16 * value + (found ? (unsigned)(found - "0123456789abcdef") : 0);
    }
    return value;
}

/* Appends a character of the basic plane as UTF-8; any other as a question mark. */
static size_t put_character(char *out, unsigned code)
{
    if (code < 0x80) {
        out[0] = code < 0x20 ? ' ' : (char)code;
        return 1;
    }
    if (code >= 0xd800 && code < 0xe000) {
        out[0] = '?';
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    out[0] = (char)(0xe0 | code >> 12);
    out[1] = (char)(0x80 | (code >> 6 & 0x3f));
    out[2] = (char)(0x80 | (code & 0x3f));
    return 3;
}

/* Copies a JSON string, from behind its opening quote. */
static void copy_string(const char *from, char *out, size_t size)
{
    size_t used = 0;
    for (; *from && *from != '"' && used + 4 < size; from++) {
        if (*from != '\\') {
            out[used++] = *from;
            continue;
        }
        from++;
        if (*from == 'u' && strlen(from) > 4) {
            used += put_character(out + used, hexadecimal(from + 1));
            from += 4;
        } else if (*from) {
            out[used++] = strchr("\"\\/", *from) ? *from : ' ';
        } else {
            break;
        }
    }
    out[used] = 0;
}

/* The value of a name in JSON as text, "" for null or none. A quote within a string is escaped
 * there, so that `"name":` can only be the name itself; the first one counts. */
static void json_text(const char *json, const char *name, char *out, size_t size)
{
    char wanted[64];
    const char *found;
    size_t length;
    out[0] = 0;
    snprintf(wanted, sizeof wanted, "\"%s\": ", name);
    found = strstr(json, wanted);
    if (!found)
        return;
    found += strlen(wanted);
    if (*found == '"') {
        copy_string(found + 1, out, size);
        return;
    }
    length = strcspn(found, ",}\r\n");
    if (length < size && strncmp(found, "null", 4) != 0) {
        memcpy(out, found, length);
        out[length] = 0;
    }
}

/* The engine's status.json and how long ago it was touched; -1 where there is none. */
static long read_status(const Instance *instance, char *json, size_t size)
{
    char folder[PATH_SIZE], path[PATH_SIZE + 32];
    size_t length;
    FILE *file;
    json[0] = 0;
    if (engine_folder(instance, folder, sizeof folder) != 0 ||
        join(path, sizeof path, folder, "/status.json", NULL) != 0)
        return -1;
    file = system_open(path, "rb");
    if (!file)
        return -1;
    length = fread(json, 1, size - 1, file);
    json[length] = 0;
    fclose(file);
    return system_age(path);
}

static int is_state(const char *json, const char *wanted)
{
    char state[32];
    json_text(json, "state", state, sizeof state);
    return strcmp(state, wanted) == 0;
}

/* The last thing that the engine's process has said, and how long ago; -1 where there is no log. */
static long read_log(const Instance *instance, char *line, size_t size)
{
    char path[PATH_SIZE];
    line[0] = 0;
    if (job_path(instance, "engine.log", path, sizeof path) != 0)
        return -1;
    last_line(path, line, size);
    return system_age(path);
}

int is_running(const Instance *instance)
{
    char json[STATUS_SIZE], said[LINE_SIZE];
    long age = read_status(instance, json, sizeof json);
    if (age >= 0)
        return age < SILENT_SECONDS && is_state(json, "running");
    age = read_log(instance, said, sizeof said);
    return age >= 0 && age < SILENT_SECONDS && strcmp(said, ENGINE_STARTS) == 0;
}

static void running_line(const char *json, char *line, size_t size)
{
    char percent[32], stage[32], left[32];
    long seconds;
    json_text(json, "percent", percent, sizeof percent);
    json_text(json, "stage", stage, sizeof stage);
    json_text(json, "seconds_left", left, sizeof left);
    seconds = (long)atof(left);
    if (left[0])
        snprintf(line, size, "running: %s, %s %%, %ld:%02ld:%02ld left", stage, percent,
                 seconds / 3600, seconds / 60 % 60, seconds % 60);
    else
        snprintf(line, size, "running: %s, %s %%", stage, percent);
}

/* Whether what is shown is whole and the newest job's, not the one's before. */
static int is_shown(const Instance *instance)
{
    char current[PATH_SIZE], shown[PATH_SIZE], fills[PATH_SIZE];
    if (read_pointer(instance, "shown", shown, sizeof shown) != 0)
        return 0;
    if (read_pointer(instance, "current", current, sizeof current) != 0 ||
        strcmp(current, ".") == 0)
        return 1; /* the folder is that of one job */
    return join(fills, sizeof fills, current, "/fills", NULL) == 0 && strcmp(shown, fills) == 0;
}

static void ended_line(const Instance *instance, const char *json, char *line, size_t size)
{
    char state[32], message[LINE_SIZE];
    json_text(json, "state", state, sizeof state);
    json_text(json, "message", message, sizeof message);
    if (strcmp(state, "done") != 0)
        snprintf(line, size, "%s: %s", state, message);
    else
        snprintf(line, size, is_shown(instance) ? "done" : "done; the frames are on their way");
}

void status_line(const Instance *instance, char *line, size_t size)
{
    char json[STATUS_SIZE], said[LINE_SIZE];
    long age = read_status(instance, json, sizeof json);
    if (age >= SILENT_SECONDS && is_state(json, "running"))
        snprintf(line, size, "lost: nothing heard for %ld s; Launch goes on from there", age);
    else if (age >= 0 && is_state(json, "running"))
        running_line(json, line, size);
    else if (age >= 0)
        ended_line(instance, json, line, size);
    else {
        /* No engine of this node's has a job yet; a farm's job is done without one. */
        read_log(instance, said, sizeof said);
        snprintf(line, size, "%s", said[0] ? said : is_shown(instance) ? "done" : "no job yet");
    }
}
