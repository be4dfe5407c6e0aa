/* Launch: the job as a command line, and the engine as a process of its own. */
#include <stdlib.h>
#include <string.h>

#include "infusion.h"
#include "system.h"

enum { MOST_ARGUMENTS = 128, MOST_TEXT = 1 << 17, LONGEST_LINE = 1 << 15 };

/* A command line; `full` once something had no room. */
typedef struct {
    char *items[MOST_ARGUMENTS + 1];
    int count;
    char text[MOST_TEXT];
    size_t used;
    int full;
} Command;

static void add(Command *command, const char *argument)
{
    size_t length = strlen(argument) + 1;
    if (command->count == MOST_ARGUMENTS || length > MOST_TEXT - command->used) {
        command->full = 1;
        return;
    }
    command->items[command->count++] = memcpy(command->text + command->used, argument, length);
    command->used += length;
}

/* One argument, `--option=value`: a value may begin with a dash, as the frames -5--1 do. */
static void add_option(Command *command, const char *option, const char *value)
{
    char argument[PATH_SIZE + 64];
    if (join(argument, sizeof argument, option, "=", value, NULL) != 0)
        command->full = 1;
    else
        add(command, argument);
}

/* How the engine is called: a file that `infusion ofx install` has put into the bundle, with one
 * argument a line, since a host has no way of its own to a Python environment. */
static FILE *open_engine(void)
{
    char path[PATH_SIZE];
    char *end = system_own_path(path, sizeof path) == 0 ? path + strlen(path) : path;
    int up;
    for (up = 0; end > path && up < 2; up += *end == '/' || *end == '\\')
        end--; /* from Contents/Linux-x86-64/Infusion.ofx to Contents */
    *end = 0;
    if (up < 2 || join(end, sizeof path - (size_t)(end - path), "/Resources/engine", NULL) != 0)
        return NULL;
    return system_open(path, "rb");
}

static int add_engine(Command *command)
{
    char line[LONGEST_LINE]; /* one of them names every folder of Python's path */
    FILE *file = open_engine();
    if (!file)
        return -1;
    while (fgets(line, sizeof line, file)) {
        command->full |= !strchr(line, '\n');
        line[strcspn(line, "\r\n")] = 0;
        if (line[0])
            add(command, line);
    }
    fclose(file);
    return command->count ? 0 : -1;
}

/* A number as the engine reads it, whatever decimal sign the host's language has. */
static void write_real(double value, char *text, size_t size)
{
    char *comma;
    snprintf(text, size, "%.17g", value);
    comma = strchr(text, ',');
    if (comma)
        *comma = '.';
}

static void add_number(Command *command, const JobParam *param, OfxParamHandle handle)
{
    char text[64];
    double value = param->type == JOB_REAL ? param_real(handle) : param_integer(handle);
    if (param->unset_is_zero && value == 0)
        return;
    if (param->type == JOB_REAL)
        write_real(value, text, sizeof text);
    else
        snprintf(text, sizeof text, "%d", (int)value);
    add_option(command, param->option, text);
}

static void add_choice(Command *command, const JobParam *param, OfxParamHandle handle)
{
    int i, chosen = param_integer(handle);
    for (i = 0; param->choices[i]; i++)
        if (i == chosen)
            add_option(command, param->option, param->choices[i]);
}

static void add_text(Command *command, const JobParam *param, OfxParamHandle handle)
{
    char text[PATH_SIZE];
    if (param_text(handle, text, sizeof text) != 0)
        command->full = 1;
    else if (text[0])
        add_option(command, param->option, text);
}

static void add_param(Command *command, const JobParam *param, OfxParamHandle handle)
{
    if (!handle)
        return; /* the host would not have it: the engine takes its own default */
    if (param->type == JOB_SWITCH)
        add(command, param_integer(handle) ? param->option : param->off);
    else if (param->type == JOB_CHOICE)
        add_choice(command, param, handle);
    else if (param->type == JOB_TEXT || param->type == JOB_FILE)
        add_text(command, param, handle);
    else
        add_number(command, param, handle);
}

static int is_given(const Instance *instance, const char *name)
{
    char text[PATH_SIZE];
    int i;
    for (i = 0; i < job_param_count; i++)
        if (strcmp(job_params[i].name, name) == 0)
            return param_text(instance->job[i], text, sizeof text) == 0 && text[0];
    return 0;
}

/* What the job folder stands in for: options that come last and so count. */
static void add_places(Command *command, const Instance *instance, int input)
{
    char path[PATH_SIZE];
    if (job_path(instance, "", path, sizeof path) == 0)
        add_option(command, "--data-dir", path);
    if (!is_given(instance, "output") && job_path(instance, "result/", path, sizeof path) == 0)
        add_option(command, "--output", path);
    if (input == INPUT_FILES)
        return;
    if (job_path(instance, "plate/plate.####.exr", path, sizeof path) == 0)
        add_option(command, "--plate", path);
    if (clip_is_connected(instance->matte) &&
        job_path(instance, "matte/matte.####.exr", path, sizeof path) == 0)
        add_option(command, "--matte", path);
}

static int build(Command *command, const Instance *instance, int input, const char *range)
{
    char folder[PATH_SIZE];
    int i;
    if (add_engine(command) != 0) {
        tell_error(instance, "no engine is known here: run `infusion ofx install` again");
        return -1;
    }
    add(command, "ofx");
    add(command, "work");
    if (job_path(instance, "", folder, sizeof folder) != 0)
        return -1;
    add(command, folder);
    for (i = 0; i < job_param_count; i++)
        add_param(command, &job_params[i], instance->job[i]);
    if (range[0] && !is_given(instance, "frames"))
        add_option(command, "--frames", range);
    add_places(command, instance, input);
    if (command->full)
        tell_error(instance, "the settings are too long for a command line");
    return command->full ? -1 : 0;
}

static void write_log(const char *log, const char *text)
{
    FILE *file = system_open(log, "ab");
    if (!file)
        return;
    fprintf(file, "%s\n", text);
    fclose(file);
}

/* From now on Refresh asks after the new job, and no longer after the one before. */
static void forget(const Instance *instance, const char *log)
{
    char path[PATH_SIZE];
    write_log(log, ENGINE_STARTS);
    if (job_path(instance, "current", path, sizeof path) == 0)
        system_remove(path);
}

static void start(const Instance *instance, Command *command)
{
    char log[PATH_SIZE], line[LINE_SIZE];
    int failed;
    if (job_path(instance, "engine.log", log, sizeof log) != 0)
        return;
    forget(instance, log);
    failed = system_start(command->items, log);
    if (failed) {
        snprintf(line, sizeof line,
                 "the engine did not start (%d): see engine.log in the job folder", failed);
        write_log(log, line);
        tell_error(instance, line);
        return;
    }
    tell(instance, "launched; Refresh says how it stands");
}

/* The job folder is there and may be used; else the artist is told. */
static int open_folder(const Instance *instance)
{
    char folder[PATH_SIZE];
    const char *fault = NULL;
    if (job_path(instance, "", folder, sizeof folder) != 0)
        fault = "name a job folder first";
    else if (!system_is_absolute(folder))
        fault = "the job folder must be a whole path, from the root on";
    else if (system_make_folder(folder) != 0)
        fault = "the job folder cannot be made: the folder above it must be there";
    else if (is_running(instance))
        fault = "an engine is at work in this folder, or starting: Stop it first";
    if (fault)
        tell_error(instance, fault);
    return fault ? -1 : 0;
}

void launch(const Instance *instance)
{
    int first = 0, last = 0, input = param_integer(instance->own[PARAM_INPUT]);
    char range[64] = "";
    Command *command;
    if (open_folder(instance) != 0)
        return;
    if (input == INPUT_HOST) {
        if (pull_frames(instance, &first, &last) != 0)
            return;
        snprintf(range, sizeof range, "%d-%d", first, last);
    }
    command = calloc(1, sizeof *command);
    if (command && build(command, instance, input, range) == 0)
        start(instance, command);
    free(command);
}
